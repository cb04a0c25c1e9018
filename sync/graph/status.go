package graph

import (
	"net/http"
	"sync"
	"time"
)

// Status is what a client did so far, for metrics and the status page. Counts
// run from the client's making.
type Status struct {
	// Requests made to Graph, each try counting, by what came back.
	OK, Redirected, Refused, Throttled, Failed uint64 // 2xx, 3xx, 4xx, 429, 5xx
	NoAnswer                                   uint64 // resets, time-outs, names not resolved

	Retries        uint64        // tries beyond the first, of the login too
	ThrottledWaits uint64        // of those, the ones that Graph or the login asked for
	ThrottledTime  time.Duration // spent in them

	Slowed uint64 // answers that said a limit is near, so that the next request waited

	Pages, Changes, Broken uint64 // read, and objects on them; objects left out
	Bytes                  uint64 // of good answers, decompressed
	ResourceUnits          uint64 // x-ms-resource-unit, what Graph charged

	TokenFetches, TokenFailures uint64    // tries at the token endpoint
	TokenExpiry                 time.Time // of the token in use; zero: there is none

	// ClockOffset is Graph's clock minus ours at the last answer; it is coarse,
	// for the header has whole seconds and the answer took its time.
	ClockOffset time.Duration

	// Trouble is what the request under way last failed with, while it is tried
	// again; empty when all is well.
	Trouble string

	LastError     string // the last that was handed to a caller, empty for none
	LastErrorTime time.Time
}

// Status gives the counts as they are now.
func (c *Client) Status() Status {
	c.tally.mu.Lock()
	s := c.tally.s
	c.tally.mu.Unlock()
	s.TokenExpiry = c.tokens.expiry()
	return s
}

// tally keeps a Status.
type tally struct {
	mu sync.Mutex
	s  Status
}

func (t *tally) update(f func(*Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.s)
}

// answer counts an answer of Graph's.
func (t *tally) answer(resp *http.Response) {
	units := parseUnits(resp.Header.Get("x-ms-resource-unit"))
	offset, known := clockOffset(resp.Header)
	t.update(func(s *Status) {
		s.ResourceUnits += units
		if known {
			s.ClockOffset = offset
		}
		switch code := resp.StatusCode; {
		case code == http.StatusTooManyRequests:
			s.Throttled++
		case code >= 500:
			s.Failed++
		case code >= 400:
			s.Refused++
		case code >= 300:
			s.Redirected++
		default:
			s.OK++
		}
	})
}

func (t *tally) trouble(text string) { t.update(func(s *Status) { s.Trouble = text }) }

func (t *tally) noAnswer() { t.update(func(s *Status) { s.NoAnswer++ }) }

func (t *tally) received(n int64) { t.update(func(s *Status) { s.Bytes += uint64(n) }) }

func (t *tally) retry(b *setback, wait time.Duration) {
	t.update(func(s *Status) {
		s.Retries++
		if b.throttled {
			s.ThrottledWaits++
			s.ThrottledTime += wait
		}
	})
}

func (t *tally) page(p *Page) {
	t.update(func(s *Status) {
		s.Pages++
		s.Changes += uint64(len(p.Changes))
		s.Broken += uint64(len(p.Broken))
	})
}

func (t *tally) failed(err error) {
	t.update(func(s *Status) { s.LastError, s.LastErrorTime = err.Error(), time.Now() })
}

func (t *tally) token(err error) {
	t.update(func(s *Status) {
		s.TokenFetches++
		if err != nil {
			s.TokenFailures++
		}
	})
}

// parseUnits reads a small number; 0 where it is none.
func parseUnits(value string) (n uint64) {
	if len(value) > 6 {
		return 0
	}
	for i := range len(value) {
		if !isDigit(value[i]) {
			return 0
		}
		n = n*10 + uint64(value[i]-'0')
	}
	return n
}

// clockOffset compares the Date of an answer with our clock.
func clockOffset(h http.Header) (time.Duration, bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	return time.Until(date).Round(time.Second), true
}
