package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/sync/consent"
	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
)

// The life of a source, in the same words in status, page, metrics and log:
// disabled; waiting for consent; verifying; first import; importing, up to date;
// held; frozen; failing; no longer in the file.

// stateVerifying: a consent settles, or no token has been granted yet.
const stateVerifying = "verifying"

// lifecycle gives the state of a source that is pulled, and what is to be said of
// it.
func (s *source) lifecycle(m *mirror.Status, settling bool) (state, fault string) {
	state = string(m.State)
	if m.Last.Err != nil {
		fault = m.Last.Err.Error()
	}
	lacking := m.State == mirror.Failing && consent.Lacking(m.Last.Err)
	switch {
	case settling && (lacking || s.picture.Current() == nil):
		return stateVerifying, "consent is given; the credential is being tested"
	case lacking && !s.imported && s.picture.Current() == nil:
		return stateConsent, s.consentWords() + "; " + fault
	case lacking:
		return state, fault + "; " + s.consentWords()
	case m.State == mirror.FirstImport && s.client.Status().TokenExpiry.IsZero():
		state = stateVerifying
	}
	return state, fault
}

// consentWords says how an administrator consents, and to what.
func (s *source) consentWords() string {
	words := "have an administrator consent, by scim-bridge consent --source " + s.name
	if s.ask != "" {
		words += " or at " + s.ask
	}
	return words
}

// lackingWords says what is not imported, and what to do about it.
func (s *source) lackingWords() string {
	names := make([]string, len(s.lacking))
	for i, p := range s.lacking {
		names[i] = p.Name + " (" + p.Why + ")"
	}
	return "groups are not imported yet, while users go on as before: add " + strings.Join(names, " and ") +
		" to the app registration (API permissions > Add a permission > Microsoft Graph > Application permissions), then " + s.consentWords()
}

// groupsOnly tells whether groups are read for no other reason than to be served:
// users do not depend on them.
func groupsOnly(scope mirror.Scope) bool {
	served := scope.Groups
	scope.Groups = false
	return served && !scope.ReadsGroups()
}

// lackedForGroups tells which permissions are missing for groups that were turned
// on after users had been imported without them. So long as they are, users go on
// by themselves. It asks for a token, and where none can be had it tells nothing:
// the round will.
func (s *source) lackedForGroups(ctx context.Context, w consent.Wants) []consent.Permission {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	claims, err := s.client.Claims(ctx)
	if err != nil {
		return nil
	}
	missing := consent.Compare(w, claims.Roles).Missing
	w.Groups = false
	if len(consent.Compare(w, claims.Roles).Missing) > 0 {
		return nil // more is missing than groups would take
	}
	return missing
}

const (
	// firstGrant and lastGrant are the times between two looks whether what is
	// waited for was granted.
	firstGrant = 5 * time.Second
	lastGrant  = time.Minute
)

// lookForGrants takes up what an administrator grants without telling us: in the
// admin center, or by another program's link. It runs until ctx ends.
func (d *Daemon) lookForGrants(ctx context.Context) {
	waits := map[string]time.Duration{}
	next := map[string]time.Time{}
	tick := time.NewTicker(firstGrant)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for name, s := range d.gen.Load().sources {
			if !s.waitsForGrant() {
				delete(waits, name)
				delete(next, name)
				continue
			}
			if time.Now().Before(next[name]) {
				continue
			}
			waits[name] = min(max(waits[name]*3/2, firstGrant), lastGrant)
			next[name] = time.Now().Add(waits[name])
			d.lookForGrant(ctx, s)
		}
	}
}

// waitsForGrant tells whether a source is held up by a permission.
func (s *source) waitsForGrant() bool {
	if s.mirror == nil || !s.running() {
		return false
	}
	m := s.mirror.Status()
	return len(s.lacking) > 0 || m.State == mirror.Failing && consent.Lacking(m.Last.Err)
}

// lookForGrant looks whether a source has what it waited for, and has it go on.
func (d *Daemon) lookForGrant(ctx context.Context, s *source) {
	app, err := d.ConsentApp(ctx, s.name)
	if err != nil {
		return // it was taken out of the file
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	if _, granted := consent.Granted(ctx, app); !granted {
		return
	}
	d.log.Info("what the source waited for was granted", "source", s.name)
	if err := d.takeUp(ctx, s.name); err != nil {
		d.log.Error("source could not take up what was granted", "source", s.name, "err", err)
	}
}

// An estimate is what a first import is expected to come to. It is asked for
// when somebody looks at a first import that takes a while, and serves nothing
// but to show how far it is: the index that counts lags behind.
type estimate struct {
	once          sync.Once
	mu            sync.Mutex
	users, groups int
}

// worthEstimating is how long a first import runs before it is worth a request.
const worthEstimating = 3 * time.Second

// expected gives what is known of the total, and has it asked for where somebody
// looks.
func (s *source) expected(m *mirror.Status, looked bool) (users, groups int) {
	if looked && time.Since(m.RoundStarted) > worthEstimating {
		s.total.once.Do(func() { go s.order(context.Background(), s.count) }) // it ends with the source
	}
	s.total.mu.Lock()
	defer s.total.mu.Unlock()
	return s.total.users, s.total.groups
}

// count asks how many there are.
func (s *source) count(ctx context.Context) error {
	users, err := s.client.Count(ctx, graph.Users)
	if err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	groups := 0
	if s.cfg.Groups.Enabled && len(s.lacking) == 0 {
		if groups, err = s.client.Count(ctx, graph.Groups); err != nil {
			return fmt.Errorf("counting: %w", err)
		}
	}
	s.total.mu.Lock()
	defer s.total.mu.Unlock()
	s.total.users, s.total.groups = users, groups
	return nil
}

// progress adds how far a round is, and for a first import how fast it is and
// when it will be over.
func (s *source) progress(st *admin.SourceStatus, m *mirror.Status, looked bool) {
	st.ProgressUsers, st.ProgressGroups = m.Progress.Users, m.Progress.Groups
	if m.State != mirror.FirstImport {
		return
	}
	elapsed, read := time.Since(m.RoundStarted), m.Progress.Users+m.Progress.Groups
	if read == 0 || elapsed < time.Second {
		return
	}
	st.ProgressRate = float64(read) / elapsed.Seconds()
	st.ProgressTotalUsers, st.ProgressTotalGroups = s.expected(m, looked)
	if total := st.ProgressTotalUsers + st.ProgressTotalGroups; total > read {
		st.ProgressLeft = time.Duration(float64(total-read) / st.ProgressRate * float64(time.Second)).Round(time.Second)
	}
}

// A lifeLog logs when a source goes from one state of its life to another. The
// coming and going of rounds, which have lines of their own, is left out. It tells
// as well of ids that come to be had by two sources.
type lifeLog struct {
	last   map[string]string
	shared map[[2]string]bool // source and the one that it has ids in common with
}

// note logs what has changed since the last call.
func (l *lifeLog) note(log *slog.Logger, sources []admin.SourceStatus) {
	if l.last == nil {
		l.last = map[string]string{}
	}
	shared := make(map[[2]string]bool)
	for i := range sources {
		for _, one := range sources[i].Shared {
			between := [2]string{sources[i].Name, one.ShownOf}
			if shared[between] = true; !l.shared[between] {
				log.Error("two sources have the same ids; who sees both gets each once, as the other has it", "source", between[0], "other", between[1],
					"users", one.Users, "groups", one.Groups, "mend", "remove one of the two, or give each client a list of sources with one of them")
			}
		}
	}
	l.shared = shared
	for i := range sources {
		s := &sources[i]
		state := s.State
		if state == string(mirror.Importing) || state == string(mirror.Starting) {
			continue
		}
		was, known := l.last[s.Name]
		if l.last[s.Name] = state; known && was == state {
			continue
		}
		attrs := []any{"source", s.Name, "state", state, "was", was}
		switch state {
		case stateConsent, string(mirror.Failing), string(mirror.HeldState):
			log.Warn("source is "+state, append(attrs, "why", cmp.Or(s.Held, s.Error))...)
		default:
			log.Info("source is "+state, attrs...)
		}
	}
}
