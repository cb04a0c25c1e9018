package mirror

import (
	"context"
	"errors"
	"iter"
	"time"

	"scimbridge/sync/store"
)

// A Census counts who is in the tenant and left out of the scope, by the rule
// that does it: the first one, where several do.
type Census struct {
	// At is when it was taken; zero: not yet, or there is no rule.
	At            time.Time
	Users, Groups map[string]int
	// Lost are the groups of users.member_of that the tenant does not have.
	Lost []string
}

// censusShare is how much of the time counting may take: a census that took a
// second is not taken again for so many seconds.
const censusShare = 100

// narrows says whether any rule may leave somebody out.
func (s *Scope) narrows() bool {
	return s.Assigned != "" || !s.Guests || !s.Disabled || s.GuestsOnly || s.LicensedOnly || len(s.MemberOf) > 0 || len(s.Exclude) > 0 ||
		s.Where != nil || len(s.GroupTypes) > 0 || len(s.GroupExclude) > 0 || s.GroupWhere != nil
}

// census counts anew where something changed since the last time. It looks at
// everybody who is stored, and so is not done after every round of a large
// tenant; what fails is tried again after the next one. m.pulling is held.
func (m *Mirror) census(ctx context.Context) {
	if !m.cfg.Scope.narrows() || !m.counted.At.IsZero() && since(m.counted.At) < censusShare*m.counting {
		return
	}
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil || m.countedRound == state.Round && !m.counted.At.IsZero() {
		return
	}
	began := time.Now()
	counted, err := m.count(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.log.Warn("who is left out of the scope was not counted", "err", err)
		}
		return
	}
	m.counted, m.counting, m.countedRound = counted, time.Since(began), state.Round
	m.status.set(func(s *Status) { s.LeftOut = counted })
}

func (m *Mirror) count(ctx context.Context) (Census, error) {
	c := Census{At: time.Now(), Users: make(map[string]int), Groups: make(map[string]int)}
	d := newDecider(ctx, &m.cfg.Scope, m.cfg.Store, m.cfg.Name)
	defer d.close()
	if err := d.everybody(m.cfg.Picture.Lists()); err != nil {
		return c, err
	}
	var err error
	if c.Lost, err = d.lost(); err != nil {
		return c, err
	}
	if err := tallyOut(m.cfg.Store.Objects(ctx, m.cfg.Name, store.User, 0), d.user, c.Users); err != nil || !m.cfg.Scope.Groups {
		return c, err
	}
	return c, tallyOut(m.cfg.Store.Objects(ctx, m.cfg.Name, store.Group, 0), d.group, c.Groups)
}

// tallyOut counts the objects that are left out. One of whom an expression says
// nothing is not counted.
func tallyOut(objects iter.Seq2[store.Object, error], decide func([]byte) (RuleResult, error), out map[string]int) error {
	for obj, err := range objects {
		if err != nil {
			return err
		}
		if obj.Removed != nil {
			continue
		}
		result, err := decide(obj.Properties)
		var condition *conditionError
		switch {
		case errors.As(err, &condition):
		case err != nil:
			return err
		case !result.In:
			out[result.Rule]++
		}
	}
	return nil
}
