package torture_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/history"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

// firstAccount makes the service account as which all others are made and changed.
func firstAccount(ctx context.Context, clerk *authority.Client) (introspection.Identity, error) {
	standing, err := clerk.Standing(ctx, splContext)
	if err != nil {
		return introspection.Identity{}, err
	}
	made, err := clerk.FirstAccount(ctx, introspection.FirstAccount{Context: splContext, Draft: introspection.AccountDraft{
		Name: "admin", Actors: []string{"did:sync:user:torture"}, Scopes: []string{"admin"}, WithToken: true,
	}})
	if err != nil {
		return introspection.Identity{}, err
	}
	text, err := apikey.ParseToken(made.Token.Text)
	return introspection.Identity{
		Digest: text.Digest(), Context: splContext, Incarnation: standing.Incarnation, KeyID: text.ID(), PrincipalID: made.ID,
	}, err
}

// errand asks a key manager for a change of service accounts, and takes down how long that took.
func (d *deployment) errand(ctx context.Context, keymanager int, what string, ask func(context.Context, *authority.Client) error) outcome {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	o := outcome{from: d.now(), where: d.keymanagers[keymanager].name, status: http.StatusOK}
	err := ask(ctx, d.clerks[keymanager])
	o.to = d.now()
	if err != nil {
		o.status = fault.ProblemOf(err, "", "").Status
	}
	d.note(&o, keymanager, what, err == nil)
	return o
}

// token is a token as clients hold it. Its label is its id.
type token struct {
	label string
	text  apikey.Token
}

// actor is an identity that the tokens of an account may claim, until an edit ends that.
type actor struct{ label, did string }

// account is a service account of the deployment, or one after the other under the same name. One goroutine at a time changes it, any
// may read it.
type account struct {
	d    *deployment
	name string
	id   string // empty while there is none
	// actors counts those it has had.
	actors int
	// unsure says that a change to all of it may have been made, or may yet be: then what it is worth is not known.
	unsure bool

	mu      sync.Mutex // guards the following fields
	undead  []token    // whose end is not certain
	past    []token    // the latest whose end is certain
	madeUp  token      // that never was
	current *actor     // nil while not certain
	former  []actor    // the latest before
}

// held is what clients hold of an account.
type held struct {
	undead, past []token
	madeUp       token
	current      *actor
	former       []actor
}

func (a *account) held() held {
	a.mu.Lock()
	defer a.mu.Unlock()
	return held{append([]token(nil), a.undead...), append([]token(nil), a.past...), a.madeUp, a.current, append([]actor(nil), a.former...)}
}

// born notes a new token.
func (a *account) born(issued introspection.IssuedToken) {
	text, err := apikey.ParseToken(issued.Text)
	if err != nil || text.ID() != issued.ID {
		a.d.t.Errorf("the answer to a mint or a rotation of %s holds no token", a.name)
		return
	}
	a.d.counts.mints.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.undead = append(a.undead, token{issued.ID, text})
}

// end takes down that a change has ended what the label names, or may have.
func (a *account) end(o outcome, label string) {
	said := history.Operation{Kind: history.Kill, Secret: label, From: o.from, To: o.to, Where: o.where, Detail: a.name}
	if o.kind == uncertain {
		said.Kind, said.To = history.Threat, history.Never
	}
	a.d.recorder.Add(said)
}

// ended takes down that a change has ended tokens, or may have, and returns these.
func (a *account) ended(o outcome, which func(token) bool) (struck []token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.kind == denied {
		return nil
	}
	var left []token
	for _, t := range a.undead {
		if !which(t) {
			left = append(left, t)
			continue
		}
		struck = append(struck, t)
		a.end(o, t.label)
	}
	if o.kind == done {
		a.undead = left
		a.past = append(a.past, struck...)
		a.past = a.past[max(0, len(a.past)-pastKept):]
	}
	return struck
}

func every(token) bool { return true }

// nextActor returns an identity that the account has never had.
func (a *account) nextActor() actor {
	a.actors++
	name := fmt.Sprintf("%s-%d", a.name, a.actors)
	return actor{name, "did:sync:svc:" + name}
}

// appointed notes the identity that the tokens may claim now.
func (a *account) appointed(as *actor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil {
		a.former = append(a.former, *a.current)
		a.former = a.former[max(0, len(a.former)-pastKept):]
	}
	a.current = as
}

// create makes the account anew, with a token.
func (a *account) create(ctx context.Context, keymanager int) outcome {
	as := a.nextActor()
	var made introspection.IssuedAccount
	o := a.d.errand(ctx, keymanager, "making "+a.name, func(ctx context.Context, clerk *authority.Client) (err error) {
		made, err = clerk.CreateAccount(ctx, a.d.admin, introspection.AccountDraft{
			Name: a.name, Actors: []string{as.did}, Scopes: []string{"records:read"}, WithToken: true,
		})
		return err
	})
	if o.kind != done {
		return o
	}
	text, err := apikey.MintToken(apikey.DefaultEnv, made.ID)
	if err != nil {
		a.d.t.Error(err)
	}
	// Dead before anybody asked.
	a.d.recorder.Add(history.Operation{Kind: history.Kill, Secret: text.ID(), Where: "nowhere"})
	a.mu.Lock()
	a.madeUp, a.current, a.former = token{text.ID(), text}, &as, nil
	a.mu.Unlock()
	a.id, a.unsure = made.ID, false
	a.born(*made.Token)
	return o
}

// mint makes another token.
func (a *account) mint(ctx context.Context, keymanager int) outcome {
	var issued introspection.IssuedToken
	o := a.d.errand(ctx, keymanager, "minting for "+a.name, func(ctx context.Context, clerk *authority.Client) (err error) {
		issued, err = clerk.MintToken(ctx, a.d.admin, introspection.TokenDraft{AccountID: a.id})
		return err
	})
	if o.kind == done {
		a.born(issued)
	}
	return o
}

// rotate makes a token and ends all others.
func (a *account) rotate(ctx context.Context, keymanager int) (outcome, []token) {
	var rotated introspection.RotatedTokens
	o := a.d.errand(ctx, keymanager, "rotating "+a.name, func(ctx context.Context, clerk *authority.Client) (err error) {
		rotated, err = clerk.RotateTokens(ctx, a.d.admin, introspection.TokenDraft{AccountID: a.id, Reason: "torture"})
		return err
	})
	struck := a.ended(o, every)
	a.unsure = a.unsure || o.kind == uncertain
	if o.kind == done {
		a.born(rotated.IssuedToken)
	}
	return o, struck
}

// revoke ends one token.
func (a *account) revoke(ctx context.Context, keymanager int, label string) (outcome, []token) {
	o := a.d.errand(ctx, keymanager, "revoking a token of "+a.name, func(ctx context.Context, clerk *authority.Client) error {
		_, err := clerk.RevokeToken(ctx, a.d.admin, introspection.TokenErrand{AccountID: a.id, TokenID: label})
		return err
	})
	return o, a.ended(o, func(t token) bool { return t.label == label })
}

// edit gives the tokens another identity to claim, and returns those that they may not claim any more.
func (a *account) edit(ctx context.Context, keymanager int) (outcome, []actor) {
	as := a.nextActor()
	o := a.d.errand(ctx, keymanager, "editing "+a.name, func(ctx context.Context, clerk *authority.Client) error {
		_, err := clerk.EditAccount(ctx, a.d.admin, introspection.AccountEdit{ID: a.id, Actors: &[]string{as.did}})
		return err
	})
	was := a.held().current
	if o.kind == denied || was == nil {
		return o, nil
	}
	a.end(o, was.label)
	a.unsure = a.unsure || o.kind == uncertain
	if o.kind == done {
		a.appointed(&as)
	} else {
		a.appointed(nil)
	}
	return o, []actor{*was}
}

// dissolve ends the account with all its tokens.
func (a *account) dissolve(ctx context.Context, keymanager int) (outcome, []token) {
	o := a.d.errand(ctx, keymanager, "revoking "+a.name, func(ctx context.Context, clerk *authority.Client) error {
		_, err := clerk.RevokeAccount(ctx, a.d.admin, introspection.AccountErrand{ID: a.id})
		return err
	})
	struck := a.ended(o, every)
	if a.unsure = true; o.kind == done {
		a.id = ""
	}
	return o, struck
}

// present shows a token to a data plane, claiming an identity, and takes the answer down: whether the token is good, and if it is,
// whether it may claim that. It reports whether there was an answer.
func (d *deployment) present(ctx context.Context, dataplane int, t token, as actor) bool {
	a := d.get(ctx, dataplane, "/v1/identity", t.text.Reveal(), http.Header{"X-Syncropel-Actor": {as.did}})
	where := d.dataplanes[dataplane].name
	say := func(kind history.Kind, label string) {
		d.recorder.Add(history.Operation{Kind: kind, Secret: label, From: a.from, To: a.to, Where: where})
	}
	var problem struct {
		Code string `json:"code"`
	}
	switch {
	case a.status == 0:
		return false
	case a.status == http.StatusOK:
		d.counts.accepted.Add(1)
		say(history.Accept, t.label)
		say(history.Accept, as.label)
		return true
	case json.Unmarshal(a.body, &problem) != nil:
	case a.status == http.StatusForbidden && problem.Code == "DID_CLAIM_DENIED":
		d.counts.denied.Add(1)
		say(history.Accept, t.label)
		say(history.Refuse, as.label)
		return true
	case a.status == http.StatusUnauthorized && problem.Code == "AUTH_INVALID":
		d.counts.refused.Add(1)
		say(history.Refuse, t.label)
		return true
	}
	d.t.Errorf("%s answers a token with %d %s", where, a.status, problem.Code)
	return true
}
