package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// maxDepth bounds how deeply a body nests.
const maxDepth = 64

// canonical returns value in its canonical form (RFC 8785). What that form would change the meaning of is refused, by the
// name field: numbers that no double tells apart from others, names given twice, halves of characters. So is what a column
// cannot hold: the character NUL, and too much.
func canonical(field string, value []byte) ([]byte, error) {
	if err := checkValue(field, value); err != nil {
		return nil, err
	}
	text, err := canonicalText(value)
	if err != nil {
		return nil, invalid(field, "is not JSON that has a canonical form").Because(err)
	}
	if len(text) > MaxBody {
		return nil, coded(fault.TooLarge, "", "%s: may have at most %d bytes", field, MaxBody)
	}
	return text, nil
}

func canonicalText(value []byte) ([]byte, error) {
	text := jsontext.Value(bytes.Clone(value))
	if err := text.Canonicalize(); err != nil {
		return nil, err
	}
	return text, nil
}

func checkValue(field string, value []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(value))
	for tokens := 0; ; tokens++ {
		if decoder.StackDepth() > maxDepth {
			return invalid(field, "nests more than %d levels deep", maxDepth)
		}
		token, err := decoder.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && tokens > 0:
			return nil
		case err != nil:
			return invalid(at(field, decoder), "is not JSON without repeated names and with whole characters").Because(err)
		}
		switch token.Kind() { //nolint:exhaustive // the others have one form only
		case '0':
			if !exact(token.String()) {
				return invalid(at(field, decoder), "is a number that a double does not hold exactly; write it as a text")
			}
		case '"':
			if strings.ContainsRune(token.String(), 0) {
				return invalid(at(field, decoder), "must not contain the character NUL")
			}
		}
	}
}

// at names the place that decoder has come to.
func at(field string, decoder *jsontext.Decoder) string {
	const longest = 128
	for token := range decoder.StackPointer().Tokens() {
		field += "." + strings.Map(func(r rune) rune {
			if r < ' ' {
				return -1
			}
			return r
		}, token)
	}
	if runes := []rune(field); len(runes) > longest {
		field = string(runes[:longest]) + "…"
	}
	return field
}

// longestDouble is how many digits tell any double from the others. Many programs write all of them: 0.10000000000000001.
const longestDouble = 17

// exact reports whether the canonical form of a JSON number, the shortest text of the nearest double, is the same number, or the
// number is that double to as many digits as it has.
func exact(literal string) bool {
	float, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return false
	}
	digits, exponent := decimal(literal)
	if digits == "" || float == 0 {
		return digits == ""
	}
	kept, keptExponent := decimal(strconv.FormatFloat(float, 'e', -1, 64))
	if len(digits) <= longestDouble && (digits != kept || exponent != keptExponent) {
		kept, keptExponent = decimal(strconv.FormatFloat(float, 'e', len(digits)-1, 64))
	}
	return digits == kept && exponent == keptExponent
}

// decimal returns a number as 0.digits × 10^exponent, without its sign; digits neither begins nor ends with 0. The exponent
// of a number that is neither 0 nor beyond a double fits.
func decimal(literal string) (digits string, exponent int) {
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(literal, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent, _ = strconv.Atoi(power) // empty, or beyond what is asked about
	exponent += len(digits) - len(fraction)
	return strings.TrimRight(digits, "0"), exponent
}

// number returns the canonical text of a JSON number.
func number(literal string) (string, error) {
	if !exact(literal) {
		return "", errors.New("must be a number that a double holds exactly")
	}
	text, err := canonicalText([]byte(literal))
	if err != nil {
		return "", fmt.Errorf("must be a number: %w", err)
	}
	return string(text), nil
}
