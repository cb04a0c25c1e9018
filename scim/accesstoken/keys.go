package accesstoken

import (
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// fetchTime bounds a fetch, and minPause is the least between two that tokens
	// with unknown keys bring about: whoever sends such must not have us knock at
	// the issuer each time.
	fetchTime = 10 * time.Second
	minPause  = 30 * time.Second

	// Keys are fetched again as often as the issuer's Cache-Control has it, within
	// these bounds, and without it every usualAge.
	leastAge = 5 * time.Minute
	usualAge = time.Hour
	mostAge  = 24 * time.Hour

	// maxAge is how long keys are good that can't be fetched again: an issuer
	// that is down gives out no new tokens either, and one that withdrew a key
	// must not be outwitted by cutting the line to it.
	maxAge = 24 * time.Hour

	// maxDocument bounds what is read of an issuer, and maxKeys the keys that are
	// taken of it.
	maxDocument = 1 << 20
	maxKeys     = 100

	// leastRSA is the smallest RSA key that is taken, in bits (RFC 7518 §3.3).
	leastRSA = 2048
)

// Issuers keeps the keys of issuers. It is safe for concurrent use.
type Issuers struct {
	client *http.Client
	log    *slog.Logger
	wake   chan struct{}

	mu   sync.Mutex
	sets map[origin]*keySet
}

// An origin is where keys come from.
type origin struct{ issuer, jwksURL string }

// NewIssuers starts with none. A nil log discards.
func NewIssuers(transport http.RoundTripper, log *slog.Logger) *Issuers {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	client := &http.Client{Transport: transport, Timeout: fetchTime, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 3 || !Trustworthy(req.URL) || via[0].URL.Scheme != req.URL.Scheme {
			return errors.New("it leads elsewhere")
		}
		return nil
	}}
	return &Issuers{client: client, log: log, wake: make(chan struct{}, 1), sets: make(map[origin]*keySet)}
}

// Trustworthy says whether keys may be fetched from a URL: by https, or from this
// machine.
func Trustworthy(u *url.URL) bool {
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" && host != "" || u.Scheme == "http" && local
}

// Verifier makes what checks the tokens of a client. The keys are shared with all
// that have the same issuer.
func (i *Issuers) Verifier(cfg Config) *Verifier {
	from := origin{cfg.Issuer, cfg.JWKSURL}
	i.mu.Lock()
	defer i.mu.Unlock()
	set := i.sets[from]
	if set == nil {
		set = &keySet{origin: from, issuers: i}
		i.sets[from] = set
	}
	return &Verifier{Config: cfg, keys: set}
}

// Keep forgets the issuers that none of the verifiers is about, and has the keys
// be fetched at once that are not known yet or could not be fetched.
func (i *Issuers) Keep(verifiers []*Verifier) {
	i.mu.Lock()
	for from := range i.sets {
		if !slices.ContainsFunc(verifiers, func(v *Verifier) bool { return v.keys.origin == from }) {
			delete(i.sets, from)
		}
	}
	for _, set := range i.sets {
		set.mu.Lock()
		if set.err != nil {
			set.next = time.Time{}
		}
		set.mu.Unlock()
	}
	i.mu.Unlock()
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Run fetches keys before they are needed, until ctx ends.
func (i *Issuers) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		for _, set := range i.all() {
			if set.due(time.Now()) {
				_ = set.refresh(ctx) // it told the log and the status
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-i.wake:
		}
	}
}

func (i *Issuers) all() []*keySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []*keySet
	for _, set := range i.sets {
		all = append(all, set)
	}
	slices.SortFunc(all, func(a, b *keySet) int {
		return cmp.Or(strings.Compare(a.issuer, b.issuer), strings.Compare(a.jwksURL, b.jwksURL))
	})
	return all
}

// Status is how an issuer is.
type Status struct {
	Issuer  string
	Keys    int       // that are good
	Fetched time.Time // when they were; zero: never
	Error   string    // of the last fetch; empty: it went well
}

// Status tells of every issuer, ordered by name. Of one whose keys come from two
// places it tells of the place that is worse off.
func (i *Issuers) Status() []Status {
	var all []Status
	for _, set := range i.all() {
		st := set.status()
		if n := len(all); n == 0 || all[n-1].Issuer != st.Issuer {
			all = append(all, st)
		} else if st.Fetched.Before(all[n-1].Fetched) {
			all[n-1] = st
		}
	}
	return all
}

// A keySet is the keys of one issuer.
type keySet struct {
	origin
	issuers *Issuers

	mu       sync.Mutex
	keys     []jose.JSONWebKey // replaced, never changed
	fetched  time.Time         // when keys were
	next     time.Time         // when to fetch them again
	tried    time.Time         // when that was last tried
	err      error             // of the last try
	fetching chan struct{}     // closed at the end of the fetch under way; nil: none is
}

func (s *keySet) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Issuer: s.issuer, Keys: len(s.good(time.Now())), Fetched: s.fetched}
	if s.err != nil {
		st.Error = s.err.Error()
	}
	return st
}

// good gives the keys, unless they are too old. s.mu is held.
func (s *keySet) good(now time.Time) []jose.JSONWebKey {
	if now.Sub(s.fetched) > maxAge {
		return nil
	}
	return s.keys
}

func (s *keySet) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.next)
}

// find gives the keys that a token may be signed with: the one of that id, or
// where the token names none every key for the algorithm. It fetches the keys
// where there are none such, now and then.
func (s *keySet) find(ctx context.Context, id, algorithm string) ([]jose.JSONWebKey, error) {
	now := time.Now()
	s.mu.Lock()
	known := s.good(now)
	keys := suitable(known, id, algorithm)
	pausing, failed := now.Sub(s.tried) < minPause && s.fetching == nil, s.err != nil
	s.mu.Unlock()
	switch {
	case len(keys) > 0:
		return keys, nil
	case pausing && failed:
		return nil, ErrUnavailable
	case pausing:
		return nil, errSignature
	}
	if err := s.refresh(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if keys = suitable(s.good(time.Now()), id, algorithm); len(keys) == 0 {
		return nil, errSignature
	}
	return keys, nil
}

// suitable picks keys by id, where one is given, and by what they are for.
func suitable(keys []jose.JSONWebKey, id, algorithm string) []jose.JSONWebKey {
	var found []jose.JSONWebKey
	for _, k := range keys {
		if (id == "" || k.KeyID == id) && (k.Algorithm == "" || k.Algorithm == algorithm) {
			found = append(found, k)
		}
	}
	return found
}

// refresh fetches the keys, or waits for the fetch that is under way. That goes
// on when ctx ends: others may wait for it, too.
func (s *keySet) refresh(ctx context.Context) error {
	s.mu.Lock()
	done := s.fetching
	if done == nil {
		done = make(chan struct{})
		s.fetching = done
		go s.fetch(context.WithoutCancel(ctx), done)
	}
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fetch asks the issuer for its keys and takes them.
func (s *keySet) fetch(ctx context.Context, done chan struct{}) {
	defer close(done)
	keys, age, err := s.issuers.load(ctx, s.origin)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.err == nil {
		s.issuers.log.Warn("keys of a token issuer could not be fetched; those known serve on", "issuer", s.issuer, "known", len(s.good(now)), "err", err)
	} else if err == nil && (s.err != nil || s.fetched.IsZero()) {
		s.issuers.log.Info("keys of a token issuer were fetched", "issuer", s.issuer, "keys", len(keys))
	}
	s.fetching, s.tried, s.err = nil, now, err
	if err != nil {
		s.next = now.Add(time.Minute)
		return
	}
	s.keys, s.fetched, s.next = keys, now, now.Add(age)
}

// load fetches the keys of an issuer and says for how long they are fresh.
func (i *Issuers) load(ctx context.Context, from origin) ([]jose.JSONWebKey, time.Duration, error) {
	address := from.jwksURL
	if address == "" {
		var err error
		if address, err = i.discover(ctx, from.issuer); err != nil {
			return nil, 0, err
		}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	header, err := i.get(ctx, address, &set)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching the keys: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var k jose.JSONWebKey
		// What is not understood is passed over (RFC 7517 §5).
		if json.Unmarshal(raw, &k) == nil && forTokens(k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, 0, fmt.Errorf("fetching the keys: %s has none that tokens can be signed with", address)
	}
	return keys, freshness(header), nil
}

// forTokens says whether a key may sign tokens: a public one, made for
// signatures, and not too small.
func forTokens(k jose.JSONWebKey) bool {
	if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
		return false
	}
	r, ok := k.Key.(*rsa.PublicKey)
	return !ok || r.N.BitLen() >= leastRSA
}

// discover finds where an issuer publishes its keys: by OpenID Connect Discovery
// 1.0 §4, or by RFC 8414 §3.
func (i *Issuers) discover(ctx context.Context, issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	base := strings.TrimSuffix(issuer, "/")
	var faults []error
	for _, address := range []string{
		base + "/.well-known/openid-configuration",
		u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.EscapedPath(), "/"),
	} {
		var metadata struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		_, err := i.get(ctx, address, &metadata)
		switch {
		case err != nil:
		case metadata.Issuer != issuer:
			err = fmt.Errorf("%s speaks for the issuer %q", address, metadata.Issuer)
		case metadata.JWKSURI == "":
			err = fmt.Errorf("%s names no jwks_uri", address)
		case u.Scheme == "https" && !strings.HasPrefix(metadata.JWKSURI, "https://"):
			// Nor may it have us look around on this machine.
			err = fmt.Errorf("%s names %q, which is no https URL", address, metadata.JWKSURI)
		default:
			return metadata.JWKSURI, nil
		}
		faults = append(faults, err)
	}
	return "", fmt.Errorf("discovery: %w", errors.Join(faults...))
}

// get reads a JSON document.
func (i *Issuers) get(ctx context.Context, address string, into any) (http.Header, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if !Trustworthy(u) {
		return nil, fmt.Errorf("%s is no https URL", address)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := i.client.Do(req)
	if err != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return nil, fmt.Errorf("%s does not answer within %v", address, fetchTime)
		}
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", address, err)
	case len(data) > maxDocument:
		return nil, fmt.Errorf("%s is larger than %d bytes", address, maxDocument)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, fmt.Errorf("reading %s: %w", address, err)
	}
	return res.Header, nil
}

// freshness is what Cache-Control allows, within our bounds.
func freshness(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "max-age") {
			if n, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil {
				return min(max(time.Duration(min(n, 1<<20))*time.Second, leastAge), mostAge)
			}
		}
	}
	return usualAge
}
