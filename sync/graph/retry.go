package graph

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Retry bounds how long one request is tried again. Zero fields mean the
// defaults that they name.
type Retry struct {
	// Tries is how often a request is made that fails by itself (5xx, a reset,
	// a broken body) before giving up; default 8. Refusals for load, 429 and
	// whatever names a Retry-After, are not counted but bounded by Total.
	Tries int

	// Base is the first back-off, default 1 s; each further one may be twice as
	// long, up to Max, default 60 s. The actual wait is a random part of it
	// (full jitter).
	Base, Max time.Duration

	// Total bounds the time from the first try to the beginning of the last,
	// default 15 min. A Retry-After beyond it is not waited for: the request
	// fails at once with [ErrUnavailable], and until that time has come so does
	// every other, without being sent.
	Total time.Duration

	// Attempt bounds one try, its body included; default 100 s.
	Attempt time.Duration
}

func (r Retry) withDefaults() Retry {
	return Retry{
		Tries:   cmp.Or(r.Tries, 8),
		Base:    cmp.Or(r.Base, time.Second),
		Max:     cmp.Or(r.Max, time.Minute),
		Total:   cmp.Or(r.Total, 15*time.Minute),
		Attempt: cmp.Or(r.Attempt, 100*time.Second),
	}
}

const (
	// maxRetryAfter bounds what is believed of a Retry-After.
	maxRetryAfter = time.Hour

	// maxThrottled bounds how often one request lets itself be put off.
	maxThrottled = 100
)

// setback is a try that failed, and what follows from it.
type setback struct {
	err       error
	temporary bool          // worth another try, after a wait
	throttled bool          // refused for load
	after     time.Duration // Retry-After, 0 where there was none
	atOnce    bool          // another try may follow without a wait
}

// backoff is the wait before the next try after n failures, n from 1: a random
// part of Base·2ⁿ⁻¹, at most Max.
func (r Retry) backoff(n int) time.Duration {
	ceiling := r.Max
	if n <= 16 { // beyond, the shift might overflow
		ceiling = min(r.Max, r.Base<<(n-1))
	}
	return rand.N(max(ceiling, 1))
}

// wait is the wait that a setback asks for. One who was refused for load comes
// back no earlier than Graph says, and never at once; a little later than the
// others, so that they do not all come together.
func (r Retry) wait(s *setback, n int) time.Duration {
	switch {
	case s.after > 0:
		return max(s.after, r.Base/2) + rand.N(max(min(s.after/10, time.Second), 1))
	case s.throttled:
		return r.Base + r.backoff(n)
	}
	return r.backoff(n)
}

// persist makes try succeed or fails with its last error; doing says what is
// being done. Waits end with ctx.
func (c *Client) persist(ctx context.Context, doing string, try func(context.Context) *setback) error {
	begun := time.Now()
	failed, throttled := 0, 0
	for {
		s := try(ctx)
		if s == nil {
			if failed+throttled > 0 {
				c.tally.trouble("")
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", doing, ctx.Err())
		}
		if s.atOnce {
			continue
		}
		if s.throttled {
			throttled++
		} else {
			failed++
		}
		wait := c.retry.wait(s, failed+throttled)
		over := failed >= c.retry.Tries || throttled >= maxThrottled || time.Since(begun)+wait > c.retry.Total
		if !s.temporary || over {
			return c.givingUp(doing, s, failed+throttled, time.Since(begun))
		}
		c.log.Warn("trying again", "doing", doing, "wait", wait, "tries", failed+throttled, "err", s.err)
		c.tally.retry(s, wait)
		c.tally.trouble(fmt.Sprintf("%s: %v", doing, s.err))
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// givingUp is the error of a request that is not tried again.
func (c *Client) givingUp(doing string, s *setback, tries int, took time.Duration) error {
	c.tally.trouble("")
	err := fmt.Errorf("%s: %w", doing, s.err)
	if s.temporary && tries > 1 {
		err = fmt.Errorf("%s: giving up after %d tries in %s: %w", doing, tries, took.Round(time.Second), s.err)
	}
	c.tally.failed(err)
	return err
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gate keeps all requests of a client back once one was refused for load: the
// limits are the tenant's and the application's, not the request's.
type gate struct {
	mu    sync.Mutex
	until time.Time
}

func (g *gate) hold(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(d); until.After(g.until) {
		g.until = until
	}
}

func (g *gate) remaining() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, time.Until(g.until))
}

// admit waits for the gate and for the budget.
func (c *Client) admit(ctx context.Context) *setback {
	for {
		d := c.gate.remaining()
		if d > c.retry.Total {
			return &setback{err: &Error{
				Status: http.StatusTooManyRequests, RetryAfter: d, kind: ErrUnavailable,
				Message: "not sent: an earlier request was told to wait",
			}}
		}
		if d == 0 {
			break
		}
		if err := sleep(ctx, d); err != nil {
			return &setback{err: err}
		}
	}
	if c.limiter == nil {
		return nil
	}
	if err := c.limiter.Wait(ctx); err != nil {
		return &setback{err: context.DeadlineExceeded} // or will be, before the budget has room
	}
	return nil
}

// retryAfter gives the wait that an answer asks for. A date in it is by the
// clock of the one who answered.
func retryAfter(h http.Header) time.Duration {
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return parseRetryAfter(h.Get("Retry-After"), now)
}

// parseRetryAfter reads a Retry-After header: seconds, also with a fraction
// ("2.128", as in the documentation of Graph's throttling), or a date (RFC 9110
// §10.2.3). What cannot be read, or lies in the past, is 0.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || seconds <= 0 {
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxRetryAfter)
	}
	return 0
}
