package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/leak"
)

// leakedFlags are those of keys leaked.
type leakedFlags struct {
	revoke, yes bool
	reason      string
}

func newKeysLeaked(environ settings.Environ, out *output) *cobra.Command {
	var f leakedFlags
	cmd := &cobra.Command{
		Use:   "leaked <text|file|directory|->",
		Short: "Find keys and tokens in anything, and revoke them",
		Long: `Look for keys and tokens of service accounts in a file, in every file below a directory, in standard input (-), or in the
argument itself, and say of each where it stands, whether it still opens something, and whose it is. Prefer - or a file: an
argument is seen by every user of the machine in the list of processes, and kept by the shell. Secrets are never printed, and not
sent either: the key manager is asked by their digests.

Found is what has the form of a key and the right checksum, in the clear: in text, JSON, URLs, binary files. Not found is what is
compressed or encoded, such as base64 or the objects of a Git repository (pipe 'git log -p' in), keys that were imported by
their hash, and a token whose secret somebody has chosen. What was rotated or revoked since is unknown; that is what it should be.

With --revoke the command shows what it would revoke; with --yes, too, it does: keys are deleted, tokens revoked, and both are refused
from the next request on. Management keys are found, but not revoked: whoever asks uses one. Close the management API to the network of
whoever may have it (it should be open to operators alone) until it is replaced.

Exit status: 0 nothing that is live was found, or all of it has been revoked; 1 something live was found, or the command failed;
2 wrong usage.`,
		Example: `  spectrond keys leaked - < paste.txt
  git log -p --all | spectrond keys leaked -
  spectrond keys leaked ./logs -o json
  spectrond keys leaked ./logs --revoke --yes`,
		Args: cli.Arguments("text|file|directory|-"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			if f.yes && !f.revoke {
				return cli.Usage(cmd, errors.New("--yes is for --revoke"))
			}
			return f.run(cmd, m, args[0], out)
		}),
	}
	cmd.Flags().BoolVar(&f.revoke, "revoke", false, "revoke what is live, or show what would be")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "with --revoke, do it")
	cmd.Flags().StringVar(&f.reason, "reason", "leaked", "why it is revoked: kept in the audit log and told to webhooks")
	return cmd
}

// leakedKey is one hit, for programs. There is no secret in it.
type leakedKey struct {
	File     string           `json:"file"`
	Line     int              `json:"line"`
	Column   int              `json:"column"`
	Redacted string           `json:"redacted"`
	KeyID    string           `json:"key_id"`
	Status   client.KeyStatus `json:"status"`
	Outcome  string           `json:"outcome,omitempty"`
	Revision int64            `json:"revision,omitempty"`

	digest apikey.Digest
}

func (f leakedFlags) run(cmd *cobra.Command, m *client.Management, target string, out *output) error {
	hits := []leakedKey{}
	err := eachInput(cmd, target, func(name string, r io.Reader) error {
		return leak.Scan(r, func(h leak.Hit) error {
			hits = append(hits, leakedKey{
				File: name, Line: h.Line, Column: h.Column, Redacted: h.Redacted, KeyID: h.ID, digest: h.Digest,
			})
			return nil
		})
	})
	if err != nil {
		return err
	}
	digests := unique(hits, func(leakedKey) bool { return true })
	status, err := m.LookupKeys(cmd.Context(), digests)
	if err != nil {
		return err
	}
	byDigest := map[apikey.Digest]client.KeyStatus{}
	for i, digest := range digests {
		byDigest[digest] = status[i]
	}
	for i := range hits {
		hits[i].Status = byDigest[hits[i].digest]
	}
	var revokeErr error
	if f.revoke && f.yes {
		revokeErr = f.revokeAll(cmd, m, hits)
	}
	if err := out.write(cmd, hits, f.rows(hits)); err != nil {
		return errors.Join(revokeErr, err)
	}
	if revokeErr != nil {
		return fmt.Errorf("revoking what was found (what the table calls revoked is): %w", revokeErr)
	}
	return f.verdict(cmd, hits)
}

// opens reports whether a hit is of something that is not dead yet: an expired key can be given a new end by a rotation, but no longer with
// the secret that was found.
func opens(k leakedKey) bool {
	return k.Status.State != "" && k.Status.State != "unknown" && k.Status.State != "expired"
}

// unique returns the digests of the hits that want returns true for, each once.
func unique(hits []leakedKey, want func(leakedKey) bool) []apikey.Digest {
	seen := map[apikey.Digest]bool{}
	var out []apikey.Digest
	for _, hit := range hits {
		if want(hit) && !seen[hit.digest] {
			seen[hit.digest] = true
			out = append(out, hit.digest)
		}
	}
	return out
}

// revokeAll revokes what is live and notes in hits what came of it, also before an error.
func (f leakedFlags) revokeAll(cmd *cobra.Command, m *client.Management, hits []leakedKey) error {
	digests := unique(hits, opens)
	revoked, err := m.RevokeKeys(cmd.Context(), digests, f.reason)
	byDigest := map[apikey.Digest]client.RevokedKey{}
	for i, r := range revoked {
		byDigest[digests[i]] = r
	}
	for i := range hits {
		if r, ok := byDigest[hits[i].digest]; ok {
			hits[i].Outcome, hits[i].Revision = r.Outcome, r.Revision
		}
	}
	return err
}

func (f leakedFlags) rows(hits []leakedKey) *table.Table {
	rows := table.New("WHERE", "KEY", "STATE", "KIND", "CONTEXT", "NAME", "PRINCIPAL", "LAST USED")
	for _, hit := range hits {
		state := hit.Status.State
		switch {
		case hit.Outcome != "":
			state = hit.Outcome
		case f.revoke && !f.yes && opens(hit):
			state += ", would be revoked"
		}
		used := "-"
		if hit.Status.LastUsedAt != nil {
			used = hit.Status.LastUsedAt.UTC().Format(time.RFC3339)
		}
		rows.Row(fmt.Sprintf("%s:%d:%d", hit.File, hit.Line, hit.Column), hit.Redacted, state, hit.Status.Kind, hit.Status.ContextID,
			hit.Status.Name, hit.Status.PrincipalID, used)
	}
	return rows
}

// verdict returns an error when something found still opens something.
func (f leakedFlags) verdict(cmd *cobra.Command, hits []leakedKey) error {
	live := len(unique(hits, func(k leakedKey) bool { return opens(k) && k.Outcome != "revoked" && k.Outcome != "unknown" }))
	refused := len(unique(hits, func(k leakedKey) bool { return k.Outcome == "refused" }))
	switch {
	case refused > 0:
		return fmt.Errorf("found %s that must be replaced by hand (see --help)", count(refused, "management key"))
	case live > 0 && f.revoke:
		return &cli.AdvisedError{
			Err: fmt.Errorf("found %s and changed nothing", count(live, "live key")), Advice: []string{"add --yes to revoke what can be"},
		}
	case live > 0:
		return &cli.AdvisedError{
			Err: fmt.Errorf("found %s", count(live, "live key")), Advice: []string{"add --revoke --yes to revoke what can be"},
		}
	default:
		cmd.PrintErrf("found %s, and nothing that is live\n", count(len(hits), "place"))
		return nil
	}
}

// eachInput calls scan with everything that target means.
func eachInput(cmd *cobra.Command, target string, scan func(name string, r io.Reader) error) error {
	read := func(path string) error {
		return reading(cmd, path, func(r io.Reader) error {
			if err := scan(path, r); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
			return nil
		})
	}
	if target == "-" {
		return read(target)
	}
	info, err := os.Stat(target)
	switch {
	case err == nil && info.IsDir():
		return filepath.WalkDir(target, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() { // links may lead out of it, and around
				return err
			}
			return read(path)
		})
	case err == nil:
		return read(target)
	case apikey.Redact(target) == target:
		return fmt.Errorf("there is no file %q, and there is nothing in the argument that looks like a key", target)
	default:
		cmd.PrintErrln("a key in an argument is seen by every user of this machine and kept by the shell: prefer -, or a file")
		return scan("argument", strings.NewReader(target))
	}
}
