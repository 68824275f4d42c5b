package terminalqr_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/spectrond/internal/terminalqr"
)

// What is drawn is what another library's reader sees, whatever the theme of the terminal: it gets the picture as a camera does.
func TestAReaderReadsWhatIsDrawn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := "https://syncropel.com/local/pair#" + rapid.StringMatching(`[A-Za-z0-9_-]{1,400}`).Draw(t, "fragment")
		styled := rapid.Bool().Draw(t, "styled")
		var drawn bytes.Buffer
		if err := terminalqr.Write(&drawn, text, styled); err != nil {
			t.Fatal(err)
		}
		bitmap, err := gozxing.NewBinaryBitmapFromImage(photograph(t, drawn.String()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.GetText() != text {
			t.Errorf("read %q, want %q", got.GetText(), text)
		}
		width, err := terminalqr.Width(text)
		line, _, _ := strings.Cut(plain(drawn.String()), "\n")
		if err != nil || width != len([]rune(line)) {
			t.Errorf("width %d, %v; the line has %d", width, err, len([]rune(line)))
		}
	})
}

func TestThereIsAMarginOfFourModules(t *testing.T) {
	t.Parallel()
	var drawn bytes.Buffer
	if err := terminalqr.Write(&drawn, "x", false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(drawn.String(), "\n"), "\n")
	for _, line := range append(lines[:2:2], lines[len(lines)-2:]...) {
		if strings.Trim(line, "█") != "" {
			t.Errorf("a margin has %q", line)
		}
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "████") || !strings.HasSuffix(line, "████") {
			t.Errorf("a side has %q", line)
		}
	}
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	if err := terminalqr.Write(&bytes.Buffer{}, strings.Repeat("x", 4000), false); err == nil {
		t.Error("4000 characters were drawn")
	}
	if err := terminalqr.Write(broken{}, "x", false); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func plain(drawn string) string {
	return strings.NewReplacer("\x1b[40;97m", "", "\x1b[0m", "").Replace(drawn)
}

// photograph renders what was drawn: light characters on dark, with the dark of the terminal around.
func photograph(t *rapid.T, drawn string) image.Image {
	t.Helper()
	const module, around = 3, 10
	lines := strings.Split(strings.TrimSuffix(plain(drawn), "\n"), "\n")
	width := len([]rune(lines[0]))
	picture := image.NewGray(image.Rect(0, 0, width*module+2*around, 2*len(lines)*module+2*around))
	for y, line := range lines {
		for x, r := range []rune(line) {
			for half, lit := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				if !lit {
					continue
				}
				for i := range module * module {
					picture.Set(around+x*module+i%module, around+(2*y+half)*module+i/module, color.White)
				}
			}
		}
	}
	return picture
}
