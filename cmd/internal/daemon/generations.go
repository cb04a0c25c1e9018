package daemon

import (
	"context"
	"fmt"

	"scimbridge/cmd/internal/admin"
	"scimbridge/sync/mirror"
)

// Rehearse implements admin.Generations.
func (d *Daemon) Rehearse(ctx context.Context, name string, full bool, list int) (admin.Rehearsal, error) {
	var diff *mirror.Diff
	done, err := d.order(ctx, name, func(ctx context.Context, m *mirror.Mirror) (mirror.Report, error) {
		report, err := m.Refresh(ctx, mirror.Options{Full: full, DryRun: true, List: list})
		diff = report.Diff
		return report, err
	})
	return admin.Rehearsal{Round: done, Diff: diff}, err
}

// whyLeft is why those of a source that left the file would go.
const whyLeft = "the source is no longer in the configuration"

// Held implements admin.Generations.
func (d *Daemon) Held(ctx context.Context, name string, list int) (*mirror.Diff, error) {
	if s := d.gen.Load().sources[name]; s != nil && s.state == stateLeft {
		if s.picture.Current() == nil {
			return nil, fmt.Errorf("the last picture of source %s can't be read: %s", name, leftLost(name))
		}
		return mirror.Departure(s.picture.Current(), whyLeft, list), nil
	}
	s, err := d.pulled(name)
	if err != nil {
		return nil, err
	}
	return s.mirror.HeldDiff(ctx, list)
}

// Diff implements admin.Generations.
func (d *Daemon) Diff(ctx context.Context, name string, from, to uint64, list int) (*mirror.Diff, error) {
	s, err := d.pulled(name)
	if err != nil {
		return nil, err
	}
	return s.mirror.Diff(ctx, from, to, list)
}

// Kept implements admin.Generations.
func (d *Daemon) Kept(name string) ([]admin.Generation, error) {
	s := d.gen.Load().sources[name]
	if s == nil {
		return nil, fmt.Errorf("%w %q", admin.ErrNoSource, name)
	}
	all := []admin.Generation{}
	for i, g := range s.picture.Generations() {
		all = append(all, admin.Generation{Number: g.Number, Published: g.Published, Users: g.Users, Groups: g.Groups, Current: i == 0})
	}
	return all, nil
}

// Rollback implements admin.Generations.
func (d *Daemon) Rollback(ctx context.Context, name string, generation uint64, by string) (admin.Round, error) {
	return d.order(ctx, name, func(ctx context.Context, m *mirror.Mirror) (mirror.Report, error) {
		return m.Rollback(ctx, generation, by)
	})
}
