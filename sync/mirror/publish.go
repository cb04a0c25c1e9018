package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/store"
)

// publish renders what is stored and not served, and publishes it if the guard
// lets it. m.round is held.
func (m *Mirror) publish(ctx context.Context, report *Report) error {
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	current := m.cfg.Picture.Current()
	if state.Round == 0 {
		report.Outcome = Unchanged // there was no complete round yet
		return nil
	}
	if !state.Frozen.IsZero() && current != nil {
		report.Outcome, report.Since = Frozen, state.Frozen
		return nil
	}
	sealed, err := m.render(ctx, current, state, report)
	if err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	diff := sealed.Diff()
	report.Changes = &diff.Counts
	verdict, err := m.judge(ctx, current, sealed)
	if err != nil {
		return fmt.Errorf("judging: %w", err)
	}
	if !verdict.OK() && state.Approved.Round < state.Round {
		return m.hold(ctx, state, verdict, sealed, report)
	}
	if err := m.cfg.Picture.Publish(sealed); err != nil {
		return err
	}
	report.Outcome = Published
	if diff.Empty() && current != nil {
		report.Outcome = Unchanged
	}
	m.status.setHeld(nil, nil)
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

// hold keeps a snapshot back.
func (m *Mirror) hold(ctx context.Context, state store.Source, v Verdict, sealed *directory.Snapshot, report *Report) error {
	report.Outcome, report.Verdict = Held, v
	held := store.Held{Round: state.Round, Since: time.Now()}
	if state.Held != nil {
		held.Since = state.Held.Since
	}
	report.Since = held.Since
	m.status.setHeld(&held, sealed)
	detail, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("describing what is held: %w", err)
	}
	held.Detail = detail
	if err := m.cfg.Store.SetHeld(ctx, m.cfg.Name, &held); err != nil {
		return fmt.Errorf("noting what is held: %w", err)
	}
	return nil
}

// Approve lets the held round through, as it is and nothing more: round is the
// number that was shown with what it would take away, or 0 for whatever is held
// now. by is who approved, for the record. It fails when that round is not held
// (any longer).
func (m *Mirror) Approve(ctx context.Context, round uint64, by string) (Report, error) {
	if err := m.approve(ctx, round, by); err != nil {
		return Report{}, err
	}
	return m.Publish(ctx)
}

func (m *Mirror) approve(ctx context.Context, round uint64, by string) error {
	m.round.Lock()
	defer m.round.Unlock()
	state, err := m.cfg.Store.Source(ctx, m.cfg.Name)
	switch {
	case err != nil:
		return fmt.Errorf("reading the state: %w", err)
	case state.Held == nil:
		return fmt.Errorf("no round of source %s is held", m.cfg.Name)
	case round != 0 && round != state.Held.Round:
		return fmt.Errorf("round %d of source %s is not held; round %d is: look at what it changes, then approve that", round, m.cfg.Name, state.Held.Round)
	}
	m.log.Warn("held round is approved", "round", state.Held.Round, "by", by)
	approval := store.Approval{Round: state.Held.Round, At: time.Now(), By: by}
	if err := m.cfg.Store.SetApproved(ctx, m.cfg.Name, approval); err != nil {
		return fmt.Errorf("noting the approval: %w", err)
	}
	return nil
}

// Freeze keeps serving the present picture until Unfreeze. Rounds go on being
// pulled and stored.
func (m *Mirror) Freeze(ctx context.Context) error { return m.setFrozen(ctx, time.Now()) }

// Unfreeze ends a freeze and publishes what has come meanwhile, by way of the
// guard.
func (m *Mirror) Unfreeze(ctx context.Context) (Report, error) {
	if err := m.setFrozen(ctx, time.Time{}); err != nil {
		return Report{}, err
	}
	return m.Publish(ctx)
}

func (m *Mirror) setFrozen(ctx context.Context, since time.Time) error {
	m.round.Lock()
	defer m.round.Unlock()
	if err := m.cfg.Store.SetFrozen(ctx, m.cfg.Name, since); err != nil {
		return fmt.Errorf("noting the freeze: %w", err)
	}
	m.status.set(func(s *Status) { s.Frozen = since })
	return nil
}

// A renderer puts stored objects into a draft.
type renderer struct {
	m       *Mirror
	current *directory.Snapshot // nil before the first publication
	draft   *directory.Draft
	report  *Report
	now     time.Time

	// Resources that were in no group so far, because they were not served:
	// their memberships have to be joined from what is stored.
	newUsers, newGroups []string
}

// render seals a snapshot of what is stored.
func (m *Mirror) render(ctx context.Context, current *directory.Snapshot, state store.Source, report *Report) (*directory.Snapshot, error) {
	r := &renderer{m: m, current: current, draft: m.cfg.Picture.Draft(), report: report, now: time.Now()}
	defer r.draft.Discard()
	var since, edgesSince uint64
	if current != nil {
		edgesSince = current.Tag().Round
		if current.Tag().Mapping == m.fingerprint() {
			since = edgesSince
		}
	}
	for _, kind := range []store.Kind{store.User, store.Group} {
		for obj, err := range m.cfg.Store.Objects(ctx, m.cfg.Name, kind, since) {
			if err == nil {
				err = r.object(&obj)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for e, err := range m.cfg.Store.Edges(ctx, m.cfg.Name, edgesSince) {
		if err != nil {
			return nil, err
		}
		r.edge(e)
	}
	if current != nil {
		if err := r.rejoin(ctx); err != nil {
			return nil, err
		}
		r.expire()
	}
	return r.draft.Seal(ctx, r.now, directory.Tag{Round: state.Round, Mapping: m.fingerprint()})
}

// object puts an object, or takes it out.
func (r *renderer) object(obj *store.Object) error {
	var before directory.Resource
	known := false
	if r.current != nil {
		before, known = r.current.ByID(obj.ID)
	}
	if obj.Kind == store.Group {
		return r.group(obj, known)
	}
	in := false
	if obj.Removed == nil {
		var err error
		if in, err = r.m.cfg.Scope.user(obj.Properties); err != nil {
			return fmt.Errorf("user %s: %w", obj.ID, err)
		}
	}
	if !in && !r.kept(obj, before, known) {
		r.draft.Remove(obj.ID)
		return nil
	}
	rec, problems, err := r.m.cfg.Mapper.User(obj.Properties, !in)
	if err != nil {
		return fmt.Errorf("mapping user %s: %w", obj.ID, err)
	}
	r.problems(obj, problems)
	rec.Detached = !in
	if in && (!known || before.Detached()) {
		r.newUsers = append(r.newUsers, obj.ID)
	}
	return r.draft.Put(rec)
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
		return r.now.Before(before.LastModified().Add(keep))
	case known:
		return true
	}
	// Where there is no picture any more the removed were in it, by all we know.
	return r.current == nil && obj.Removed != nil && r.now.Before(obj.Removed.At.Add(keep))
}

func (r *renderer) group(obj *store.Object, known bool) error {
	if obj.Removed != nil || !r.m.cfg.Scope.Groups {
		r.draft.Remove(obj.ID)
		return nil
	}
	rec, problems, err := r.m.cfg.Mapper.Group(obj.Properties)
	if err != nil {
		return fmt.Errorf("mapping group %s: %w", obj.ID, err)
	}
	r.problems(obj, problems)
	if !known {
		r.newGroups = append(r.newGroups, obj.ID)
	}
	return r.draft.Put(rec)
}

// edge joins or ends a membership. Devices, contacts and the like are no
// resources of ours.
func (r *renderer) edge(e store.Edge) {
	switch {
	case e.Removed:
		r.draft.Leave(e.Group, e.Member)
	case e.Type == "user" || e.Type == "group" || e.Type == "":
		r.draft.Join(e.Group, e.Member)
	}
}

// rejoin joins the memberships of those who were not served before.
func (r *renderer) rejoin(ctx context.Context) error {
	s, name := r.m.cfg.Store, r.m.cfg.Name
	for _, id := range append(r.newUsers, r.newGroups...) {
		for e, err := range s.MemberOf(ctx, name, id) {
			if err != nil {
				return err
			}
			r.edge(e)
		}
	}
	for _, id := range r.newGroups {
		for e, err := range s.Members(ctx, name, id) {
			if err != nil {
				return err
			}
			r.edge(e)
		}
	}
	return nil
}

// expire takes out the removed users who were kept long enough.
func (r *renderer) expire() {
	for res := range r.current.Detached(directory.User) {
		if !r.now.Before(res.LastModified().Add(r.m.cfg.Scope.KeepRemoved)) && !r.draft.Holds(res.ID()) {
			r.draft.Remove(res.ID())
		}
	}
}

func (r *renderer) problems(obj *store.Object, problems []mapping.Problem) {
	for _, p := range problems {
		r.report.Problems++
		r.m.log.Debug("value left out", "kind", obj.Kind, "id", obj.ID, "problem", p.String())
	}
}

// user says whether a user who is in the tenant is served.
func (s *Scope) user(properties []byte) (bool, error) {
	if s.Guests && s.Disabled {
		return true, nil
	}
	var user struct {
		AccountEnabled any `json:"accountEnabled"`
		UserType       any `json:"userType"`
	}
	if err := json.Unmarshal(properties, &user); err != nil {
		return false, fmt.Errorf("reading its properties: %w", err)
	}
	if !s.Guests && user.UserType == "Guest" {
		return false, nil
	}
	return s.Disabled || user.AccountEnabled != false, nil
}
