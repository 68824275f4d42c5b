package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

const (
	// pulled is how many records are asked for at once.
	pulled = 200
	// maxAnswer is the most bytes of an answer that are read: more than a peer of this kind ever sends.
	maxAnswer = 16 << 20
	// maxSmall is that of every other answer.
	maxSmall = 64 << 10
	// answerTime is what a peer has for an answer beyond the time that it is asked to wait.
	answerTime = 15 * time.Second
)

// failure is why a peer's answer is no good. It holds no secret: it is told to people.
type failure struct {
	reason string
	// refused counts the records that were no good.
	refused int
	// strayed says that the peer does not know its own cursor any more.
	strayed bool
}

func (f *failure) Error() string { return f.reason }

func failed(format string, args ...any) *failure {
	return &failure{reason: fmt.Sprintf(format, args...)}
}

// network is how peers are reached.
func network() http.RoundTripper {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns:        MaxPairs,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// newClient returns what talks to peers. It goes nowhere but where it is sent: a redirect would carry the token elsewhere.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// wireChange is a change as a peer sends it.
type wireChange struct {
	ID     string `json:"id"`
	Record struct {
		record.Content
		JudgedBy string `json:"judged_by"`
	} `json:"record"`
	Sig    string `json:"sig"`
	Signer string `json:"signer"`
}

// wireFeed is a feed as a peer sends it.
type wireFeed struct {
	Records []wireChange `json:"records"`
	Next    *string      `json:"next_cursor"`
	More    bool         `json:"has_more"`
}

// ask asks the peer of a claim for what has arrived there, and has it wait for something.
func (s *Service) ask(ctx context.Context, claim Claim, token settings.Secret) (wireFeed, error) {
	query := url.Values{
		"thread": {claim.Thread}, "limit": {strconv.Itoa(pulled)},
		"feed": {"longpoll"}, "timeout_ms": {strconv.FormatInt(s.Timing.Wait.Milliseconds(), 10)},
	}
	if claim.Cursor != "" {
		query.Set("since", claim.Cursor)
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token.Reveal())
	}
	if claim.PeerActor != "" {
		header.Set("X-Syncropel-Actor", claim.PeerActor)
	}
	var feed wireFeed
	ctx, cancel := context.WithTimeout(ctx, s.Timing.Wait+answerTime)
	defer cancel()
	err := s.get(ctx, claim.PeerURL+"/v1/sync/changes?"+query.Encode(), header, maxAnswer, &feed)
	if err == nil && feed.Next == nil {
		err = failed("the peer's answer is no feed of changes")
	}
	return feed, err
}

// get reads JSON. Its errors are failures.
func (s *Service) get(ctx context.Context, address string, header http.Header, limit int64, out any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return failed("the peer's address is no good")
	}
	request.Header = header
	request.Header.Set("Accept", "application/json")
	response, err := s.peers.Do(request)
	if err != nil {
		return failed("the peer cannot be reached: %s", plain(err))
	}
	defer func() { _ = response.Body.Close() }()
	body := &io.LimitedReader{R: response.Body, N: limit}
	if response.StatusCode != http.StatusOK {
		return refusal(response, body)
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		if body.N <= 0 {
			return failed("the peer's answer is larger than %d bytes", limit)
		}
		if network := net.Error(nil); errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
			return failed("the peer's answer broke off")
		}
		return failed("the peer's answer is not what it should be")
	}
	_, _ = io.Copy(io.Discard, body) // so that the connection can be used again
	return nil
}

// plain returns what is wrong with the network, without the address of the request.
func plain(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer in time"
	}
	return strings.ToValidUTF8(err.Error(), "")
}

// codeForm is what the code of a problem looks like: of what a peer writes nothing else is told.
var codeForm = regexp.MustCompile(`^[A-Z][A-Z_]{0,39}$`)

// refusal says why a peer did not answer what it was asked.
func refusal(response *http.Response, body io.Reader) error {
	status := response.StatusCode
	if status >= http.StatusMultipleChoices && status < http.StatusBadRequest {
		return failed("the peer redirects (%d), which is not followed: pair with the address where it is", status)
	}
	var problem struct {
		Code string `json:"code"`
	}
	text := strconv.Itoa(status)
	if json.NewDecoder(io.LimitReader(body, maxSmall)).Decode(&problem) == nil && codeForm.MatchString(problem.Code) {
		text += " " + problem.Code
	}
	switch status {
	case http.StatusUnauthorized:
		return failed("the peer refuses the token: %s", text)
	case http.StatusBadRequest:
		f := failed("the peer refuses the question: %s", text)
		f.strayed = problem.Code == record.CodeCursor
		return f
	default:
		return failed("the peer refuses: %s", text)
	}
}

// manifest is what a server tells of itself to everybody.
type manifest struct {
	Federation *struct {
		DID string `json:"did"`
	} `json:"federation_manifest"`
}

// probe says what is odd about a peer, if anything is.
func (s *Service) probe(ctx context.Context, address, did string) string {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var told manifest
	err := s.get(ctx, address+"/.well-known/syncropel", http.Header{}, maxSmall, &told)
	switch {
	case err != nil:
		return err.Error() + "; it will be tried again"
	case told.Federation == nil || told.Federation.DID == "":
		return "the peer does not say who it is"
	case told.Federation.DID != did && strings.HasPrefix(told.Federation.DID, "did:") && len(told.Federation.DID) <= maxDID:
		return "the peer says that it is " + strconv.QuoteToASCII(told.Federation.DID)
	case told.Federation.DID != did:
		return "the peer says that it is somebody else"
	default:
		return ""
	}
}
