package scim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// tokenPath is where tokens are fetched: below every prefix, and at the root.
	tokenPath = "/oauth2/token"

	// tokenLife is how long an access token is good.
	tokenLife = time.Hour

	// maxTokenBody bounds a token request: a few short parameters.
	maxTokenBody = 16 << 10
)

// isTokenPath says whether a path is that of the token endpoint.
func (h *Handler) isTokenPath(path string) bool {
	if rest, ok := h.below(path); ok {
		path = rest
	}
	return strings.TrimSuffix(path, "/") == tokenPath
}

// An oauthError is an error of the token endpoint (RFC 6749 §5.2). It is no SCIM
// error: who fetches a token does not speak SCIM yet.
type oauthError struct {
	status      int
	code        string
	description string
}

func (e *oauthError) body() []byte {
	b, _ := json.Marshal(map[string]string{"error": e.code, "error_description": e.description}) // strings can't fail
	return b
}

func invalidRequest(description string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_request", description}
}

// token answers at the token endpoint: the client credentials grant of RFC 6749
// §4.4. A scope may be asked for and means nothing.
func (h *Handler) token(x *exchange) {
	x.route = tokenPath
	header := x.w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	c, err := h.grant(x)
	var body []byte
	status := http.StatusOK
	if err != nil {
		status, body, x.detail = err.status, err.body(), err.description
		if status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", `Basic realm="SCIM", charset="UTF-8"`)
		}
	} else {
		body = h.guard.newToken(c, time.Now())
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.begin(status)
	x.write(body)
}

// newToken makes the answer with a token. The token is sealed and names the
// client by the sum of its id and secret: it needs no place to be remembered in,
// and dies with the secret.
func (g *guard) newToken(c *client, now time.Time) []byte {
	plain := binary.AppendVarint(c.oauth2[:len(c.oauth2):len(c.oauth2)], now.Add(tokenLife).Unix())
	b, _ := json.Marshal(struct { // can't fail
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}{g.tokens.seal(plain), "Bearer", int(tokenLife.Seconds())})
	return b
}

// bearerOf finds the client that a token was made for, nil if it is none or too
// old.
func (g *guard) bearerOf(token string, now time.Time) *client {
	plain, ok := g.tokens.open(token)
	if !ok || len(plain) < sha256.Size {
		return nil
	}
	expires, n := binary.Varint(plain[sha256.Size:])
	if n <= 0 || now.Unix() >= expires {
		return nil
	}
	for _, c := range g.clients {
		if c.OAuth2 != nil && subtle.ConstantTimeCompare(plain[:sha256.Size], c.oauth2[:]) == 1 {
			return c
		}
	}
	return nil
}

// byClientID finds a client by its OAuth 2.0 client id.
func (g *guard) byClientID(id string) *client {
	for _, c := range g.clients {
		if c.OAuth2 != nil && c.OAuth2.ClientID == id {
			return c
		}
	}
	return nil
}

// grant finds the client that a token request comes from, if it may have one.
func (h *Handler) grant(x *exchange) (*client, *oauthError) {
	if x.r.Method != http.MethodPost {
		x.w.Header().Set("Allow", http.MethodPost)
		return nil, &oauthError{http.StatusMethodNotAllowed, "invalid_request", "a token is fetched by POST"}
	}
	form, err := tokenForm(x)
	if err != nil {
		return nil, err
	}
	ids, err := tokenCredentials(x.r.Header.Get("Authorization"), form)
	if err != nil {
		return nil, err
	}
	if wait := h.sessions.guesses.wait(x.r.RemoteAddr, ids[0].id, time.Now()); wait > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(wait))
		return nil, &oauthError{http.StatusTooManyRequests, "invalid_client", "too many wrong secrets; retry in " + strconv.Itoa(wait) + " s"}
	}
	c := h.guard.grantee(ids)
	if c == nil {
		h.sessions.guesses.note(x.r.RemoteAddr, ids[0].id, time.Now())
		return nil, &oauthError{http.StatusUnauthorized, "invalid_client", "the client id or the secret is wrong"}
	}
	x.client = c
	switch {
	case !c.allowed(x.r.RemoteAddr):
		return nil, &oauthError{http.StatusForbidden, "invalid_client", "this client may not connect from this address"}
	case form.Get("grant_type") == "":
		return nil, invalidRequest("grant_type is missing: send grant_type=client_credentials")
	case form.Get("grant_type") != "client_credentials":
		return nil, &oauthError{http.StatusBadRequest, "unsupported_grant_type", "the only grant type is client_credentials"}
	}
	if over := c.session.limit(x.w.Header(), c.RequestsPerSecond); over != nil {
		x.w.Header().Set("Retry-After", over.header.Get("Retry-After"))
		return nil, &oauthError{over.status, "invalid_request", over.detail}
	}
	return c, nil
}

// tokenForm reads the parameters of a token request, none of which may be given
// twice (RFC 6749 §3.2), nor in the URL, where secrets end up in logs.
func tokenForm(x *exchange) (url.Values, *oauthError) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("Content-Type must be application/x-www-form-urlencoded")
	}
	if x.r.URL.RawQuery != "" {
		return nil, invalidRequest("parameters belong into the body, not into the URL")
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxTokenBody))
	if err != nil {
		return nil, invalidRequest("the body broke off or is larger than 16 KiB")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("the body is not form-urlencoded")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, invalidRequest(shown(name) + " is given more than once")
		}
	}
	return form, nil
}

// An identity is what a client says it is.
type identity struct{ id, secret string }

// tokenCredentials reads the client's id and secret, sent by
// client_secret_basic or client_secret_post (RFC 6749 §2.3.1). The former wants
// both form-urlencoded before they are encoded again, which not all clients do:
// then there are two readings.
func tokenCredentials(authorization string, form url.Values) ([]identity, *oauthError) {
	posted := identity{form.Get("client_id"), form.Get("client_secret")}
	if authorization == "" {
		if posted.id == "" || posted.secret == "" {
			return nil, &oauthError{http.StatusUnauthorized, "invalid_client", "client_id and client_secret are missing"}
		}
		return []identity{posted}, nil
	}
	scheme, rest, _ := strings.Cut(authorization, " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	id, secret, ok := strings.Cut(string(raw), ":")
	if !strings.EqualFold(scheme, "Basic") || err != nil || !ok {
		return nil, &oauthError{http.StatusUnauthorized, "invalid_client", "the Authorization header is not HTTP Basic"}
	}
	ids := []identity{{id, secret}}
	plainID, err := url.QueryUnescape(id)
	plainSecret, err2 := url.QueryUnescape(secret)
	if decoded := (identity{plainID, plainSecret}); err == nil && err2 == nil && decoded != ids[0] {
		ids = append(ids, decoded)
	}
	switch {
	case posted.secret != "":
		return nil, invalidRequest("the client's secret is sent in two ways")
	case posted.id != "" && posted.id != id && posted.id != plainID:
		return nil, invalidRequest("client_id is not that of the Authorization header")
	}
	return ids, nil
}

// grantee finds the client that has one of the identities, or nil.
func (g *guard) grantee(ids []identity) (found *client) {
	for _, i := range ids {
		sum := pairSum(i.id, sha256.Sum256([]byte(i.secret)))
		for _, c := range g.clients {
			if c.OAuth2 != nil && subtle.ConstantTimeCompare(sum[:], c.oauth2[:]) == 1 {
				found = c
			}
		}
	}
	return found
}

const (
	// guessBurst wrong secrets may come at once from an address for a client id,
	// and one every guessEvery.
	guessBurst = 10
	guessEvery = 6 * time.Second
	// maxGuessers bounds who is told from others.
	maxGuessers = 4096
	// shared is the key of all beyond that.
	shared = ""
)

// guesses slows down who tries secrets. An address that has tried too many for a
// client id is told to wait before anything is compared; others are not held up.
// The zero guesses is ready.
type guesses struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// guesser names who tries: the address, of IPv6 the network, and the id tried.
func guesser(remote, id string) string {
	if from, err := netip.ParseAddrPort(remote); err == nil {
		addr := from.Addr().Unmap().WithZone("")
		remote = addr.String()
		if addr.Is6() {
			network, _ := addr.Prefix(64) // 64 is within 128
			remote = network.String()
		}
	}
	sum := sha256.Sum256([]byte(id))
	return remote + " " + string(sum[:])
}

// wait is for how many seconds the guesser is not listened to; 0 if at once.
func (g *guesses) wait(remote, id string, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.limiters[guesser(remote, id)]
	if l == nil {
		l = g.limiters[shared]
	}
	if l == nil || l.TokensAt(now) >= 1 {
		return 0
	}
	return int(guessEvery.Seconds())
}

// note counts a wrong secret.
func (g *guesses) note(remote, id string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := guesser(remote, id)
	if g.limiters == nil {
		g.limiters = make(map[string]*rate.Limiter)
	}
	if g.limiters[key] == nil && len(g.limiters) >= maxGuessers {
		key = shared
	}
	if g.limiters[key] == nil {
		g.limiters[key] = rate.NewLimiter(rate.Every(guessEvery), guessBurst)
	}
	g.limiters[key].AllowN(now, 1)
}

// sweep forgets those who have not tried for a while.
func (g *guesses) sweep(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, l := range g.limiters {
		if l.TokensAt(now) >= guessBurst {
			delete(g.limiters, key)
		}
	}
}
