// Package terminalqr draws QR codes with characters. It promises that a phone can read what it draws: there is a margin of four
// modules around, as the standard asks for, and on a terminal the colours do not depend on its theme.
package terminalqr

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

const (
	margin = 4
	// White on black, whatever the terminal's own colours are: what is drawn is the light part.
	begin = "\x1b[40;97m"
	end   = "\x1b[0m"
)

// Write draws text, two modules to a character, the light ones in the colour of the script. styled is for terminals: it sets that
// to white on black. Without it the code is as it should be where the script is lighter than what is behind it.
func Write(w io.Writer, text string, styled bool) error {
	// The lowest level of correction: a screen has no stains, and a code with fewer modules fits more of them.
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return fmt.Errorf("making the QR code: %w", err)
	}
	var out strings.Builder
	size := code.Bounds().Dx()
	for y := -margin; y < size+margin; y += 2 {
		if styled {
			out.WriteString(begin)
		}
		for x := -margin; x < size+margin; x++ {
			out.WriteRune(glyph(light(code, x, y), y+1 >= size+margin || light(code, x, y+1)))
		}
		if styled {
			out.WriteString(end)
		}
		out.WriteByte('\n')
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the QR code: %w", err)
	}
	return nil
}

// Width returns how many columns the code of text takes.
func Width(text string) (int, error) {
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return 0, fmt.Errorf("making the QR code: %w", err)
	}
	return code.Bounds().Dx() + 2*margin, nil
}

// light reports whether a module is light; those of the margin are.
func light(code barcode.Barcode, x, y int) bool {
	size := code.Bounds().Dx()
	if x < 0 || y < 0 || x >= size || y >= size {
		return true
	}
	return code.At(x, y) == color.White
}

func glyph(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	default:
		return ' '
	}
}
