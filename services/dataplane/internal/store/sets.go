package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

// rowBatch keeps one INSERT below the number of parameters that the engines take.
const rowBatch = 1000

type setNodeRow struct {
	ContextID  string `gorm:"primaryKey"`
	SetID      []byte `gorm:"primaryKey"`
	Clause     int    `gorm:"primaryKey;autoIncrement:false"`
	Node       string `gorm:"primaryKey"`
	ClauseSize int
}

func (setNodeRow) TableName() string { return "scope_set_nodes" }

// saveSets stores sets, which must be in normal form, unless the context has them already, and returns their id.
func saveSets(tx *gorm.DB, incarnation string, sets scope.Sets) ([]byte, error) {
	id := scopetree.SetID(sets)
	var rows []setNodeRow
	for i, nodes := range sets {
		for _, node := range nodes {
			rows = append(rows, setNodeRow{incarnation, id[:], i, node.String(), len(nodes)})
		}
	}
	// Where another transaction is storing the same sets, this waits for it, so that they are there once this one commits.
	err := tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, rowBatch).Error
	return id[:], err
}

// setsOf puts together the sets of rows, which must be in the order of their clauses.
func setsOf(rows []setNodeRow) (scope.Sets, error) {
	var sets scope.Sets
	for _, row := range rows {
		for len(sets) <= row.Clause {
			sets = append(sets, nil)
		}
		node, err := scope.ParsePath(row.Node)
		if err != nil {
			return nil, err
		}
		sets[row.Clause] = append(sets[row.Clause], node)
	}
	return sets, nil
}
