// Package admin is the administrator's listener: health and readiness, the
// status as a page and as JSON, metrics, and the few actions that need a
// person. It is not for identity platforms and shares nothing with the SCIM
// endpoint.
//
// Actions are POSTs, and refused when a browser sends them from another site.
// Where the listener can be reached from elsewhere a token is asked for.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scimbridge/scim/directory"
)

// ErrNoSource is wrapped by errors about a source that there is not.
var ErrNoSource = errors.New("unknown source")

// A Backend is what the listener shows and acts upon: the daemon, or a test's
// own.
type Backend interface {
	Ready() error
	Status() Status
	AdminToken() (sum [sha256.Size]byte, needed bool)
	Reload(ctx context.Context) error
	Sync(ctx context.Context, source string, full bool) (Round, error)
	Approve(ctx context.Context, source string, round uint64, by string) (Round, error)
	Freeze(ctx context.Context, source string) error
	Unfreeze(ctx context.Context, source string) (Round, error)
}

// Status is how everything is. It is also what GET /api/v1/status gives.
type Status struct {
	Version   string    `json:"version"`
	Now       time.Time `json:"now"`
	Started   time.Time `json:"started"`
	PublicURL string    `json:"publicURL"`
	// NotReady says why the endpoint can't serve everybody; empty: it can.
	NotReady string `json:"notReady,omitempty"`

	ConfigFile    string    `json:"configFile"`
	ConfigLoaded  time.Time `json:"configLoaded"`
	ConfigError   string    `json:"configError,omitempty"` // why a later one was not taken
	ConfigFailed  time.Time `json:"configFailed,omitzero"`
	Reloads       uint64    `json:"reloads"`
	FailedReloads uint64    `json:"failedReloads"`

	Sources []SourceStatus `json:"sources"`
	Clients []ClientStatus `json:"clients,omitempty"`
}

// SourceStatus is how a source is.
type SourceStatus struct {
	Name  string `json:"name"`
	State string `json:"state"`

	Users       int       `json:"users"`
	ActiveUsers int       `json:"activeUsers"`
	Groups      int       `json:"groups"`
	Generation  uint64    `json:"generation"`
	Published   time.Time `json:"published,omitzero"`

	ProgressUsers  int       `json:"progressUsers,omitempty"`
	ProgressGroups int       `json:"progressGroups,omitempty"`
	Next           time.Time `json:"next,omitzero"`
	LastSuccess    time.Time `json:"lastSuccess,omitzero"`
	FailedSince    time.Time `json:"failedSince,omitzero"`
	Failures       int       `json:"failures,omitempty"`
	Error          string    `json:"error,omitempty"`

	HeldRound uint64    `json:"heldRound,omitempty"`
	HeldSince time.Time `json:"heldSince,omitzero"`
	Held      string    `json:"held,omitempty"` // why
	Frozen    time.Time `json:"frozen,omitzero"`
}

// ClientStatus is what a client did since the start.
type ClientStatus struct {
	Name        string    `json:"name"`
	Requests    uint64    `json:"requests"`
	Failures    uint64    `json:"failures"`
	LastRequest time.Time `json:"lastRequest,omitzero"`
	Agent       string    `json:"agent,omitempty"`
}

// A Round is what a round did.
type Round struct {
	Round   uint64            `json:"round,omitempty"`
	Outcome string            `json:"outcome"`
	Full    bool              `json:"full,omitempty"`
	Pages   int               `json:"pages,omitempty"`
	Started time.Time         `json:"started,omitzero"`
	Elapsed time.Duration     `json:"elapsedNanoseconds,omitempty"`
	Users   *directory.Counts `json:"users,omitempty"`
	Groups  *directory.Counts `json:"groups,omitempty"`
	Why     string            `json:"why,omitempty"` // it is held
	Error   string            `json:"error,omitempty"`
}

// Config is what the listener needs.
type Config struct {
	Backend Backend
	Log     *slog.Logger
}

type handler struct {
	backend Backend
	log     *slog.Logger
}

// New makes the listener's handler.
func New(cfg Config) http.Handler {
	h := &handler{backend: cfg.Backend, log: cfg.Log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.health)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /api/v1/status", h.status)
	mux.HandleFunc("POST /api/v1/reload", h.reload)
	mux.HandleFunc("POST /api/v1/sources/{source}/sync", h.sync)
	mux.HandleFunc("POST /api/v1/sources/{source}/approve", h.approve)
	mux.HandleFunc("POST /api/v1/sources/{source}/freeze", h.freeze)
	mux.HandleFunc("POST /api/v1/sources/{source}/unfreeze", h.unfreeze)
	return h.protect(http.NewCrossOriginProtection().Handler(mux))
}

// protect asks for the token, but for the health checks, which tell nothing.
func (h *handler) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		want, needed := h.backend.AdminToken()
		if needed && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			got := sha256.Sum256([]byte(token))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				header.Set("WWW-Authenticate", `Bearer realm="scim-bridge admin"`)
				problem(w, http.StatusUnauthorized, errors.New("the administrator's token is needed: Authorization: Bearer <content of admin.token_file>"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.backend.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (h *handler) status(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, h.backend.Status())
}

func (h *handler) reload(w http.ResponseWriter, r *http.Request) {
	if err := h.backend.Reload(r.Context()); err != nil {
		problem(w, http.StatusUnprocessableEntity, err)
		return
	}
	reply(w, http.StatusOK, map[string]string{"outcome": "reloaded"})
}

func (h *handler) sync(w http.ResponseWriter, r *http.Request) {
	full := r.FormValue("full")
	round, err := h.backend.Sync(r.Context(), r.PathValue("source"), full != "" && full != "0")
	h.round(w, round, err)
}

func (h *handler) approve(w http.ResponseWriter, r *http.Request) {
	var number uint64
	if text := r.FormValue("round"); text != "" {
		var err error
		if number, err = strconv.ParseUint(text, 10, 64); err != nil {
			problem(w, http.StatusBadRequest, fmt.Errorf("round %q is no number", text))
			return
		}
	}
	by := r.FormValue("by")
	if by == "" {
		by = "administrator at " + r.RemoteAddr
	}
	round, err := h.backend.Approve(r.Context(), r.PathValue("source"), number, by)
	h.round(w, round, err)
}

func (h *handler) freeze(w http.ResponseWriter, r *http.Request) {
	h.round(w, Round{Outcome: "frozen"}, h.backend.Freeze(r.Context(), r.PathValue("source")))
}

func (h *handler) unfreeze(w http.ResponseWriter, r *http.Request) {
	round, err := h.backend.Unfreeze(r.Context(), r.PathValue("source"))
	h.round(w, round, err)
}

func (h *handler) round(w http.ResponseWriter, round Round, err error) {
	switch {
	case errors.Is(err, ErrNoSource):
		problem(w, http.StatusNotFound, err)
	case err != nil:
		problem(w, http.StatusConflict, err)
	default:
		reply(w, http.StatusOK, round)
	}
}

func problem(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	// The client may have gone; there is nobody left to tell.
	_ = enc.Encode(body)
}
