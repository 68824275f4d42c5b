package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// Access says which role may use a schema of Postgres, and which may not.
type Access struct {
	Schema string
	// Role may read and write rows in every table of Schema, those of later migrations included. It may not change tables.
	Role string
	// ReadOnly names tables of Schema that Role may only read.
	ReadOnly []string
	// AppendOnly names tables of Schema whose rows Role may add and read, but neither change nor delete.
	AppendOnly []string
	// Denied lose every right on Schema.
	Denied []string
}

// accessLock serialises changes of access, which Postgres does not do itself: two at once fail on the same catalogue row.
const accessLock = 0x61636365_73730001

// Restrict makes the rights on schemas what the list says, all of it in one transaction. Nobody else but the schemas' owner
// keeps a right, PUBLIC included. Saying it again changes nothing. It is an error, and nothing is changed, when a role does
// not exist, or when a denied role would still get in: as a superuser, or as a member of a role that may. Postgres only.
func Restrict(ctx context.Context, db *DB, list ...Access) error {
	if db.Engine != Postgres {
		return fmt.Errorf("restricting access: %s has no roles", db.Engine)
	}
	err := db.Tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("SELECT pg_advisory_xact_lock(?)", int64(accessLock)).Error; err != nil {
			return err
		}
		for _, access := range list {
			if err := access.apply(tx); err != nil {
				return err
			}
		}
		// Only after all of them: one entry may take away what another one's role must not keep.
		for _, access := range list {
			if err := access.check(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("restricting access: %w", err)
	}
	return nil
}

// apply grants and revokes. Names are quoted here because Postgres takes no parameters in these statements.
func (a Access) apply(tx *gorm.DB) error {
	for _, role := range append([]string{a.Role}, a.Denied...) {
		var known bool
		if err := tx.Raw("SELECT count(*) > 0 FROM pg_roles WHERE rolname = ?", role).Scan(&known).Error; err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("role %q does not exist: create it first (CREATE ROLE … LOGIN)", role)
		}
	}
	schema, role := pgx.Identifier{a.Schema}.Sanitize(), pgx.Identifier{a.Role}.Sanitize()
	var statements []string
	losers := []string{"PUBLIC"}
	for _, denied := range a.Denied {
		losers = append(losers, pgx.Identifier{denied}.Sanitize())
	}
	for _, loser := range losers {
		statements = append(statements,
			"REVOKE ALL ON SCHEMA "+schema+" FROM "+loser,
			"REVOKE ALL ON ALL TABLES IN SCHEMA "+schema+" FROM "+loser,
			"REVOKE ALL ON ALL SEQUENCES IN SCHEMA "+schema+" FROM "+loser,
			"REVOKE ALL ON ALL ROUTINES IN SCHEMA "+schema+" FROM "+loser,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA "+schema+" REVOKE ALL ON TABLES FROM "+loser,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA "+schema+" REVOKE ALL ON SEQUENCES FROM "+loser,
		)
	}
	statements = append(statements,
		"GRANT USAGE ON SCHEMA "+schema+" TO "+role,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+schema+" TO "+role,
		"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "+schema+" TO "+role,
		"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA "+schema+" TO "+role,
		"ALTER DEFAULT PRIVILEGES IN SCHEMA "+schema+" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "+role,
		"ALTER DEFAULT PRIVILEGES IN SCHEMA "+schema+" GRANT USAGE, SELECT ON SEQUENCES TO "+role,
	)
	for _, table := range a.ReadOnly {
		statements = append(statements,
			"REVOKE INSERT, UPDATE, DELETE ON "+pgx.Identifier{a.Schema, table}.Sanitize()+" FROM "+role)
	}
	for _, table := range a.AppendOnly {
		statements = append(statements, "REVOKE UPDATE, DELETE ON "+pgx.Identifier{a.Schema, table}.Sanitize()+" FROM "+role)
	}
	for _, statement := range statements {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

// check asks Postgres itself, which knows of memberships and superusers.
func (a Access) check(tx *gorm.DB) error {
	var errs []error
	for _, denied := range a.Denied {
		var allowed bool
		err := tx.Raw("SELECT has_schema_privilege(?, ?, 'USAGE')", denied, a.Schema).Scan(&allowed).Error
		if err != nil {
			return err
		}
		if allowed {
			errs = append(errs, fmt.Errorf(
				"role %q would still reach schema %q, as a superuser or through a role it is a member of: use a role without that", denied, a.Schema))
		}
	}
	return errors.Join(errs...)
}
