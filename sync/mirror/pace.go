package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"scimbridge/sync/graph"
)

const (
	// maxPause bounds how long a source that fails again and again is left
	// alone.
	maxPause = time.Hour
	// refusedPause is how long at least where somebody has to change something
	// first: credentials or permissions. Whoever does so wakes the mirror, by
	// the file or the consent page.
	refusedPause = 15 * time.Minute
	// blink is how often the clock on the wall is looked at while resting. A
	// machine that slept through the time of a round has it soon after.
	blink = 30 * time.Second
	// maxClockOff is how far our clock may be from Graph's before nothing is
	// dropped for good by it any more.
	maxClockOff = time.Hour
)

// pause is the time to the next round: the interval give or take a tenth, and
// twice as long for each failure after the first, so that a tenant that refuses
// is not hammered.
func (m *Mirror) pause(err error, failures int) time.Duration {
	wait := m.cfg.Interval
	if errors.Is(err, graph.ErrCredentials) || errors.Is(err, graph.ErrPermission) {
		wait = max(wait, refusedPause)
	}
	for i := 1; err != nil && i < failures && wait < maxPause; i++ {
		wait = min(2*wait, maxPause)
	}
	return wait + time.Duration((rand.Float64()-0.5)*0.2*float64(wait))
}

// rest waits for a time, or until Wake.
func (m *Mirror) rest(ctx context.Context, wait time.Duration) {
	began := time.Now()
	m.status.set(func(s *Status) { s.Next = began.Add(wait) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		left := remaining(wait, readClocks(began), readClocks(time.Now()))
		if left <= 0 {
			return
		}
		timer.Reset(min(left, blink))
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			return
		case <-timer.C:
		}
	}
}

// Clocks are one reading of both: the wall's, which jumps when it is set and
// goes on while the machine sleeps, and the steady one, which does neither.
type clocks struct{ wall, steady time.Duration }

// epoch is where the steady clock is counted from.
var epoch = time.Now()

func readClocks(t time.Time) clocks {
	return clocks{wall: time.Duration(t.UnixNano()), steady: t.Sub(epoch)}
}

// remaining is how much of a wait is left. It is over when either clock says
// so: by the steady one a clock that is set back delays nothing, by the wall's
// the time of a sleep counts.
func remaining(wait time.Duration, began, now clocks) time.Duration {
	return wait - max(now.wall-began.wall, now.steady-began.steady)
}

// since is the time that has passed since a stored one. One that lies in the
// future was stored by a clock that was wrong, so that it is long past.
func since(t time.Time) time.Duration {
	if d := time.Since(t); d >= -time.Hour {
		return d
	}
	return 1<<63 - 1
}

// clockTrusted says whether our clock may decide that somebody has been kept
// long enough. It may not before Graph has told its own time, nor while the two
// are far apart: a machine that wakes up in another year must not empty the
// recycle bin.
func (m *Mirror) clockTrusted() bool {
	return m.pulled.Load() && m.clockOff().Abs() <= maxClockOff
}

// clockOff is Graph's clock minus ours, as of the last answer; 0 where the
// source does not tell.
func (m *Mirror) clockOff() time.Duration {
	if telling, ok := m.cfg.Graph.(interface{ Status() graph.Status }); ok {
		return telling.Status().ClockOffset
	}
	return 0
}
