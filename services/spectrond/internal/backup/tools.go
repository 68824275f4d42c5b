package backup

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
)

// Tools are the programs of Postgres that dump and restore. They get passwords by their environment, never as an argument.
type Tools struct {
	// Dump and Restore are the programs: names to be found on PATH, or paths. Restore, when it is empty, is looked for beside Dump.
	Dump, Restore string
	// Environ is what the programs get besides.
	Environ []string
}

// checkDump refuses a pg_dump that cannot dump the server, and returns its version.
func (t Tools) checkDump(ctx context.Context, connection string) (string, error) {
	return check(ctx, t.Dump, "--pg-dump or PG_DUMP", connection)
}

func (t Tools) checkRestore(ctx context.Context, connection string) (string, error) {
	return check(ctx, t.restore(), "--pg-restore or PG_RESTORE", connection)
}

// restore is the program that restores.
func (t Tools) restore() string {
	if t.Restore != "" || !strings.Contains(t.Dump, string(filepath.Separator)) {
		return cmp.Or(t.Restore, "pg_restore")
	}
	return filepath.Join(filepath.Dir(t.Dump), "pg_restore")
}

var versionPattern = regexp.MustCompile(`\) (\d+)(\.\d+)*`)

func check(ctx context.Context, program, setting, connection string) (version string, err error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("running %s: %w: install the client programs of Postgres (Debian: postgresql-client), or name one with %s",
			program, err, setting)
	}
	version = strings.TrimSpace(string(out))
	found := versionPattern.FindStringSubmatch(version)
	if found == nil {
		return "", fmt.Errorf("%s does not say its version as a program of Postgres does", program)
	}
	own, err := strconv.Atoi(found[1])
	if err != nil {
		return "", err
	}
	db, err := database.Open(ctx, connection, "")
	if err != nil {
		return "", err
	}
	server, err := database.ServerVersion(ctx, db)
	if err = errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	if own < server {
		return "", fmt.Errorf("%s is of version %d, and the server of version %d, which it cannot read: install the client programs of Postgres %d, and name theirs with %s",
			program, own, server, server, setting)
	}
	return version, nil
}

// dump writes both schemas, as they are in the snapshot, to path. What is not logged is left out: nobody holds a lease on a restored
// deployment. It is not compressed, because the archive is.
func (t Tools) dump(ctx context.Context, connection, snapshot, path string) error {
	args := []string{
		"--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-unlogged-table-data",
		"--snapshot=" + snapshot, "--file=" + path,
	}
	for _, plane := range migration.Planes() {
		args = append(args, "--schema="+string(plane))
	}
	return t.run(ctx, t.Dump, connection, args)
}

// load restores a dump in one transaction.
func (t Tools) load(ctx context.Context, connection, path string) error {
	return t.run(ctx, t.restore(), connection, []string{
		"--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", path,
	})
}

func (t Tools) run(ctx context.Context, program, connection string, args []string) error {
	target, secrets, err := withoutSecrets(connection)
	if err != nil {
		return err
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append(args, "--no-password", "--dbname="+target)...) //nolint:gosec // the operator names the program
	cmd.Env = append(slices.Clone(t.Environ), secrets...)
	cmd.Stderr = &complaints
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what runs on the server, too
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w: %s", filepath.Base(program), err, lastLines(complaints.String()))
	}
	return nil
}

// lastLines returns the end of what a program said, on one line.
func lastLines(text string) string {
	const most = 500
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = "… " + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}

// libpq are the parameters of a URL that the programs of Postgres know. Others are ours, or the driver's.
var libpq = []string{
	"host", "hostaddr", "port", "user", "dbname", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslsni", "connect_timeout",
	"target_session_attrs", "application_name", "keepalives", "keepalives_idle", "channel_binding", "gssencmode", "krbsrvname", "passfile",
	"options",
}

// withoutSecrets returns a connection string for an argument, and what must not stand there for the environment.
func withoutSecrets(connection string) (target string, environ []string, err error) {
	u, err := url.Parse(connection)
	if err != nil {
		return "", nil, errors.New("the connection string is not a URL: want postgres://user:password@host/name")
	}
	query := u.Query()
	password, given := "", false
	if u.User != nil {
		password, given = u.User.Password()
		u.User = url.User(u.User.Username())
	}
	if query.Has("password") {
		password, given = query.Get("password"), true
	}
	if given {
		environ = append(environ, "PGPASSWORD="+password)
	}
	if query.Has("sslpassword") {
		return "", nil, errors.New("sslpassword in the connection string is not supported: use a key file without a passphrase")
	}
	for name := range query {
		if !slices.Contains(libpq, name) {
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), environ, nil
}
