package mirror

import (
	"context"
	"fmt"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/sync/store"
)

// publish renders what is stored and not served, and publishes it if the guard
// lets it. m.publishing is held.
func (m *Mirror) publish(ctx context.Context, report *Report) error {
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	current := m.cfg.Picture.Current()
	m.status.set(func(s *Status) { s.Frozen = state.Frozen })
	switch {
	case !state.Frozen.IsZero():
		report.Outcome, report.Since = Frozen, state.Frozen
		return nil
	case !m.whole(state) || foreign(current, state) && !m.pulled.Load():
		report.Outcome = Unchanged
		return nil
	}
	sealed, err := m.render(ctx, m.cfg.Store, current, state, report)
	if err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	verdict, err := m.judge(ctx, current, sealed)
	if err != nil {
		return fmt.Errorf("judging: %w", err)
	}
	report.Verdict = verdict
	if !verdict.OK() && !approved(state, verdict) {
		return m.hold(ctx, state, verdict, sealed, report)
	}
	if err := m.cfg.Picture.Publish(sealed); err != nil {
		return err
	}
	m.tellNamesakes(&verdict)
	report.Outcome = Published
	if sealed.Diff().Empty() && current != nil {
		report.Outcome = Unchanged
	}
	if !verdict.OK() {
		report.Outcome, report.By = Approved, state.Approved.By
	}
	return m.published(ctx, state)
}

// whole says whether what is stored is one state of the tenant and answers what
// is asked now. It is not before the first round, nor where groups were not
// pulled for a while, or other properties were: the next round makes it so, and
// until then what is served stays.
func (m *Mirror) whole(state store.Source) bool {
	if state.Round == 0 {
		return false
	}
	for _, k := range m.kinds() {
		cursor := state.Cursors[storeKind(k)]
		question, _ := splitMark(cursor.Fingerprint)
		if m.returned(state, k) || !m.answers(question, k) || !cursor.At.Equal(state.Cursors[store.User].At) {
			return false
		}
	}
	return m.assignedRead(state) && m.asideTried()
}

// foreign says whether what is served was rendered from another state than the
// one there is: one that was lost, or an older copy that was put back.
func foreign(current *directory.Snapshot, state store.Source) bool {
	if current == nil {
		return false
	}
	tag := current.Tag()
	return tag.Epoch != state.Epoch || tag.Round > state.Round
}

// published clears up after a publication: an approval is spent with it, and
// nothing is held any more. Should this fail it is done with the next one; until
// then the approval covers nothing but what it has let through.
func (m *Mirror) published(ctx context.Context, state store.Source) error {
	m.status.setHeld(nil, nil)
	if err := m.spend(ctx, state); err != nil {
		return err
	}
	if state.Held != nil {
		if err := m.cfg.Store.SetHeld(ctx, m.cfg.Name, nil); err != nil {
			return fmt.Errorf("noting that nothing is held: %w", err)
		}
	}
	if err := m.cfg.Picture.Tidy(ctx); err != nil && ctx.Err() == nil {
		// Reading is slower until the next time; nothing is lost.
		m.log.Warn("segments were not merged", "err", err)
	}
	return nil
}

// Freeze keeps serving the present picture until Unfreeze. Rounds go on being
// pulled and stored. by is who ordered it, for the record.
func (m *Mirror) Freeze(ctx context.Context, by string) error {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	if err := m.setFrozen(ctx, time.Now(), by); err != nil {
		return err
	}
	m.addRecord(ctx, &Report{Started: time.Now(), Outcome: Frozen, By: by})
	return nil
}

// Unfreeze ends a freeze and publishes what has come meanwhile, by way of the
// guard. by is who ordered it, for the record. Where nothing is frozen it does
// nothing, and says so.
func (m *Mirror) Unfreeze(ctx context.Context, by string) (Report, error) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return Report{}, fmt.Errorf("reading the state: %w", err)
	}
	if state.Frozen.IsZero() {
		return Report{Started: time.Now(), Outcome: NotFrozen}, nil
	}
	if err := m.setFrozen(ctx, time.Time{}, by); err != nil {
		return Report{}, err
	}
	m.addRecord(ctx, &Report{Started: time.Now(), Outcome: Unfrozen, By: by})
	return m.publishStored(ctx)
}

// setFrozen freezes or unfreezes. m.publishing is held.
func (m *Mirror) setFrozen(ctx context.Context, since time.Time, by string) error {
	if err := m.cfg.Store.SetFrozen(ctx, m.cfg.Name, since); err != nil {
		return fmt.Errorf("noting the freeze: %w", err)
	}
	m.status.set(func(s *Status) {
		s.Frozen = since
		switch {
		case !since.IsZero():
			s.State = FrozenState
		case s.State == FrozenState:
			s.State = Current
		}
	})
	if since.IsZero() {
		m.log.Warn("source is no longer frozen; what has changed meanwhile is published by way of the guard", "by", by)
	} else {
		m.log.Warn("source is frozen; the picture stays as it is until it is unfrozen", "by", by)
	}
	return nil
}
