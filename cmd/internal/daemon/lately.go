package daemon

import (
	"context"
	"fmt"
	"sync"

	"scimbridge/cmd/internal/admin"
	"scimbridge/sync/mirror"
)

// lately remembers what the last generations changed. Two generations never
// change, and comparing them reads all of both, so it is done once.
type lately struct {
	mu    sync.Mutex
	known map[string][]admin.Lately // by source, the latest first
}

// latelyNames is how many of those whom a generation changed are named.
const latelyNames = 8

// Lately says what a source's last generations changed, the latest first.
func (d *Daemon) Lately(ctx context.Context, name string, limit int) ([]admin.Lately, error) {
	s := d.gen.Load().sources[name]
	if s == nil || s.mirror == nil {
		return nil, nil
	}
	kept := s.picture.Generations()
	d.lately.mu.Lock()
	defer d.lately.mu.Unlock()
	known := d.lately.known[name]
	var now []admin.Lately
	for i := 0; i+1 < len(kept) && len(now) < limit; i++ {
		one, ok := find(known, kept[i].Number)
		if !ok {
			diff, err := s.mirror.Diff(ctx, kept[i+1].Number, kept[i].Number, latelyNames)
			if err != nil {
				return now, fmt.Errorf("comparing generations of source %s: %w", name, err)
			}
			one = changesOf(diff)
			one.Published = kept[i].Published
		}
		now = append(now, one)
	}
	if d.lately.known == nil {
		d.lately.known = make(map[string][]admin.Lately)
	}
	d.lately.known[name] = now
	return now, nil
}

func find(all []admin.Lately, generation uint64) (admin.Lately, bool) {
	for _, l := range all {
		if l.Generation == generation {
			return l, true
		}
	}
	return admin.Lately{}, false
}

func changesOf(diff *mirror.Diff) admin.Lately {
	l := admin.Lately{Generation: diff.To, Users: diff.Users, Groups: diff.Groups, Omitted: diff.Omitted}
	for _, c := range diff.Changes {
		one := admin.Change{Kind: c.Kind, Type: c.Type, ID: c.ID, Name: c.Name, Why: c.Why}
		for _, a := range c.Attributes {
			one.Attributes = append(one.Attributes, a.Path)
		}
		l.Changes = append(l.Changes, one)
	}
	return l
}
