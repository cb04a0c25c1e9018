package mirror

import (
	"context"
	"fmt"
	"time"

	"scimbridge/scim/directory"
)

// generation gives a kept generation, 0 meaning the current one.
func (m *Mirror) generation(n uint64) (*directory.Snapshot, error) {
	if n == 0 {
		if s := m.cfg.Picture.Current(); s != nil {
			return s, nil
		}
		return nil, fmt.Errorf("source %s has published nothing yet", m.cfg.Name)
	}
	if s, ok := m.cfg.Picture.At(n); ok {
		return s, nil
	}
	kept := m.cfg.Picture.Generations()
	if len(kept) == 0 {
		return nil, fmt.Errorf("source %s has published nothing yet", m.cfg.Name)
	}
	return nil, fmt.Errorf("generation %d of source %s is not kept; generations %d to %d are", n, m.cfg.Name, kept[len(kept)-1].Number, kept[0].Number)
}

// Diff says what changed from one kept generation to another; 0 means the
// current one. It lists up to list changes, all with 0.
func (m *Mirror) Diff(ctx context.Context, from, to uint64, list int) (*Diff, error) {
	before, err := m.generation(from)
	if err != nil {
		return nil, err
	}
	after, err := m.generation(to)
	if err != nil {
		return nil, err
	}
	return m.describe(ctx, before, after, directory.Compare(before, after), Verdict{}, list)
}

// HeldDiff says what approving the held round would change, resource by
// resource, the losses first. It is nil where nothing is held, or not known
// yet after a start.
func (m *Mirror) HeldDiff(ctx context.Context, list int) (*Diff, error) {
	held := m.HeldSnapshot()
	if held == nil {
		return nil, nil
	}
	return m.describe(ctx, m.cfg.Picture.Current(), held, held.Diff(), m.Status().HeldVerdict(), list)
}

// Rollback serves again what a kept generation held, as a new one: what changes
// by it gets a new lastModified, so that platforms see it. The source is frozen
// by that, loudly, for the next round would undo it: after Unfreeze everything
// since then comes back, by way of the guard. The guard does not judge a
// rollback itself: Diff shows beforehand what it changes.
func (m *Mirror) Rollback(ctx context.Context, generation uint64, by string) (Report, error) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	report := Report{Started: time.Now(), By: by}
	err := m.rollback(ctx, generation, &report)
	report.finish(err)
	if err == nil {
		m.conclude(ctx, &report)
	}
	return report, err
}

func (m *Mirror) rollback(ctx context.Context, generation uint64, report *Report) error {
	target, err := m.generation(generation)
	if err != nil {
		return err
	}
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	// Frozen first: a crash between the two leaves what was served.
	report.Since = time.Now()
	if err := m.setFrozen(ctx, report.Since, report.By); err != nil {
		return err
	}
	draft := m.cfg.Picture.Draft()
	defer draft.Discard()
	if err := draft.Restore(target); err != nil {
		return err
	}
	// The tag is the old one's: what came after it is not served any more, and
	// has to be rendered again when the freeze ends.
	sealed, err := draft.Seal(ctx, time.Now(), target.Tag())
	if err != nil {
		return err
	}
	if err := m.cfg.Picture.Publish(sealed); err != nil {
		return err
	}
	report.Outcome, report.Changes = RolledBack, countsOf(sealed)
	m.log.Warn("picture was rolled back and source is frozen", "generation", generation, "as", sealed.Generation(), "by", report.By)
	return m.published(ctx, state)
}
