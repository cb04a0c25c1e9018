package graph

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxErrorBody is how much of an answer that is an error is read.
const maxErrorBody = 64 << 10

// origin says where the URL of a request comes from; the same refusal means
// different things on each.
type origin uint8

const (
	initial   origin = iota // our own
	delta                   // a stored cursor
	following               // a nextLink of the running round
)

// buffer is a body that may be read again and again.
type buffer = bytes.Buffer

// minimalMetadata asks for JSON with what tells kinds of objects apart, and no more
// (docs.oasis-open.org/odata, JSON format 3.1).
const minimalMetadata = "application/json;odata.metadata=minimal"

// call is one request to Graph, which may take several tries.
type call struct {
	what   string // for people: "users/delta"
	url    string
	accept string
	header http.Header // further ones
	needs  string      // the permission that it takes
	from   origin
	body   *buffer
	decode func(body []byte) error // an error of errMalformed is worth another try
}

// do makes a call, with as many tries as it takes and as are allowed.
func (c *Client) do(ctx context.Context, cl *call) error {
	renewed := false
	return c.persist(ctx, "reading "+cl.what, func(ctx context.Context) *setback {
		if s := c.admit(ctx); s != nil {
			return s
		}
		tok, err := c.tokens.get(ctx)
		if err != nil {
			return &setback{err: err} // it has had its own tries
		}
		s := c.try(ctx, cl, tok)
		if refusedToken(s) {
			// The token may have been revoked or have outlived our clock: one
			// fresh one, then it is a real refusal.
			c.tokens.discard(tok)
			s.atOnce, renewed = !renewed, true
		}
		if missesRole(s) {
			// What was granted since is in a later token only.
			c.tokens.discard(tok)
		}
		if s != nil && s.throttled {
			c.gate.hold(max(s.after, c.retry.Base))
		}
		return s
	})
}

func refusedToken(s *setback) bool {
	var e *Error
	return s != nil && errors.As(s.err, &e) && e.Status == http.StatusUnauthorized
}

func missesRole(s *setback) bool {
	var e *Error
	return s != nil && errors.As(s.err, &e) && e.Status == http.StatusForbidden && strings.EqualFold(e.Code, "Authorization_RequestDenied")
}

// errSlow is why a try was broken off.
var errSlow = errors.New("no complete answer in time")

// try makes one request and reads its answer.
func (c *Client) try(ctx context.Context, cl *call, tok *token) *setback {
	attempt, cancel := context.WithTimeout(ctx, c.retry.Attempt)
	defer cancel()
	id := newGUID()
	req, err := c.request(attempt, cl, tok, id)
	if err != nil {
		return &setback{err: fmt.Errorf("%w: making the request: %w", ErrProtocol, err)}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.tally.noAnswer()
		return c.unreachable(ctx, attempt, c.graph.Host, err)
	}
	defer resp.Body.Close()
	c.tally.answer(resp)
	c.heed(resp)
	if resp.StatusCode != http.StatusOK {
		e := readError(resp, cl, id)
		c.log.Debug("request refused", "request", cl.what, "status", e.Status, "code", e.Code,
			"request-id", e.RequestID, "client-request-id", id, "throttle-scope", e.ThrottleScope,
			"throttle-information", resp.Header.Get("x-ms-throttle-information"))
		return e.setback()
	}
	return c.receive(ctx, attempt, cl, resp)
}

func (c *Client) request(ctx context.Context, cl *call, tok *token, id string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cl.url, nil)
	if err != nil {
		return nil, errors.New("the URL cannot be used") // the error would quote it
	}
	for name, values := range cl.header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+tok.value)
	req.Header.Set("Accept", cl.accept)
	req.Header.Set("User-Agent", c.userAgent())
	req.Header.Set("client-request-id", id)
	req.Header.Set("x-ms-throttle-priority", "low") // a background job: others first
	return req, nil
}

func (c *Client) userAgent() string {
	if c.cfg.Version == "" {
		return "scim-bridge"
	}
	return "scim-bridge/" + c.cfg.Version
}

// receive reads and decodes the body of a good answer. It is read as a whole
// before anything of it is believed.
func (c *Client) receive(ctx, attempt context.Context, cl *call, resp *http.Response) *setback {
	cl.body.Reset()
	n, err := cl.body.ReadFrom(io.LimitReader(resp.Body, c.cfg.MaxBody+1))
	c.tally.received(n)
	if err != nil {
		return c.unreachable(ctx, attempt, c.graph.Host, fmt.Errorf("reading the answer: %w", err))
	}
	if n > c.cfg.MaxBody {
		return &setback{err: fmt.Errorf("%w: the answer is larger than %d bytes", ErrProtocol, c.cfg.MaxBody)}
	}
	if err := cl.decode(cl.body.Bytes()); err != nil {
		if errors.Is(err, errMalformed) {
			return &setback{err: fmt.Errorf("%w: %w", ErrUnavailable, err), temporary: true}
		}
		return &setback{err: fmt.Errorf("%w: %w", ErrProtocol, err)}
	}
	return nil
}

// unreachable is a request that got no whole answer.
func (c *Client) unreachable(ctx, attempt context.Context, host string, err error) *setback {
	if ctx.Err() != nil {
		return &setback{err: ctx.Err()}
	}
	if attempt.Err() != nil {
		err = fmt.Errorf("%w (%s)", errSlow, c.retry.Attempt)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, whose query is a token of its own kind
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = errSlow // of the HTTP client's own making: the caller's ctx lives
	}
	var untrusted *tls.CertificateVerificationError
	return &setback{
		err:       fmt.Errorf("%w: reaching %s: %w", ErrUnavailable, host, err),
		temporary: !errors.As(err, &untrusted), // a wrong certificate does not become right
	}
}

// heed slows all requests down when an answer says that a limit is near, so that
// it is not met: a refused request counts as well, and others share the limit.
func (c *Client) heed(resp *http.Response) {
	wait := max(limitNear(resp.Header), rateLimited(resp.Header, time.Now()))
	if wait == 0 {
		return
	}
	c.log.Debug("near the throttling limit", "wait", wait, "percentage", resp.Header.Get(limitPercentage),
		"remaining", resp.Header.Get("RateLimit-Remaining"))
	c.tally.update(func(s *Status) { s.Slowed++ })
	c.gate.hold(wait)
}

// newGUID gives a random GUID (RFC 9562 §5.4).
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
