package store

import (
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
)

// addToken inserts a token, tells of it and records that.
func addToken(tx *gorm.DB, at time.Time, m serviceaccount.Minted) error {
	if err := insertToken(tx, at, m); err != nil {
		return err
	}
	return tell(tx, at, webhook.KeyCreated, webhook.Data{}, "k.id = ?", m.ID)
}

// insertToken inserts a token and records that.
func insertToken(tx *gorm.DB, at time.Time, m serviceaccount.Minted) error {
	if err := insertKey(tx, m.Key); err != nil {
		return err
	}
	row, err := rowOfToken(m.Token)
	if err != nil {
		return err
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("inserting a token: %w", err)
	}
	return record(tx, at, audit.Entry{Action: audit.TokenMinted, ContextID: m.ContextID, Target: m.ID, Detail: map[string]any{
		"account_id": m.AccountID, "env_tag": m.EnvTag, "scopes": m.Scopes, "valid_until": end(m.Key),
	}})
}

// tokens selects tokens with what lists show of them.
func (l errandLedger) tokens(contextID string) *gorm.DB {
	return l.tx.Table("tokens").
		Select("tokens.*, service_accounts.name AS account_name, keys.expires_at, key_uses.minute AS last_used_at").
		Joins("JOIN service_accounts ON service_accounts.context_id = tokens.context_id AND service_accounts.id = tokens.account_id").
		Joins("LEFT JOIN keys ON keys.id = tokens.id").
		Joins("LEFT JOIN key_uses ON "+newestUse("tokens.id")).
		Where("tokens.context_id = ?", contextID)
}

// Tokens implements errand.TokenLedger.
func (l errandLedger) Tokens(contextID, accountID, after string, limit int) ([]serviceaccount.ListedToken, error) {
	query := l.tokens(contextID).Where("tokens.id > ?", after)
	if accountID != "" {
		query = query.Where("tokens.account_id = ?", accountID)
	}
	var rows []listedTokenRow
	if err := query.Order("tokens.id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing tokens: %w", err)
	}
	out := make([]serviceaccount.ListedToken, len(rows))
	for i, row := range rows {
		var err error
		if out[i], err = row.listed(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Token implements errand.TokenLedger.
func (l errandLedger) Token(contextID, accountID, id string) (serviceaccount.ListedToken, error) {
	var rows []listedTokenRow
	err := l.tokens(contextID).Where("tokens.id = ? AND tokens.account_id = ?", id, accountID).Limit(1).Find(&rows).Error
	if err != nil {
		return serviceaccount.ListedToken{}, fmt.Errorf("reading a token: %w", err)
	}
	if len(rows) == 0 {
		return serviceaccount.ListedToken{}, serviceaccount.TokenNotFound(id)
	}
	return rows[0].listed()
}

// AddToken implements errand.TokenLedger.
func (l errandLedger) AddToken(m serviceaccount.Minted) error { return addToken(l.tx, l.at, m) }

// RotateTokens implements errand.TokenLedger.
func (l errandLedger) RotateTokens(a serviceaccount.Account, m serviceaccount.Minted, reason string) (revoked []string, revised int64, err error) {
	if revoked, err = l.endTokens(a, reason); err != nil {
		return nil, 0, err
	}
	if err := insertToken(l.tx, l.at, m); err != nil {
		return nil, 0, err
	}
	// The new token's event; those that it replaces have their own.
	if err := tell(l.tx, l.at, webhook.KeyRotated, webhook.Data{Reason: reason, Replaced: revoked}, "k.id = ?", m.ID); err != nil {
		return nil, 0, err
	}
	if len(revoked) == 0 {
		revised, err = newest(l.tx)
	} else {
		revised, err = l.numberAccount(a) // one revision, however many tokens
	}
	if err != nil {
		return nil, 0, err
	}
	return revoked, revised, record(l.tx, l.at, audit.Entry{
		Action: audit.TokensRotated, ContextID: a.ContextID, Target: m.ID,
		Detail: map[string]any{"account_id": a.ID, "reason": reason, "revoked": revoked, "revision": revised},
	})
}

// RevokeToken implements errand.TokenLedger.
func (l errandLedger) RevokeToken(t serviceaccount.Token) (int64, error) {
	return revokeToken(l.tx, l.at, t)
}

// revokeToken ends a token, which stays in the history, and returns the revision. tx must hold the lock of revisions.
func revokeToken(tx *gorm.DB, at time.Time, t serviceaccount.Token) (int64, error) {
	if err := tell(tx, at, webhook.KeyRevoked, webhook.Data{Reason: t.Reason}, "k.id = ?", t.ID); err != nil {
		return 0, err
	}
	if err := tx.Where("id = ?", t.ID).Delete(&keyRow{}).Error; err != nil {
		return 0, fmt.Errorf("deleting the key of a token: %w", err)
	}
	err := tx.Model(&tokenRow{}).Where("context_id = ? AND id = ?", t.ContextID, t.ID).Updates(map[string]any{
		"revoked_at": t.RevokedAt, "reason": t.Reason,
	}).Error
	if err != nil {
		return 0, fmt.Errorf("revoking a token: %w", err)
	}
	revised, err := number(tx, at, revision.Change{Kind: revision.KeyDeleted, Subject: t.ID, ContextID: t.ContextID})
	if err != nil {
		return 0, err
	}
	return revised, record(tx, at, audit.Entry{
		Action: audit.TokenRevoked, ContextID: t.ContextID, Target: t.ID,
		Detail: map[string]any{"account_id": t.AccountID, "reason": t.Reason, "revision": revised},
	})
}
