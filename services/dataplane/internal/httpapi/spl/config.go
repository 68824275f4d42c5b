package spl

import (
	"context"
	"net/http"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// Config is the configuration that users may change. Errors are faults.
type Config interface {
	Current(ctx context.Context, space string) (*engineconfig.Config, error)
	// Set makes a rule hold, as actor, and returns it with the record that says so.
	Set(ctx context.Context, space, actor string, rule engineconfig.Rule) (engineconfig.Rule, error)
	// Switch turns the permission rules on or off, as actor, and returns what holds then.
	Switch(ctx context.Context, space, actor string, on bool) (*engineconfig.Config, error)
	// SetOrigins makes these the pages that may call from a browser, as actor, and returns what holds then.
	SetOrigins(ctx context.Context, space, actor string, origins []string) (*engineconfig.Config, error)
	// Pages are they, for a request of which it is not known whose it is.
	Pages(ctx context.Context) web.Origins
	AuthRequired() bool
}

// Pages returns the pages that the configuration lets call, for a request to this face; none for another.
func (p Parts) Pages(r *http.Request) web.Origins {
	if path := r.URL.EscapedPath(); p.Config == nil || (!within(path) && path != healthPath) {
		return nil
	}
	return p.Config.Pages(r.Context())
}

// GetEngineConfig tells every setting, and how many rules there are.
func (s server) GetEngineConfig(ctx context.Context, _ GetEngineConfigRequestObject) (GetEngineConfigResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	config, err := s.Config.Current(ctx, who.space)
	if err != nil {
		return nil, err
	}
	return GetEngineConfig200JSONResponse(s.engineConfig(config)), nil
}

func (s server) engineConfig(config *engineconfig.Config) EngineConfig {
	out := EngineConfig{
		Object: EngineConfigObjectEngineConfig, AuthRequired: s.Config.AuthRequired(), PermissionsEnabled: config.PermissionsEnabled,
		AuthCorsOrigins: append([]string{}, config.Origins...), Rules: map[string]int{},
	}
	for _, kind := range engineconfig.Kinds() {
		out.Rules[string(kind)] = config.Count(kind)
	}
	return out
}

// SwitchPermissions turns the permission rules on or off.
func (s server) SwitchPermissions(ctx context.Context, request SwitchPermissionsRequestObject) (SwitchPermissionsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	config, err := s.Config.Switch(ctx, who.space, who.actor, request.Body.Enabled)
	if err != nil {
		return nil, err
	}
	return SwitchPermissions200JSONResponse(s.engineConfig(config)), nil
}

// SetCORSOrigins says which pages may call from a browser.
func (s server) SetCORSOrigins(ctx context.Context, request SetCORSOriginsRequestObject) (SetCORSOriginsResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	config, err := s.Config.SetOrigins(ctx, who.space, who.actor, request.Body.Origins)
	if err != nil {
		return nil, err
	}
	return SetCORSOrigins200JSONResponse(s.engineConfig(config)), nil
}

// ListRules lists the rules of a kind.
func (s server) ListRules(ctx context.Context, request ListRulesRequestObject) (ListRulesResponseObject, error) {
	kind, err := engineconfig.ParseKind(request.Kind)
	if err != nil {
		return nil, err
	}
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	config, err := s.Config.Current(ctx, who.space)
	if err != nil {
		return nil, err
	}
	out := ListRules200JSONResponse{Object: RuleListObjectList, Data: []Rule{}}
	for _, rule := range config.List(kind) {
		out.Data = append(out.Data, ruleOf(rule))
	}
	return out, nil
}

// SetRule sets a rule, or removes it.
func (s server) SetRule(ctx context.Context, request SetRuleRequestObject) (SetRuleResponseObject, error) {
	kind, err := engineconfig.ParseKind(request.Kind)
	if err != nil {
		return nil, err
	}
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	rule, err := s.Config.Set(ctx, who.space, who.actor, newRule(kind, *request.Body))
	if err != nil {
		return nil, err
	}
	return SetRule200JSONResponse(ruleOf(rule)), nil
}

// newRule is the rule that a body asks for. One that removes says nothing else.
func newRule(kind engineconfig.Kind, body NewRule) engineconfig.Rule {
	if body.Remove != nil && *body.Remove {
		return engineconfig.Rule{Kind: kind, Name: body.Name, Removed: true}
	}
	rule := engineconfig.Rule{Kind: kind, Name: body.Name, Enabled: body.Enabled == nil || *body.Enabled}
	if body.Priority != nil {
		rule.Priority = *body.Priority
	}
	if body.Action != nil {
		rule.Action = engineconfig.Action(*body.Action)
	}
	if body.Expression != nil {
		rule.Expression = *body.Expression
	}
	if body.Body != nil {
		rule.Body = *body.Body
	}
	return rule
}

func ruleOf(rule engineconfig.Rule) Rule {
	out := Rule{
		Object: RuleObjectRule, Kind: string(rule.Kind), Name: rule.Name, Enabled: rule.Enabled, Priority: rule.Priority,
		RecordID: rule.RecordID, SetBy: rule.SetBy,
	}
	if rule.Removed {
		out.Removed = &rule.Removed
	}
	if rule.Action != "" {
		out.Action, out.Expression = new(string(rule.Action)), &rule.Expression
	}
	if rule.Body != nil {
		out.Body = &rule.Body
	}
	return out
}

// GuardConfig decides on what callers add to the thread of the configuration by themselves.
func GuardConfig(config *engineconfig.Service) record.Guard {
	return func(ctx context.Context, space string, draft record.Content) error {
		who, err := claimOf(ctx)
		if err != nil {
			return err
		}
		return config.Admit(ctx, who.caller, space, engineconfig.Entry{Actor: draft.Actor, Act: string(draft.Act), Body: draft.Body})
	}
}
