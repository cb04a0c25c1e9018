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
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"scimbridge/cmd/internal/rehearse"
	"scimbridge/cmd/internal/words"
	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
)

// ErrNoSource is wrapped by errors about a source that there is not.
var ErrNoSource = errors.New("there is no source")

// A Backend is what the listener shows and acts upon: the daemon, or a test's
// own.
type Backend interface {
	Ready() error
	Status() Status
	AdminToken() (sum [sha256.Size]byte, needed bool)
	Reload(ctx context.Context) error
	Sync(ctx context.Context, source string, full bool) (Round, error)
	Approve(ctx context.Context, source string, round uint64, by string) (Round, error)
	Freeze(ctx context.Context, source, by string) error
	Unfreeze(ctx context.Context, source, by string) (Round, error)
	Generations
	Consents
	Narrowings

	// RehearseImport does what the platform would do, as the client of that name
	// (empty: one that sees everything), and names so many that it would not take
	// (0: all). One is done at a time.
	RehearseImport(ctx context.Context, platform, client string, limit int) (*rehearse.Report, error)

	// History gives a source's last rounds, the latest first.
	History(ctx context.Context, source string, limit int) ([]PastRound, error)
	// HeldChanges says what approving the held round would change, losses
	// first, up to limit; omitted is how many more there are.
	HeldChanges(ctx context.Context, source string, limit int) (changes []Change, omitted int, err error)
	// Lately says what the source's last generations changed, the latest first.
	Lately(ctx context.Context, source string, limit int) ([]Lately, error)
	// Lookup finds the users and groups with an id, user name, e-mail address
	// or display name.
	Lookup(ctx context.Context, text string) ([]Found, error)
	// Explain says why the users and groups that a text names are in the endpoint
	// or not, of one source or with an empty name of all. by is who asks.
	Explain(ctx context.Context, source, text, by string) ([]mirror.Explanation, error)
	// ConfigYAML is the configuration in force, without secrets.
	ConfigYAML() string
	// PublicHost is the host by which browsers may call the listener besides
	// localhost and addresses; empty: none.
	PublicHost() string
}

// A PastRound is a line of a source's history.
type PastRound struct {
	Round         uint64
	Started       time.Time
	Elapsed       time.Duration
	Outcome       string
	Full          bool
	Users, Groups int // served after it
	Changed       int // objects and memberships that the pull changed
	Pages         int
	Error, By     string
}

// A Change is what becomes of one user or group.
type Change struct {
	Kind, Type, ID, Name, Why string
	Attributes                []string // those that change, of one who stays
}

// Lately is what a generation changed against the one before.
type Lately struct {
	Generation    uint64
	Published     time.Time
	Users, Groups directory.Counts
	Changes       []Change // some of them, losses first
	Omitted       int      // how many more there are
}

// A Found is a user or group, as it is served and as Microsoft gave it.
type Found struct {
	Source, ID, Name string
	// State is served, inactive or absent; Why says what decided.
	State, Why string
	Rules      []ScopeRule // what the rules of the scope make of it
	// Changed is when what is served last changed, and Generation in which
	// generation, if that is still kept.
	Changed    time.Time
	Generation uint64
	Readers    []string // which client has read it since, in words
	// SCIM is empty where nothing is served, Graph where nothing is stored.
	SCIM, Graph string  // indented JSON
	Values      []Value // where each value that is served comes from
}

// A ScopeRule is what a rule of the scope makes of somebody.
type ScopeRule struct {
	Rule string // the setting
	In   bool
	Text string
}

// A Value is one value that is served, and the rule of the mapping that gave it.
type Value struct {
	Path, JSON string
	Rule       string // the Graph property, or the expression
	Origin     string // whose rule it is; empty: the default mapping's
	Problem    string // why the rule could not give it
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

	// ReloadHistory are the last reloads, the latest first.
	ReloadHistory []ReloadStatus `json:"reloadHistory,omitempty"`

	Sources  []SourceStatus `json:"sources"`
	Clients  []ClientStatus `json:"clients,omitempty"`
	Issuers  []IssuerStatus `json:"issuers,omitempty"`
	Endpoint EndpointStatus `json:"endpoint"`
	// DuplicateNames are the userNames with more than one owner; nil: there are
	// none.
	DuplicateNames *DuplicateNames    `json:"duplicateUserNames,omitempty"`
	Credentials    []CredentialStatus `json:"credentials,omitempty"`
}

// DuplicateNames are userNames with more than one owner.
type DuplicateNames struct {
	Total int               `json:"total"`
	Names []mirror.Namesake `json:"names"` // the first of them
}

// ReloadStatus is one reload.
type ReloadStatus struct {
	At      time.Time `json:"at"`
	Error   string    `json:"error,omitempty"` // empty: it was taken
	Changes string    `json:"changes,omitempty"`
}

// CredentialStatus is a credential whose end is known.
type CredentialStatus struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // certificate or client secret
	Expires time.Time `json:"expires"`
}

// IssuerStatus is how an issuer of clients' access tokens is.
type IssuerStatus struct {
	Issuer  string    `json:"issuer"`
	Keys    int       `json:"keys"` // that are good; 0: its tokens can't be judged
	Fetched time.Time `json:"fetched,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// EndpointStatus is what the SCIM listener did since the start.
type EndpointStatus struct {
	InFlight     int64          `json:"inFlight"`
	Connections  int            `json:"connections"`
	Responses    map[int]uint64 `json:"responses"`    // by HTTP status; 0: broken off
	AuthFailures uint64         `json:"authFailures"` // wrong credentials
	Overloaded   uint64         `json:"overloaded"`   // refused, since too much was asked at once
	Stalled      uint64         `json:"stalled"`      // connections cut, since the client did not read
	Dropped      uint64         `json:"dropped"`      // idle connections closed to make room
	Latency      Histogram      `json:"-"`
}

// A Histogram counts by upper bound, in seconds.
type Histogram struct {
	Count  uint64
	Sum    float64
	Within map[float64]uint64 // cumulative
}

// GraphStatus is what was asked of Microsoft since the source's configuration
// was taken.
type GraphStatus struct {
	Requests  map[string]uint64 `json:"requests"` // by kind of answer
	Retries   uint64            `json:"retries"`
	Throttled time.Duration     `json:"throttledNanoseconds"` // waited because Microsoft asked for it
	Pages     uint64            `json:"pages"`
	Bytes     uint64            `json:"bytes"`
	Units     uint64            `json:"resourceUnits"`
	Clock     time.Duration     `json:"clockOffsetNanoseconds"` // Microsoft's minus ours
	LastError string            `json:"lastError,omitempty"`
}

// StateLeft is the state of a source that left the file and is still served.
const StateLeft = "no longer in the file"

// SourceStatus is how a source is.
type SourceStatus struct {
	Name  string `json:"name"`
	State string `json:"state"`

	Users       int       `json:"users"`
	ActiveUsers int       `json:"activeUsers"`
	Groups      int       `json:"groups"`
	Generation  uint64    `json:"generation"`
	Published   time.Time `json:"published,omitzero"`

	ProgressUsers  int `json:"progressUsers,omitempty"`
	ProgressGroups int `json:"progressGroups,omitempty"`
	// Of a first import: how many are read per second, how many there are about
	// in all, and how long it will take. 0: not known.
	ProgressRate        float64       `json:"progressPerSecond,omitempty"`
	ProgressTotalUsers  int           `json:"progressTotalUsers,omitempty"`
	ProgressTotalGroups int           `json:"progressTotalGroups,omitempty"`
	ProgressLeft        time.Duration `json:"progressLeftNanoseconds,omitempty"`
	// Waiting says what is left out until it is consented to; empty: nothing.
	Waiting string `json:"waiting,omitempty"`
	// ConsentURL is where an administrator consents; empty: there is no page.
	ConsentURL string `json:"consentURL,omitempty"`

	Next        time.Time `json:"next,omitzero"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	FailedSince time.Time `json:"failedSince,omitzero"`
	Failures    int       `json:"failures,omitempty"`
	Error       string    `json:"error,omitempty"`

	RoundStarted time.Time         `json:"roundStarted,omitzero"`
	Rounds       map[string]uint64 `json:"rounds,omitempty"` // by outcome
	LastElapsed  time.Duration     `json:"lastElapsedNanoseconds,omitempty"`
	Drift        uint64            `json:"drift,omitempty"`
	// HiddenGroups counts the groups that hide their members from us, and
	// HiddenNames are the first of them.
	HiddenGroups int      `json:"hiddenGroups,omitempty"`
	HiddenNames  []string `json:"hiddenGroupNames,omitempty"`
	Broken       int      `json:"broken,omitempty"`   // objects of the last round not understood
	Problems     int      `json:"problems,omitempty"` // values of the last round not mapped
	// Aside is why properties that delta queries don't bring could not be read;
	// those of last time stay served.
	Aside string `json:"aside,omitempty"`
	// Mapping are the rules of the mapping that fail for somebody.
	Mapping []MappingProblem `json:"mapping,omitempty"`
	Graph   *GraphStatus     `json:"graph,omitempty"` // nil: it is not pulled

	// LeftOut counts who is in the tenant and not in the scope, by the rule that
	// leaves them out, at LeftOutAt.
	LeftOutUsers  map[string]int `json:"leftOutUsers,omitempty"`
	LeftOutGroups map[string]int `json:"leftOutGroups,omitempty"`
	LeftOutAt     time.Time      `json:"leftOutAt,omitzero"`
	// Filtered says by which filter users are read; nil: everybody is.
	Filtered *Filtered `json:"filtered,omitempty"`
	// LostGroups are the groups of users.member_of that the tenant does not have.
	LostGroups []string `json:"lostGroups,omitempty"`

	// Shared are the sources of which some ids are shown that this one has too.
	Shared []SharedIDs `json:"shared,omitempty"`

	HeldRound uint64    `json:"heldRound,omitempty"`
	HeldSince time.Time `json:"heldSince,omitzero"`
	Held      string    `json:"held,omitempty"` // why
	Frozen    time.Time `json:"frozen,omitzero"`
}

// LeftOut says how many are in the tenant and not in the scope, and by which
// rules: "9 users by users.where, 1 group by groups.exclude". Empty: nobody.
func (s *SourceStatus) LeftOut() string {
	var parts []string
	for _, kind := range []struct {
		noun string
		out  map[string]int
	}{{"user", s.LeftOutUsers}, {"group", s.LeftOutGroups}} {
		for _, rule := range slices.Sorted(maps.Keys(kind.out)) {
			parts = append(parts, words.Count(kind.out[rule], kind.noun)+" by "+rule)
		}
	}
	return strings.Join(parts, ", ")
}

// Filtered says by which filter users are read, and whom that leaves out.
type Filtered struct {
	Filter string `json:"filter"`
	// Unread of the tenant's Total users are not read, as of At; zero: that is not
	// known yet.
	Unread int       `json:"unread"`
	Total  int       `json:"total"`
	At     time.Time `json:"at,omitzero"`
}

// String gives both in one line.
func (f *Filtered) String() string {
	if f.At.IsZero() {
		return f.Filter + "; how many users that leaves unread is not known yet"
	}
	return fmt.Sprintf("%s; about %s of the tenant's %s are not read", f.Filter, words.Thousands(f.Unread), words.Count(f.Total, "user"))
}

// SharedIDs counts the users and groups of a source that another one has under the
// same ids, and of which they are shown.
type SharedIDs struct {
	ShownOf string `json:"shownOf"`
	Users   int    `json:"users"`
	Groups  int    `json:"groups"`
}

// String says what that means.
func (s SharedIDs) String() string {
	return fmt.Sprintf("%s and %s have the ids of others in source %s; who sees both sources gets each once, as %[3]s has it",
		words.Count(s.Users, "user"), words.Count(s.Groups, "group"), s.ShownOf)
}

// A MappingProblem is a rule of the mapping that fails for some of those who are
// served. It holds no value.
type MappingProblem struct {
	Type      string `json:"type"` // User or Group
	Attribute string `json:"attribute"`
	Count     int    `json:"count"` // for how many
	Kept      int    `json:"kept"`  // of them are served with the last good value
	Example   string `json:"example"`
	Reason    string `json:"reason"` // in the example
}

// String gives the problem in one line.
func (m MappingProblem) String() string {
	one := ""
	if m.Count != 1 {
		one = "s"
	}
	return fmt.Sprintf("%s fails for %d %s%s, %d of them with the last good value; such as %s: %s", m.Attribute, m.Count, strings.ToLower(m.Type), one, m.Kept, m.Example, m.Reason)
}

// ClientStatus is what a client did since the start.
type ClientStatus struct {
	Name        string    `json:"name"`
	Requests    uint64    `json:"requests"`
	Failures    uint64    `json:"failures"`
	LastRequest time.Time `json:"lastRequest,omitzero"`
	Agent       string    `json:"agent,omitempty"`
	// Held are the sources that the client is shown though its list no longer has
	// them, until that is approved.
	Held []HeldSource `json:"held,omitempty"`
	// Imports are the lists read page by page, the latest first.
	Imports []Import `json:"imports,omitempty"`
}

// An Import is a list that a client read page by page.
type Import struct {
	Endpoint    string    `json:"endpoint"`
	Kind        string    `json:"kind"`               // full, delta or filtered
	Filtered    bool      `json:"filtered,omitempty"` // a part of the list only
	ByCursor    bool      `json:"byCursor,omitempty"` // not by index
	Agent       string    `json:"agent,omitempty"`
	Started     time.Time `json:"started"`
	LastRequest time.Time `json:"lastRequest"`
	Pages       int       `json:"pages"`
	Resources   int       `json:"resources"`
	Total       int       `json:"total"`
	State       string    `json:"state"` // finished, under way, or broken off
	View        string    `json:"view"`

	// Of a full import that finished: how often the client has asked since for
	// what changed, how many resources that gave it, and when it last did.
	DeltaReads     int       `json:"deltaReads,omitempty"`
	DeltaResources int       `json:"deltaResources,omitempty"`
	LastDelta      time.Time `json:"lastDelta,omitzero"`
}

// Duration is how long the import took so far.
func (i Import) Duration() time.Duration { return i.LastRequest.Sub(i.Started) }

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
	backend  Backend
	log      *slog.Logger
	sessions sessions
	page     *template.Template
	consent  *consentPages
}

// New makes the listener's handler.
func New(cfg Config) http.Handler {
	h := &handler{backend: cfg.Backend, log: cfg.Log, sessions: newSessions(), page: pageTemplate()}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.health)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.Handle("GET /metrics", h.metrics())
	mux.HandleFunc("GET /{$}", h.home)
	mux.HandleFunc("GET /lookup", h.lookup)  // of ids, in links
	mux.HandleFunc("POST /lookup", h.lookup) // of names, which are not to stand in a URL
	mux.HandleFunc("GET /assets/{file}", asset)
	mux.HandleFunc("POST /login", h.login)
	mux.HandleFunc("POST /logout", h.logout)
	mux.HandleFunc("GET /api/v1/status", h.status)
	mux.HandleFunc("GET /api/v1/rehearse", h.rehearseImport)
	mux.HandleFunc("POST /api/v1/reload", h.reload)
	mux.HandleFunc("POST /api/v1/explain", h.explain)
	mux.HandleFunc("POST /api/v1/sources/{source}/sync", h.sync)
	mux.HandleFunc("POST /api/v1/sources/{source}/approve", h.approve)
	mux.HandleFunc("POST /api/v1/sources/{source}/freeze", h.freeze)
	mux.HandleFunc("POST /api/v1/sources/{source}/unfreeze", h.unfreeze)
	h.mountGenerations(mux)
	h.mountConsent(mux)
	h.mountNarrowings(mux)
	return h.protect(http.NewCrossOriginProtection().Handler(mux))
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
	err := h.backend.Reload(r.Context())
	switch {
	case browser(r):
		h.back(w, err)
	case err != nil:
		problem(w, http.StatusUnprocessableEntity, err)
	default:
		reply(w, http.StatusOK, Reloaded{Outcome: "reloaded", Held: h.heldNow()})
	}
}

// explain is a POST, so that nobody's name stands in a URL, and in a log of URLs.
func (h *handler) explain(w http.ResponseWriter, r *http.Request) {
	by := r.FormValue("by")
	if by == "" {
		by = "administrator at " + r.RemoteAddr
	}
	found, err := h.backend.Explain(r.Context(), r.FormValue("source"), r.FormValue("name"), by)
	answer(w, found, err)
}

func (h *handler) sync(w http.ResponseWriter, r *http.Request) {
	full := r.FormValue("full")
	h.act(w, r, func(ctx context.Context, source string) (Round, error) {
		return h.backend.Sync(ctx, source, full != "" && full != "0")
	})
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
	h.act(w, r, func(ctx context.Context, source string) (Round, error) {
		return h.backend.Approve(ctx, source, number, orderedBy(r))
	})
}

// orderedBy names who ordered something, for the record.
func orderedBy(r *http.Request) string {
	if by := r.FormValue("by"); by != "" {
		return by
	}
	return "administrator at " + r.RemoteAddr
}

func (h *handler) freeze(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(ctx context.Context, source string) (Round, error) {
		return Round{Outcome: "frozen"}, h.backend.Freeze(ctx, source, orderedBy(r))
	})
}

func (h *handler) unfreeze(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(ctx context.Context, source string) (Round, error) {
		return h.backend.Unfreeze(ctx, source, orderedBy(r))
	})
}

// act does something with the source that the path names and tells what became
// of it: a program by JSON, a browser by the page.
func (h *handler) act(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, source string) (Round, error)) {
	round, err := do(r.Context(), r.PathValue("source"))
	if browser(r) {
		h.back(w, err)
		return
	}
	answer(w, round, err)
}

// refusal is the status with which an error is told.
func refusal(err error) int {
	if errors.Is(err, ErrNoSource) || errors.Is(err, ErrNoClient) {
		return http.StatusNotFound
	}
	return http.StatusConflict
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
