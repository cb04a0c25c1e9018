package graph

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// Config says which tenant a [Client] reads, and how.
type Config struct {
	// GraphURL and LoginURL are the bases without a trailing slash, for example
	// https://graph.microsoft.com and https://login.microsoftonline.com. The
	// access token is sent to URLs under GraphURL only, the credential to URLs
	// under LoginURL only.
	GraphURL, LoginURL string

	// TenantID is the tenant's GUID or one of its domain names. A
	// [ManagedIdentity] needs neither it nor ClientID.
	TenantID string

	// ClientID is the application (client) id of the app registration.
	ClientID string

	// Credential proves that it is this application that asks.
	Credential Credential

	// Select has the exact $select list of each kind, without id, manager and
	// members, which come anyway. A property that Graph does not know makes it
	// refuse the round.
	Select map[Kind][]string

	// RootCAs are the authorities that may have signed the certificates of
	// GraphURL and LoginURL; nil means those of the system. Only used without
	// HTTPClient.
	RootCAs *x509.CertPool

	// HTTPClient makes all requests; nil means one with sensible limits and the
	// proxy of the environment ([NewTransport]). Its CheckRedirect and Jar are not used, since
	// redirects are never followed. A Timeout on it bounds each request.
	HTTPClient *http.Client

	// Log gets retries, throttling and broken objects. nil: nothing is logged.
	// No token and no personal data goes there.
	Log *slog.Logger

	// Tracer makes a span of each request; nil: none.
	Tracer trace.Tracer

	// Version is our own version for the User-Agent: scim-bridge/<version>.
	Version string

	// RequestsPerSecond is the budget of requests to Graph, retries included;
	// 0 means no limit but Graph's own.
	RequestsPerSecond float64

	// Retry bounds retries and waits. Zero fields mean the defaults.
	Retry Retry

	// MaxPages is how many pages one round may have, 0 meaning 100,000 (some 20
	// million users). A round that goes on beyond fails with [ErrProtocol].
	MaxPages int

	// MaxBody is how large the body of an answer may be after decompression, in
	// bytes; 0 means 64 MiB. A larger one fails with [ErrProtocol].
	MaxBody int64
}

// Client reads one tenant. It is safe for concurrent use: users and groups may
// be read side by side, and share token, budget and throttling.
type Client struct {
	cfg     Config
	retry   Retry
	http    *http.Client
	graph   *url.URL
	log     *slog.Logger
	names   map[string]string // property names and member types, for decodePage
	limiter *rate.Limiter     // nil: none
	tokens  *tokens
	gate    gate
	tally   tally
}

// New checks the configuration and makes a client of it. Nothing is sent yet:
// the first request for data also asks for the first token.
func New(cfg Config) (*Client, error) {
	graph, graphErr := base("graph url", cfg.GraphURL)
	login, loginErr := base("login url", cfg.LoginURL)
	if err := errors.Join(graphErr, loginErr, cfg.check()); err != nil {
		return nil, fmt.Errorf("configuring the Graph client: %w", err)
	}
	cfg.MaxPages = cmp.Or(cfg.MaxPages, 100_000)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 64<<20)
	cfg.GraphURL = strings.TrimSuffix(cfg.GraphURL, "/")
	c := &Client{
		cfg:   cfg,
		retry: cfg.Retry.withDefaults(),
		http:  strict(cfg.HTTPClient, cfg.RootCAs),
		graph: graph,
		log:   cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		names: knownNames(cfg.Select),
	}
	if cfg.Tracer != nil {
		c.http.Transport = traced{cmp.Or(c.http.Transport, http.DefaultTransport), cfg.Tracer}
	}
	if rps := cfg.RequestsPerSecond; rps > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(rps), max(1, int(rps)))
	}
	c.tokens = &tokens{fetch: c.login(login)}
	return c, nil
}

// base parses a base URL.
func base(what, raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(raw, "/"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: it is not a URL", what)
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, fmt.Errorf("%s %q: expected https://host", what, raw)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, fmt.Errorf("%s: expected scheme, host and path only", what)
	}
	return u, nil
}

func (cfg *Config) check() error {
	var faults []error
	fault := func(bad bool, what string) {
		if bad {
			faults = append(faults, errors.New(what))
		}
	}
	_, platform := cfg.Credential.(ManagedIdentity) // it knows both ids itself
	fault(cfg.TenantID == "" && !platform, "the tenant id is missing")
	fault(!madeOf(cfg.TenantID, "-."), "the tenant id is neither a GUID nor a domain name")
	fault(cfg.ClientID == "" && !platform, "the client id is missing")
	fault(cfg.Credential == nil, "the credential is missing")
	fault(!madeOf(cfg.Version, "-.+_~"), "the version has characters that a header cannot carry")
	fault(cfg.RequestsPerSecond < 0, "requests per second is negative")
	for kind, names := range cfg.Select {
		fault(kind >= numKinds, fmt.Sprintf("select: there is no collection %v", kind))
		for _, name := range names {
			fault(name == "" || !madeOf(name, "_"), fmt.Sprintf("select for %v: %q is not a property name", kind, name))
		}
	}
	return errors.Join(faults...)
}

// madeOf tells whether s has only ASCII letters, digits and characters of others.
func madeOf(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !isDigit(c) && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// firstURL is where a full read of the kind begins.
func (c *Client) firstURL(kind Kind) string {
	names := make([]string, 0, len(c.cfg.Select[kind])+1)
	for _, name := range append(slices.Clone(c.cfg.Select[kind]), kind.relation()) {
		if name != "id" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return fmt.Sprintf("%s/v1.0/%s/delta?$select=%s", c.cfg.GraphURL, kind, strings.Join(names, ","))
}

// knownNames has the strings that pages repeat for each object.
func knownNames(lists map[Kind][]string) map[string]string {
	names := map[string]string{}
	for _, list := range lists {
		for _, name := range list {
			names[name] = name
		}
	}
	for _, name := range []string{"user", "group", "device", "servicePrincipal", "orgContact"} {
		names[name] = name
	}
	return names
}

// strict gives an HTTP client that neither follows redirects, which could carry
// a token elsewhere, nor keeps cookies.
func strict(given *http.Client, roots *x509.CertPool) *http.Client {
	h := http.Client{Transport: NewTransport(roots)}
	if given != nil {
		h = *given
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Jar = nil
	return &h
}

// NewTransport is what a [Client] uses where it is given none: for two hosts and
// a few requests at a time, by the proxy of the environment (HTTPS_PROXY,
// NO_PROXY). It asks for gzip and unpacks it by itself. roots may be nil, which
// means the system's authorities.
func NewTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}
