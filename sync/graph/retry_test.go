package graph_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"120", 2 * time.Minute},
		{"2.128", 2128 * time.Millisecond},
		{" 5 ", 5 * time.Second},
		{"0", 0},
		{"-3", 0},
		{"NaN", 0},
		{"soon", 0},
		{"1e300", time.Hour},
		{"Inf", time.Hour},
		{"999999", time.Hour},
		{"Tue, 24 Nov 2026 10:01:30 GMT", 90 * time.Second},
		{"Tuesday, 24-Nov-26 10:01:30 GMT", 90 * time.Second},
		{"Tue, 24 Nov 2026 09:00:00 GMT", 0},
		{"Tue, 24 Nov 2099 09:00:00 GMT", time.Hour},
	}
	for _, tt := range tests {
		if got := graph.ParseRetryAfter(tt.value, now); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.value, got, tt.want)
		}
	}
}

func TestRetryAfterDateIsByTheirClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := time.Now().Add(-3 * time.Hour)
		busy := refusal(429, "TooManyRequests", "Date", theirs.UTC().Format(http.TimeFormat), "Retry-After", theirs.Add(40*time.Second).UTC().Format(http.TimeFormat))
		w := &world{graph: inTurn(busy, lastPage())}
		c := newClient(t, w, nil)
		if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
			t.Fatal(err)
		}
		if gap := w.gaps()[0]; gap < 40*time.Second || gap > 41*time.Second {
			t.Errorf("waited %v", gap)
		}
		if got := c.Status().ClockOffset; got != -3*time.Hour {
			t.Errorf("clock offset %v", got)
		}
	})
}

// gaps gives the waits between the requests to Graph.
func (w *world) gaps() (gaps []time.Duration) {
	for i := 1; i < len(w.times); i++ {
		gaps = append(gaps, w.times[i].Sub(w.times[i-1]))
	}
	return gaps
}

func TestRetryAfterIsObeyed(t *testing.T) {
	tests := []struct {
		name, value string
		status      int
		min, max    time.Duration
	}{
		{"seconds", "30", 429, 30 * time.Second, 31 * time.Second},
		{"a fraction", "2.128", 429, 2128 * time.Millisecond, 2500 * time.Millisecond},
		{"with a 503", "30", 503, 30 * time.Second, 31 * time.Second},
		{"a date", time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC).Format(http.TimeFormat), 429, 2 * time.Minute, 2*time.Minute + time.Second},
		{"none: never at once", "", 429, time.Second, 2 * time.Second},
		{"none that can be read", "soon", 429, time.Second, 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which begins at midnight of 2000-01-01
				w := &world{graph: inTurn(refusal(tt.status, "TooManyRequests", "Retry-After", tt.value), lastPage())}
				c := newClient(t, w, nil)
				if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
					t.Fatal(err)
				}
				if gap := w.gaps()[0]; gap < tt.min || gap > tt.max {
					t.Errorf("waited %v", gap)
				}
				if s := c.Status(); s.ThrottledWaits != 1 || s.ThrottledTime < tt.min || s.Retries != 1 {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

func TestThrottlingHoldsAllRequestsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: inTurn(refusal(429, "TooManyRequests", "Retry-After", "60"), lastPage())}
		c := newClient(t, w, nil)
		var group sync.WaitGroup
		group.Go(func() { _, _, _ = read(c.Changes(t.Context(), graph.Users, "")) })
		time.Sleep(time.Second)
		if _, _, err := read(c.Changes(t.Context(), graph.Groups, "")); err != nil {
			t.Error(err)
		}
		group.Wait()
		if gap := w.gaps()[0]; len(w.times) != 3 || gap < time.Minute {
			t.Errorf("%d requests, the second after %v", len(w.times), gap)
		}
	})
}

func TestUsedUpRateLimitHoldsRequestsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used := pageTo("1")
		used.header = map[string]string{"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "12"}
		w := &world{graph: inTurn(used, lastPage())}
		if _, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, "")); err != nil {
			t.Fatal(err)
		}
		if gap := w.gaps()[0]; gap != 12*time.Second {
			t.Errorf("waited %v", gap)
		}
	})
}

func TestTooLongARetryAfterIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: inTurn(refusal(429, "TooManyRequests", "Retry-After", "1800"), lastPage())}
		c := newClient(t, w, nil)
		_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
		var refused *graph.Error
		if !errors.Is(err, graph.ErrUnavailable) || !errors.As(err, &refused) || refused.RetryAfter != 30*time.Minute {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		_, _, err = read(c.Changes(t.Context(), graph.Users, ""))
		if !errors.Is(err, graph.ErrUnavailable) || !errors.As(err, &refused) || refused.RetryAfter != 29*time.Minute {
			t.Errorf("too early again: %v", err)
		}
		if n := len(w.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
		time.Sleep(29 * time.Minute)
		if _, _, err = read(c.Changes(t.Context(), graph.Users, "")); err != nil {
			t.Errorf("in time: %v", err)
		}
	})
}

func TestBackoffGrowsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: always(answer{status: 502})}
		c := newClient(t, w, nil)
		_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
		if !errors.Is(err, graph.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		if !strings.Contains(err.Error(), "giving up after 8 tries") {
			t.Errorf("error %v does not count the tries", err)
		}
		gaps := w.gaps()
		if len(gaps) != 7 {
			t.Fatalf("gaps %v", gaps)
		}
		for i, gap := range gaps {
			if ceiling := min(time.Second<<i, time.Minute); gap >= ceiling {
				t.Errorf("wait %d is %v, not under %v", i+1, gap, ceiling)
			}
		}
		if s := c.Status(); s.Failed != 8 || s.Retries != 7 || s.LastError != err.Error() || s.LastErrorTime.IsZero() {
			t.Errorf("status %+v", s)
		}
	})
}

func TestStormOf429Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: always(refusal(429, "TooManyRequests", "Retry-After", "20"))}
		begun := time.Now()
		_, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, ""))
		if !errors.Is(err, graph.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > 15*time.Minute || took < 14*time.Minute {
			t.Errorf("it took %v", took)
		}
		if fastest := slices.Min(w.gaps()); fastest < 20*time.Second {
			t.Errorf("asked again after %v", fastest)
		}
	})
}

func TestRefusalsAreNotRetried(t *testing.T) {
	for _, a := range []answer{
		refusal(400, "Request_BadRequest"), refusal(403, "Authorization_RequestDenied"), refusal(404, "Request_ResourceNotFound"),
		refusal(410, "resyncRequired"), refusal(501, "NotImplemented"), {status: 407}, {status: 204},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{graph: always(a)}
			if _, _, err := read(newClient(t, w, nil).Changes(t.Context(), graph.Users, "")); err == nil {
				t.Errorf("status %d is no error", a.status)
			}
			if n := len(w.requests()); n != 1 {
				t.Errorf("status %d: %d requests", a.status, n)
			}
		})
	}
}

// Wherever a round is when its context ends, it ends with it.
func TestCancellationAnywhere(t *testing.T) {
	hang := func(host string) func(context.Context, string) {
		return func(ctx context.Context, at string) {
			if at == host {
				<-ctx.Done()
			}
		}
	}
	tests := []struct {
		name  string
		world *world
		tune  func(*graph.Config)
	}{
		{"while Graph is asked", &world{wait: hang("graph.test"), graph: always(lastPage())}, nil},
		{"while the login is asked", &world{wait: hang("login.test"), graph: always(lastPage())}, nil},
		{"in a Retry-After", &world{graph: always(refusal(429, "TooManyRequests", "Retry-After", "600"))}, nil},
		{"in a back-off", &world{graph: always(answer{status: 500})}, func(c *graph.Config) {
			c.Retry.Base, c.Retry.Max = time.Hour, time.Hour
			c.Retry.Total = 99 * time.Hour
		}},
		{"in the budget", &world{graph: func(n int, _ *http.Request) answer { return pageTo(strings.Repeat("x", n)) }}, func(c *graph.Config) { c.RequestsPerSecond = 1.0 / 3600 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := newClient(t, tt.world, tt.tune)
				begun := time.Now()
				time.AfterFunc(20*time.Second, cancel)
				_, _, err := read(c.Changes(ctx, graph.Users, ""))
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(begun); took != 20*time.Second {
					t.Errorf("ended after %v", took)
				}
				if s := c.Status(); s.LastError != "" {
					t.Errorf("a cancellation is not a fault: %q", s.LastError)
				}
			})
		})
	}
}

// The limits of a single try are ours: the caller's context lives on, and the
// error must not tell otherwise.
func TestTimeOutOfATryIsNotTheCallers(t *testing.T) {
	for _, tune := range []func(*graph.Config){
		func(cfg *graph.Config) { cfg.Retry.Attempt = time.Second },
		func(cfg *graph.Config) { cfg.HTTPClient.Timeout = time.Second },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{graph: always(answer{after: time.Hour})}
			_, _, err := read(newClient(t, w, tune).Changes(t.Context(), graph.Users, ""))
			checkSentinel(t, err, graph.ErrUnavailable)
			if errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no complete answer in time") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRequestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{graph: func(n int, _ *http.Request) answer {
			if n == 11 {
				return lastPage()
			}
			return pageTo(strings.Repeat("x", n))
		}}
		c := newClient(t, w, func(cfg *graph.Config) { cfg.RequestsPerSecond = 0.5 })
		if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
			t.Fatal(err)
		}
		if took := w.times[10].Sub(w.times[0]); took != 20*time.Second {
			t.Errorf("eleven requests took %v", took)
		}
	})
}

// While a request is tried again the status says what is wrong, so that a first
// import that gets nowhere is no riddle.
func TestTroubleIsShownWhileItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		c := newClient(t, w, nil)
		var seen []string
		w.graph = func(n int, _ *http.Request) answer {
			seen = append(seen, c.Status().Trouble)
			return answer{status: []int{502, 502, 404}[n-1]}
		}
		_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
		if err == nil {
			t.Fatal("no error")
		}
		if len(seen) != 3 || seen[0] != "" || !strings.Contains(seen[1], "502") || seen[2] == "" {
			t.Errorf("trouble before each request: %q", seen)
		}
		if got := c.Status().Trouble; got != "" {
			t.Errorf("trouble after the end: %q", got)
		}
	})
}
