package network_test

import (
	"net/netip"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/network"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.0/8":            "10.0.0.0/8",
		" 10.1.2.3/8 ":          "10.0.0.0/8",
		"192.0.2.7":             "192.0.2.7/32",
		"2001:DB8::1/32":        "2001:db8::/32",
		"::1":                   "::1/128",
		"::ffff:192.0.2.7":      "192.0.2.7/32",
		"::ffff:192.0.2.0/120":  "192.0.2.0/24",
		"0.0.0.0/0":             "0.0.0.0/0",
		"::/0":                  "::/0",
		"::ffff:192.0.2.0/24":   "",
		"fe80::1%eth0":          "",
		"fe80::%eth0/64":        "",
		"10.0.0.0/33":           "",
		"10.0.0/8":              "",
		"example.com":           "",
		"":                      "",
		"10.0.0.0/8,10.0.0.1/8": "",
	} {
		got, err := network.Parse(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken for %v", text, got)
			}
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%q is %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	networks, err := network.ParseAll([]string{"10.0.0.0/8", "", "::ffff:192.0.2.0/120", "fe80::/10"})
	if err != nil || len(networks) != 3 {
		t.Fatal(networks, err)
	}
	for text, want := range map[string]bool{
		"10.255.0.1": true, "::ffff:10.0.0.1": true, "192.0.2.9": true, "::ffff:192.0.2.9": true, "fe80::1%eth0": true,
		"11.0.0.1": false, "::1": false, "::10.0.0.1": false, "192.0.3.1": false,
	} {
		if got := network.Contains(networks, netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if network.Contains(networks, netip.Addr{}) {
		t.Error("no address is in a network")
	}
	if _, err := network.ParseAll([]string{"10.0.0.0/8", "x"}); err == nil {
		t.Error("what is no network was read")
	}
}
