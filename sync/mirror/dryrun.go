package mirror

import (
	"context"
	"errors"
	"fmt"
)

// rehearse does a round on a copy of the state, and says what it would publish.
// Its snapshot is dropped: nothing of it was ever visible. m.pulling is held.
func (m *Mirror) rehearse(ctx context.Context, opts Options, report *Report) (err error) {
	copied, err := m.cfg.Store.Clone(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	try := New(m.cfg)
	try.cfg.Store = copied
	try.log = m.log.With("dry_run", true)
	before := m.requests()
	err = try.pull(ctx, opts, report)
	report.Requests = int(m.requests() - before)
	if err != nil {
		return err
	}
	m.publishing.Lock()
	defer m.publishing.Unlock()
	return try.preview(ctx, opts.List, report)
}

// preview renders and judges, and publishes nothing.
func (m *Mirror) preview(ctx context.Context, list int, report *Report) error {
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	current := m.cfg.Picture.Current()
	sealed, err := m.render(ctx, m.cfg.Store, current, state, report)
	if err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	if report.Verdict, err = m.judge(ctx, current, sealed); err != nil {
		return fmt.Errorf("judging: %w", err)
	}
	switch {
	case !state.Frozen.IsZero():
		report.Outcome, report.Since = Frozen, state.Frozen
	case !report.Verdict.OK():
		report.Outcome = Held
	case sealed.Diff().Empty():
		report.Outcome = Unchanged
	default:
		report.Outcome = Published
	}
	report.Diff, err = m.describe(ctx, current, sealed, sealed.Diff(), report.Verdict, list)
	return err
}
