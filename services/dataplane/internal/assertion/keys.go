package assertion

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
)

const (
	// maxAhead is how long before its first use a key is published, at most and as a rule.
	maxAhead = time.Hour
	// maxLook is how long a replica goes without looking for new keys, maxAge how long the set of keys may be kept by those who
	// fetch it. Together they are far less than maxAhead: so everybody knows a key before it signs.
	maxLook = time.Minute
	maxAge  = 5 * time.Minute
	// skew is by how much the clock of whoever checks an assertion may be slow.
	skew = time.Minute
)

// Row is a key as it is stored. It is sealed for its Kid: under another one it does not open.
type Row struct {
	// Generation is one more than its predecessor's.
	Generation int64
	Kid        string
	Sealed     []byte
	SignsFrom  time.Time
}

// Store keeps keys.
type Store interface {
	// AssertionKeys returns all keys by generation, and the database's time.
	AssertionKeys(ctx context.Context) ([]Row, time.Time, error)
	// AddAssertionKey adds a key, unless there is one of its generation: then another replica was first, and nothing is done.
	AddAssertionKey(ctx context.Context, row Row) error
	// DropAssertionKeys deletes the keys of these ids.
	DropAssertionKeys(ctx context.Context, kids []string) error
}

// Config is what a Signer is made of.
type Config struct {
	Store Store
	// Sealer is the same for all replicas.
	Sealer *seal.Sealer
	// Issuer and Audiences are what assertions name; there is at least one audience.
	Issuer    string
	Audiences []string
	// TTL is how long an assertion is good for; at most MaxTTL.
	TTL time.Duration
	// Lifetime is how long a key signs.
	Lifetime time.Duration
	Now      func() time.Time
	Log      *slog.Logger
}

// Signer signs assertions. All replicas have the same keys and change them at the same time. It is safe for concurrent use.
type Signer struct {
	cfg  Config
	view atomic.Pointer[view]
}

// view is what a look at the database found.
type view struct {
	keys []key     // by generation
	at   time.Time // the database's clock
	read time.Time // ours, at the same moment
	set  []byte    // the JWK Set
}

type key struct {
	kid       string
	signsFrom time.Time
	private   ed25519.PrivateKey
}

// jwk is a public key as RFC 8037 has it.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Kid string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
}

// New returns a Signer whose keys have been read, or made.
func New(ctx context.Context, cfg Config) (*Signer, error) {
	s := &Signer{cfg: cfg}
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Signer) ahead() time.Duration { return min(maxAhead, s.cfg.Lifetime/4) }

func (s *Signer) look() time.Duration { return min(maxLook, s.ahead()/4) }

// MaxAge is how long the set of keys may be kept.
func (s *Signer) MaxAge() time.Duration { return min(maxAge, s.ahead()/4) }

// Keys returns the JWK Set, and how many keys are in it.
func (s *Signer) Keys() (set []byte, n int) {
	seen := s.view.Load()
	return seen.set, len(seen.keys)
}

// current returns the key that signs now. Between two looks the database's clock is taken to go as ours does. A replica that
// cannot look goes on: what it might miss is a successor, and then its assertions are refused, not believed.
func (s *Signer) current(now time.Time) (key, bool) {
	seen := s.view.Load()
	at := seen.at.Add(now.Sub(seen.read))
	i := signing(seen.keys, at)
	if i < 0 {
		return key{}, false
	}
	return seen.keys[i], true
}

// signing is the place of the key that signs at a time: the last one whose time has come, or -1.
func signing(keys []key, at time.Time) int {
	for i, k := range slices.Backward(keys) {
		if !k.signsFrom.After(at) {
			return i
		}
	}
	return -1
}

// Run looks for keys until ctx ends, and makes and drops them when it is time.
func (s *Signer) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.look()):
		}
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "the keys that sign assertions could not be read", slog.Any("error", err))
		}
	}
}

// Refresh reads the keys, after it has made the next one if that is due, and drops those that nobody needs any more.
func (s *Signer) Refresh(ctx context.Context) error {
	for {
		before := s.cfg.Now()
		rows, at, err := s.cfg.Store.AssertionKeys(ctx)
		if err != nil {
			return fmt.Errorf("reading the assertion keys: %w", err)
		}
		keys := s.unseal(ctx, rows)
		if from, due := s.next(keys, at); due {
			// Whether it is ours or another replica's that was added, the next look finds it.
			if err := s.add(ctx, rows, from); err != nil {
				return fmt.Errorf("adding an assertion key: %w", err)
			}
			continue
		}
		old := s.expired(keys, at)
		if err := s.see(keys[old:], at, before); err != nil {
			return err
		}
		if old == 0 {
			return nil
		}
		gone := make([]string, old)
		for i := range gone {
			gone[i] = keys[i].kid
		}
		if err := s.cfg.Store.DropAssertionKeys(ctx, gone); err != nil {
			return fmt.Errorf("dropping assertion keys: %w", err)
		}
		return nil
	}
}

// unseal returns the keys that can be opened. One that cannot was sealed with another secret, or is not ours: it neither signs nor
// is it published.
func (s *Signer) unseal(ctx context.Context, rows []Row) []key {
	keys := make([]key, 0, len(rows))
	for _, row := range rows {
		seed, err := s.cfg.Sealer.Open(row.Sealed, row.Kid)
		if err != nil || len(seed.Reveal()) != ed25519.SeedSize {
			s.cfg.Log.ErrorContext(ctx, "an assertion key was sealed with another secret; it is left alone, and not used",
				slog.String("kid", row.Kid))
			continue
		}
		private := ed25519.NewKeyFromSeed([]byte(seed.Reveal()))
		keys = append(keys, key{kid: describe(private).Kid, signsFrom: row.SignsFrom, private: private})
	}
	return keys
}

// next says from when on the next key is to sign, if it is time to make it. The very first one signs at once: nobody has kept a
// set without it.
func (s *Signer) next(keys []key, at time.Time) (from time.Time, due bool) {
	if len(keys) == 0 {
		return at, true
	}
	from = keys[len(keys)-1].signsFrom.Add(s.cfg.Lifetime)
	if from.Sub(at) > s.ahead() {
		return time.Time{}, false
	}
	if earliest := at.Add(s.ahead()); from.Before(earliest) {
		from = earliest
	}
	return from, true
}

// add stores a new key, unless another replica is faster.
func (s *Signer) add(ctx context.Context, rows []Row, from time.Time) error {
	generation := int64(1)
	if len(rows) > 0 {
		generation = rows[len(rows)-1].Generation + 1
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // it never fails: it ends the program
	made := describe(ed25519.NewKeyFromSeed(seed))
	row := Row{
		Generation: generation, Kid: made.Kid, SignsFrom: from.UTC().Truncate(time.Microsecond),
		Sealed: s.cfg.Sealer.Seal(settings.Secret(seed), made.Kid),
	}
	s.cfg.Log.InfoContext(ctx, "adding an assertion key", slog.Int64("generation", generation), slog.Time("signs_from", row.SignsFrom))
	return s.cfg.Store.AddAssertionKey(ctx, row)
}

// expired is how many keys, from the first on, have signed nothing that anybody could still take.
func (s *Signer) expired(keys []key, at time.Time) int {
	last := s.cfg.TTL + min(skew, s.ahead())
	for i := range keys {
		if i+1 == len(keys) || at.Before(keys[i+1].signsFrom.Add(last)) {
			return i
		}
	}
	return 0
}

// see makes these the keys that there are.
func (s *Signer) see(keys []key, at, read time.Time) error {
	set := struct {
		Keys []jwk `json:"keys"`
	}{make([]jwk, len(keys))}
	for i, k := range keys {
		set.Keys[i] = describe(k.private)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("writing the set of keys: %w", err)
	}
	s.view.Store(&view{keys: keys, at: at, read: read, set: text})
	return nil
}

// describe returns the public half of a key, named by its thumbprint (RFC 7638).
func describe(private ed25519.PrivateKey) jwk {
	public, _ := private.Public().(ed25519.PublicKey) // it is nothing else
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return jwk{Kty: "OKP", Crv: "Ed25519", X: x, Kid: base64.RawURLEncoding.EncodeToString(sum[:]), Use: "sig", Alg: "EdDSA"}
}
