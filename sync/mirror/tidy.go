package mirror

import (
	"context"
	"time"

	"scimbridge/sync/store"
)

const (
	// tidyEvery is how often the store is rid of what nobody needs.
	tidyEvery = 24 * time.Hour
	// recycleBin is for how long Microsoft can restore what was removed
	// (30 days, learn.microsoft.com/entra/fundamentals/users-restore), and a
	// day more: so long it is kept with its memberships.
	recycleBin = 31 * 24 * time.Hour
)

// tidy drops from the store, once a day, what was removed long ago and is in no
// picture any more, and the memberships that ended before the oldest of them.
// What fails is tried again another day. m.pulling and m.publishing are held.
func (m *Mirror) tidy(ctx context.Context) {
	if !m.tidied.IsZero() && since(m.tidied) < tidyEvery || !m.clockTrusted() {
		return
	}
	m.tidied = time.Now()
	if err := m.forget(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("what was removed long ago was not forgotten", "err", err)
	}
	if err := m.prune(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("ended memberships were not pruned", "err", err)
	}
}

func (m *Mirror) forget(ctx context.Context) error {
	before := time.Now().Add(-max(m.cfg.Scope.KeepRemoved, recycleBin))
	known, _ := m.knownRound()
	for _, kind := range []store.Kind{store.User, store.Group} {
		var old []string
		for obj, err := range m.cfg.Store.Removed(ctx, m.cfg.Name, kind, before) {
			if err != nil {
				return err
			}
			// A picture that does not know yet that a group went needs to find who
			// was in it: they may have left the scope with it.
			// One whom the filter leaves out is in the tenant, with her groups.
			if isOutside(&obj) || m.pictured(obj.ID) || kind == store.Group && obj.Round > known {
				continue
			}
			old = append(old, obj.ID)
		}
		if len(old) == 0 {
			continue
		}
		if err := m.cfg.Store.Forget(ctx, m.cfg.Name, kind, old...); err != nil {
			return err
		}
		m.log.Info("removed objects are forgotten", "kind", kind, "objects", len(old))
	}
	return nil
}

// pictured says whether a kept generation has a resource, or may have.
func (m *Mirror) pictured(id string) bool {
	for _, g := range m.cfg.Picture.Generations() {
		s, ok := m.cfg.Picture.At(g.Number)
		if !ok {
			return true
		}
		if _, ok := s.ByID(id); ok {
			return true
		}
	}
	return false
}

// prune drops the memberships whose end every kept generation knows.
func (m *Mirror) prune(ctx context.Context) error {
	known, ok := m.knownRound()
	if !ok {
		return nil
	}
	return m.cfg.Store.Prune(ctx, m.cfg.Name, known)
}

// knownRound is the round up to which every kept generation knows what happened;
// false: there is no generation.
func (m *Mirror) knownRound() (uint64, bool) {
	generations := m.cfg.Picture.Generations()
	if len(generations) == 0 {
		return 0, false
	}
	oldest := generations[0].Tag
	for _, g := range generations {
		if g.Tag.Epoch == oldest.Epoch {
			oldest.Round = min(oldest.Round, g.Tag.Round)
		}
	}
	return oldest.Round, true
}
