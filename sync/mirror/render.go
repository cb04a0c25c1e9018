package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/fair"
	"scimbridge/scim/guid"
	"scimbridge/scim/mapping"
	"scimbridge/sync/store"
)

// A renderer puts stored objects into a draft.
type renderer struct {
	ctx     context.Context
	m       *Mirror
	scope   *decider
	store   store.Store
	current *directory.Snapshot // nil before the first publication
	draft   *directory.Draft
	report  *Report
	now     time.Time
	mark    string // of what decides how objects are served
	// all: everything is rendered, not only what changed. foreign: what is
	// served came from another state, so that its memberships and resources
	// have to be held against this one's.
	all, foreign bool
	// served are the ids of what is put, where foreign.
	served *guid.Table[int32]
	// expires: the clock may say who was kept long enough.
	expires bool
	// bodies is memory of records that the draft has taken, for further ones.
	bodies chan []byte

	// Resources that were in no group so far, because they were not served:
	// their memberships have to be joined from what is stored. A first picture
	// joins all memberships anyway, and has none.
	newUsers, newGroups []string
	// turned are groups that may have come or gone since the picture was made:
	// who is in one of them then is in another's groups, too.
	turned   []string
	problems problemSet // of the mapping
	// gone are the groups that the draft takes out.
	gone map[string]bool
}

// render seals a snapshot of what is stored.
func (m *Mirror) render(ctx context.Context, s store.Store, current *directory.Snapshot, state store.Source, report *Report) (*directory.Snapshot, error) {
	r := &renderer{ctx: ctx, m: m, scope: newDecider(ctx, &m.cfg.Scope, s, m.cfg.Name), gone: make(map[string]bool), store: s, current: current, draft: m.cfg.Picture.Draft(), report: report,
		now: time.Now(), foreign: foreign(current, state), served: guid.NewTable[int32](m.cfg.Picture.Lists(), 0), expires: m.clockTrusted(), bodies: make(chan []byte, 4*batchSize)}
	r.mark = m.fingerprint(r.now)
	defer r.close()
	if err := r.fill(ctx, state); err != nil {
		return nil, err
	}
	sealed, err := r.draft.Seal(ctx, r.now, directory.Tag{Round: state.Round, Mapping: r.mark, Epoch: state.Epoch})
	if err != nil {
		return nil, err
	}
	report.Changes = countsOf(sealed)
	report.Failing = m.failing.take(&r.problems)
	return sealed, nil
}

// countsOf gives a copy: a diff leads to the picture before, which a report must not
// keep.
func countsOf(sealed *directory.Snapshot) *[directory.NumTypes]directory.Counts {
	counts := sealed.Diff().Counts
	return &counts
}

func (r *renderer) close() {
	r.draft.Discard()
	r.scope.close()
	r.served.Close()
}

func (r *renderer) fill(ctx context.Context, state store.Source) error {
	var since, edgesSince uint64
	if r.current != nil && !r.foreign {
		edgesSince = r.current.Tag().Round
		if r.current.Tag().Mapping == r.mark {
			since = edgesSince
		}
	}
	r.all = since == 0
	r.problems.all = r.all
	if err := r.recount(ctx, since); err != nil {
		return err
	}
	if r.current != nil && strings.Contains(r.current.Tag().Mapping, flatMark) != r.m.cfg.Scope.Flatten {
		edgesSince = 0 // the picture shows them in the other way
	}
	if r.all {
		if r.current == nil { // else it is told of those only who change
			r.draft.Expect(state.Users + state.Groups)
		}
		if err := r.scope.everybody(r.m.cfg.Picture.Lists()); err != nil {
			return err
		}
		if err := r.warnOfGroups(); err != nil {
			return err
		}
	}
	if err := r.objects(ctx, store.User, since, state.Users); err != nil {
		return err
	}
	if err := r.objects(ctx, store.Group, since, state.Groups); err != nil {
		return err
	}
	if err := r.memberships(edgesSince); err != nil {
		return err
	}
	if r.current != nil {
		r.expire()
	}
	if r.foreign {
		r.dropStrangers()
	}
	r.yield()
	return r.manage()
}

// objects renders a kind's objects that changed after a round. Where all are
// read their number is known: a database can be damaged so that it gives fewer
// without an error.
func (r *renderer) objects(ctx context.Context, kind store.Kind, since uint64, present int) error {
	n := 0
	var pace fair.Pace
	for j, err := range inOrder(r.jobs(ctx, kind, since), r.mapJob) {
		if err == nil {
			err = r.place(j)
		}
		if err != nil {
			return err
		}
		if j.obj.Removed == nil {
			n++
		}
		pace.Keep()
	}
	if r.all && n != present {
		return fmt.Errorf("the state is damaged: it gives %d of %d %ss", n, present, kind)
	}
	return nil
}

func (r *renderer) put(obj *store.Object, rec directory.Record, problems []mapping.Problem) error {
	for _, p := range problems {
		r.report.Problems++
		r.m.log.Debug("value not mapped", "kind", obj.Kind, "id", obj.ID, "problem", p.String())
	}
	if rec.Detached {
		problems = nil // of those who are gone nobody needs to mend anything
	}
	r.problems.add(rec.Type, obj.ID, problems)
	return r.replace(obj, rec)
}

// replace puts a record whose problems are known.
func (r *renderer) replace(obj *store.Object, rec directory.Record) error {
	err := r.draft.Put(rec)
	if errors.Is(err, directory.ErrRecord) {
		return r.unfit(obj, err)
	}
	if err == nil && r.foreign {
		r.served.Set(obj.ID, 0)
	}
	return err
}

// unfit passes over an object that can't be rendered: it is served as it was,
// if it was, and costs nobody else the round.
func (r *renderer) unfit(obj *store.Object, err error) error {
	r.report.Problems++
	r.m.log.Error("object can't be rendered and keeps its last form", "kind", obj.Kind, "id", obj.ID, "err", err)
	r.served.Set(obj.ID, 0)
	return nil
}

// expire takes out the removed users who were kept long enough.
func (r *renderer) expire() {
	keep := r.m.cfg.Scope.KeepRemoved
	for res := range r.current.Detached(directory.User) {
		over := keep <= 0 || r.expires && !r.now.Before(res.DetachedSince().Add(keep))
		if over && !r.draft.Holds(res.ID()) {
			r.draft.Remove(res.ID())
		}
	}
}

// dropStrangers takes out what is served and not stored: the state was lost,
// and read anew it knows nothing of who went before.
func (r *renderer) dropStrangers() {
	v := directory.NewView(r.current)
	for t := range directory.Type(directory.NumTypes) {
		for i := range v.Len(t) {
			if id := v.At(t, i).ID(); !r.served.Has(id) {
				r.draft.Remove(id)
			}
		}
	}
}
