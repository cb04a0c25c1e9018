package daemon

import (
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"scimbridge/sync/mirror"
)

// The watchdog of systemd restarts a daemon that says nothing for WatchdogSec.
// Ours speaks only as long as every part that has to move does: the daemon's own
// loop, which is the one that speaks; the locks of what is served, which it takes
// each time; and the loop of every source.
//
// A loop moves when anything that it counts has changed: pages, tries, rounds.
// Waiting as long as Microsoft asks is moving, too, for at the end of each wait
// comes a try. So a source is taken for stuck only when nothing at all has
// changed for stuckAfter while a round is under way, or when its next round is
// overdue by as much.
const stuckAfter = 90 * time.Minute

// A pulse is what was last seen of a source's loop. It belongs to the goroutine
// of Run.
type pulse struct {
	seen progress
	at   time.Time // when it was last seen to change
}

// progress is everything that a moving loop changes.
type progress struct {
	started, next time.Time
	state         mirror.State
	users, groups int
	asked, pages  uint64
	generation    uint64
}

// progressOf reads a source's counters.
func progressOf(s *source) progress {
	m := s.mirror.Status()
	p := progress{
		started: m.RoundStarted, next: m.Next, state: m.State,
		users: m.Progress.Users, groups: m.Progress.Groups,
	}
	if s.client != nil {
		g := s.client.Status()
		p.asked = g.OK + g.Redirected + g.Refused + g.Throttled + g.Failed + g.NoAnswer + g.Retries + g.TokenFetches
		p.pages = g.Pages
	}
	if c := s.picture.Current(); c != nil {
		p.generation = c.Generation()
	}
	return p
}

// alive takes in what is seen now and says whether the loop moves.
func (p *pulse) alive(seen progress, now time.Time) bool {
	if seen != p.seen || p.at.IsZero() {
		p.seen, p.at = seen, now
	}
	due := p.at
	if seen.next.After(due) {
		due = seen.next
	}
	return now.Sub(due) < stuckAfter
}

// stuck names a source whose loop does not move, or gives the empty string.
func (d *Daemon) stuck(now time.Time) string {
	_ = d.library.View() // would wait for ever for a lock that is never let go
	for name, s := range d.gen.Load().sources {
		if s.mirror != nil && s.running() && !s.pulse.alive(progressOf(s), now) {
			return name
		}
	}
	return ""
}

// watchdogInterval is how often systemd wants to hear from us: a third of what
// it asked for, so that one late beat is no death; 0 where it does not ask.
func watchdogInterval() time.Duration {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return interval / 3
}
