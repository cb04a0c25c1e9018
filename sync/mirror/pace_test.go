package mirror_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// A timed source remembers when rounds began, and can fail.
type timed struct {
	mirror.Source
	mu     sync.Mutex
	rounds []time.Time
	err    error
	offset time.Duration
}

func (s *timed) Changes(ctx context.Context, kind graph.Kind, cursor string) iter.Seq2[*graph.Page, error] {
	s.mu.Lock()
	if kind == graph.Users {
		s.rounds = append(s.rounds, time.Now())
	}
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return func(yield func(*graph.Page, error) bool) { yield(nil, err) }
	}
	return s.Source.Changes(ctx, kind, cursor)
}

func (s *timed) Status() graph.Status { return graph.Status{ClockOffset: s.offset} }

func (s *timed) fail(err error) { s.mu.Lock(); s.err = err; s.mu.Unlock() }

// gaps are the times between the rounds since the last call.
func (s *timed) gaps() (gaps []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range len(s.rounds) - 1 {
		gaps = append(gaps, s.rounds[i+1].Sub(s.rounds[i]))
	}
	s.rounds = s.rounds[max(0, len(s.rounds)-1):]
	return gaps
}

// timedWorld is a world whose source is timed.
func timedWorld(t *testing.T, tenant *graphtest.Tenant) (*world, *timed) {
	w := newWorld(t, tenant, nil)
	source := &timed{Source: w.client}
	w.configure(func(cfg *mirror.Config) { cfg.Graph = source })
	return w, source
}

// Rounds come at the interval, give or take a tenth. After failures the gaps
// grow to an hour; a tenant that refuses is left alone for a quarter of an hour at
// once; and who mends it does not wait.
func TestPaceOfRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, _, _ := company(5)
		w, source := timedWorld(t, tenant)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.mirror.Run(ctx) })
		defer running.Wait()
		defer cancel()
		within := func(what string, gaps []time.Duration, low, high time.Duration) {
			t.Helper()
			for _, gap := range gaps {
				if gap < low || gap > high {
					t.Errorf("%s: a gap of %s, want %s to %s", what, gap, low, high)
				}
			}
		}
		time.Sleep(5 * time.Hour)
		gaps := source.gaps()
		if n := len(gaps); n < 54 || n > 66 {
			t.Errorf("%d rounds in five hours, every five minutes", n)
		}
		within("all is well", gaps, 270*time.Second, 330*time.Second)
		if slices.Max(gaps)-slices.Min(gaps) < 10*time.Second {
			t.Error("no jitter")
		}

		source.fail(fmt.Errorf("reading: %w", graph.ErrUnavailable))
		time.Sleep(24 * time.Hour)
		gaps = source.gaps()
		if len(gaps) > 40 {
			t.Errorf("%d rounds in a day of failures", len(gaps))
		}
		within("unavailable", gaps, 270*time.Second, 66*time.Minute)
		within("unavailable for long", gaps[len(gaps)-5:], 54*time.Minute, 66*time.Minute)

		source.fail(nil)
		w.mirror.Wake()
		synctest.Wait()
		if s := w.mirror.Status(); s.State != mirror.Current || s.Failures != 0 {
			t.Errorf("after the mending and a wake it is %s", s.State)
		}
		source.gaps()
		source.fail(fmt.Errorf("reading: %w: User.Read.All", graph.ErrPermission))
		time.Sleep(3 * time.Hour)
		gaps = source.gaps()
		if len(gaps) > 6 {
			t.Errorf("%d rounds in three hours at a tenant that refuses", len(gaps))
		}
		within("refused", gaps[1:], 810*time.Second, 66*time.Minute)
	})
}

// A tenant that refuses for a permission has it named.
func TestTheMissingPermissionIsNamed(t *testing.T) {
	for collection, want := range map[string]string{"users": "User.Read.All", "groups": "GroupMember.Read.All"} {
		tenant, _, _ := company(3)
		tenant.Inject(graphtest.Denied().On(collection).Forever())
		w := newWorld(t, tenant, nil)
		if err := w.refresh(mirror.Options{}, mirror.Failed).Err; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error does not name %s: %v", collection, want, err)
		}
	}
}

// A wait ends when either clock says so.
func TestWaitOverClockJumps(t *testing.T) {
	const wait = 5 * time.Minute
	for name, c := range map[string]struct{ wall, steady, left time.Duration }{
		"nothing odd":                        {2 * time.Minute, 2 * time.Minute, 3 * time.Minute},
		"the clock is set back an hour":      {2*time.Minute - time.Hour, 2 * time.Minute, 3 * time.Minute},
		"the clock is set back, and it ends": {5*time.Minute - 24*time.Hour, 5 * time.Minute, 0},
		"the clock is set forward an hour":   {time.Hour, time.Second, wait - time.Hour},
		"the machine slept for a night":      {8 * time.Hour, time.Second, wait - 8*time.Hour},
	} {
		if left := mirror.Remaining(wait, c.wall, c.steady); left != c.left {
			t.Errorf("%s: %s are left, want %s", name, left, c.left)
		}
	}
	// Daylight saving moves no clock that is looked at: times are compared as
	// instants, whatever zone they are shown in.
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	before := time.Date(2026, 10, 25, 2, 30, 0, 0, berlin)
	if d := mirror.Since(before.UTC()) - mirror.Since(before); d.Abs() > time.Second {
		t.Errorf("a zone makes a difference of %s", d)
	}
}

// What was stored by a clock that was ahead is long past, not to come.
func TestStoredTimesOfAWrongClock(t *testing.T) {
	for ago, want := range map[time.Duration]bool{
		25 * time.Hour: true, time.Hour: false, -time.Minute: false, -48 * time.Hour: true, -100 * 365 * 24 * time.Hour: true,
	} {
		if due := mirror.Since(time.Now().Add(-ago)) >= 24*time.Hour; due != want {
			t.Errorf("a full read %s ago is due: %t, want %t", ago, due, want)
		}
	}
}

// Nobody goes for good by a clock that Graph's contradicts, nor before Graph has
// told its own; with a clock that is right again she does.
func TestNobodyExpiresByAWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(10)
		w, source := timedWorld(t, tenant)
		w.round()
		tenant.RemoveUser(users[4])
		w.round()
		w.counts(10, 9, 1)
		time.Sleep(365 * 24 * time.Hour) // as it looks to who woke up with a clock a year ahead
		source.offset = -365 * 24 * time.Hour
		w.configure(nil)
		if _, err := w.mirror.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.counts(10, 9, 1)
		w.refresh(mirror.Options{}, mirror.Unchanged)
		w.counts(10, 9, 1)
		if s, err := w.store.Source(t.Context(), "contoso"); err != nil || s.Users != 9 {
			t.Fatalf("the state has %d users: %v", s.Users, err)
		}
		tenant.RestoreUser(users[4])
		w.round()
		if u, _ := w.user(users[4]); !u.Active || len(u.Groups) != 1 {
			t.Errorf("restored, she is served as %+v", u)
		}
		tenant.RemoveUser(users[4])
		w.round()
		source.offset = 0
		time.Sleep(721 * time.Hour)
		w.round()
		w.counts(9, 9, 1)
	})
}
