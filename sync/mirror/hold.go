package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/sync/store"
)

// hold keeps a snapshot back. While rounds go by in which it would take away
// the same, it keeps its number, so that an administrator can approve in peace
// what she has looked at; as soon as it would take away something else it is
// another one, and an approval of the first is void.
func (m *Mirror) hold(ctx context.Context, state store.Source, v Verdict, sealed *directory.Snapshot, report *Report) error {
	held := store.Held{Round: state.Round, Since: time.Now()}
	if state.Held != nil {
		held.Since = state.Held.Since
		held.Round = max(state.Round, state.Held.Round+1)
		if heldVerdict(state).Digest == v.Digest {
			held.Round = state.Held.Round
		}
	}
	if state.Held == nil || held.Round != state.Held.Round {
		if err := m.spend(ctx, state); err != nil {
			return err
		}
	}
	var err error
	if held.Detail, err = json.Marshal(v); err != nil {
		return fmt.Errorf("describing what is held: %w", err)
	}
	if err := m.cfg.Store.SetHeld(ctx, m.cfg.Name, &held); err != nil {
		return fmt.Errorf("noting what is held: %w", err)
	}
	m.status.setHeld(&held, sealed)
	report.Outcome, report.Since, report.HeldRound = Held, held.Since, held.Round
	return nil
}

// heldVerdict is what was said of the round that is held.
func heldVerdict(state store.Source) (v Verdict) {
	if state.Held != nil {
		// What can't be read is as good as nothing: it is held anew.
		_ = json.Unmarshal(state.Held.Detail, &v)
	}
	return v
}

// HeldVerdict is what is said of the round that is held; it is OK where none is.
func (s Status) HeldVerdict() Verdict { return heldVerdict(store.Source{Held: s.Held}) }

// approved says whether just what a verdict speaks against was approved.
func approved(state store.Source, v Verdict) bool {
	return state.Held != nil && state.Approved.Round == state.Held.Round && heldVerdict(state).Digest == v.Digest
}

// spend drops an approval.
func (m *Mirror) spend(ctx context.Context, state store.Source) error {
	if state.Approved == (store.Approval{}) {
		return nil
	}
	if err := m.cfg.Store.SetApproved(ctx, m.cfg.Name, store.Approval{}); err != nil {
		return fmt.Errorf("noting that an approval is spent: %w", err)
	}
	return nil
}

// Approve lets the held round through, as it is and nothing more: round is the
// number that was shown with what it would take away, or 0 for whatever is held
// now. by is who approved, for the record. It fails when that round is not held
// (any longer). It does not wait for a round that is being pulled; what that
// would take away beyond the approved is held again.
func (m *Mirror) Approve(ctx context.Context, round uint64, by string) (Report, error) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	if err := m.approve(ctx, round, by); err != nil {
		return Report{}, err
	}
	return m.publishStored(ctx)
}

func (m *Mirror) approve(ctx context.Context, round uint64, by string) error {
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	switch {
	case err != nil:
		return fmt.Errorf("reading the state: %w", err)
	case state.Held == nil:
		return fmt.Errorf("no round of source %s is held", m.cfg.Name)
	case round != 0 && round != state.Held.Round:
		return fmt.Errorf("round %d of source %s is not held; round %d is: look at what it changes, then approve that", round, m.cfg.Name, state.Held.Round)
	}
	m.log.Warn("held round is approved", "held", state.Held.Round, "by", by)
	approval := store.Approval{Round: state.Held.Round, At: time.Now(), By: by}
	if err := m.cfg.Store.SetApproved(ctx, m.cfg.Name, approval); err != nil {
		return fmt.Errorf("noting the approval: %w", err)
	}
	return nil
}
