package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// sessionCookie holds the session of a browser that gave the token.
	sessionCookie = "scim-bridge-session"
	// sessionLife is how long it is good.
	sessionLife = 12 * time.Hour
	// maxSessions bounds them; the oldest goes first.
	maxSessions = 100
	// maxBody bounds what is read of a form.
	maxBody = 64 << 10
)

// contentPolicy lets the page use what comes with the program and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var (
	errToken = errors.New("the administrator's token is needed: Authorization: Bearer <content of admin.token_file>")
	// errEmbedded is told to nobody but a browser's console.
	errEmbedded = errors.New("another site's page asks for this; open the address itself")
	errHost     = errors.New("the listener does not answer to this host name: use localhost, an address, or the host of admin.public_url")
)

// protect lets in who may. Where there is a token it is asked for; where there
// is none, only the machine itself gets here, but so does a page of another site
// whose name was made to resolve to this machine (DNS rebinding): its browser
// gives that name as Host. The health checks tell nothing and are open.
func (h *handler) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		protective(header)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		want, needed := h.backend.AdminToken()
		switch {
		case embedded(r):
			problem(w, http.StatusForbidden, errEmbedded)
			return
		case open(r):
		case !needed && !h.ownHost(r.Host):
			problem(w, http.StatusMisdirectedRequest, errHost)
			return
		case needed && !h.sessions.good(r, want) && !bearer(r, want):
			if browser(r) && r.Method == http.MethodGet {
				h.loginPage(w, http.StatusUnauthorized, "")
				return
			}
			header.Set("WWW-Authenticate", `Bearer realm="scim-bridge admin"`)
			problem(w, http.StatusUnauthorized, errToken)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// protective sets the headers that keep a browser from doing with an answer what
// it is not for.
func protective(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
}

// open says whether anybody may make the request. Of the consent pages these are
// the ones that prove themselves by a secret in the address: Microsoft's
// redirect does not bring the session's cookie along.
func open(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/login", "/consent/callback":
		return true
	}
	for _, prefix := range []string{"/assets/", "/consent/outcome/", "/consent/ask/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return true
		}
	}
	return false
}

// embedded says whether a page of another site has the browser make the request
// on its own, as for an image: even a GET makes us ask Microsoft, or opens a
// consent. Links to us are followed, and what is no browser does not say.
func embedded(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" && r.URL.Path != "/healthz" && r.URL.Path != "/readyz"
}

// ownHost says whether a Host header names this machine in a way that no other
// site can bring about.
func (h *handler) ownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	// A client of the Unix socket has to give some name: ours does this one,
	// which no browser can reach.
	return strings.EqualFold(name, "localhost") || name == "scim-bridge" || name != "" && strings.EqualFold(name, h.backend.PublicHost())
}

// browser says whether a person is on the other side.
func browser(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func bearer(r *http.Request, want [sha256.Size]byte) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// sessions are the browsers that gave the token.
type sessions struct {
	guesses *rate.Limiter

	mu  sync.Mutex
	all map[[sha256.Size]byte]session // by the sum of the cookie's value
}

// A session ends with its time, or when the token changes.
type session struct {
	until time.Time
	token [sha256.Size]byte
}

func newSessions() sessions {
	return sessions{guesses: rate.NewLimiter(1, 5), all: make(map[[sha256.Size]byte]session)}
}

func (s *sessions) good(r *http.Request, want [sha256.Size]byte) bool {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.all[sha256.Sum256([]byte(cookie.Value))]
	return ok && in.token == want && time.Now().Before(in.until)
}

// begin starts a session and gives the cookie's value.
func (s *sessions) begin(token [sha256.Size]byte) string {
	value := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSessions {
		var oldest [sha256.Size]byte
		var first time.Time
		for sum, in := range s.all {
			if first.IsZero() || in.until.Before(first) {
				oldest, first = sum, in.until
			}
		}
		delete(s.all, oldest)
	}
	s.all[sha256.Sum256([]byte(value))] = session{until: time.Now().Add(sessionLife), token: token}
	return value
}

func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, sha256.Sum256([]byte(cookie.Value)))
	}
}

// login takes the token from a form.
func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	want, needed := h.backend.AdminToken()
	if !needed {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	got := sha256.Sum256([]byte(strings.TrimSpace(r.PostFormValue("token"))))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		h.log.Warn("wrong token on the status page", "from", r.RemoteAddr)
		if !h.sessions.guesses.Allow() {
			h.loginPage(w, http.StatusTooManyRequests, "Too many wrong tokens. Wait a few seconds.")
			return
		}
		h.loginPage(w, http.StatusUnauthorized, "That is not the token.")
		return
	}
	h.setCookie(w, r, h.sessions.begin(want), int(sessionLife.Seconds()))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (h *handler) logout(w http.ResponseWriter, r *http.Request) {
	h.sessions.end(r)
	h.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (h *handler) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}
