package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

type contextRow struct {
	ID                 string
	Incarnation        string
	Namespace          string
	Database           string
	DisplayName        string
	Description        string
	Config             string
	EnforcementBlocked bool
	CreatedAt          time.Time
}

// TableName tells GORM where the rows are.
func (contextRow) TableName() string { return "contexts" }

func rowOfContext(c tenant.Context) contextRow {
	return contextRow{
		ID: c.ID, Incarnation: c.Incarnation, Namespace: c.Namespace, Database: c.Database, DisplayName: c.DisplayName,
		Description: c.Description, Config: configText(c.Config), EnforcementBlocked: c.EnforcementBlocked, CreatedAt: c.CreatedAt,
	}
}

func (r contextRow) context() tenant.Context {
	return tenant.Context{
		ID: r.ID, Incarnation: r.Incarnation, Namespace: r.Namespace, Database: r.Database, DisplayName: r.DisplayName,
		Description: r.Description, Config: tenant.Document(r.Config), EnforcementBlocked: r.EnforcementBlocked,
		CreatedAt: r.CreatedAt.UTC(),
	}
}

func configText(d tenant.Document) string {
	if len(d) == 0 {
		return "{}"
	}
	return string(d)
}

type principalRow struct {
	ContextID   string
	ID          string
	DisplayName string
	Kind        string
	ExternalID  sql.NullString
	Grants      string
	OwnerKey    sql.NullString
	CreatedAt   time.Time
}

// TableName tells GORM where the rows are.
func (principalRow) TableName() string { return "principals" }

func rowOfPrincipal(p principal.Principal, at time.Time) (principalRow, error) {
	grants, err := json.Marshal(p.Grants)
	if err != nil {
		return principalRow{}, fmt.Errorf("encoding grants: %w", err)
	}
	return principalRow{
		ContextID: p.ContextID, ID: p.ID, DisplayName: p.DisplayName, Kind: string(p.Kind), ExternalID: optional(p.ExternalID),
		Grants: string(grants), OwnerKey: optional(p.OwnerKey), CreatedAt: at,
	}, nil
}

func (r principalRow) principal() (principal.Principal, error) {
	grants, err := parseGrants(r.Grants)
	if err != nil {
		return principal.Principal{}, fmt.Errorf("reading principal %s: %w", r.ID, err)
	}
	return principal.Principal{
		ContextID: r.ContextID, ID: r.ID, DisplayName: r.DisplayName, Kind: caller.Kind(r.Kind), ExternalID: r.ExternalID.String,
		Grants: grants, OwnerKey: r.OwnerKey.String, CreatedAt: r.CreatedAt.UTC(),
	}, nil
}

// grantsRow is what a principal was allowed from a moment on.
type grantsRow struct {
	ContextID   string
	PrincipalID string
	Version     int64
	At          time.Time
	Grants      string
}

// TableName tells GORM where the rows are.
func (grantsRow) TableName() string { return "principal_grants" }

type keyRow struct {
	ID            string
	Kind          string
	ContextID     sql.NullString
	PrincipalID   sql.NullString
	Name          string
	Grants        sql.NullString
	DigestHMAC    []byte `gorm:"column:digest_hmac"`
	PepperVersion uint16
	Enabled       bool
	Limits        sql.NullString
	CreatedAt     time.Time
	RotatedAt     sql.NullTime
	ExpiresAt     sql.NullTime
}

// TableName tells GORM where the rows are.
func (keyRow) TableName() string { return "keys" }

func rowOfKey(k key.Key) (keyRow, error) {
	row := keyRow{
		ID: k.ID, Kind: string(k.Kind), ContextID: optional(k.ContextID), PrincipalID: optional(k.PrincipalID), Name: k.Name,
		DigestHMAC: k.Seal[:], PepperVersion: k.Pepper, Enabled: !k.Disabled, CreatedAt: k.CreatedAt,
		RotatedAt: optionalTime(k.RotatedAt), ExpiresAt: optionalTime(k.ExpiresAt),
	}
	if k.Grants != nil {
		grants, err := json.Marshal(k.Grants)
		if err != nil {
			return keyRow{}, fmt.Errorf("encoding grants: %w", err)
		}
		row.Grants = sql.NullString{String: string(grants), Valid: true}
	}
	var err error
	row.Limits, err = encodeLimits(k.Limits)
	return row, err
}

func encodeLimits(limits *caller.Limits) (sql.NullString, error) {
	if limits == nil {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(limits)
	if err != nil {
		return sql.NullString{}, fmt.Errorf("encoding limits: %w", err)
	}
	return sql.NullString{String: string(text), Valid: true}, nil
}

func decodeLimits(text string) (*caller.Limits, error) {
	limits := new(caller.Limits)
	if err := json.Unmarshal([]byte(text), limits); err != nil {
		return nil, fmt.Errorf("decoding limits: %w", err)
	}
	return limits, nil
}

func (r keyRow) key() (key.Key, error) {
	if len(r.DigestHMAC) != len(secret.Seal{}) {
		return key.Key{}, fmt.Errorf("reading key %s: the seal has %d bytes", r.ID, len(r.DigestHMAC))
	}
	var grants grant.Map // null is nil
	if r.Grants.Valid {
		var err error
		if grants, err = parseGrants(r.Grants.String); err != nil {
			return key.Key{}, fmt.Errorf("reading key %s: %w", r.ID, err)
		}
	}
	settings := key.Settings{Disabled: !r.Enabled}
	if r.Limits.Valid {
		var err error
		if settings.Limits, err = decodeLimits(r.Limits.String); err != nil {
			return key.Key{}, fmt.Errorf("reading key %s: %w", r.ID, err)
		}
	}
	return key.Key{
		ID: r.ID, Kind: key.Kind(r.Kind), ContextID: r.ContextID.String, PrincipalID: r.PrincipalID.String, Name: r.Name,
		Grants: grants, Seal: secret.Seal(r.DigestHMAC), Pepper: r.PepperVersion, CreatedAt: r.CreatedAt.UTC(),
		RotatedAt: r.RotatedAt.Time, ExpiresAt: r.ExpiresAt.Time, Settings: settings,
	}, nil
}

// listedRow is a key with the kind of its principal and its use.
type listedRow struct {
	Row           keyRow `gorm:"embedded"`
	PrincipalKind string
	LastUsedAt    sql.NullTime
	Uses          int64
}

func (r listedRow) listed() (key.Listed, error) {
	k, err := r.Row.key()
	return key.Listed{Key: k, PrincipalKind: caller.Kind(r.PrincipalKind), LastUsedAt: r.LastUsedAt.Time, Uses: r.Uses}, err
}

func parseGrants(text string) (grant.Map, error) {
	var m grant.Map
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("decoding grants: %w", err)
	}
	return m, nil
}

// optional stores an empty text as null.
func optional(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }

// optionalTime stores a zero time as null.
func optionalTime(at time.Time) sql.NullTime { return sql.NullTime{Time: at, Valid: !at.IsZero()} }
