package apikey_test

import (
	"testing"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

func TestPresentable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "planner": true, "Zoë's key": true, "éàüöß éçñ": true, "123456789": true,
		"1234567890": false, "a\nb": false, "a\x00b": false, "a\xffb": false, "a\u200eb": false,
	} {
		if got := apikey.Presentable(text, 9); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	if apikey.Presentable("see "+key.Reveal(), 1000) {
		t.Error("a text with a key in it may be shown")
	}
}
