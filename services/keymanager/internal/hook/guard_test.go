package hook_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
)

func TestWhichURLsAreTaken(t *testing.T) {
	t.Parallel()
	public := hook.NewGuard(nil)
	private := hook.NewGuard([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")})
	for url, want := range map[string]struct{ public, private bool }{
		"https://example.com":                        {true, true},
		"https://example.com:8443/a?b=c":             {true, true},
		"https://8.8.8.8/":                           {true, true},
		"https://[2606:4700::1111]/":                 {true, true},
		"http://example.com":                         {false, true}, // judged when it is called
		"http://8.8.8.8":                             {false, false},
		"http://10.1.2.3":                            {false, true},
		"https://10.1.2.3":                           {false, true},
		"https://10.2.2.3":                           {false, false},
		"https://[fd00::1]":                          {false, true},
		"https://[::ffff:10.1.2.3]":                  {false, true},
		"https://[::ffff:127.0.0.1]":                 {false, false},
		"https://127.0.0.1":                          {false, false},
		"https://169.254.169.254/latest":             {false, false},
		"https://192.168.1.1":                        {false, false},
		"https://172.16.0.1":                         {false, false},
		"https://100.64.0.1":                         {false, false},
		"https://0.0.0.0":                            {false, false},
		"https://[::1]":                              {false, false},
		"https://[::]":                               {false, false},
		"https://[fe80::1]":                          {false, false},
		"https://[fe80::1%25eth0]":                   {false, false},
		"https://[64:ff9b::7f00:1]":                  {false, false},
		"https://224.0.0.1":                          {false, false},
		"https://255.255.255.255":                    {false, false},
		"https://240.0.0.1":                          {false, false},
		"https://198.18.0.1":                         {false, false},
		"https://192.0.0.170":                        {false, false},
		"https://[64:ff9b:1::a01:203]":               {false, false},
		"https://[2002:7f00:1::]":                    {false, false}, // 6to4 of 127.0.0.1
		"https://[2001:0:7f00:1::]":                  {false, false}, // Teredo
		"https://[::7f00:1]":                         {false, false}, // compatible with IPv4
		"https://[::ffff:0:7f00:1]":                  {false, false}, // translated
		"https://[fec0::1]":                          {false, false},
		"https://[fd00:ec2::254]":                    {false, true}, // within what is allowed
		"https://[ff02::1]":                          {false, false},
		"ftp://example.com":                          {false, false},
		"example.com":                                {false, false},
		"//example.com":                              {false, false},
		"https:example.com":                          {false, false},
		"https://":                                   {false, false},
		"https://:443":                               {false, false},
		"https://user:pass@example.com":              {false, false},
		"https://example.com/#f":                     {false, false},
		"https://example.com/#":                      {false, false},
		"https://exa mple.com":                       {false, false},
		"":                                           {false, false},
		"https://e.com/" + strings.Repeat("a", 2048): {false, false},
		"https://e.com/sp-aaaaaaaaaaaaaaaa-abcdefgh": {false, false},
	} {
		if err := public.CheckURL(url); (err == nil) != want.public {
			t.Errorf("%.40s: %v, want %v", url, err, want.public)
		}
		if err := private.CheckURL(url); (err == nil) != want.private {
			t.Errorf("%.40s with allowed networks: %v, want %v", url, err, want.private)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	total := time.Duration(0)
	attempts := 0
	for total < 72*time.Hour {
		attempts++
		total += hook.Backoff(5*time.Second, attempts)
	}
	if attempts < 15 || attempts > 40 {
		t.Errorf("%d attempts in three days", attempts)
	}
	for attempt, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 100: 6 * time.Hour} {
		least, most := want*2, time.Duration(0)
		for range 1000 {
			d := hook.Backoff(5*time.Second, attempt)
			least, most = min(least, d), max(most, d)
		}
		if least < want*4/5 || most > want*6/5+1 || most-least < want/4 {
			t.Errorf("attempt %d: from %s to %s", attempt, least, most)
		}
	}
}
