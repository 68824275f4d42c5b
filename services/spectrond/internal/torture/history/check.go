package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is that of one secret.
type state uint8

const (
	live state = iota
	dying
	dead
)

// act is an operation as the model takes it: a kill is two acts.
type act uint8

const (
	accept act = iota
	refuse
	begin
	end
)

// step is the whole model: whether the act is possible in the state, and the state after it.
func step(s state, a act) (bool, state) {
	switch a {
	case accept:
		return s != dead, s
	case refuse:
		return s != live, s
	case begin:
		return true, max(s, dying)
	case end:
		return s != live, dead
	default:
		return false, s
	}
}

func model() porcupine.Model {
	return porcupine.Model{
		Partition: partition,
		Init:      func() any { return live },
		Step: func(s, input, _ any) (bool, any) {
			before, okState := s.(state)
			o, okAct := input.(tagged)
			if !okState || !okAct {
				return false, s
			}
			ok, after := step(before, o.act)
			return ok, after
		},
		DescribeOperation: func(input, _ any) string {
			if o, ok := input.(tagged); ok {
				return o.String()
			}
			return ""
		},
		DescribeState: func(s any) string {
			if s, ok := s.(state); ok {
				return [...]string{"live", "dying", "dead"}[s]
			}
			return ""
		},
	}
}

// tagged is an act with the operation that it is from.
type tagged struct {
	Operation
	act act
}

// partition splits a history by secret: what happens to one has no bearing on another.
func partition(all []porcupine.Operation) [][]porcupine.Operation {
	places := make(map[string]int)
	var parts [][]porcupine.Operation
	for _, o := range all {
		input, ok := o.Input.(tagged)
		if !ok {
			continue
		}
		place, known := places[input.Secret]
		if !known {
			place = len(parts)
			places[input.Secret] = place
			parts = append(parts, nil)
		}
		parts[place] = append(parts[place], o)
	}
	return parts
}

func actsOf(o Operation) []act {
	switch o.Kind {
	case Accept:
		return []act{accept}
	case Refuse:
		return []act{refuse}
	case Kill:
		return []act{begin, end}
	case Threat:
		// Whether it ends the secret is not known, so it never must be dead.
		return []act{begin}
	default:
		return nil
	}
}

// ViolationError is a history that breaks the promise.
type ViolationError struct {
	// Breaches are the pairs of operations that contradict each other, as far as the plain check finds them.
	Breaches []Breach
	// Linearizable is what the general check says.
	Linearizable porcupine.CheckResult
	info         porcupine.LinearizationInfo
}

// Breach is an answer of a verifier, with the change that should have made it another.
type Breach struct {
	Answer Operation
	// Change ended the secret too soon for an accept. It is the zero Operation for a refusal that no change explains.
	Change Operation
}

// Late is how long after the change was answered the verifier was asked.
func (b Breach) Late() time.Duration { return b.Answer.From - b.Change.To }

// Error tells the breaches, the first few of them.
func (v *ViolationError) Error() string {
	const shown = 8
	var text strings.Builder
	fmt.Fprintf(&text, "the promise of revocation is broken: %d breaches, linearizable: %s", len(v.Breaches), v.Linearizable)
	for _, b := range v.Breaches[:min(shown, len(v.Breaches))] {
		if b.Answer.Kind == Accept {
			fmt.Fprintf(&text, "\n\t%s\n\t\tasked %s after the answer to: %s", b.Answer, b.Late(), b.Change)
		} else {
			fmt.Fprintf(&text, "\n\t%s\n\t\tanswered before anything had been asked that could end the secret", b.Answer)
		}
	}
	return text.String()
}

// Draw writes the history to a file, as a page for a web browser.
func (v *ViolationError) Draw(path string) error {
	if err := porcupine.VisualizePath(model(), v.info, path); err != nil {
		return fmt.Errorf("drawing a history: %w", err)
	}
	return nil
}

// patience bounds the general check. It needs milliseconds, but for histories that break the promise while many ask at once:
// to find that no order will do, it tries them all.
const patience = 10 * time.Second

// Check returns a *[ViolationError] when the operations break the promise, in two ways: by the general check for linearizability
// and by a plain one, whose findings are easier to read. They must agree.
func Check(operations []Operation) error {
	input := make([]porcupine.Operation, 0, len(operations))
	for _, o := range operations {
		for _, a := range actsOf(o) {
			input = append(input, porcupine.Operation{Input: tagged{o, a}, Call: int64(o.From), Return: int64(o.To)})
		}
	}
	result, info := porcupine.CheckOperationsVerbose(model(), input, patience)
	breaches := plain(operations)
	if result == porcupine.Ok && len(breaches) == 0 {
		return nil
	}
	return &ViolationError{Breaches: breaches, Linearizable: result, info: info}
}

// fate is what the plain check knows about one secret.
type fate struct {
	threatened time.Duration // when the first change was asked for that may have ended it
	killed     Operation     // the first change to be answered that ended it
}

// plain looks at each answer alone.
func plain(operations []Operation) []Breach {
	fates := make(map[string]*fate)
	for _, o := range operations {
		if o.Kind != Kill && o.Kind != Threat {
			continue
		}
		f := fates[o.Secret]
		if f == nil {
			f = &fate{threatened: Never, killed: Operation{To: Never}}
			fates[o.Secret] = f
		}
		f.threatened = min(f.threatened, o.From)
		if o.Kind == Kill && o.To < f.killed.To {
			f.killed = o
		}
	}
	var breaches []Breach
	for _, o := range operations {
		f := fates[o.Secret]
		switch {
		case o.Kind == Accept && f != nil && o.From > f.killed.To:
			breaches = append(breaches, Breach{Answer: o, Change: f.killed})
		case o.Kind == Refuse && (f == nil || o.To < f.threatened):
			breaches = append(breaches, Breach{Answer: o})
		}
	}
	slices.SortFunc(breaches, func(a, b Breach) int { return cmp.Compare(a.Answer.From, b.Answer.From) })
	return breaches
}
