package spl

import (
	"cmp"
	"context"
	"slices"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

const (
	// defaultNamespace is what users call the context that the face is of, whatever its id.
	defaultNamespace = "default"
	// pageSize is how many rows the key manager is asked for at once.
	pageSize = introspection.MaxRows - 1
)

// withoutActors is told to whoever makes an account that can do nothing.
const withoutActors = "this service account has no actors, so its tokens will be refused (DID_CLAIM_DENIED) whatever they ask for, until it is given some"

// BootstrapServiceAccount makes the first service account.
func (s server) BootstrapServiceAccount(
	ctx context.Context, request BootstrapServiceAccountRequestObject,
) (BootstrapServiceAccountResponseObject, error) {
	if s.BootstrapClosed {
		err := fault.New(fault.Conflict, "the operator has closed the bootstrap: creating a service account takes a token with the scope admin")
		err.Code = introspection.CodeBootstrapClosed
		return nil, err
	}
	draft, err := s.draftOf(request.Body)
	if err != nil {
		return nil, err
	}
	made, err := s.Accounts.FirstAccount(ctx, introspection.FirstAccount{Context: s.Context, Draft: draft})
	if err != nil {
		return nil, err
	}
	s.auditFirst(ctx, made)
	body := s.createdBody(made)
	body.Object, body.ServiceAccountID = new("bootstrap_result"), &made.ID
	return BootstrapServiceAccount201JSONResponse(body), nil
}

// ListServiceAccounts lists every account, the oldest first.
func (s server) ListServiceAccounts(ctx context.Context, _ ListServiceAccountsRequestObject) (ListServiceAccountsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	accounts, err := all(func(errand introspection.ListErrand) ([]introspection.Account, error) {
		return s.Accounts.ListAccounts(ctx, who.identity, errand)
	}, func(a introspection.Account) string { return a.ID })
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(accounts, func(a, b introspection.Account) int { return a.CreatedAt.Compare(b.CreatedAt) })
	out := ListServiceAccounts200JSONResponse{}
	for _, a := range accounts {
		out = append(out, accountBody(a))
	}
	return out, nil
}

// all asks page by page until there is no more.
func all[T any](page func(introspection.ListErrand) ([]T, error), id func(T) string) ([]T, error) {
	var out []T
	for errand := (introspection.ListErrand{Limit: pageSize}); ; errand.After = id(out[len(out)-1]) {
		rows, err := page(errand)
		if err != nil {
			return nil, err
		}
		if out = append(out, rows...); len(rows) < pageSize {
			return out, nil
		}
	}
}

// GetServiceAccount shows an account.
func (s server) GetServiceAccount(ctx context.Context, request GetServiceAccountRequestObject) (GetServiceAccountResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	account, err := s.Accounts.GetAccount(ctx, who.identity, introspection.AccountErrand{ID: request.ID})
	if err != nil {
		return nil, err
	}
	return GetServiceAccount200JSONResponse(accountBody(account)), nil
}

// CreateServiceAccount makes an account, and its first token if one is asked for.
func (s server) CreateServiceAccount(
	ctx context.Context, request CreateServiceAccountRequestObject,
) (CreateServiceAccountResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	draft, err := s.draftOf(request.Body)
	if err != nil {
		return nil, err
	}
	made, err := s.Accounts.CreateAccount(ctx, who.identity, draft)
	if err != nil {
		return nil, err
	}
	s.audit(ctx, who, createdEvents(made)...)
	return CreateServiceAccount201JSONResponse(s.createdBody(made)), nil
}

// EditServiceAccount changes an account.
func (s server) EditServiceAccount(ctx context.Context, request EditServiceAccountRequestObject) (EditServiceAccountResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	actors, err := oneOf(request.Body.Actors, request.Body.AllowedActors)
	if err != nil {
		return nil, err
	}
	edited, err := s.Accounts.EditAccount(ctx, who.identity, introspection.AccountEdit{
		ID: request.ID, Name: request.Body.Name, Scopes: request.Body.Scopes, Actors: actors,
	})
	if err != nil {
		return nil, err
	}
	s.audit(ctx, who, event{
		Event: accountEdited, AccountID: edited.ID, Name: edited.Name, Scopes: edited.Scopes, Actors: edited.Actors,
	})
	return EditServiceAccount200JSONResponse(accountBody(edited.Account)), nil
}

// RevokeServiceAccount revokes an account for good.
func (s server) RevokeServiceAccount(
	ctx context.Context, request RevokeServiceAccountRequestObject,
) (RevokeServiceAccountResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	reason := given(request.Params.Reason)
	revoked, err := s.Accounts.RevokeAccount(ctx, who.identity, introspection.AccountErrand{ID: request.ID, Reason: reason})
	if err != nil {
		return nil, err
	}
	if !revoked.Already {
		s.audit(ctx, who, event{Event: accountRevoked, AccountID: revoked.ID, Revoked: revoked.Revoked, Reason: reason})
	}
	return RevokeServiceAccount200JSONResponse{ID: revoked.ID, Status: RevokedStatusRevoked, Already: &revoked.Already}, nil
}

// draftOf reads what an account is to be. What its fields must be is the key manager's to say.
func (s server) draftOf(body *NewServiceAccount) (introspection.AccountDraft, error) {
	if err := s.checkNamespace(body.Namespace); err != nil {
		return introspection.AccountDraft{}, err
	}
	actors, err := oneOf(body.Actors, body.AllowedActors)
	if err != nil {
		return introspection.AccountDraft{}, err
	}
	draft := introspection.AccountDraft{
		Name: cmp.Or(given(body.Name), given(body.DisplayName)), Actors: given(actors), Scopes: given(body.Scopes),
		WithToken: given(body.WithToken), EnvTag: given(body.EnvTag),
	}
	if draft.Name == "" {
		return draft, fault.InvalidField("name", "is required")
	}
	return draft, nil
}

// checkNamespace refuses every namespace but the one that there is.
func (s server) checkNamespace(name *string) error {
	if name == nil || *name == s.Context || *name == defaultNamespace {
		return nil
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: "NAMESPACE_REJECTED", Field: "namespace", Message: "namespace: this server has none but " + s.Context,
	}
}

// oneOf returns the list that was given under either of two names.
func oneOf(actors, alias *[]string) (*[]string, error) {
	if actors != nil && alias != nil && !slices.Equal(*actors, *alias) {
		return nil, fault.InvalidField("allowed_actors", "is another name of actors, so both must be the same")
	}
	return cmp.Or(actors, alias), nil
}

// given returns what p points to; the zero value of its type for none.
func given[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// unlessEmpty is the address of text, which is nil where there is none.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func scopesBody(texts []string) []Scope {
	out := []Scope{}
	for _, text := range texts {
		out = append(out, Scope(text))
	}
	return out
}

func accountBody(a introspection.Account) ServiceAccount {
	return ServiceAccount{
		ID: a.ID, Name: a.Name, Did: "did:sync:system:" + a.ID, Scopes: scopesBody(a.Scopes), Actors: append([]string{}, a.Actors...),
		Active: a.RevokedAt == nil, Revoked: a.RevokedAt != nil, Tokens: a.Tokens,
		CreatedAt: a.CreatedAt, RevokedAt: a.RevokedAt, Reason: unlessEmpty(a.Reason),
	}
}

// createdBody is where the text of an account's first token leaves.
func (s server) createdBody(made introspection.IssuedAccount) CreatedServiceAccount {
	a := accountBody(made.Account)
	body := CreatedServiceAccount{
		ID: a.ID, Name: a.Name, Did: a.Did, Scopes: a.Scopes, Actors: a.Actors, Active: a.Active, Revoked: a.Revoked, Tokens: a.Tokens,
		CreatedAt: a.CreatedAt, Namespace: &s.Context,
	}
	if token := made.Token; token != nil {
		body.Token, body.TokenID = &token.Text, &token.ID
	}
	if len(a.Actors) == 0 {
		body.Warning = new(withoutActors)
	}
	return body
}
