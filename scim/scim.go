// Package scim is the SCIM 2.0 endpoint: an http.Handler that answers the
// reading requests of RFC 7643, RFC 7644 and RFC 9865 from a [directory.View].
//
// It authenticates clients, routes, pages, filters, sorts, projects and
// describes itself. It never changes the directory, never talks to a source,
// and knows nothing of configuration files: the daemon fills a [Config], makes
// a [Handler] of it at every reload, and keeps one [Sessions] for all of them.
//
// A request reads one view, taken once at its start. Where a request continues
// an earlier one (the next page of an import), it reads the view of the first
// page, however often the directory has changed since.
package scim

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/elimity-com/scim/schema"
	"go.opentelemetry.io/otel/trace"

	"scimbridge/scim/directory"
)

// defaultBase is the path under which requests are always served, beside the
// path of Config.BaseURL.
const defaultBase = "/scim/v2"

// Config is what a Handler needs. It is not changed after New.
type Config struct {
	// BaseURL is the URL of the endpoint as clients know it, without a trailing
	// slash: https://host/scim/v2. Requests are served under its path and under
	// /scim/v2.
	BaseURL string

	// View gives the current view over all sources, or says why there is none
	// yet; the error's text goes to clients in a 503.
	View func() (*directory.View, error)

	// Ready says why the current view must not be read by a client that sees
	// the given sources, nil meaning all: somebody could be missing from it. Nil:
	// it may whenever there is one.
	Ready func(sources []string) error

	// ViewByID gives an earlier view by its ID while it is kept. Nil: earlier
	// views are had only while a session holds them.
	ViewByID func(id string) (*directory.View, bool)

	// Shown is told before a client gets its first user or group of a view with
	// the given sources, so that a later configuration can be kept from taking
	// them away unseen. It is told again after false: it could not be noted. Nil:
	// nobody wants to know.
	Shown func(client string, sources []string) bool

	// Schemas describe what is served: the core User and Group and their
	// extensions. An extension belongs to the type that its URN ends with.
	Schemas []schema.Schema

	// Extends says which type's resources have a schema, by URN, where the URN
	// does not end with the type's name.
	Extends map[string]directory.Type

	// Clients may read. With none, only public discovery is answered.
	Clients []Client

	// DefaultPageSize is the page size where a request has no count; 0 is 1000.
	DefaultPageSize int
	// MaxPageSize is the largest page; greater counts are clipped. 0 is 5000.
	MaxPageSize int

	// PublicDiscovery lets anyone read ServiceProviderConfig, ResourceTypes and
	// Schemas, as RFC 7644 §4 recommends.
	PublicDiscovery bool

	// IndexOnly switches cursor paging off: ServiceProviderConfig says nothing of
	// paging, and a request with a cursor is refused. Some clients can't read a
	// ServiceProviderConfig that knows RFC 9865.
	IndexOnly bool

	// DocumentationURI is named in ServiceProviderConfig; empty leaves it out.
	DocumentationURI string

	// Key seals cursors and the tokens given to OAuth2 clients. With the same key
	// they survive a restart; nil is a random one. It should hold 32 random
	// bytes.
	Key []byte

	// Sessions holds what outlives this Handler; nil starts afresh.
	Sessions *Sessions

	// Tracer makes a span of each request; nil: none.
	Tracer trace.Tracer

	// Log takes one line per request, and panics; nil discards.
	Log *slog.Logger
}

// withDefaults fills in what was left zero.
func (cfg Config) withDefaults() Config {
	if cfg.DefaultPageSize == 0 {
		cfg.DefaultPageSize = 1000
	}
	if cfg.MaxPageSize == 0 {
		cfg.MaxPageSize = 5000
	}
	if cfg.Ready == nil {
		cfg.Ready = func([]string) error { return nil }
	}
	if cfg.ViewByID == nil {
		cfg.ViewByID = func(string) (*directory.View, bool) { return nil, false }
	}
	if len(cfg.Key) == 0 {
		cfg.Key = make([]byte, 32)
		rand.Read(cfg.Key) // never fails
	}
	if cfg.Sessions == nil {
		cfg.Sessions = NewSessions()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// check says what is wrong with a config.
func (cfg Config) check() (*url.URL, error) {
	base, err := url.Parse(cfg.BaseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("parsing base URL: %w", err)
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, fmt.Errorf("base URL %q: want http:// or https:// and a host", cfg.BaseURL)
	case base.RawQuery != "" || base.Fragment != "" || base.User != nil || strings.HasSuffix(cfg.BaseURL, "/"):
		return nil, fmt.Errorf("base URL %q: want neither user, query, fragment nor trailing slash", cfg.BaseURL)
	case cfg.View == nil:
		return nil, fmt.Errorf("no view to serve")
	case cfg.DefaultPageSize < 0 || cfg.MaxPageSize < 0 || cfg.MaxPageSize > math.MaxInt32:
		return nil, fmt.Errorf("page sizes %d and %d: want positive ones", cfg.DefaultPageSize, cfg.MaxPageSize)
	case cfg.MaxPageSize > 0 && cfg.DefaultPageSize > cfg.MaxPageSize:
		return nil, fmt.Errorf("default page size %d is above the maximum %d", cfg.DefaultPageSize, cfg.MaxPageSize)
	}
	return base, nil
}

// A Handler serves the endpoint for one configuration. It is safe for
// concurrent use.
type Handler struct {
	cfg      Config
	prefixes []string // paths under which requests are served, without trailing slash, longest first
	routes   map[string]route
	guard    *guard
	attrs    *attributes
	shown    *projection // where the client asks for no attributes; nil: resources as they are
	cursors  *sealer
	docs     *discovery
	sessions *Sessions
	stamp    atomic.Pointer[stamp] // the last one made
}

// New makes a Handler, or says what is wrong with the config.
func New(cfg Config) (*Handler, error) {
	base, err := cfg.check()
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if cfg.DefaultPageSize > cfg.MaxPageSize {
		return nil, fmt.Errorf("default page size %d is above the maximum %d", cfg.DefaultPageSize, cfg.MaxPageSize)
	}
	h := &Handler{cfg: cfg, prefixes: prefixes(base.EscapedPath()), sessions: cfg.Sessions}
	if h.guard, err = newGuard(cfg.Clients, cfg.Sessions, cfg.Key); err != nil {
		return nil, err
	}
	if h.docs, err = newDiscovery(cfg, h.guard); err != nil {
		return nil, err
	}
	if h.cursors, err = newSealer(cfg.Key, "scim cursor"); err != nil {
		return nil, err
	}
	h.attrs = newAttributes(cfg.Schemas, cfg.Extends)
	if h.shown, err = h.byDefault(); err != nil {
		return nil, err
	}
	h.routes = h.table()
	return h, nil
}

// byDefault gives the projection of what is returned where nothing is asked for:
// all but the attributes that are returned on request only, or never.
func (h *Handler) byDefault() (*projection, error) {
	p, err := h.attrs.compileProjection([]directory.Type{directory.User, directory.Group}, nil, nil)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// prefixes gives the paths that requests may start with, the longer first so
// that one may lie inside the other.
func prefixes(base string) []string {
	base = strings.TrimRight(base, "/")
	switch {
	case base == defaultBase:
		return []string{defaultBase}
	case len(base) < len(defaultBase):
		return []string{defaultBase, base}
	}
	return []string{base, defaultBase}
}
