// Package spl is the spl face of the data plane on HTTP: service accounts and their tokens, and the records, threads,
// configuration and federation that these open, as api/spl.yaml describes them.
//
// It promises that a request is looked at in one order: its token, the scope of the route, the actor it claims, the permission
// rules, and only then its parameters and its body. Whatever is refused has told nothing about what comes later.
package spl

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/discovery"
	peers "github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
	"github.com/spectron-hq/spectron/services/verifier"
)

// Verifier tells what a token is worth.
type Verifier interface {
	// Check returns the caller that a token stands for; fault.Unauthenticated for every one that opens nothing, or
	// fault.AuthorityUnavailable when that cannot be known.
	Check(ctx context.Context, token string) (verifier.Verdict, error)
	// Recheck does so once more for a request that was let pass: it is no other use of the token. The target is empty.
	Recheck(ctx context.Context, token, target string) (verifier.Verdict, error)
}

// Accounts does what callers ask of service accounts, as those callers. Errors are the key manager's, meant for the caller;
// fault.AuthorityUnavailable when it cannot be reached.
type Accounts interface {
	Standing(ctx context.Context, contextID string) (introspection.Standing, error)
	FirstAccount(ctx context.Context, first introspection.FirstAccount) (introspection.IssuedAccount, error)
	ListAccounts(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]introspection.Account, error)
	GetAccount(ctx context.Context, who introspection.Identity, errand introspection.AccountErrand) (introspection.Account, error)
	CreateAccount(ctx context.Context, who introspection.Identity, draft introspection.AccountDraft) (introspection.IssuedAccount, error)
	EditAccount(ctx context.Context, who introspection.Identity, edit introspection.AccountEdit) (introspection.EditedAccount, error)
	RevokeAccount(ctx context.Context, who introspection.Identity, errand introspection.AccountErrand) (introspection.RevokedAccount, error)
	ListTokens(ctx context.Context, who introspection.Identity, errand introspection.TokenListErrand) ([]introspection.Token, error)
	MintToken(ctx context.Context, who introspection.Identity, draft introspection.TokenDraft) (introspection.IssuedToken, error)
	RotateTokens(ctx context.Context, who introspection.Identity, draft introspection.TokenDraft) (introspection.RotatedTokens, error)
	RevokeToken(ctx context.Context, who introspection.Identity, errand introspection.TokenErrand) (introspection.RevokedToken, error)
}

// Parts is what the face is made of.
type Parts struct {
	// Context is the context that the face is of, which its users call the namespace.
	Context  string
	Verifier Verifier
	Accounts Accounts
	// Rules are asked about every request behind the claim; nil allows everything.
	Rules Rules
	// Config is the configuration that users may change.
	Config Config

	Records *record.Service
	Threads *thread.Service

	// Federation shares records with other servers.
	Federation *peers.Service
	// Neighbours tells of the servers that were heard of on the local network; nil where nobody listens.
	Neighbours func() []discovery.Neighbour

	// Identity is who this server is to others; nil where it is nobody.
	Identity *identity.Identity
	// AuthenticationOff lets every request pass as the local operator, whose identity is Actor unless a request claims another.
	AuthenticationOff  bool
	Actor, DisplayName string
	// Origins are the pages that may call where nobody is asked for a token.
	Origins web.Origins
	// BootstrapClosed refuses the first account, too.
	BootstrapClosed bool
	// Version is what the manifest tells.
	Version string
	Now     func() time.Time
	Log     *slog.Logger
}

// DocumentPath is where the API document of the face is served, to everybody.
const DocumentPath = "/v1/openapi.json"

// Mount adds the routes of the face to engine.
func Mount(engine *gin.Engine, parts Parts) error {
	spec, err := GetSpec()
	if err != nil {
		return fmt.Errorf("loading the API document of the spl face: %w", err)
	}
	if err := web.Document(engine, DocumentPath, spec); err != nil {
		return err
	}
	server{Parts: parts}.mount(engine, spec)
	return nil
}

// server has one method per operation of the document.
type server struct{ Parts }
