package scim

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"scimbridge/scim/accesstoken"
	"scimbridge/scim/directory"
)

// A Client is an identity platform that may read.
type Client struct {
	// Name is for logs and status, and keeps the client's imports apart from
	// others'. It is unique.
	Name string

	// Sources are the sources that the client sees; nil is all of them.
	Sources []string

	// Tokens are the SHA-256 sums of the bearer tokens that are good, several
	// for rotation.
	Tokens [][sha256.Size]byte

	// Basic is for platforms that know nothing better; nil is none.
	Basic *Basic

	// OAuth2 is for platforms that fetch short-lived tokens; nil is none.
	OAuth2 *OAuth2

	// JWT is for platforms that bring tokens of an authorization server of their
	// own; nil is none. A token that is right for several clients is that of the
	// first.
	JWT *accesstoken.Verifier

	// Allow are the addresses from which the client may come; nil is any.
	Allow []netip.Prefix

	// RequestsPerSecond bounds how fast the client may ask, on the average over
	// a few seconds; 0 is no bound.
	RequestsPerSecond float64
}

// Basic is a user name and password of HTTP Basic (RFC 7617). The password is
// a long random one, so that a plain hash hides it.
type Basic struct {
	Username string
	Password [sha256.Size]byte // SHA-256 of the password
}

// OAuth2 is a client of the client credentials grant (RFC 6749 §4.4), which is
// served at /oauth2/token, both at the root and below Config.BaseURL. The secret
// is a long random one, so that a plain hash hides it.
type OAuth2 struct {
	ClientID string
	Secret   [sha256.Size]byte // SHA-256 of the client secret
}

// A client is a Client in service.
type client struct {
	Client
	session *session
	scope   [sha256.Size]byte // of the name and of what the client sees
	basic   [sha256.Size]byte // of user name and password, where Basic is set
	oauth2  [sha256.Size]byte // of client id and secret, where OAuth2 is set

	shown atomic.Pointer[[]string] // sources of which Config.Shown has been told
}

// A guard knows who may read.
type guard struct {
	clients []*client
	bearer  bool // someone has a token
	basic   bool // someone has a password
	oauth2  bool // someone fetches tokens
	jwt     bool // someone brings tokens of another issuer
	tokens  *sealer
}

// newGuard takes the clients into service.
func newGuard(clients []Client, sessions *Sessions, key []byte) (*guard, error) {
	tokens, err := newSealer(key, "scim access token")
	if err != nil {
		return nil, err
	}
	g := &guard{tokens: tokens}
	for _, c := range clients {
		switch {
		case c.Name == "":
			return nil, fmt.Errorf("a client has no name")
		case slices.ContainsFunc(g.clients, func(o *client) bool { return o.Name == c.Name }):
			return nil, fmt.Errorf("client %s is there twice", c.Name)
		case c.Sources != nil && len(c.Sources) == 0:
			return nil, fmt.Errorf("client %s sees no source", c.Name)
		case len(c.Tokens) == 0 && c.Basic == nil && c.OAuth2 == nil && c.JWT == nil:
			return nil, fmt.Errorf("client %s has neither a token nor a password", c.Name)
		case c.OAuth2 != nil && c.OAuth2.ClientID == "":
			return nil, fmt.Errorf("client %s has an empty OAuth 2.0 client id", c.Name)
		case c.OAuth2 != nil && g.byClientID(c.OAuth2.ClientID) != nil:
			return nil, fmt.Errorf("client %s: the OAuth 2.0 client id %s is there twice", c.Name, c.OAuth2.ClientID)
		case c.RequestsPerSecond < 0:
			return nil, fmt.Errorf("client %s: requests per second must not be negative", c.Name)
		}
		if c.Sources != nil {
			c.Sources = slices.Compact(slices.Sorted(slices.Values(c.Sources)))
		}
		in := &client{Client: c, session: sessions.of(c.Name)}
		in.scope = sha256.Sum256(fmt.Appendf(nil, "%q %t %q", c.Name, c.Sources == nil, c.Sources))
		g.bearer = g.bearer || len(c.Tokens) > 0
		g.jwt = g.jwt || c.JWT != nil
		if c.Basic != nil {
			g.basic = true
			in.basic = pairSum(c.Basic.Username, c.Basic.Password)
		}
		if c.OAuth2 != nil {
			g.oauth2 = true
			in.oauth2 = pairSum(c.OAuth2.ClientID, c.OAuth2.Secret)
		}
		g.clients = append(g.clients, in)
	}
	return g, nil
}

// pairSum makes one sum of a name and the sum of the password or secret.
func pairSum(name string, secret [sha256.Size]byte) [sha256.Size]byte {
	sum := sha256.Sum256([]byte(name))
	return sha256.Sum256(append(sum[:], secret[:]...))
}

// admit finds out who asks and whether he may.
func (h *Handler) admit(x *exchange, public bool) *scimError {
	credentials := x.r.Header.Get("Authorization")
	if credentials == "" && public && h.cfg.PublicDiscovery {
		return nil
	}
	c, err := h.guard.identify(x.r.Context(), credentials)
	if c == nil {
		x.why = err
		return h.guard.unauthorized(credentials, err)
	}
	x.client = c
	if !c.allowed(x.r.RemoteAddr) {
		return newError(http.StatusForbidden, "", "this client may not connect from this address")
	}
	return c.session.limit(x.w.Header(), c.RequestsPerSecond)
}

// identify finds the client with these credentials, or nil, and why not where
// there is more to say of it. It compares sums, all of them, in constant time, so
// that nothing about a token leaks through timing.
func (g *guard) identify(ctx context.Context, credentials string) (*client, error) {
	scheme, rest, _ := strings.Cut(credentials, " ")
	rest = strings.TrimSpace(rest)
	var found *client
	switch {
	case rest == "":
	case strings.EqualFold(scheme, "Bearer"):
		sum := sha256.Sum256([]byte(rest))
		for _, c := range g.clients {
			for _, good := range c.Tokens {
				if subtle.ConstantTimeCompare(sum[:], good[:]) == 1 {
					found = c
				}
			}
		}
		if found == nil && g.oauth2 {
			found = g.bearerOf(rest, time.Now())
		}
		if found == nil && g.jwt {
			return g.issued(ctx, rest)
		}
	case strings.EqualFold(scheme, "Basic"):
		raw, err := base64.StdEncoding.DecodeString(rest)
		username, password, ok := strings.Cut(string(raw), ":")
		if err != nil || !ok {
			return nil, nil
		}
		sum := pairSum(username, sha256.Sum256([]byte(password)))
		for _, c := range g.clients {
			if c.Basic != nil && subtle.ConstantTimeCompare(sum[:], c.basic[:]) == 1 {
				found = c
			}
		}
	}
	return found, nil
}

// issued finds the client for a token of another issuer. Where it is none of
// anybody's the reason is that of the client it came closest to.
func (g *guard) issued(ctx context.Context, token string) (*client, error) {
	var why error
	for _, c := range g.clients {
		if c.JWT == nil {
			continue
		}
		err := c.JWT.Verify(ctx, token)
		switch {
		case err == nil:
			return c, nil
		case !errors.Is(err, accesstoken.ErrForeign):
			why = err
		}
	}
	return nil, why
}

// unauthorized is the answer to credentials that are not good (RFC 6750 §3,
// RFC 7617 §2). A token that can't be judged now may be good later: that is no
// fault of the client's.
func (g *guard) unauthorized(credentials string, why error) *scimError {
	if errors.Is(why, accesstoken.ErrUnavailable) {
		return newError(http.StatusServiceUnavailable, "", accesstoken.ErrUnavailable.Error()).with("Retry-After", "30")
	}
	detail, bearer := "credentials are missing: send Authorization: Bearer and the token", `Bearer realm="SCIM"`
	if credentials != "" {
		detail = "the credentials are not valid"
		bearer += `, error="invalid_token"`
	}
	if fault, ok := errors.AsType[accesstoken.Fault](why); ok {
		detail += ": " + fault.Error()
	}
	err := newError(http.StatusUnauthorized, "", detail).with("WWW-Authenticate", bearer)
	if g.basic {
		err.header.Add("WWW-Authenticate", `Basic realm="SCIM", charset="UTF-8"`)
	}
	return err
}

// allowed says whether the client may come from the address of a connection.
// An address that is none (a Unix socket's) is not on any list.
func (c *client) allowed(remote string) bool {
	if c.Allow == nil {
		return true
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := from.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(c.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// show notes that the client gets something of a view.
func (h *Handler) show(c *client, v *directory.View) {
	if h.cfg.Shown == nil {
		return
	}
	told := c.shown.Load()
	for source := range v.Sources {
		if told == nil || !slices.Contains(*told, source) {
			h.tellShown(c, v, told)
			return
		}
	}
}

// tellShown tells of a view's sources. Of two at the same time one may be told
// again.
func (h *Handler) tellShown(c *client, v *directory.View, told *[]string) {
	all := slices.Collect(v.Sources)
	if told != nil {
		all = slices.Compact(slices.Sorted(slices.Values(append(all, *told...))))
	}
	if h.cfg.Shown(c.Name, all) {
		c.shown.CompareAndSwap(told, &all)
	}
}

// view restricts a view to what the client sees. It is false where one of the
// client's sources has no part in the view: the rest alone would look as if all
// of that source's people had left.
func (c *client) view(v *directory.View) (*directory.View, bool) {
	if c.Sources == nil {
		return v, true
	}
	seen := v.Only(c.Sources...)
	return seen, len(seen.Snapshots()) == len(c.Sources)
}
