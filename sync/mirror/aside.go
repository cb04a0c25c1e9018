package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/scim/mapping"
	"scimbridge/scim/mapping/expr"
	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// An AsideReader is a [Source] that reads what delta queries don't bring.
type AsideReader interface {
	// ReadAside is as that of [graph.Client].
	ReadAside(ctx context.Context, names []string, visit func([]graph.Aside) error) error
}

// asideEvery is the least time between two readings aside: each reads all
// users, and Microsoft brings sign-ins up to date every few hours only. One that
// failed is tried again after asideAgain.
const (
	asideEvery = time.Hour
	asideAgain = 10 * time.Minute
)

// asideMaxAge is for how long the values of an earlier reading decide who is
// served while they can't be read again. A rule such as one that asks for a
// sign-in within ninety days would let people go for no other reason than that
// nobody looks any more, a few each day.
const asideMaxAge = 24 * time.Hour

// Aside gives the properties of users that have to be read aside, for the
// mapping or for the scope.
func Aside(mapper *mapping.Mapper, scope *Scope) []string {
	names := mapper.Aside()
	if scope.Where != nil {
		for _, name := range scope.Where.Properties() {
			if isAside(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// isAside says whether a property of users is none that delta queries bring.
func isAside(name string) bool {
	p, _ := expr.Lookup(expr.User, name)
	return p.Aside
}

// asideDecides says whether what is read aside decides who is served, or by what
// name.
func (m *Mirror) asideDecides() bool {
	return m.cfg.Scope.Where != nil && slices.ContainsFunc(m.cfg.Scope.Where.Properties(), isAside) || m.cfg.Mapper.AsideDecides()
}

// asideKnown says whether all of some properties were read lately.
func (r *round) asideKnown(names []string) bool {
	cursor := r.state.Cursors[store.Aside]
	known := strings.Split(cursor.Link, ",")
	return cursor.Fingerprint == r.m.cfg.Tenant && since(cursor.At) < asideMaxAge &&
		!slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(known, name) })
}

// readAside puts into the round what is read aside, once an hour. It costs
// nobody anything where that fails: the values of last time stay, and the round
// goes on. Where there are none, or old ones, and they decide who is served, the
// round fails instead, and everybody stays.
func (r *round) readAside(ctx context.Context) error {
	names := r.m.asideNames()
	if len(names) == 0 || len(r.plan.compare) > 0 || !slices.Contains(r.plan.kinds, graph.Users) {
		return nil
	}
	last := r.m.aside.Load()
	if last != nil && last.fresh() {
		r.report.Aside = last.err
		return nil
	}
	source, ok := r.m.cfg.Graph.(AsideReader)
	if !ok {
		return errors.New("reading aside: the source can't")
	}
	var stored error // of ours: then the round is worth nothing
	err := source.ReadAside(ctx, names, func(page []graph.Aside) error {
		stored = r.putAside(page)
		return stored
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case stored != nil:
		return fmt.Errorf("storing what was read aside: %w", stored)
	case err != nil && r.m.asideDecides() && !r.asideKnown(names):
		return fmt.Errorf("reading %s, by which it is decided who is served: %w", strings.Join(names, " and "), err)
	case err != nil:
		r.m.log.Warn("properties could not be read aside; those of last time stay", "properties", names, "err", err)
		r.report.Aside = err
	default:
		cursor := store.Cursor{Link: strings.Join(names, ","), Fingerprint: r.m.cfg.Tenant, At: r.now}
		if err := r.tx.SetCursor(store.Aside, cursor); err != nil {
			return fmt.Errorf("storing what was read aside: %w", err)
		}
	}
	r.aside = &asideState{time.Now(), r.report.Aside}
	return nil
}

// An asideState is how and when the last reading aside ended.
type asideState struct {
	at  time.Time
	err error
}

func (s *asideState) fresh() bool {
	if s.err != nil {
		return since(s.at) < asideAgain
	}
	return since(s.at) < asideEvery
}

// asideTried says whether what has to be read aside was asked for since the
// start. Before it was, a rule would take everybody for somebody without it.
func (m *Mirror) asideTried() bool {
	return m.aside.Load() != nil || len(m.asideNames()) == 0
}

// putAside merges a page onto the users who are stored and present.
func (r *round) putAside(page []graph.Aside) error {
	for _, user := range page {
		old, known, err := r.tx.Object(store.User, user.ID)
		if err != nil {
			return err
		}
		if !known || old.Removed != nil {
			continue // the next delta brings her, and the next reading these
		}
		merged, err := merge(old.Properties, user.ID, user.Properties)
		if err != nil {
			return fmt.Errorf("merging user %s: %w", user.ID, err)
		}
		changed, err := r.tx.Put(store.User, user.ID, merged)
		if err != nil {
			return err
		}
		if changed {
			r.report.Users.Changed++
		}
	}
	return nil
}

// keepAside gives what of a stored user a full read does not replace: the
// properties that were read aside.
func (r *round) keepAside(stored []byte) []byte {
	names := r.m.asideNames()
	if len(names) == 0 || stored == nil {
		return nil
	}
	var all, kept map[string]json.RawMessage
	if json.Unmarshal(stored, &all) != nil {
		return nil
	}
	for _, name := range names {
		if v, ok := all[name]; ok {
			if kept == nil {
				kept = make(map[string]json.RawMessage)
			}
			kept[name] = v
		}
	}
	if kept == nil {
		return nil
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return nil
	}
	return b
}
