package introspection

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// Most keys of an answer have the grants of another one. Both directions make use of it: grant maps are the larger part of an
// answer, and of the time that it takes to write and to read.

// MarshalJSON writes r as encoding/json would. Maps that are shared between verdicts are encoded once.
func (r Response) MarshalJSON() ([]byte, error) {
	w := writer{known: map[uintptr][]byte{}}
	w.out = make([]byte, 0, 64+512*len(r.Verdicts))
	w.out = strconv.AppendInt(append(w.out, `{"as_of":`...), r.AsOf, 10)
	w.out = append(w.out, `,"verdicts":`...)
	if r.Verdicts == nil {
		w.out = append(w.out, `null`...)
	} else if err := list(&w, len(r.Verdicts), func(i int) error { return w.verdict(&r.Verdicts[i]) }); err != nil {
		return nil, fmt.Errorf("encoding a verdict: %w", err)
	}
	if len(r.Targets) > 0 {
		w.out = append(w.out, `,"targets":`...)
		if err := list(&w, len(r.Targets), func(i int) error { return w.principal(r.Targets[i]) }); err != nil {
			return nil, fmt.Errorf("encoding a principal: %w", err)
		}
	}
	return append(w.out, '}'), nil
}

// list writes what element writes, n times.
func list(w *writer, n int, element func(i int) error) error {
	w.out = append(w.out, '[')
	for i := range n {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := element(i); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

type writer struct {
	out   []byte
	known map[uintptr][]byte // grant maps by identity
}

func (w *writer) verdict(v *Verdict) error {
	w.out = strconv.AppendBool(append(w.out, `{"active":`...), v.Active)
	if v.ExpiresInMicros != 0 {
		w.out = strconv.AppendInt(append(w.out, `,"expires_in_us":`...), v.ExpiresInMicros, 10)
	}
	w.optional(`,"context":`, v.Context)
	w.optional(`,"incarnation":`, v.Incarnation)
	if v.Blocked {
		w.out = append(w.out, `,"blocked":true`...)
	}
	w.optional(`,"key_id":`, v.KeyID)
	w.optional(`,"key_name":`, v.KeyName)
	if v.Principal != nil {
		w.out = append(w.out, `,"principal":`...)
		if err := w.principal(v.Principal); err != nil {
			return err
		}
	}
	if err := w.grants(`,"key_grants":`, v.KeyGrants); err != nil {
		return err
	}
	if v.Limits != nil {
		encoded, err := json.Marshal(v.Limits)
		if err != nil {
			return err
		}
		w.out = append(append(w.out, `,"limits":`...), encoded...)
	}
	w.out = append(w.out, '}')
	return nil
}

// principal writes p, or null.
func (w *writer) principal(p *caller.Principal) error {
	if p == nil {
		w.out = append(w.out, `null`...)
		return nil
	}
	w.text(`{"id":`, p.ID)
	w.text(`,"display_name":`, p.DisplayName)
	w.text(`,"kind":`, string(p.Kind))
	if err := w.grants(`,"grants":`, p.Grants); err != nil {
		return err
	}
	if p.ServiceAccount != nil {
		encoded, err := json.Marshal(p.ServiceAccount)
		if err != nil {
			return err
		}
		w.out = append(append(w.out, `,"service_account":`...), encoded...)
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

// text writes a text. One of plain characters is its own encoding.
func (w *writer) text(name, value string) {
	w.out = append(w.out, name...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			encoded, _ := json.Marshal(value) // a text can always be encoded
			w.out = append(w.out, encoded...)
			return
		}
	}
	w.out = append(append(append(w.out, '"'), value...), '"')
}

func (w *writer) grants(name string, m grant.Map) error {
	w.out = append(w.out, name...)
	identity := reflect.ValueOf(m).Pointer()
	encoded, ok := w.known[identity]
	if !ok {
		var err error
		if encoded, err = json.Marshal(m); err != nil {
			return err
		}
		w.known[identity] = encoded
	}
	w.out = append(w.out, encoded...)
	return nil
}

// ParseResponse reads what [Response.MarshalJSON] writes. Verdicts whose grants are written alike share one map.
func ParseResponse(text []byte) (Response, error) {
	var read struct {
		AsOf     int64            `json:"as_of"`
		Verdicts []wireVerdict    `json:"verdicts"`
		Targets  []*wirePrincipal `json:"targets"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return Response{}, err
	}
	r := Response{AsOf: read.AsOf}
	if read.Verdicts != nil {
		r.Verdicts = make([]Verdict, len(read.Verdicts))
	}
	known := map[string]grant.Map{"": nil}
	for i := range read.Verdicts {
		if err := read.Verdicts[i].into(&r.Verdicts[i], known); err != nil {
			return Response{}, err
		}
	}
	for _, target := range read.Targets {
		principal, err := target.read(known)
		if err != nil {
			return Response{}, err
		}
		r.Targets = append(r.Targets, principal)
	}
	return r, nil
}

// wireVerdict is a [Verdict] whose grants have not been read yet. Its own fields win over those of the same name within.
type wireVerdict struct {
	Verdict

	Principal *wirePrincipal  `json:"principal"`
	KeyGrants json.RawMessage `json:"key_grants"`
}

type wirePrincipal struct {
	caller.Principal

	Grants json.RawMessage `json:"grants"`
}

func (w *wireVerdict) into(v *Verdict, known map[string]grant.Map) (err error) {
	*v = w.Verdict
	if v.KeyGrants, err = parseGrants(w.KeyGrants, known); err != nil {
		return err
	}
	v.Principal, err = w.Principal.read(known)
	return err
}

// read returns the principal, or nil for none.
func (w *wirePrincipal) read(known map[string]grant.Map) (p *caller.Principal, err error) {
	if w == nil {
		return nil, nil
	}
	w.Principal.Grants, err = parseGrants(w.Grants, known)
	return &w.Principal, err
}

func parseGrants(text json.RawMessage, known map[string]grant.Map) (grant.Map, error) {
	if m, ok := known[string(text)]; ok {
		return m, nil
	}
	var m grant.Map
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	known[string(text)] = m
	return m, nil
}
