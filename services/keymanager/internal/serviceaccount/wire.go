package serviceaccount

import (
	"time"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Shown is l as the other plane is told.
func (l Listed) Shown() introspection.Account {
	return introspection.Account{
		ID: l.ID, Name: l.Name, Scopes: texts(l.Scopes), Actors: l.Actors, Tokens: l.Tokens,
		CreatedAt: l.CreatedAt.UTC(), RevokedAt: unlessZero(l.RevokedAt), Reason: l.Reason,
	}
}

// Shown is t as the other plane is told.
func (t ListedToken) Shown() introspection.Token {
	return introspection.Token{
		ID: t.ID, AccountID: t.AccountID, AccountName: t.AccountName, EnvTag: t.EnvTag, Scopes: texts(t.Scopes),
		CreatedAt: t.CreatedAt.UTC(), LastUsedAt: unlessZero(t.LastUsedAt), ValidUntil: unlessZero(t.ExpiresAt),
		RevokedAt: unlessZero(t.RevokedAt), Reason: t.Reason,
	}
}

// Issued is where the text of a token leaves. name is its account's.
func (m Minted) Issued(name string) introspection.IssuedToken {
	listed := ListedToken{Token: m.Token, AccountName: name, ExpiresAt: m.Key.ExpiresAt}
	return introspection.IssuedToken{Token: listed.Shown(), Text: m.Text.Reveal()}
}

// Issued is an account with the text of its first token, if it has one.
func (m Made) Issued() introspection.IssuedAccount {
	if m.Token == nil {
		return introspection.IssuedAccount{Account: Listed{Account: m.Account}.Shown()}
	}
	token := m.Token.Issued(m.Account.Name)
	return introspection.IssuedAccount{Account: Listed{Account: m.Account, Tokens: 1}.Shown(), Token: &token}
}

func texts(scopes []grant.Verb) []string {
	out := make([]string, len(scopes))
	for i, verb := range scopes {
		out[i] = string(verb)
	}
	return out
}

func unlessZero(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
