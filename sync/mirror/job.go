package mirror

import (
	"context"
	"errors"
	"iter"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/store"
)

// A job is an object on its way from the store into the draft. Three take part:
// one reads and decides, several map, and one puts into the draft, each in the
// order of the store. No field is used by two of them at a time.
type job struct {
	obj    store.Object
	before directory.Resource // as it is served, where known
	known  bool
	fate   fate
	// unjudged is why the scope can't be judged; it stays as it was.
	unjudged *conditionError

	// What the mapping makes of it, where it is served.
	rec      directory.Record
	problems []mapping.Problem
	err      error
}

// A fate is what becomes of an object.
type fate uint8

const (
	toServe  fate = iota
	toKeep        // to be served as inactive, because she went not long ago
	toLeave       // to be left as served
	toRemove      // not to be served
)

// jobs reads a kind's objects that changed after a round, and decides on them.
func (r *renderer) jobs(ctx context.Context, kind store.Kind, since uint64) iter.Seq2[job, error] {
	return func(yield func(job, error) bool) {
		for obj, err := range r.store.Objects(ctx, r.m.cfg.Name, kind, since) {
			j := job{obj: obj}
			if err == nil {
				err = r.decide(&j)
			}
			if !yield(j, err) || err != nil {
				return
			}
		}
	}
}

// object puts one object, or takes it out.
func (r *renderer) object(obj store.Object) error {
	j := job{obj: obj}
	if err := r.decide(&j); err != nil {
		return err
	}
	r.mapJob(&j)
	return r.place(&j)
}

// decide says what becomes of an object.
func (r *renderer) decide(j *job) error {
	if r.current != nil {
		j.before, j.known = r.current.ByID(j.obj.ID)
	}
	detached := j.known && j.before.Detached()
	in := false
	if j.obj.Removed == nil {
		var err error
		if in, err = r.inScope(j, j.known && !detached); err != nil {
			return err
		}
	}
	switch {
	case in:
		j.fate = toServe
	case j.obj.Kind == store.Group || !r.kept(&j.obj, j.before, j.known):
		j.fate = toRemove
	case detached && !r.all:
		j.fate = toLeave // as she went
	default:
		j.fate = toKeep
	}
	return nil
}

// inScope says whether a user or group is in the scope. One of whom an
// expression says nothing stays in it, or out of it, as it was.
func (r *renderer) inScope(j *job, was bool) (bool, error) {
	var result RuleResult
	var err error
	if j.obj.Kind == store.Group {
		result, err = r.scope.group(j.obj.Properties)
	} else {
		result, err = r.scope.user(j.obj.Properties)
	}
	var condition *conditionError
	if err != nil && errors.As(err, &condition) {
		j.unjudged = condition
		return was, nil
	}
	return result.In, err
}

// kept says whether a user who is not in the directory any more is still
// served as inactive: for a time after she went, so that platforms see her
// deactivated before they see her gone.
func (r *renderer) kept(obj *store.Object, before directory.Resource, known bool) bool {
	keep := r.m.cfg.Scope.KeepRemoved
	switch {
	case keep <= 0:
		return false
	case known && before.Detached():
		return !r.expires || r.now.Before(before.DetachedSince().Add(keep))
	case known:
		return true
	}
	// Where there is no picture any more the removed were in it, by all we know.
	return r.current == nil && obj.Removed != nil && !isOutside(obj) && (!r.expires || r.now.Before(obj.Removed.At.Add(keep)))
}

// mapJob maps an object that is served. A manager is named where he is served now,
// or nothing is yet: who comes or goes in this round is not known before its end.
func (r *renderer) mapJob(j *job) {
	if j.fate > toKeep {
		return
	}
	r.mapUnder(j, func(manager string) bool {
		if r.current == nil {
			return true
		}
		_, served := r.current.ByID(manager)
		return served
	})
}

// mapUnder maps an object, and names a manager who is served.
func (r *renderer) mapUnder(j *job, served func(manager string) bool) {
	in := r.input(j)
	select {
	case in.Into = <-r.bodies:
	default:
	}
	j.rec, j.problems, j.err = r.m.cfg.Mapper.Map(typeOf(j.obj.Kind), in)
	if j.err == nil && j.rec.Manager != "" && !served(j.rec.Manager) {
		in.HideManager, in.Into = true, j.rec.Body
		j.rec, j.problems, j.err = r.m.cfg.Mapper.Map(typeOf(j.obj.Kind), in)
	}
	j.rec.Detached = j.fate == toKeep
}

// input gives an object to the mapping, with what was served of it last.
func (r *renderer) input(j *job) mapping.Input {
	in := mapping.Input{Object: j.obj.Properties, Inactive: j.fate == toKeep, Now: r.now}
	if j.known {
		in.Previous, in.WasGone = j.before.Head(), j.before.Detached()
	}
	if in.Inactive && in.WasGone {
		// For her the days have ended: by a rule that counts them she would
		// change each day.
		in.Now = j.before.DetachedSince()
	}
	return in
}

// place puts an object into the draft, or takes it out.
func (r *renderer) place(j *job) error {
	obj, typ := &j.obj, typeOf(j.obj.Kind)
	if j.unjudged != nil {
		r.report.Problems++
		r.m.log.Debug("scope can't be judged and stays as it was", "kind", obj.Kind, "id", obj.ID, "rule", j.unjudged.rule, "err", j.unjudged.err)
	}
	if typ == directory.Group && (obj.Removed != nil || !j.known) {
		r.turned = append(r.turned, obj.ID)
	}
	switch {
	case j.fate == toLeave:
		return nil
	case j.fate == toRemove:
		if typ == directory.Group {
			r.gone[obj.ID] = true
		}
		r.problems.add(typ, obj.ID, nil)
		r.draft.Remove(obj.ID)
		return nil
	case j.err != nil:
		return r.unfit(obj, j.err)
	}
	r.noteNew(j, typ)
	err := r.put(obj, j.rec, j.problems)
	select {
	case r.bodies <- j.rec.Body: // the draft has a copy
	default:
	}
	return err
}

// noteNew notes resources that were in no group so far.
func (r *renderer) noteNew(j *job, typ directory.Type) {
	switch {
	case typ == directory.Group:
		delete(r.gone, j.obj.ID)
		if !j.known && r.current != nil {
			r.newGroups = append(r.newGroups, j.obj.ID)
		}
	case j.fate == toServe && r.current != nil && (!j.known || j.before.Detached()):
		r.newUsers = append(r.newUsers, j.obj.ID)
	}
}

// typeOf is the type of the resources that a kind of objects is served as.
func typeOf(kind store.Kind) directory.Type {
	if kind == store.Group {
		return directory.Group
	}
	return directory.User
}
