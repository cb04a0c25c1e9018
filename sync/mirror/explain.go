package mirror

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/store"
)

// An Explanation says why a user or group is in the endpoint, or is not, and
// where what is served of it comes from.
type Explanation struct {
	Source string `json:"source"`
	Type   string `json:"type"` // User or Group
	ID     string `json:"id"`
	Name   string `json:"name"`

	// State is served, inactive (served with active=false), or absent.
	State string `json:"state"`
	// Why says in a sentence what decided.
	Why string `json:"why"`
	// Rule is the setting of the scope that leaves it out; empty: none does.
	Rule string `json:"rule,omitempty"`
	// Rules are what every rule of the scope makes of it.
	Rules []RuleResult `json:"rules,omitempty"`

	// Graph is the stored object, SCIM what is served; absent where there is none.
	Graph json.RawMessage `json:"graph,omitempty"`
	SCIM  json.RawMessage `json:"scim,omitempty"`
	// Would is what a publication that waits would serve, where that is something
	// else.
	Would json.RawMessage `json:"would,omitempty"`
	// Values say which rule of the mapping gives which value, as the mapping is
	// now.
	Values []Value `json:"values,omitempty"`

	// Round is the round of the source that last changed the stored object.
	Round uint64 `json:"round,omitempty"`
	// Removed is when the tenant removed it.
	Removed time.Time `json:"removed,omitzero"`
	// Changed is when what is served last changed, and Generation in which
	// generation; 0: in one that is no longer kept.
	Changed    time.Time `json:"changed,omitzero"`
	since      time.Time // since when it has been kept inactive
	Generation uint64    `json:"generation,omitempty"`
	// Readers are the clients that see the source, and whether they have read it
	// since.
	Readers []Reader `json:"readers,omitempty"`
}

// A Value is one value that is served, and the rule of the mapping that gives it.
type Value struct {
	Path string          `json:"path"`
	JSON json.RawMessage `json:"value,omitempty"`
	// Rule is the Graph property, or the expression.
	Rule string `json:"rule"`
	// Origin says whose rule it is: empty for the default mapping's, the name of
	// a preset, or the place in the file.
	Origin string `json:"origin,omitempty"`
	// Made: a preset made it up, since Entra has none. Kept: it is what was served
	// last, for the rule gives none now.
	Made bool `json:"made,omitempty"`
	Kept bool `json:"kept,omitempty"`
	// Problem says why the rule could not give it, or does not count.
	Problem string `json:"problem,omitempty"`
}

// A Reader is a client, and whether it has read a resource since it last
// changed.
type Reader struct {
	Client string `json:"client"`
	// At is when an import began that had it; zero: none that is known.
	At time.Time `json:"at,omitzero"`
	// Text says it in words.
	Text string `json:"text"`
}

// The states of an Explanation.
const (
	StateServed   = "served"
	StateInactive = "inactive"
	StateAbsent   = "absent"
)

// Explain explains the users and groups that a text names: an id, a
// userPrincipalName, the userName, externalId or e-mail address that is served, a
// displayName, of groups the mailNickname; upper and lower case count the same. There may be several, of which at most limit are
// given, and none. It asks Graph nothing. Somebody who is not served is looked
// for among everybody who is stored, which takes time with their number.
func (m *Mirror) Explain(ctx context.Context, text string, limit int) ([]Explanation, error) {
	objects, err := m.find(ctx, strings.TrimSpace(text), limit)
	if err != nil {
		return nil, fmt.Errorf("looking for %q: %w", text, err)
	}
	d := newDecider(ctx, &m.cfg.Scope, m.cfg.Store, m.cfg.Name)
	all := make([]Explanation, len(objects))
	for i := range objects {
		if all[i], err = m.explain(d, &objects[i]); err != nil {
			return nil, fmt.Errorf("explaining %s %s: %w", objects[i].Kind, objects[i].ID, err)
		}
	}
	return all, nil
}

// find gives the stored objects that a text names.
func (m *Mirror) find(ctx context.Context, text string, limit int) (found []store.Object, err error) {
	for _, kind := range []store.Kind{store.User, store.Group} {
		obj, ok, err := m.cfg.Store.Object(ctx, m.cfg.Name, kind, cmp.Or(strings.ToLower(text), "-"))
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, obj)
		}
	}
	if len(found) > 0 || text == "" {
		return found, nil
	}
	if found, err = m.findServed(ctx, text, limit); err != nil {
		return nil, err
	}
	for _, kind := range []store.Kind{store.User, store.Group} {
		if kind == store.User && len(found) > 0 {
			continue // an index has found somebody: she is who is meant
		}
		more, err := m.search(ctx, kind, text, limit)
		if err != nil {
			return nil, err
		}
		for _, obj := range more {
			if !slices.ContainsFunc(found, func(o store.Object) bool { return o.ID == obj.ID }) && len(found) < limit {
				found = append(found, obj)
			}
		}
	}
	return found, nil
}

// findServed finds by what is served: the mapping may give other names.
func (m *Mirror) findServed(ctx context.Context, text string, limit int) (found []store.Object, err error) {
	current := m.cfg.Picture.Current()
	if current == nil {
		return nil, nil
	}
	v := directory.NewView(current)
	for t, kind := range []store.Kind{directory.User: store.User, directory.Group: store.Group} {
		for _, i := range v.Named(directory.Type(t), text) {
			if len(found) >= limit {
				break
			}
			obj, ok, err := m.cfg.Store.Object(ctx, m.cfg.Name, kind, v.At(directory.Type(t), i).ID())
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, obj)
			}
		}
	}
	return found, nil
}

// search looks through the objects of a kind.
func (m *Mirror) search(ctx context.Context, kind store.Kind, text string, limit int) (found []store.Object, err error) {
	fold := []byte(strings.ToLower(text))
	for obj, err := range m.cfg.Store.Objects(ctx, m.cfg.Name, kind, 0) {
		if err != nil {
			return nil, err
		}
		if len(found) >= limit {
			break
		}
		// Most are told apart without being decoded; a text with an escape in it
		// is looked at.
		if lower := bytes.ToLower(obj.Properties); !bytes.Contains(lower, fold) && !bytes.Contains(lower, []byte(`\`)) {
			continue
		}
		if isNamed(&obj, text) {
			obj.Properties = bytes.Clone(obj.Properties)
			found = append(found, obj)
		}
	}
	return found, nil
}

// isNamed says whether a text is one of the names of an object.
func isNamed(obj *store.Object, text string) bool {
	var names struct {
		DisplayName       any `json:"displayName"`
		Mail              any `json:"mail"`
		MailNickname      any `json:"mailNickname"`
		UserPrincipalName any `json:"userPrincipalName"`
	}
	if json.Unmarshal(obj.Properties, &names) != nil {
		return false
	}
	all := []any{names.Mail, names.UserPrincipalName, names.DisplayName}
	if obj.Kind == store.Group {
		all = append(all, names.MailNickname)
	}
	return slices.ContainsFunc(all, func(name any) bool {
		s, ok := name.(string)
		return ok && strings.EqualFold(s, text)
	})
}

func (m *Mirror) explain(d *decider, obj *store.Object) (Explanation, error) {
	e := Explanation{
		Source: m.cfg.Name, Type: directory.User.String(), ID: obj.ID, State: StateAbsent,
		Graph: obj.Properties, Round: obj.Round, Name: nameIn(obj),
	}
	rules := d.userRules
	if obj.Kind == store.Group {
		e.Type, rules = directory.Group.String(), d.groupRules
	}
	var err error
	if e.Rules, err = rules(obj.Properties); err != nil {
		return e, err
	}
	for i := range e.Rules {
		if err := d.blame(&e.Rules[i]); err != nil {
			return e, err
		}
	}
	if err := d.showWays(&e); err != nil {
		return e, err
	}
	e.Rule = first(e.Rules).Rule
	if obj.Removed != nil && !isOutside(obj) {
		e.Removed = obj.Removed.At
	}
	current := m.cfg.Picture.Current()
	input := mapping.Input{Object: obj.Properties, Inactive: obj.Kind == store.User && (obj.Removed != nil || e.Rule != ""), Now: time.Now()}
	if current != nil {
		if res, ok := current.ByID(obj.ID); ok {
			e.showServed(m.cfg.Picture, res)
			input.Previous, input.WasGone = res.Head(), res.Detached()
		}
	}
	if e.Values, err = m.valuesNow(e.Type, input, current); err != nil {
		return e, fmt.Errorf("mapping it: %w", err)
	}
	if input.Inactive {
		e.overrule(obj)
	}
	e.Why = m.sentence(&e, obj)
	m.showWaiting(&e, current)
	return e, nil
}

// overrule says of active that no rule of the mapping gives it: whoever was
// removed or is out of the scope is inactive, whatever Entra says of the account.
func (e *Explanation) overrule(obj *store.Object) {
	why := "false while out of the scope (" + e.Rule + ")"
	if obj.Removed != nil && !isOutside(obj) {
		why = "false since it was removed"
	}
	for i := range e.Values {
		if e.Values[i].Path == "active" {
			e.Values[i].Problem = why
		}
	}
}

// nameIn is what people know a stored object by.
func nameIn(obj *store.Object) string {
	var names struct {
		DisplayName       any `json:"displayName"`
		UserPrincipalName any `json:"userPrincipalName"`
	}
	if json.Unmarshal(obj.Properties, &names) == nil {
		for _, name := range []any{names.UserPrincipalName, names.DisplayName} {
			if s, ok := name.(string); ok && s != "" {
				return s
			}
		}
	}
	return obj.ID
}

// showWays adds to the rules by membership how somebody is in the group.
func (d *decider) showWays(e *Explanation) error {
	for i := range e.Rules {
		r := &e.Rules[i]
		if !r.In || e.Type == directory.Group.String() {
			continue
		}
		var way []string
		var err error
		switch r.Rule {
		case ruleMemberOf:
			way, err = d.groups.wayUp(e.ID, func(id string) bool { return d.roots[id] })
		case ruleAssigned:
			way, err = d.wayOfAssigned(e.ID)
		}
		if err != nil {
			return err
		}
		for _, id := range way {
			name, err := d.groups.name(id)
			if err != nil {
				return err
			}
			r.Path = append(r.Path, name)
		}
	}
	return nil
}

// wayOfAssigned gives the assigned group that a user is assigned by, if she is
// not herself.
func (d *decider) wayOfAssigned(id string) ([]string, error) {
	direct, err := d.groups.direct(id)
	if err != nil || slices.Contains(direct, assignedTo(d.scope.Assigned)) {
		return nil, err
	}
	for _, g := range direct {
		if is, err := d.assignedGroup(g); is || err != nil {
			return []string{g}, err
		}
	}
	return nil, nil
}

// name is a group's display name, or its id.
func (c *closure) name(id string) (string, error) {
	obj, ok, err := c.store.Object(c.ctx, c.source, store.Group, id)
	if err != nil || !ok {
		return id, err
	}
	return nameIn(&obj), nil
}

// values says where the values of a user or group come from, and gives her as she
// would be served.
func (m *Mirror) values(typ string, in mapping.Input) ([]Value, directory.Record, error) {
	t := directory.User
	if typ == directory.Group.String() {
		t = directory.Group
	}
	given, rec, err := m.cfg.Mapper.Explain(t, in)
	values := make([]Value, len(given))
	for i, g := range given {
		values[i] = Value{
			Path: g.Path, JSON: g.Value, Rule: cmp.Or(g.Row.Expression, g.Row.Property), Origin: g.Row.Origin,
			Made: g.Made, Kept: g.Kept, Problem: g.Problem,
		}
	}
	return values, rec, err
}

// valuesNow is values beside what is served: a manager who is not is not named.
func (m *Mirror) valuesNow(typ string, in mapping.Input, current *directory.Snapshot) ([]Value, error) {
	values, rec, err := m.values(typ, in)
	if err != nil || rec.Manager == "" || current == nil {
		return values, err
	}
	if _, served := current.ByID(rec.Manager); served {
		return values, nil
	}
	in.HideManager = true
	without, _, err := m.values(typ, in)
	for i, v := range values {
		at := slices.IndexFunc(without, func(w Value) bool { return w.Path == v.Path })
		if at < 0 {
			v.JSON, v.Made, v.Kept, v.Problem = nil, false, false, "the manager, "+rec.Manager+", is not served, and so not named"
			values[i] = v
		} else {
			values[i] = without[at]
		}
	}
	return values, err
}

// ExplainServed says what a picture shows of somebody, without any rule: of a
// source that is not pulled there is nothing else to tell. Name and Why are the
// caller's.
func ExplainServed(source string, picture *directory.Picture, res directory.Resource) Explanation {
	e := Explanation{Source: source, Type: res.Type().String(), ID: res.ID()}
	e.showServed(picture, res)
	return e
}

func (e *Explanation) showServed(picture *directory.Picture, res directory.Resource) {
	e.State, e.SCIM, e.Changed, e.since = StateServed, res.AppendJSON(nil), res.LastModified(), res.DetachedSince()
	if !res.Active() {
		e.State = StateInactive
	}
	for _, g := range picture.Generations() {
		if g.Published.Equal(e.Changed) {
			e.Generation = g.Number
		}
	}
	if current := picture.Current(); current != nil && current.Published().Equal(e.Changed) {
		e.Generation = current.Generation()
	}
}

// sentence says what decided.
func (m *Mirror) sentence(e *Explanation, obj *store.Object) string {
	out := first(e.Rules)
	removed := obj.Removed != nil && !isOutside(obj)
	kept := ""
	if e.State == StateInactive && (removed || !out.In) {
		kept = "; it is served as inactive until " + e.since.Add(m.cfg.Scope.KeepRemoved).Format(time.DateTime) + " UTC"
	}
	switch {
	case removed && obj.Removed.Reason == vanished:
		return "missing from a full read of the tenant at " + obj.Removed.At.Format(time.DateTime) + " UTC" + kept
	case removed:
		return "removed in the tenant, which was told at " + obj.Removed.At.Format(time.DateTime) + " UTC" + kept
	case !out.In && e.State == StateServed:
		return fmt.Sprintf("out of the scope (%s: %s), and served until that is published", out.Rule, out.Text)
	case !out.In:
		return fmt.Sprintf("out of the scope, by %s: %s%s", out.Rule, out.Text, kept)
	case e.State == StateAbsent:
		return "in the scope, and served once it is published"
	case e.State == StateInactive:
		return "in the scope; served with active=false, since " + e.whyDisabled()
	case len(e.Rules) == 0:
		return "everybody in the tenant is in the scope"
	}
	return "in the scope: every rule lets it in"
}

// whyDisabled says what makes somebody inactive who is in the scope: the
// account, or a rule of the mapping.
func (e *Explanation) whyDisabled() string {
	for _, v := range e.Values {
		if v.Path == "active" && v.Origin != "" {
			return "the rule for active says so (" + v.Origin + ")"
		}
	}
	return "the account is disabled"
}

// showWaiting adds what a held snapshot would make of it, and why nothing is
// published.
func (m *Mirror) showWaiting(e *Explanation, current *directory.Snapshot) {
	status := m.Status()
	switch held := m.HeldSnapshot(); {
	case !status.Frozen.IsZero():
		e.Why += "; the source is frozen since " + status.Frozen.UTC().Format(time.DateTime) + " UTC"
	case held != nil:
		res, ok := held.ByID(e.ID)
		switch {
		case !ok && e.State != StateAbsent:
			e.Why += "; a held round would take it out"
		case ok && !bytes.Equal(e.SCIM, res.AppendJSON(nil)):
			e.Would = res.AppendJSON(nil)
			e.Why += "; a held round would change it"
		}
	case current == nil:
		e.Why += "; nothing of the source is served yet"
	}
}

// Sample is Explain for an object from a file, without any state: as it would be
// if a tenant had it. Its memberships are what it has in memberOf: ids of groups,
// or objects with an id.
func Sample(cfg Config, kind store.Kind, object []byte) (Explanation, error) {
	e := Explanation{Source: cfg.Name, Type: directory.User.String(), State: StateAbsent}
	properties, groups, err := sampleOf(object)
	if err != nil {
		return e, err
	}
	obj := store.Object{Kind: kind, Properties: properties}
	var t userTraits
	if t, err = traitsOf(properties); err != nil {
		return e, err
	}
	obj.ID = t.ID
	e.ID, e.Name, e.Graph = t.ID, nameIn(&obj), properties
	var unknown []RuleResult
	if cfg.Scope.Assigned != "" {
		cfg.Scope.Assigned = ""
		unknown = append(unknown, RuleResult{Rule: ruleAssigned, In: true, Text: "is not judged: a file does not tell who is assigned"})
	}
	if len(cfg.Scope.MemberOf) > 0 && groups == nil && kind == store.User {
		cfg.Scope.MemberOf = nil
		unknown = append(unknown, RuleResult{Rule: ruleMemberOf, In: true, Text: "is not judged: the object has no memberOf"})
	}
	d := newDecider(context.Background(), &cfg.Scope, &sampleStore{groups: groups}, cfg.Name)
	m := &Mirror{cfg: cfg}
	rules := d.userRules
	if kind == store.Group {
		e.Type, rules = directory.Group.String(), d.groupRules
	}
	var rec directory.Record
	if e.Values, rec, err = m.values(e.Type, mapping.Input{Object: properties, Now: time.Now()}); err != nil {
		return e, fmt.Errorf("mapping the object: %w", err)
	}
	if e.Rules, err = rules(properties); err != nil {
		return e, err
	}
	if err := d.showWays(&e); err != nil {
		return e, err
	}
	e.Rules = append(e.Rules, unknown...)
	out := first(e.Rules)
	e.Rule = out.Rule
	if !out.In {
		e.Why = fmt.Sprintf("would be out of the scope, by %s: %s", out.Rule, out.Text)
		return e, nil
	}
	e.State, e.Why = StateServed, "would be served"
	if !rec.Active {
		e.State, e.Why = StateInactive, "would be served with active=false, since "+e.whyDisabled()
	}
	e.SCIM = slices.Concat([]byte{'{'}, rec.Body, []byte{'}'})
	return e, nil
}
