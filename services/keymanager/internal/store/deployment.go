package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// theDeployment is the id of the only row of its table.
const theDeployment = 1

type deploymentRow struct {
	ID              int `gorm:"autoIncrement:false"`
	Authority       string
	ContextID       string
	ManagementKeyID string
	ContextKeyID    string
	Attempt         string // empty until a bootstrap
	CreatedAt       time.Time
}

// TableName tells GORM where the rows are.
func (deploymentRow) TableName() string { return "deployment" }

// Bootstrap implements deployment.Store.
func (s *Store) Bootstrap(ctx context.Context, founding deployment.Founding) error {
	err := s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		// This comes first: of all that race, one takes the row, and the others have done nothing yet.
		row := deploymentRow{
			ID: theDeployment, Authority: founding.Authority, ContextID: founding.Context.ID,
			ManagementKeyID: founding.Management.ID, ContextKeyID: founding.First.ID,
			Attempt: founding.Attempt, CreatedAt: at,
		}
		if err := takeDeployment(tx, &row); err != nil {
			return err
		}
		founding.Context.CreatedAt = at
		if _, err := ensureContext(tx, at, founding.Context, founding.Principals); err != nil {
			return err
		}
		for _, k := range []key.Key{founding.Management, founding.First} {
			k.CreatedAt = at
			if err := insertKey(tx, k); err != nil {
				return err
			}
		}
		change := revision.Change{Kind: revision.Bootstrapped, Subject: founding.First.ID, ContextID: founding.Context.ID}
		if _, err := number(tx, at, change); err != nil {
			return err
		}
		return record(tx, at, audit.Entry{
			Action: audit.DeploymentBootstrapped, ContextID: founding.Context.ID, Target: row.Authority,
			Detail: map[string]any{"management_key_id": founding.Management.ID, "context_key_id": founding.First.ID},
		})
	})
	if errors.Is(err, database.ErrDuplicate) {
		return deployment.AlreadyDone()
	}
	return err
}

// ReplaceManagement implements deployment.Store. It takes no revision: no verifier remembers a management key, and key managers look
// each one up.
func (s *Store) ReplaceManagement(ctx context.Context, management key.Key) error {
	return s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		founded := tx.Model(&deploymentRow{}).Where("id = ? AND attempt <> ''", theDeployment).Update("management_key_id", management.ID)
		if founded.Error != nil {
			return fmt.Errorf("noting the management key: %w", founded.Error)
		}
		if founded.RowsAffected == 0 {
			return fault.New(fault.Conflict, "this deployment has not been bootstrapped")
		}
		if err := tx.Where("kind = ?", string(key.Management)).Delete(&keyRow{}).Error; err != nil {
			return fmt.Errorf("deleting the management key: %w", err)
		}
		management.CreatedAt = at
		if err := insertKey(tx, management); err != nil {
			return err
		}
		return record(tx, at, audit.Entry{Action: audit.ManagementKeyReplaced, Target: management.ID})
	})
}

// takeDeployment stores the row, or makes it that of a deployment which was prepared, and keeps its authority: verifiers know it.
func takeDeployment(tx *gorm.DB, row *deploymentRow) error {
	var prepared []deploymentRow
	err := tx.Where("id = ? AND attempt = ''", theDeployment).Find(&prepared).Error
	if err == nil && len(prepared) > 0 {
		row.Authority = prepared[0].Authority
		err = tx.Save(row).Error
	} else if err == nil {
		err = tx.Create(row).Error
	}
	if err != nil {
		return fmt.Errorf("founding the deployment: %w", err)
	}
	return nil
}

// ensureContext inserts a context, unless there is one of its id. tx must hold the lock of revisions.
func ensureContext(tx *gorm.DB, at time.Time, c tenant.Context, principals []principal.Principal) (created bool, err error) {
	if _, err = findContext(tx, c.ID); fault.KindOf(err) == fault.NotFound {
		created, err = true, insertContext(tx, at, c, principals)
	}
	return created, err
}

// Prepare implements deployment.Store.
func (s *Store) Prepare(ctx context.Context, authority string, c tenant.Context, principals []principal.Principal) error {
	return s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		var founded int64
		if err := tx.Model(&deploymentRow{}).Count(&founded).Error; err != nil {
			return err
		}
		if founded == 0 {
			row := deploymentRow{ID: theDeployment, Authority: authority, ContextID: c.ID, CreatedAt: at}
			if err := tx.Create(&row).Error; err != nil {
				return fmt.Errorf("preparing the deployment: %w", err)
			}
			if _, err := number(tx, at, revision.Change{Kind: revision.Bootstrapped, ContextID: c.ID}); err != nil {
				return err
			}
		}
		c.CreatedAt = at
		created, err := ensureContext(tx, at, c, principals)
		if err != nil || !created {
			return err
		}
		return record(tx, at, audit.Entry{Action: audit.ContextCreated, ContextID: c.ID, Target: c.ID})
	})
}

// Bootstrapped implements deployment.Store.
func (s *Store) Bootstrapped(ctx context.Context) (string, error) {
	var row deploymentRow
	err := s.db.Reader(ctx).Take(&row, theDeployment).Error
	return row.Attempt, public(database.Translate(err))
}
