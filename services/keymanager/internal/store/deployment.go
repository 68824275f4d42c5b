package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// theDeployment is the id of the only row of its table.
const theDeployment = 1

type deploymentRow struct {
	ID              int `gorm:"autoIncrement:false"`
	Authority       string
	ContextID       string
	ManagementKeyID string
	ContextKeyID    string
	Attempt         string
	CreatedAt       time.Time
}

// TableName tells GORM where the rows are.
func (deploymentRow) TableName() string { return "deployment" }

// Bootstrap implements deployment.Store.
func (s *Store) Bootstrap(ctx context.Context, founding deployment.Founding) error {
	err := s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		// This comes first: of all that race, one inserts the row, and the others have done nothing yet.
		row := deploymentRow{
			ID: theDeployment, Authority: founding.Authority, ContextID: founding.Context.ID,
			ManagementKeyID: founding.Management.ID, ContextKeyID: founding.First.ID,
			Attempt: founding.Attempt, CreatedAt: at,
		}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("founding the deployment: %w", err)
		}
		founding.Context.CreatedAt = at
		if err := insertContext(tx, at, founding.Context, founding.Principals); err != nil {
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
			Action: audit.DeploymentBootstrapped, ContextID: founding.Context.ID, Target: founding.Authority,
			Detail: map[string]any{"management_key_id": founding.Management.ID, "context_key_id": founding.First.ID},
		})
	})
	if errors.Is(err, database.ErrDuplicate) {
		return deployment.AlreadyDone()
	}
	return err
}

// Bootstrapped implements deployment.Store.
func (s *Store) Bootstrapped(ctx context.Context) (string, error) {
	var row deploymentRow
	err := s.db.Reader(ctx).Take(&row, theDeployment).Error
	return row.Attempt, public(database.Translate(err))
}
