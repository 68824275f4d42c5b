package torture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/history"
)

const (
	// verifyTimeout is how long clients wait for a data plane: longer than one is ever paused.
	verifyTimeout = 3 * time.Second
	// changeTimeout is how long they wait for a change: longer than one may take.
	changeTimeout = 8 * time.Second
)

// counts is what clients have met with.
type counts struct {
	accepted, denied, refused, unanswered atomic.Int64 // verifications; denied are claims of a token that is good
	changed, unchanged, uncertain, mints  atomic.Int64 // changes
}

// String tells the counts.
func (c *counts) String() string {
	return fmt.Sprintf("%d verifications accepted, %d accepted but their claim denied, %d refused, %d without answer; %d changes, %d refused, %d without answer; %d mints",
		c.accepted.Load(), c.denied.Load(), c.refused.Load(), c.unanswered.Load(), c.changed.Load(), c.unchanged.Load(), c.uncertain.Load(), c.mints.Load())
}

// secret is the text of a key as clients hold it, with what it may be called.
type secret struct {
	label   string
	context string
	text    apikey.Key
}

// verdict is what a data plane said.
type verdict struct {
	kind   history.Kind // empty when it said nothing
	source string
}

// reply is what a data plane said to one request.
type reply struct {
	from, to time.Duration
	status   int // 0 when it said nothing, or that it could not tell
	body     []byte
}

// get asks a data plane, as the holder of a credential.
func (d *deployment) get(ctx context.Context, dataplane int, path, credential string, header http.Header) reply {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.dataplanes[dataplane].address+path, nil)
	if err != nil {
		d.t.Error(err)
		return reply{}
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", "Bearer "+credential)
	a := reply{from: d.now()}
	res, err := d.http.Do(req)
	if err == nil {
		a.body, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	a.to = d.now()
	if err != nil || res.StatusCode >= http.StatusInternalServerError {
		d.counts.unanswered.Add(1)
		return a
	}
	a.status = res.StatusCode
	return a
}

// verify asks a data plane about a secret and takes the answer down. No answer is none: asking has no effect.
func (d *deployment) verify(ctx context.Context, dataplane int, s secret) verdict {
	a := d.get(ctx, dataplane, "/api/v1/"+s.context+"/me", s.text.Reveal(), nil)
	said := history.Operation{Secret: s.label, From: a.from, To: a.to, Where: d.dataplanes[dataplane].name}
	var source string
	switch a.status {
	case 0:
		return verdict{}
	case http.StatusOK:
		d.counts.accepted.Add(1)
		said.Kind = history.Accept
		source, said.Detail = describe(a.body)
	case http.StatusUnauthorized:
		d.counts.refused.Add(1)
		said.Kind = history.Refuse
	default:
		d.t.Errorf("%s answers a verification with %d", said.Where, a.status)
		return verdict{}
	}
	d.recorder.Add(said)
	return verdict{said.Kind, source}
}

// describe returns the source of the verdict in an answer about the caller, and all that it says of how it knows.
func describe(body []byte) (source, detail string) {
	var me struct {
		Verdict struct {
			Source string `json:"source"`
			AsOf   int64  `json:"as_of"`
		} `json:"verdict"`
	}
	if err := json.Unmarshal(body, &me); err != nil {
		return "", "an answer that is no JSON"
	}
	return me.Verdict.Source, fmt.Sprintf("source=%s as_of=%d", me.Verdict.Source, me.Verdict.AsOf)
}

// outcome is what became of a change.
type outcome struct {
	kind     result
	status   int
	from, to time.Duration
	where    string
	key      minted // when it made a secret
}

// result classes outcomes.
type result int

const (
	uncertain result = iota // it may have been made, or may yet be
	done
	denied // it was not made
)

// minted is the answer to a mint and to a rotation.
type minted struct {
	ID          string `json:"id"`
	Key         string `json:"key"`
	Revision    int64  `json:"revision"`
	Propagation struct {
		Acknowledged int   `json:"acknowledged"`
		Lapsed       int   `json:"lapsed"`
		WaitedMS     int64 `json:"waited_ms"`
	} `json:"propagation"`
}

// change asks a key manager for one, and takes down how long that took.
func (d *deployment) change(ctx context.Context, keymanager int, method, path string, body any) outcome {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	r := d.keymanagers[keymanager]
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			d.t.Error(err)
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.address+"/api/v1/contexts/"+path, payload)
	if err != nil {
		d.t.Error(err)
		return outcome{}
	}
	req.Header.Set("Authorization", "Bearer "+d.management)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	o := outcome{from: d.now(), where: r.name}
	res, err := d.http.Do(req)
	if err == nil {
		o.status = res.StatusCode
		err = json.NewDecoder(res.Body).Decode(&o.key)
		_ = res.Body.Close()
	}
	o.to = d.now()
	d.note(&o, keymanager, method+" "+path, err == nil || o.status == http.StatusNoContent)
	return o
}

// note classes the outcome of a change and takes down how long it took. whole says that its answer could be read.
func (d *deployment) note(o *outcome, keymanager int, what string, whole bool) {
	switch {
	case o.status >= http.StatusOK && o.status < http.StatusMultipleChoices && whole:
		o.kind = done
		d.counts.changed.Add(1)
	case o.status >= http.StatusBadRequest && o.status < http.StatusInternalServerError:
		o.kind = denied
		d.counts.unchanged.Add(1)
	default:
		d.counts.uncertain.Add(1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes = append(d.changes, change{keymanager, what, o.from, o.to, o.status})
}

// key is a key of the deployment. One goroutine at a time changes it, any may read it.
type key struct {
	d             *deployment
	context, name string
	generation    int // of secrets

	mu      sync.Mutex // guards the following fields
	current *secret    // nil while no live secret is known
	undead  []secret   // whose end is not certain, the current one included
	past    []secret   // the latest whose end is certain
}

// pastKept is how many dead secrets of a key clients go on trying.
const pastKept = 4

// path is where the key is managed.
func (k *key) path() string { return k.context + "/keys/" + k.name }

// secrets returns the current secret, if one is known, and the others.
func (k *key) secrets() (current *secret, others []secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	others = append([]secret(nil), k.past...)
	for _, s := range k.undead {
		if k.current == nil || s.label != k.current.label {
			others = append(others, s)
		}
	}
	return k.current, others
}

// born notes a new secret.
func (k *key) born(m minted) {
	text, err := apikey.Parse(m.Key)
	if err != nil {
		k.d.t.Errorf("the answer to a mint or a rotation of %s holds no key", k.name)
		return
	}
	k.generation++
	s := secret{label: fmt.Sprintf("%s#%d", m.ID, k.generation), context: k.context, text: text}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current = &s
	k.undead = append(k.undead, s)
}

// ended takes down that a change has ended every secret so far, or may have, and returns these.
func (k *key) ended(o outcome) []secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	struck := append([]secret(nil), k.undead...)
	if o.kind == denied {
		return nil
	}
	said := history.Operation{Kind: history.Kill, From: o.from, To: o.to, Where: o.where, Detail: k.name}
	if o.kind == uncertain {
		said.Kind, said.To = history.Threat, history.Never
	} else {
		k.past = append(k.past, k.undead...)
		k.past = k.past[max(0, len(k.past)-pastKept):]
		k.undead = nil
	}
	k.current = nil
	for _, s := range struck {
		said.Secret = s.label
		k.d.recorder.Add(said)
	}
	return struck
}

// mint makes the key, when there is none.
func (k *key) mint(ctx context.Context, keymanager int, query string) outcome {
	o := k.d.change(ctx, keymanager, http.MethodPost, k.path()+query, nil)
	if o.kind == done {
		k.d.counts.mints.Add(1)
		k.born(o.key)
	}
	return o
}

// rotate replaces the secret and returns those that this ended, or may have.
func (k *key) rotate(ctx context.Context, keymanager int) (outcome, []secret) {
	o := k.d.change(ctx, keymanager, http.MethodPost, k.path()+"/rotate", nil)
	struck := k.ended(o)
	if o.kind == done {
		k.born(o.key)
	}
	return o, struck
}

// remove deletes the key.
func (k *key) remove(ctx context.Context, keymanager int) (outcome, []secret) {
	o := k.d.change(ctx, keymanager, http.MethodDelete, k.path(), nil)
	return o, k.ended(o)
}
