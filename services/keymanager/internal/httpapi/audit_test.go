package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

const auditPath = "/api/v1/audit"

// sealed writes what was refused and seals all that waits.
func (s *server) sealed(t *testing.T) {
	t.Helper()
	ended, end := context.WithCancel(t.Context())
	end()
	s.sealer.Run(ended)
}

// audit returns the entries of all pages, and checks that they are in order.
func (s *server) audit(t *testing.T, query url.Values) []auditchain.Record {
	t.Helper()
	var all []auditchain.Record
	for next := auditPath + "?" + query.Encode(); next != ""; {
		a := s.operate("GET", next, nil)
		page := into[httpapi.AuditPage](t, a, http.StatusOK)
		all = append(all, page.Entries...)
		next = ""
		if link, _, ok := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">"); ok {
			next = link
		}
	}
	for i := 1; i < len(all); i++ {
		if ascending := query.Get("order") == "asc"; all[i-1].Seq < all[i].Seq != ascending {
			t.Errorf("%d comes after %d", all[i].Seq, all[i-1].Seq)
		}
	}
	return all
}

func TestTheAuditLogIsListed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		s := founded(t, store)
		into[httpapi.Context](t, s.operate("POST", "/api/v1/contexts/acme", nil), http.StatusCreated)
		minted := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k", nil), http.StatusCreated)
		rotation := s.operate("POST", keys+"/k/rotate", nil)
		into[httpapi.MintedKey](t, rotation, http.StatusOK)
		if page := into[httpapi.AuditPage](t, s.operate("GET", auditPath, nil), http.StatusOK); len(page.Entries) != 0 || page.Head != (auditchain.Head{}) {
			t.Errorf("before anything is sealed: %+v", page)
		}
		refused(t, s.send("DELETE", keys+"/k", s.first, nil), fault.Forbidden, "")
		s.sealed(t)
		all := s.audit(t, url.Values{"order": {"asc"}})
		var actions []string
		for _, r := range all {
			actions = append(actions, r.Action)
		}
		want := []string{"deployment.bootstrapped", "context.created", "key.minted", "key.rotated", "access.denied"}
		if diff := cmp.Diff(want, actions); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		v := auditchain.From(auditchain.Head{})
		v.Expect(into[httpapi.AuditPage](t, s.operate("GET", auditPath, nil), http.StatusOK).Head)
		err := v.Verify(func(yield func(auditchain.Record, error) bool) {
			for _, r := range all {
				if !yield(r, nil) {
					return
				}
			}
		})
		if err != nil || v.Finish() != nil {
			t.Errorf("what is listed is no whole chain: %v, %v", err, v.Finish())
		}
		rotated := all[3]
		if rotated.ActorKind != "management" || rotated.ActorKeyID == "" || rotated.Target != minted.Id || rotated.ContextID != "default" ||
			rotated.Remote != "192.0.2.1" || rotated.TraceID != rotation.header.Get("X-Trace-Id") || rotated.Outcome != "done" {
			t.Errorf("the entry of the rotation: %+v", rotated)
		}
		for query, want := range map[string][]int64{
			"":                                   {5, 4, 3, 2, 1},
			"limit=2":                            {5, 4, 3, 2, 1},
			"order=asc&limit=2":                  {1, 2, 3, 4, 5},
			"order=asc&after=3":                  {4, 5},
			"after=3":                            {2, 1},
			"action=key.rotated":                 {4},
			"action=nothing":                     nil,
			"actor_kind=local":                   {1},
			"actor=" + rotated.ActorKeyID:        {4, 3, 2},
			"context_id=default&order=asc":       {1, 3, 4},
			"target=" + minted.Id + "&limit=1":   {4, 3},
			"trace_id=" + rotated.TraceID:        {4},
			"outcome=denied":                     {5},
			"outcome=done&context_id=acme":       {2},
			"since=" + when(rotated.At):          {5, 4},
			"until=" + when(rotated.At):          {3, 2, 1},
			"until=2020-01-01T00:00:00Z&limit=1": nil,
		} {
			values, err := url.ParseQuery(query)
			must(t, err)
			var seqs []int64
			for _, r := range s.audit(t, values) {
				seqs = append(seqs, r.Seq)
			}
			if diff := cmp.Diff(want, seqs); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
		for query, field := range map[string]string{
			"limit=0": "limit", "order=up": "order", "outcome=x": "outcome", "since=yesterday": "since", "after=-1": "after", "cursor=%21": "cursor",
			"cursor=eA": "cursor", "action=%00": "action", "target=": "target", "actor=%ff": "actor", "context_id=" + strings.Repeat("x", 257): "context_id",
		} {
			refused(t, s.operate("GET", auditPath+"?"+query, nil), fault.Invalid, field)
		}
		refused(t, s.operate("GET", auditPath+"/1", nil), fault.NotFound, "")
	})
}

func when(at time.Time) string { return url.QueryEscape(at.Format(time.RFC3339Nano)) }

// What is refused is on record with why, by whom and from where, without what was shown, and however often it is tried again.
func TestWhatIsRefusedIsOnRecord(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		s := founded(t, store)
		unknown := newKey(t)
		secret := "not-a-key-at-all-but-a-secret"
		for range 30 {
			s.send("GET", "/api/v1/contexts", unknown.Reveal(), nil)
			s.send("POST", "/api/v1/contexts/a-secret-path", secret, nil)
			s.send("GET", "/api/v1/verbs", "", nil)
			s.send("DELETE", keys+"/default", s.first, nil)
			s.send("POST", introspection.LeasesPath, secret, nil)
			s.send("POST", introspection.MintKeyPath, serviceToken(t), nil)
			s.operate("DELETE", "/api/v1/contexts/default/principals/system", nil)
		}
		s.sealed(t)
		got := map[string]int64{}
		list := s.audit(t, url.Values{"outcome": {"denied"}, "order": {"asc"}})
		for _, r := range list {
			var detail struct {
				Reason     string
				Status     int
				Count      int64
				ShownKeyID string `json:"shown_key_id"`
			}
			must(t, json.Unmarshal(r.Detail, &detail))
			got[fmt.Sprint(detail.Status, " ", detail.Reason, " ", r.ActorKind)] += detail.Count
			line, err := json.Marshal(r)
			must(t, err)
			for _, hidden := range []string{secret, unknown.Reveal(), s.first, s.management, "a-secret-path"} {
				if strings.Contains(string(line), hidden) {
					t.Error("an entry holds what was shown")
				}
			}
			if r.Remote != "192.0.2.1" || r.Action != "access.denied" {
				t.Errorf("%+v", r)
			}
			if shown := detail.ShownKeyID; shown != "" && shown != unknown.ID() && detail.Status == 401 {
				t.Errorf("the id %s was not shown", shown)
			}
		}
		want := map[string]int64{
			"401 bad_credential unknown": 60, "401 no_credential unknown": 30, "403 not_management unknown": 30,
			"401 bad_service_token unknown": 60, "403 not_allowed management": 30,
		}
		if diff := cmp.Diff(want, got); diff != "" || len(list) != 2*len(want) {
			t.Errorf("%d entries (-want +got):\n%s", len(list), diff)
		}
	})
}
