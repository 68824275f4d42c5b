package splcommand

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
	"github.com/spectron-hq/spectron/services/spectrond/internal/terminalqr"
)

// pairPage is the page that takes what a device needs from its own address: a fragment is sent to no server.
const (
	pairOrigin = "https://syncropel.com"
	pairPage   = pairOrigin + "/local/pair#"
)

// deviceScopes are the scopes of devices by the beginning of their names, where no others are asked for.
var deviceScopes = []struct {
	prefix string
	scopes []grant.Verb
}{
	{"browser-", []grant.Verb{grant.Admin}},
	{"viewer-", []grant.Verb{grant.RecordsRead}},
	{"emitter-", []grant.Verb{grant.RecordsRead, grant.RecordsWrite}},
}

// pairing is what a device needs to know. Its token is the answer here, so it is a plain string.
type pairing struct {
	URL    string `json:"url"`
	Token  string `json:"token"`
	Device string `json:"device"`
}

// link returns the address that tells a device everything at one click.
func (p pairing) link() (string, error) {
	encoded, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encoding the pairing: %w", err)
	}
	return pairPage + base64.RawURLEncoding.EncodeToString(encoded), nil
}

// pairFlags are the flags of pair.
type pairFlags struct {
	newAccount
	address string
	noQR    bool
}

func (a *app) pair() *cobra.Command {
	var f pairFlags
	cmd := &cobra.Command{
		Use:   "pair --device <label> --url <url>",
		Short: "Give a browser, a phone or another device a token of its own",
		Long: `Make a service account for a device, mint its token, and print them as a link, as a QR code for a phone's camera, and as text.
Whoever sees one of the three can use the token, so show them to the device alone. The account acts as you do, unless
--actors says otherwise. A device that is lost is shut out with 'spl service-account revoke'.

The scopes follow from the beginning of the label, unless --scopes says otherwise:
  browser-...   admin
  viewer-...    records:read
  emitter-...   records:read,records:write
  any other     records:read,records:write`,
		Example: `  spl pair --device browser-laptop --url http://127.0.0.1:9100
  spl pair --device viewer-phone --url http://192.168.1.20:9100
  spl pair --device emitter-sensor --url https://spl.example.com --no-qr > pairing.json`,
		Args: cli.Arguments(),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "device", "", "label of the device (required)")
	flags.StringVar(&f.address, "url", "", "where the device reaches the daemon (required); it is not tried")
	addScopes(cmd, &f.scopes, "what the device may do, separated by commas (default by the label)")
	flags.StringSliceVar(&f.actors, "actors", nil, "identities that the device may claim, separated by commas (default who you act as)")
	addEnvTag(cmd, &f.env)
	flags.BoolVar(&f.noQR, "no-qr", false, "print only the JSON that the link and the code hold")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		hint, err := f.check()
		if err == nil && f.noQR && a.output.forPrograms() {
			err = errors.New("--no-qr prints a token, and -o json never does: they exclude each other")
		}
		if err != nil {
			return cli.Usage(cmd, err)
		}
		f.mint = true
		body, err := f.request()
		if err != nil {
			return cli.Usage(cmd, err)
		}
		if hint != "" {
			a.tell(cmd, "%s", hint)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error { return a.runPair(cmd, s, f, body) })(cmd, args)
	}
	return cmd
}

// check checks what is particular to devices, and chooses their scopes.
func (f *pairFlags) check() (hint string, err error) {
	if f.name == "" || f.address == "" {
		return "", errors.New("--device and --url are required")
	}
	parsed, err := url.Parse(f.address)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil {
		return "", errors.New("--url: want http://host:port or https://host, as the device sees the daemon")
	}
	if f.scopes != nil {
		return "", nil
	}
	for _, known := range deviceScopes {
		if strings.HasPrefix(f.name, known.prefix) {
			f.scopes = texts(known.scopes)
			return "", nil
		}
	}
	f.scopes = texts([]grant.Verb{grant.RecordsRead, grant.RecordsWrite})
	return "hint: labels that begin with browser- get admin, viewer- records:read, emitter- records:read,records:write; this one gets " +
		strings.Join(f.scopes, ","), nil
}

func texts(scopes []grant.Verb) []string {
	out := make([]string, len(scopes))
	for i, scope := range scopes {
		out[i] = string(scope)
	}
	return out
}

func (a *app) runPair(cmd *cobra.Command, s *session, f pairFlags, body splclient.NewServiceAccount) error {
	if f.actors == nil {
		body.Actors = &[]string{s.actor}
	}
	if a.namespace != "" {
		body.Namespace = &a.namespace
	}
	made, err := a.create(cmd, s, false, body)
	if err != nil {
		return err
	}
	p := pairing{URL: strings.TrimRight(f.address, "/"), Token: deref(made.Token), Device: f.name}
	made.Token = nil
	if err := a.showPairing(cmd, f, p, made); err != nil {
		return unshown(made.ID, err)
	}
	if len(made.Actors) == 0 {
		a.warnOfNoActors(cmd, made.ID, false)
	}
	a.tell(cmd, "the page behind the link may call the daemon after: spl config auth-set-cors-origins %s", pairOrigin)
	a.tell(cmd, "paired %s as %s, scopes %s; to shut it out: spl service-account revoke %s", f.name, made.ID, joinScopes(made.Scopes), made.ID)
	return nil
}

// showPairing prints what the device needs: everywhere but with -o json.
func (a *app) showPairing(cmd *cobra.Command, f pairFlags, p pairing, made splclient.CreatedServiceAccount) error {
	out := cmd.OutOrStdout()
	if a.output.forPrograms() {
		a.tell(cmd, "the token is not shown with -o json: pair in text, or with --no-qr")
		return a.encode(cmd, made)
	}
	if f.noQR {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(p)
	}
	link, err := p.link()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s\n\n", link); err != nil {
		return err
	}
	a.tellWidth(cmd, link)
	if err := terminalqr.Write(out, link, table.Styled(out, func(name string) string { return a.environ[name] })); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nurl:    %s\ntoken:  %s\ndevice: %s\n", p.URL, p.Token, table.Clean(p.Device))
	return err
}

// tellWidth says so when the code does not fit on the terminal: broken lines cannot be read by any camera.
func (a *app) tellWidth(cmd *cobra.Command, link string) {
	file, ok := cmd.OutOrStdout().(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return
	}
	if needed, err := terminalqr.Width(link); err == nil && needed > columns {
		a.tell(cmd, "the code is %d columns wide and the terminal %d: make it wider, or use the link", needed, columns)
	}
}
