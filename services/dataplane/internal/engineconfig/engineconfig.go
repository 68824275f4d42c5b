// Package engineconfig is the configuration of a context that its users may change while the server runs: named rules, whether
// the permission rules among them hold, and which pages may call from a browser. It is what LEARN records on the thread th_engine_config say, the latest of each name in
// the order of their arrival, so whoever may read records can read its whole history, and who has written it.
//
// What it promises: a record is validated by the same code whichever way it comes; no record turns authentication off; permission
// rules can only narrow what scopes and claims have let through; what cannot be decided (an expression that fails, a
// configuration that cannot be read) is refused. While authentication is off the permission rules are skipped: who has started the server that way
// holds the machine, and it is the way back for those whom the rules have locked out.
package engineconfig

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Kind is a kind of rules. Only permission rules mean something to this server; the others it keeps for those who act by them.
type Kind string

// The kinds of rules.
const (
	Rules            Kind = "rules"
	PermissionRules  Kind = "permission-rules"
	FoldRules        Kind = "fold-rules"
	HealthChecks     Kind = "health-checks"
	DecisionPolicies Kind = "decision-policies"
)

// The codes of refusals.
const (
	CodePermissionDenied   = "PERMISSION_DENIED"
	CodePermissionsLockout = "PERMISSIONS_LOCKOUT"
)

var kinds = [...]Kind{Rules, PermissionRules, FoldRules, HealthChecks, DecisionPolicies}

// Kinds returns every kind of rules, in display order.
func Kinds() []Kind { return kinds[:] }

// ParseKind reads the name of a kind. Any other is NotFound.
func ParseKind(text string) (Kind, error) {
	if kind := Kind(text); slices.Contains(kinds[:], kind) {
		return kind, nil
	}
	return "", fault.New(fault.NotFound, "there are no rules of this kind; the kinds are %s", kindWords())
}

func kindWords() string {
	words := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		words = append(words, string(kind))
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// Action is what a permission rule decides.
type Action string

// The actions.
const (
	Allow Action = "allow"
	Deny  Action = "deny"
)

// Rule is what is known under a name of a kind.
type Rule struct {
	Kind     Kind
	Name     string
	Enabled  bool
	Removed  bool
	Priority int32
	// Action and Expression are those of a permission rule, empty for the others. An expression is CEL, and true or false.
	Action     Action
	Expression string
	// Body is what else the rule says; nil when it says nothing. It is shared and must not be changed.
	Body map[string]any

	// RecordID and SetBy name the record that says so, and its actor; empty for a rule that has not been written down.
	RecordID, SetBy string
}

// same reports whether a and b say the same, whoever has said it.
func (r Rule) same(other Rule) bool {
	if r.Removed || other.Removed {
		return r.Removed && other.Removed && r.Kind == other.Kind && r.Name == other.Name
	}
	return bytes.Equal(r.encode(), other.encode())
}

// change is the body of a record on the thread, whatever its topic.
type change struct {
	Topic      topic          `json:"topic"`
	Enabled    *bool          `json:"enabled,omitempty"`
	Kind       Kind           `json:"kind,omitempty"`
	Name       string         `json:"name,omitempty"`
	Removed    bool           `json:"removed,omitempty"`
	Priority   int32          `json:"priority,omitempty"`
	Action     Action         `json:"action,omitempty"`
	Expression string         `json:"expression,omitempty"`
	Body       map[string]any `json:"body,omitempty"`
	Origins    *[]string      `json:"origins,omitempty"`
	// Namespace is what any record may name; it says nothing here.
	Namespace string `json:"namespace,omitempty"`
}

// topic is what a record on the thread is about.
type topic string

const (
	aboutRule        topic = "rule"
	aboutPermissions topic = "permissions_enabled"
	aboutAuth        topic = "auth_required"
	aboutOrigins     topic = "auth_cors_origins"
)

// encode returns the body of the record that says what r says.
func (r Rule) encode() json.RawMessage {
	said := change{Topic: aboutRule, Kind: r.Kind, Name: r.Name, Removed: true}
	if !r.Removed {
		said = change{
			Topic: aboutRule, Enabled: &r.Enabled, Kind: r.Kind, Name: r.Name,
			Priority: r.Priority, Action: r.Action, Expression: r.Expression, Body: r.Body,
		}
	}
	return marshal(said)
}

func (c change) rule() Rule {
	rule := Rule{Kind: c.Kind, Name: c.Name, Removed: c.Removed}
	if !c.Removed {
		rule.Enabled, rule.Priority, rule.Action, rule.Expression, rule.Body = c.Enabled == nil || *c.Enabled, c.Priority, c.Action, c.Expression, c.Body
	}
	return rule
}

// marshal encodes what was read from JSON or is made of its types, so that it cannot fail.
func marshal(said change) json.RawMessage {
	text, err := json.Marshal(said)
	if err != nil {
		panic(err)
	}
	return text
}

// Config is the configuration at a moment. It is shared between requests and never changes.
type Config struct {
	// PermissionsEnabled says that the permission rules hold.
	PermissionsEnabled bool
	// Origins are the pages that may call from a browser, as they were set.
	Origins []string

	pages web.Origins              // those of Origins
	rules map[Kind]map[string]Rule // removed ones too
	// policy are the permission rules that hold if any do, in the order in which they are asked.
	policy []clause
}

// clause is a permission rule, ready to be asked.
type clause struct {
	Rule
	program *program // nil where the expression cannot be compiled, which is denying
}

// List returns the rules of a kind, the highest priority first, then by name.
func (c *Config) List(kind Kind) []Rule {
	list := []Rule{}
	for _, rule := range c.rules[kind] {
		if !rule.Removed {
			list = append(list, rule)
		}
	}
	slices.SortFunc(list, before)
	return list
}

// before orders rules as they are asked.
func before(a, b Rule) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Name, b.Name))
}

// Count returns how many rules of a kind there are.
func (c *Config) Count(kind Kind) int {
	count := 0
	for _, rule := range c.rules[kind] {
		if !rule.Removed {
			count++
		}
	}
	return count
}
