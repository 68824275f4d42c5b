package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// CountAccounts implements serviceaccount.Store.
func (s *Store) CountAccounts(ctx context.Context, contextID string) (incarnation string, count serviceaccount.Count, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		found, err := findContext(tx, contextID)
		if err != nil {
			return err
		}
		incarnation = found.Incarnation
		count, err = countAccounts(tx, contextID)
		return err
	})
	return incarnation, count, err
}

func countAccounts(tx *gorm.DB, contextID string) (count serviceaccount.Count, err error) {
	const statement = `SELECT count(*) AS total, count(*) - count(revoked_at) AS active FROM service_accounts WHERE context_id = ?`
	if err := tx.Raw(statement, contextID).Scan(&count).Error; err != nil {
		return count, fmt.Errorf("counting service accounts: %w", err)
	}
	return count, nil
}

// ActingAccount implements serviceaccount.Store.
func (s *Store) ActingAccount(ctx context.Context, contextID, actor string) (bool, error) {
	var lists []string
	err := s.read(ctx, func(tx *gorm.DB) error {
		return tx.Model(&accountRow{}).Where("context_id = ? AND revoked_at IS NULL", contextID).Pluck("actors", &lists).Error
	})
	if err != nil {
		return false, fmt.Errorf("looking for an actor: %w", err)
	}
	for _, list := range lists {
		actors, err := decodeList[string](list)
		if err != nil {
			return false, fmt.Errorf("looking for an actor: %w", err)
		}
		if slices.Contains(actors, actor) {
			return true, nil
		}
	}
	return false, nil
}

// FoundAccount implements serviceaccount.Store.
func (s *Store) FoundAccount(ctx context.Context, contextID string, chosen bool, found serviceaccount.Founding) (revised int64, err error) {
	open := s.change
	if chosen {
		open = s.revise
	}
	err = open(ctx, func(tx *gorm.DB, at time.Time) error {
		// The lock makes everybody else who would add an account wait, so that what is counted stays true.
		home, err := findContext(tx, contextID, lockAlone)
		if err != nil {
			return err
		}
		policy, err := home.Config.Config()
		if err != nil {
			return err
		}
		count, err := countAccounts(tx, contextID)
		if err != nil {
			return err
		}
		made, err := found(at, policy, count)
		if err != nil {
			return err
		}
		if err := insertAccount(tx, at, made, map[string]any{"first": true}); err != nil {
			return err
		}
		if !chosen {
			revised, err = newest(tx)
			return err
		}
		// Whoever tried the token before was refused by its digest, of which no id tells.
		revised, err = number(tx, at, revision.Change{Kind: revision.Bootstrapped, Subject: made.Account.ID, ContextID: contextID})
		return err
	})
	return revised, err
}

// insertAccount inserts an account with its principal and its first token, if it has one, and records that with detail.
func insertAccount(tx *gorm.DB, at time.Time, made serviceaccount.Made, detail map[string]any) error {
	a := made.Account
	if err := insertPrincipal(tx, at, a.Principal()); err != nil {
		return err
	}
	row, err := rowOfAccount(a)
	if err != nil {
		return err
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("inserting a service account: %w", err)
	}
	detail["name"], detail["scopes"], detail["actors"] = a.Name, a.Scopes, a.Actors
	if err := recordAccount(tx, at, audit.AccountCreated, a, detail); err != nil || made.Token == nil {
		return err
	}
	return addToken(tx, at, *made.Token)
}

func recordAccount(tx *gorm.DB, at time.Time, action audit.Action, a serviceaccount.Account, detail map[string]any) error {
	return record(tx, at, audit.Entry{Action: action, ContextID: a.ContextID, Target: a.ID, Detail: detail})
}

// AddAccount implements errand.AccountLedger. By the principal's foreign key it waits for whoever is alone with the context to count
// its accounts, and is waited for.
func (l errandLedger) AddAccount(made serviceaccount.Made) error {
	return insertAccount(l.tx, l.at, made, map[string]any{})
}

// Context implements errand.AccountLedger.
func (l errandLedger) Context(id string) (tenant.Context, error) { return findContext(l.tx, id) }

// Now implements errand.AccountLedger.
func (l errandLedger) Now() time.Time { return l.at }

// accounts selects accounts with the number of their live tokens.
func (l errandLedger) accounts(contextID string) *gorm.DB {
	return l.tx.Table("service_accounts").Select(`service_accounts.*, (
			SELECT count(*) FROM keys WHERE keys.context_id = service_accounts.context_id AND keys.principal_id = service_accounts.id
		) AS tokens`).Where("service_accounts.context_id = ?", contextID)
}

// Accounts implements errand.AccountLedger.
func (l errandLedger) Accounts(contextID, after string, limit int) ([]serviceaccount.Listed, error) {
	var rows []listedAccountRow
	err := l.accounts(contextID).Where("service_accounts.id > ?", after).Order("service_accounts.id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("listing service accounts: %w", err)
	}
	out := make([]serviceaccount.Listed, len(rows))
	for i, row := range rows {
		if out[i], err = row.listed(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Account implements errand.AccountLedger.
func (l errandLedger) Account(contextID, id string) (serviceaccount.Listed, error) {
	var rows []listedAccountRow
	if err := l.accounts(contextID).Where("service_accounts.id = ?", id).Limit(1).Find(&rows).Error; err != nil {
		return serviceaccount.Listed{}, fmt.Errorf("reading a service account: %w", err)
	}
	if len(rows) == 0 {
		return serviceaccount.Listed{}, serviceaccount.NotFound(id)
	}
	return rows[0].listed()
}

// ReplaceAccount implements errand.AccountLedger.
func (l errandLedger) ReplaceAccount(before, after serviceaccount.Account) (int64, error) {
	was, err := rowOfAccount(before)
	if err != nil {
		return 0, err
	}
	is, err := rowOfAccount(after)
	if err != nil {
		return 0, err
	}
	if is == was {
		return newest(l.tx)
	}
	err = l.tx.Model(&accountRow{}).Where("context_id = ? AND id = ?", is.ContextID, is.ID).Updates(map[string]any{
		"name": is.Name, "scopes": is.Scopes, "actors": is.Actors,
	}).Error
	if err != nil {
		return 0, fmt.Errorf("updating a service account: %w", err)
	}
	err = l.tx.Model(&principalRow{}).Where("context_id = ? AND id = ?", is.ContextID, is.ID).Update("display_name", is.Name).Error
	if err != nil {
		return 0, fmt.Errorf("updating the principal of a service account: %w", err)
	}
	// Tokens keep their scopes, so a change of these is nothing that a verifier has to hear of.
	revised, err := newest(l.tx)
	if is.Name != was.Name || is.Actors != was.Actors {
		revised, err = l.numberAccount(after)
	}
	if err != nil {
		return 0, err
	}
	return revised, recordAccount(l.tx, l.at, audit.AccountEdited, after, map[string]any{
		"name": after.Name, "scopes": after.Scopes, "actors": after.Actors, "revision": revised,
	})
}

// numberAccount takes a revision that touches every token of an account.
func (l errandLedger) numberAccount(a serviceaccount.Account) (int64, error) {
	return number(l.tx, l.at, revision.Change{Kind: revision.PrincipalChanged, Subject: a.ID, ContextID: a.ContextID})
}

// RevokeAccount implements errand.AccountLedger.
func (l errandLedger) RevokeAccount(a serviceaccount.Account) (revoked []string, revised int64, err error) {
	err = l.tx.Model(&accountRow{}).Where("context_id = ? AND id = ?", a.ContextID, a.ID).Updates(map[string]any{
		"revoked_at": a.RevokedAt, "reason": a.Reason,
	}).Error
	if err != nil {
		return nil, 0, fmt.Errorf("revoking a service account: %w", err)
	}
	if revoked, err = l.endTokens(a, a.Reason); err != nil {
		return nil, 0, err
	}
	if revised, err = l.numberAccount(a); err != nil {
		return nil, 0, err
	}
	return revoked, revised, recordAccount(l.tx, l.at, audit.AccountRevoked, a, map[string]any{
		"name": a.Name, "reason": a.Reason, "tokens": revoked, "revision": revised,
	})
}

// endTokens takes the life of every token of an account and returns their ids.
func (l errandLedger) endTokens(a serviceaccount.Account, reason string) ([]string, error) {
	err := tell(l.tx, l.at, webhook.KeyRevoked, webhook.Data{Reason: reason}, "k.context_id = ? AND k.principal_id = ?", a.ContextID, a.ID)
	if err != nil {
		return nil, err
	}
	var ended []keyRow
	err = l.tx.Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}}}).
		Where("context_id = ? AND principal_id = ?", a.ContextID, a.ID).Delete(&ended).Error
	if err != nil {
		return nil, fmt.Errorf("deleting the keys of a service account: %w", err)
	}
	err = l.tx.Model(&tokenRow{}).Where("context_id = ? AND account_id = ? AND revoked_at IS NULL", a.ContextID, a.ID).
		Updates(map[string]any{"revoked_at": l.at, "reason": reason}).Error
	if err != nil {
		return nil, fmt.Errorf("revoking the tokens of a service account: %w", err)
	}
	ids := make([]string, len(ended))
	for i, row := range ended {
		ids[i] = row.ID
	}
	slices.Sort(ids)
	return ids, nil
}
