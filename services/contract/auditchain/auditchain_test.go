package auditchain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
)

func draw(t *rapid.T, id int64) auditchain.Record {
	text := rapid.StringMatching(`[a-z"\\<é☃]{0,6}`)
	detail, err := json.Marshal(rapid.MapOf(text, rapid.OneOf(
		rapid.Map(rapid.Int64(), func(n int64) any { return n }), rapid.Map(text, func(s string) any { return s }),
	)).Draw(t, "detail"))
	if err != nil {
		t.Fatal(err)
	}
	return auditchain.Record{
		ID: id, At: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "at")).UTC(), Action: text.Draw(t, "action"), ActorKind: text.Draw(t, "kind"),
		ActorKeyID: text.Draw(t, "key"), ContextID: text.Draw(t, "context"), Target: fmt.Sprint("t", id), TraceID: text.Draw(t, "trace"),
		Remote: text.Draw(t, "remote"), Outcome: "done", Detail: detail,
	}
}

func drawChain(t *rapid.T, atLeast int) []auditchain.Record {
	var head auditchain.Head
	chain := make([]auditchain.Record, rapid.IntRange(atLeast, 12).Draw(t, "length"))
	for i := range chain {
		sealed, err := draw(t, int64(100+i)).Seal(head)
		if err != nil {
			t.Fatal(err)
		}
		chain[i], head = sealed, sealed.Head()
	}
	return chain
}

func records(list []auditchain.Record) iter.Seq2[auditchain.Record, error] {
	return func(yield func(auditchain.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// verify holds a list against its hashes, from the beginning, and against a head.
func verify(list []auditchain.Record, heads ...auditchain.Head) *auditchain.DamageError {
	v := auditchain.From(auditchain.Head{})
	v.Expect(heads...)
	err := v.Verify(records(list))
	if err == nil {
		err = v.Finish()
	}
	damage, _ := errors.AsType[*auditchain.DamageError](err)
	return damage
}

// A chain that nobody touched is whole, also after it was written and read, and whatever is done to it is found, by kind, at the
// first entry that it concerns.
func TestWhateverIsDoneToAChainIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chain := drawChain(t, 4)
		head := chain[len(chain)-1].Head()
		if damage := verify(chain, head, chain[1].Head()); damage != nil {
			t.Fatalf("a whole chain: %v", damage)
		}
		at := rapid.IntRange(1, len(chain)-2).Draw(t, "at") // neither the first nor the last
		seq := int64(at + 1)
		renumber := func(list []auditchain.Record) []auditchain.Record {
			for i := range list {
				list[i].Seq = int64(i + 1)
			}
			return list
		}
		stranger, err := draw(t, 7).Seal(chain[at-1].Head())
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Clone(chain)
		changed[at].Remote += "!"
		swapped := slices.Clone(chain)
		swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
		rewritten, before := slices.Clone(chain), chain[at-1].Head()
		for i := at; i < len(rewritten); i++ {
			rewritten[i].ActorKeyID += "!"
			if rewritten[i], err = rewritten[i].Seal(before); err != nil {
				t.Fatal(err)
			}
			before = rewritten[i].Head()
		}
		for name, test := range map[string]struct {
			list []auditchain.Record
			kind auditchain.Kind
			seq  int64
		}{
			"changed":                  {changed, auditchain.Changed, seq},
			"removed":                  {slices.Delete(slices.Clone(chain), at, at+1), auditchain.Removed, seq},
			"removed and renumbered":   {renumber(slices.Delete(slices.Clone(chain), at, at+1)), auditchain.Removed, seq},
			"the first removed":        {slices.Clone(chain)[1:], auditchain.Removed, 1},
			"swapped":                  {swapped, auditchain.Reordered, seq},
			"swapped and renumbered":   {renumber(slices.Clone(swapped)), auditchain.Reordered, seq},
			"inserted twice":           {slices.Insert(slices.Clone(chain), at, chain[at-1]), auditchain.Inserted, seq - 1},
			"inserted with a hash":     {renumber(slices.Insert(slices.Clone(chain), at, stranger)), auditchain.Inserted, seq},
			"truncated":                {chain[:at+1], auditchain.Truncated, seq + 1},
			"all hashes made anew":     {rewritten, auditchain.Rewritten, int64(len(chain))},
			"empty":                    {nil, auditchain.Truncated, 1},
			"all made anew, truncated": {rewritten[:len(rewritten)-1], auditchain.Truncated, int64(len(chain))},
		} {
			damage := verify(test.list, head)
			if damage == nil || damage.Kind != test.kind || damage.Seq != test.seq {
				t.Errorf("%s: got %v, want entry %d: %s", name, damage, test.seq, test.kind)
			}
		}
		if damage := verify(rewritten); damage != nil {
			t.Errorf("nobody can tell, without a head, that all hashes were made anew: %v", damage)
		}
	})
}

func TestLinesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chain := drawChain(t, 1)
		var text bytes.Buffer
		for _, r := range chain {
			if err := r.Write(&text); err != nil {
				t.Fatal(err)
			}
		}
		var read []auditchain.Record
		for r, err := range auditchain.Read(bytes.NewReader(text.Bytes())) {
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, r)
		}
		if damage := verify(read, chain[len(chain)-1].Head()); damage != nil {
			t.Fatal(damage)
		}
	})
}

// The hash of an entry is a promise to whoever wrote one down: it may never change.
func TestTheHashIsWhatItAlwaysWas(t *testing.T) {
	t.Parallel()
	r := auditchain.Record{
		ID: 3, At: time.Date(2026, 8, 1, 14, 0, 0, 120_000_000, time.FixedZone("", 7200)), Action: "key.rotated", ActorKind: "management",
		ActorKeyID: "k", ContextID: "acme", Target: "t<é>", TraceID: "0af7", Remote: "192.0.2.1", Outcome: "done",
	}
	var hashes []string
	for _, detail := range []string{`{"b":1.50,"a":{"y":null,"x":[1e3,"<"]}}`, " { \"a\" : {\"x\":[1e3,\"\\u003c\"],\"y\":null}, \"b\":1.50 }\n"} {
		r.Detail = json.RawMessage(detail)
		hash, err := r.Sum(auditchain.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, hash.String())
	}
	want := strings.TrimSpace(golden)
	if diff := cmp.Diff([]string{want, want}, hashes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// golden was computed with other means: the text that package auditchain describes, in UTF-8, through sha256sum.
const golden = `1923fe574b483a54050652734320163dae070b9d2317672a6080934ae72abdb8`

func TestMalformedLinesAndHeads(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"{", "[]", `{"hash":"x"}`, `{"seq":"1"}`, `{"at":"secret"}`} {
		for _, err := range auditchain.Read(strings.NewReader("\n" + line + "\n")) {
			if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "line 2") {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	head := auditchain.Head{Seq: 12, Hash: auditchain.Hash{1}}
	if got, err := auditchain.ParseHead(head.String()); err != nil || got != head {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "12", ":", "12:ab", "-1:" + head.Hash.String(), "x:" + head.Hash.String(), head.String() + "0"} {
		if _, err := auditchain.ParseHead(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// What begins in the middle cannot be held against a head from before.
func TestAHeadFromBeforeIsNotWavedThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chain := drawChain(t, 4)
		var v auditchain.Verifier
		v.Expect(chain[0].Head())
		if err := v.Verify(records(chain[2:])); err != nil {
			t.Fatal(err)
		}
		if err := v.Finish(); err == nil || errors.As(err, new(*auditchain.DamageError)) {
			t.Errorf("got %v", err)
		}
		v = auditchain.Verifier{}
		v.Expect(chain[1].Head())
		if err := v.Verify(records(chain[2:])); err != nil || v.Finish() != nil {
			t.Errorf("the head right before: %v, %v", err, v.Finish())
		}
	})
}
