package cli

import (
	"strings"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

const tripleForms = "'person/alice likes=tea' or 'person/alice -[knows]-> person/bob'"

// parseTriple reads a fact: an attribute, as in "person/alice likes=tea", or a relation, as in
// "person/alice -[knows]-> person/bob". Names may have spaces; the key of an attribute may not.
func parseTriple(text string) (client.Triple, error) {
	malformed := usagef("--triple: %q is not a fact, such as %s", text, tripleForms)
	relation, attribute := strings.Index(text, "-["), strings.Index(text, "=")
	if relation >= 0 && (attribute < 0 || relation < attribute) {
		label, target, ok := strings.Cut(text[relation+len("-["):], "]->")
		if !ok || strings.TrimSpace(label) == "" {
			return client.Triple{}, malformed
		}
		subject, err := parseEntity(text[:relation])
		if err != nil {
			return client.Triple{}, malformed
		}
		object, err := parseEntity(target)
		if err != nil {
			return client.Triple{}, malformed
		}
		return client.Triple{Entity: subject, Key: strings.TrimSpace(label), Target: &object}, nil
	}
	left, value, ok := strings.Cut(text, "=")
	left = strings.TrimSpace(left)
	space := strings.LastIndexAny(left, " \t")
	if !ok || space < 0 {
		return client.Triple{}, malformed
	}
	entity, err := parseEntity(left[:space])
	if err != nil {
		return client.Triple{}, malformed
	}
	return client.Triple{Entity: entity, Key: left[space+1:], Value: strings.TrimSpace(value)}, nil
}

func parseTriples(texts []string) ([]client.Triple, error) {
	var triples []client.Triple
	for _, text := range texts {
		triple, err := parseTriple(text)
		if err != nil {
			return nil, err
		}
		triples = append(triples, triple)
	}
	return triples, nil
}
