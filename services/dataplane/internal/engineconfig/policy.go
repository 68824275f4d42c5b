package engineconfig

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/web"
)

// Resource is what a request is about, in the words of permission rules. Each route has one.
type Resource string

// The resources.
const (
	RecordRead   Resource = "record_read"
	RecordWrite  Resource = "record_write"
	ThreadRead   Resource = "thread_read"
	ThreadWrite  Resource = "thread_write"
	ConfigRead   Resource = "config_read"
	ConfigWrite  Resource = "config_write"
	AccountRead  Resource = "account_read"
	AccountWrite Resource = "account_write"
	Federation   Resource = "federation"
	// DaemonRead is what any token may read: what the server is, and who asks.
	DaemonRead Resource = "daemon_read"
)

// Ask is a request as permission rules see it.
type Ask struct {
	// Space is the incarnation of the context.
	Space string
	// Actor is the claimed identity, which has been checked.
	Actor    string
	Resource Resource
	// Record is the record that is to be written, as it was decoded from JSON and not yet validated; nil for every other request, and
	// where it is no JSON object.
	Record map[string]any
}

// decision is what the permission rules say to an Ask. rule is empty where none of them was true.
type decision struct {
	allowed bool
	rule    string
	err     error // why rule could not be evaluated
}

// decide asks the rules that hold, in their order: the first whose expression is true decides. None does: denied. One that cannot
// be evaluated denies, for it may be the one that was to deny.
func (c *Config) decide(ctx context.Context, ask Ask, system map[string]any, now time.Time) decision {
	ctx, cancel := context.WithTimeout(ctx, maxDecision)
	defer cancel()
	activation, err := facts{actor: ask.Actor, resource: string(ask.Resource), record: complete(ask.Record), system: system, now: now}.activation()
	if err != nil {
		return decision{err: fmt.Errorf("binding names: %w", err)}
	}
	for _, each := range c.policy {
		holds, err := each.program.holds(ctx, activation)
		if err == nil && ctx.Err() != nil {
			err = errTooLong
		}
		if err != nil {
			return decision{rule: each.Name, err: err}
		}
		if holds {
			return decision{allowed: each.Action == Allow, rule: each.Name}
		}
	}
	return decision{}
}

// fold returns the configuration after the entries, which came behind those of c. The entries that say nothing that holds are
// told to odd: nothing of the kind can be written, so they are of another version of this program.
func (c *Config) fold(entries []Entry, odd func(Entry, error)) *Config {
	next := &Config{PermissionsEnabled: c.PermissionsEnabled, Origins: c.Origins, pages: c.pages, rules: map[Kind]map[string]Rule{}}
	for _, kind := range kinds {
		next.rules[kind] = maps.Clone(c.rules[kind])
		if next.rules[kind] == nil {
			next.rules[kind] = map[string]Rule{}
		}
	}
	for _, entry := range entries {
		said, err := entry.read()
		switch {
		case err != nil:
			odd(entry, err)
		case said.Topic == aboutRule:
			rule := said.rule()
			rule.RecordID, rule.SetBy = entry.ID, entry.Actor
			next.rules[rule.Kind][rule.Name] = rule
		case said.Topic == aboutPermissions:
			next.PermissionsEnabled = *said.Enabled
		case said.Topic == aboutOrigins:
			// It has been read just now, so this cannot fail.
			next.Origins = *said.Origins
			next.pages, _ = web.ParseOrigins(next.Origins)
		}
	}
	next.policy = c.compiled(next.List(PermissionRules), odd)
	return next
}

// compiled makes rules ready to be asked. What c has compiled is not compiled again.
func (c *Config) compiled(rules []Rule, odd func(Entry, error)) []clause {
	known := map[string]*program{}
	for _, each := range c.policy {
		known[each.RecordID] = each.program
	}
	policy := make([]clause, 0, len(rules))
	for _, rule := range slices.DeleteFunc(rules, func(r Rule) bool { return !r.Enabled }) {
		made, ok := known[rule.RecordID]
		if !ok {
			var err error
			if made, err = compile(rule.Expression); err != nil {
				odd(Entry{ID: rule.RecordID, Actor: rule.SetBy}, err)
			}
		}
		policy = append(policy, clause{rule, made})
	}
	return policy
}
