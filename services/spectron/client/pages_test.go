package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

// sessionsJSON is a page of n sessions.
func sessionsJSON(n int) string {
	return `{"sessions":[` + strings.TrimSuffix(strings.Repeat(sessionJSON+",", n), ",") + `]}`
}

func TestCountedListsAskForTheNextPageWhenOneIsFull(t *testing.T) {
	t.Parallel()
	c, s := newClient(t, map[string][]answer{"listSessions": {{status: 200, body: sessionsJSON(500)}, {status: 200, body: sessionsJSON(2)}}})
	rows := 0
	for _, err := range c.Sessions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	want := []seen{{"GET", "/api/v1/acme/sessions?limit=500", ""}, {"GET", "/api/v1/acme/sessions?limit=500&offset=500", ""}}
	if diff := cmp.Diff(want, s.Seen); diff != "" || rows != 502 {
		t.Errorf("%d rows; requests (-want +got):\n%s", rows, diff)
	}
}

func TestListsAskForNoMoreThanIsRead(t *testing.T) {
	t.Parallel()
	more := http.Header{"Link": {`</x?cursor=b>; rel="next"`}}
	c, s := newClient(t, map[string][]answer{
		"listPrincipals": {{status: 200, body: "[" + principalJSON + "," + principalJSON + "]", header: more}},
		"listTurns":      {{status: 200, body: `{"turns":[]}`}}, "listEntities": {{status: 200, body: `{"entities":[` + entityJSON + `]}`}},
	})
	for p, err := range c.Principals(t.Context()) {
		if err != nil || p.ID != "p1" {
			t.Fatal(p, err)
		}
		break
	}
	for turn, err := range c.Turns(t.Context(), "s1") {
		t.Errorf("got %v, %v", turn, err)
	}
	for e, err := range c.Entities(t.Context(), "") {
		if err != nil || e.ID != "e1" {
			t.Errorf("got %v, %v", e, err)
		}
	}
	want := []seen{
		{"GET", "/api/v1/acme/principals", ""}, {"GET", "/api/v1/acme/sessions/s1/turns?limit=500", ""}, {"GET", "/api/v1/acme/entities?limit=500", ""},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestIteratorsEndAfterTheFirstError(t *testing.T) {
	t.Parallel()
	problem := answer{status: 403, header: http.Header{"Content-Type": {fault.ContentType}}, body: fmt.Sprintf(
		`{"type":%q,"title":"Forbidden","status":403,"detail":"no","instance":"/x","message":"no"}`, fault.Forbidden.Type())}
	more := http.Header{"Link": {`</x?cursor=b>; rel="next"`}}
	c, _ := newClient(t, map[string][]answer{
		"listScopes":   {{status: 200, body: `[{"path":"a/","createdAt":"2026-09-01T12:00:00Z"}]`, header: more}, problem},
		"listSessions": {problem},
	})
	var got []string
	for node, err := range c.Scopes(t.Context()) {
		got = append(got, fmt.Sprint(node.Path, errors.Is(err, fault.Forbidden)))
	}
	for session, err := range c.Sessions(t.Context()) {
		got = append(got, fmt.Sprint(session.ID, errors.Is(err, fault.Forbidden)))
	}
	if diff := cmp.Diff([]string{"a/false", "true", "true"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// A dot survives escaping and would address something else.
func TestIdsThatArePathsAreNotSent(t *testing.T) {
	t.Parallel()
	c, s := newClient(t, nil)
	m, _ := newManagement(t, nil)
	ctx := t.Context()
	for _, id := range []string{"", ".", ".."} {
		_, session := c.GetSession(ctx, id)
		_, history := c.History(ctx, client.EntityRef{Type: "person", Name: "Ada"}, id)
		_, turns := c.ListTurns(ctx, id, client.Page{})
		_, trace := c.GetTrace(ctx, id)
		_, rotated := m.RotatePrincipalKey(ctx, "acme", id, "ci", client.RotateOptions{})
		_, listed := m.ListPrincipals(ctx, id)
		for what, err := range map[string]error{
			"session": session, "history": history, "turns": turns, "trace": trace, "rotate": rotated, "list": listed,
			"delete entity": c.DeleteEntity(ctx, client.EntityRef{Type: "person", Name: id}), "delete key": c.DeleteKey(ctx, id),
			"delete session": c.DeleteSession(ctx, id), "delete principal": m.DeletePrincipal(ctx, "acme", id),
		} {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%s %q: got %v, want fault.Invalid", what, id, err)
			}
		}
	}
	if len(s.Seen) > 0 {
		t.Errorf("sent %v", s.Seen)
	}
}
