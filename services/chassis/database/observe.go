package database

import (
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

// maxText bounds what a span tells of a statement: one that stores many rows is longer than it says anything.
const maxText = 1024

// Collectors tell of the connections, under the label db_name: name, and on SQLite name_read for those that only read.
func (d *DB) Collectors(name string) []prometheus.Collector {
	list := make([]prometheus.Collector, len(d.pools))
	for i, pool := range d.pools {
		list[i] = collectors.NewDBStatsCollector(pool, name)
		name += "_read" // the second pool there is
	}
	return list
}

// Trace makes a span of each statement of a request that has one, with the statement's text, which holds no value of any parameter.
func (d *DB) Trace() {
	handles := []*gorm.DB{d.DB}
	if d.reader != d.DB {
		handles = append(handles, d.reader)
	}
	for _, handle := range handles {
		on := handle.Callback()
		for _, moment := range []registrar{
			on.Create().Before("*"), on.Query().Before("*"), on.Update().Before("*"), on.Delete().Before("*"), on.Row().Before("*"), on.Raw().Before("*"),
		} {
			register(moment, "tracing:begin", d.beginStatement)
		}
		for _, moment := range []registrar{
			on.Create().After("*"), on.Query().After("*"), on.Update().After("*"), on.Delete().After("*"), on.Row().After("*"), on.Raw().After("*"),
		} {
			register(moment, "tracing:end", endStatement)
		}
	}
}

// registrar takes what GORM is to call at one moment.
type registrar interface {
	Register(name string, call func(*gorm.DB)) error
}

func register(moment registrar, name string, call func(*gorm.DB)) {
	if err := moment.Register(name, call); err != nil {
		panic("database: tracing statements: " + err.Error()) // two of one name: a mistake in the program
	}
}

// endKey is under which a statement keeps what ends its span.
const endKey = "tracing:end"

func (d *DB) beginStatement(tx *gorm.DB) {
	if ctx := tx.Statement.Context; tracing.Recorded(ctx) {
		_, end := tracing.Begin(ctx, "statement")
		tx.InstanceSet(endKey, func(err error, about ...attribute.KeyValue) { end(err, append(about, d.system())...) })
	}
}

func endStatement(tx *gorm.DB) {
	kept, _ := tx.InstanceGet(endKey)
	end, ok := kept.(func(error, ...attribute.KeyValue))
	if !ok {
		return
	}
	about := []attribute.KeyValue{textOf(tx.Statement.SQL.String())}
	if code := codeOf(tx.Error); code != nil {
		about = append(about, attribute.String("db.response.status_code", fmt.Sprint(code)))
	}
	err := tx.Error
	if errors.Is(err, gorm.ErrRecordNotFound) { // an answer like any other
		err = nil
	}
	end(err, about...)
}

func (d *DB) system() attribute.KeyValue {
	return attribute.String("db.system.name", d.Engine.String())
}

// textOf tells of a statement's text as much as fits.
func textOf(text string) attribute.KeyValue {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return attribute.String("db.query.text", text)
}
