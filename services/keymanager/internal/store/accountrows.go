package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
)

type accountRow struct {
	ContextID string
	ID        string
	Name      string
	Scopes    string
	Actors    string
	CreatedAt time.Time
	RevokedAt sql.NullTime
	Reason    string
}

// TableName tells GORM where the rows are.
func (accountRow) TableName() string { return "service_accounts" }

func rowOfAccount(a serviceaccount.Account) (accountRow, error) {
	scopes, err := encodeList(a.Scopes)
	if err != nil {
		return accountRow{}, err
	}
	actors, err := encodeList(a.Actors)
	return accountRow{
		ContextID: a.ContextID, ID: a.ID, Name: a.Name, Scopes: scopes, Actors: actors,
		CreatedAt: a.CreatedAt, RevokedAt: optionalTime(a.RevokedAt), Reason: a.Reason,
	}, err
}

// listedAccountRow is an account with how many live tokens it has.
type listedAccountRow struct {
	Row    accountRow `gorm:"embedded"`
	Tokens int
}

func (r listedAccountRow) listed() (serviceaccount.Listed, error) {
	out := serviceaccount.Listed{Tokens: r.Tokens, Account: serviceaccount.Account{
		ContextID: r.Row.ContextID, ID: r.Row.ID, Name: r.Row.Name, CreatedAt: r.Row.CreatedAt.UTC(),
		RevokedAt: r.Row.RevokedAt.Time, Reason: r.Row.Reason,
	}}
	var err error
	if out.Scopes, err = decodeList[grant.Verb](r.Row.Scopes); err == nil {
		out.Actors, err = decodeList[string](r.Row.Actors)
	}
	if err != nil {
		return out, fmt.Errorf("reading service account %s: %w", r.Row.ID, err)
	}
	return out, nil
}

type tokenRow struct {
	ContextID string
	ID        string
	AccountID string
	EnvTag    string
	Scopes    string
	CreatedAt time.Time
	RevokedAt sql.NullTime
	Reason    string
}

// TableName tells GORM where the rows are.
func (tokenRow) TableName() string { return "tokens" }

func rowOfToken(t serviceaccount.Token) (tokenRow, error) {
	scopes, err := encodeList(t.Scopes)
	return tokenRow{
		ContextID: t.ContextID, ID: t.ID, AccountID: t.AccountID, EnvTag: t.EnvTag, Scopes: scopes,
		CreatedAt: t.CreatedAt, RevokedAt: optionalTime(t.RevokedAt), Reason: t.Reason,
	}, err
}

// listedTokenRow is a token with what else lists show of it.
type listedTokenRow struct {
	Row         tokenRow `gorm:"embedded"`
	AccountName string
	ExpiresAt   sql.NullTime
	LastUsedAt  sql.NullTime
}

func (r listedTokenRow) listed() (serviceaccount.ListedToken, error) {
	scopes, err := decodeList[grant.Verb](r.Row.Scopes)
	if err != nil {
		return serviceaccount.ListedToken{}, fmt.Errorf("reading token %s: %w", r.Row.ID, err)
	}
	return serviceaccount.ListedToken{
		Token: serviceaccount.Token{
			ContextID: r.Row.ContextID, AccountID: r.Row.AccountID, ID: r.Row.ID, EnvTag: r.Row.EnvTag, Scopes: scopes,
			CreatedAt: r.Row.CreatedAt.UTC(), RevokedAt: r.Row.RevokedAt.Time, Reason: r.Row.Reason,
		},
		AccountName: r.AccountName, LastUsedAt: r.LastUsedAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}, nil
}

// encodeList stores a list as JSON; none is empty.
func encodeList[T any](list []T) (string, error) {
	if list == nil {
		list = []T{}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("encoding a list: %w", err)
	}
	return string(text), nil
}

func decodeList[T any](text string) ([]T, error) {
	out := []T{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("decoding a list: %w", err)
	}
	return out, nil
}
