package graph

import (
	"context"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	// renewAhead is how long before its end a token is renewed; a short-lived
	// one when a quarter of its life is left.
	renewAhead = 5 * time.Minute

	// renewPause is how long a token that could not be renewed, and is still
	// good, is used before the next try.
	renewPause = 30 * time.Second

	// defaultLifetime is assumed of a token that comes without one.
	defaultLifetime = 5 * time.Minute

	// loginAttempt bounds one try at the token endpoint.
	loginAttempt = 30 * time.Second
)

// token is an access token. It never changes.
type token struct {
	value  string
	expiry time.Time
}

// tokens holds the one token of a client. Whoever needs one while it is being
// fetched waits for the same fetch.
type tokens struct {
	// fetch asks for a token. Where there is still a good one (ahead), one try
	// is enough.
	fetch func(ctx context.Context, ahead bool) (*oauth2.Token, error)

	mu      sync.Mutex
	current *token    // nil: none
	renew   time.Time // when current is to be renewed
	flight  *flight   // nil: nothing is under way
}

// flight is one fetch under way.
type flight struct {
	done    chan struct{} // closed when tok and err are set
	ahead   bool          // begun while there was a good token: one try only
	tok     *token
	err     error
	waiting int // guarded by tokens.mu
	cancel  context.CancelFunc
}

// get gives a token that is good for a while.
func (t *tokens) get(ctx context.Context) (*token, error) {
	t.mu.Lock()
	now := time.Now()
	good := t.current
	if good != nil && !now.Before(good.expiry) {
		good = nil
	}
	if good != nil && now.Before(t.renew) {
		t.mu.Unlock()
		return good, nil
	}
	if t.flight == nil {
		t.flight = t.start(ctx, good != nil)
	}
	f := t.flight
	f.waiting++
	t.mu.Unlock()

	select {
	case <-f.done:
		if f.err != nil && good != nil {
			return good, nil // the login may be back before it expires
		}
		if f.err != nil && f.ahead {
			return t.get(ctx) // the good one has expired since: try in earnest
		}
		return f.tok, f.err
	case <-ctx.Done():
		t.leave(f)
		return nil, ctx.Err()
	}
}

// start begins a fetch, with t.mu held. It goes on when the one who caused it
// leaves, as long as others wait for it.
func (t *tokens) start(ctx context.Context, ahead bool) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), ahead: ahead, cancel: cancel}
	go func() {
		defer cancel()
		fetched := time.Now()
		got, err := t.fetch(ctx, ahead)
		t.land(f, got, fetched, err)
	}()
	return f
}

// land ends a fetch. One that was given up meanwhile changes nothing.
func (t *tokens) land(f *flight, got *oauth2.Token, fetched time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(f.done)
	if f.err = err; err == nil {
		f.tok = &token{got.AccessToken, got.Expiry}
		if got.Expiry.IsZero() {
			f.tok.expiry = fetched.Add(defaultLifetime)
		}
	}
	if t.flight != f {
		return
	}
	t.flight = nil
	if err != nil {
		t.renew = time.Now().Add(renewPause)
		return
	}
	life := f.tok.expiry.Sub(fetched)
	t.current, t.renew = f.tok, f.tok.expiry.Add(-min(renewAhead, life/4))
}

// leave ends one caller's wait; a fetch that nobody waits for is given up.
func (t *tokens) leave(f *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.waiting--
	if f.waiting > 0 {
		return
	}
	f.cancel()
	if t.flight == f {
		t.flight = nil
	}
}

// discard drops tok, if it is still the one in use.
func (t *tokens) discard(tok *token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == tok {
		t.current = nil
	}
}

// forget drops whatever token there is, one being fetched included.
func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.flight = nil, nil
}

func (t *tokens) expiry() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return time.Time{}
	}
	return t.current.expiry
}
