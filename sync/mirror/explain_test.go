package mirror_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"scimbridge/scim/mapping"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// explain gives the only explanation of a name.
func (w *world) explain(name string) mirror.Explanation {
	w.t.Helper()
	all, err := w.mirror.Explain(w.t.Context(), name, 10)
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%q: %d explanations, %v", name, len(all), err)
	}
	return all[0]
}

// activeBy gives what is said of the value of active beside its rule.
func activeBy(e mirror.Explanation) string {
	for _, v := range e.Values {
		if v.Path == "active" {
			return v.Problem
		}
	}
	return "active is not told"
}

func TestExplain(t *testing.T) {
	tenant, users, _ := company(8)
	eng := tenant.SetGroup(map[string]any{"displayName": "Eng", "securityEnabled": true, "mailNickname": "engineers"})
	eu := tenant.SetGroup(map[string]any{"displayName": "Eng-EU", "securityEnabled": true})
	again := tenant.SetGroup(map[string]any{"displayName": "eng", "securityEnabled": true})
	tenant.AddMember(eng, eu)
	tenant.AddMember(eu, users[2], users[5], eng)
	tenant.SetUser(map[string]any{"id": users[2], "userPrincipalName": "Zoë@contoso.example", "mail": "zoe@mail.example"})
	w := newWorld(t, tenant, func(cfg *mirror.Config) { open(cfg); cfg.Scope.MemberOf = []string{eng}; cfg.Scope.Guests = false })
	w.round()

	for _, name := range []string{users[2], strings.ToUpper(users[2]), "zoë@contoso.example", " Zoe@mail.example "} {
		e := w.explain(name)
		if e.ID != users[2] || e.State != mirror.StateServed || e.Rule != "" || e.Generation != 1 || e.Round != 1 || e.Changed.IsZero() {
			t.Errorf("%q is explained as %+v", name, e)
		}
		i := slices.IndexFunc(e.Rules, func(r mirror.RuleResult) bool { return r.Rule == "users.member_of" })
		if i < 0 || !slices.Equal(e.Rules[i].Path, []string{"Eng", "Eng-EU"}) {
			t.Errorf("the way is %+v", e.Rules)
		}
		if !slices.ContainsFunc(e.Values, func(v mirror.Value) bool {
			return v.Path == "userName" && v.Rule == "userPrincipalName" && strings.Contains(string(v.JSON), "@contoso.example")
		}) {
			t.Errorf("the values come from %+v", e.Values)
		}
		var graph struct{ UserPrincipalName string }
		var scim struct{ UserName string }
		if json.Unmarshal(e.Graph, &graph) != nil || json.Unmarshal(e.SCIM, &scim) != nil || graph.UserPrincipalName != scim.UserName {
			t.Errorf("Graph %s, SCIM %s", e.Graph, e.SCIM)
		}
	}
	if e := w.explain(users[3]); e.State != mirror.StateAbsent || e.Rule != "users.member_of" || e.SCIM != nil ||
		e.Why != "out of the scope, by users.member_of: is in none of the groups" {
		t.Errorf("somebody else is explained as %+v", e)
	}
	if text := activeBy(w.explain(users[3])); text != "false while out of the scope (users.member_of)" {
		t.Errorf("out of the scope she is inactive: %q", text)
	}
	if text := activeBy(w.explain(users[2])); text != "" {
		t.Errorf("in the scope she is active, with %q", text)
	}
	if all, err := w.mirror.Explain(t.Context(), "ENG", 10); err != nil || len(all) != 2 || all[0].Type != "Group" || all[0].Why == "" {
		t.Errorf("groups of one name: %+v, %v", all, err)
	}
	if e := w.explain("Engineers"); e.ID != eng {
		t.Errorf("a group by its mailNickname: %+v", e)
	}
	for _, name := range []string{"", "nobody@contoso.example", `"`, "%"} {
		if all, err := w.mirror.Explain(t.Context(), name, 10); err != nil || len(all) != 0 {
			t.Errorf("%q: %+v, %v", name, all, err)
		}
	}

	tenant.RemoveMember(eu, users[2])
	w.round()
	if e := w.explain(users[2]); e.State != mirror.StateInactive || e.Rule != "users.member_of" || !strings.Contains(e.Why, "served as inactive until") || e.Generation != 2 {
		t.Errorf("who left is explained as %+v", e)
	}
	tenant.RemoveUser(users[2])
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if e := w.explain("zoe@mail.example"); !strings.HasPrefix(e.Why, "removed in the tenant") || e.Removed.IsZero() {
		t.Errorf("who was removed is explained as %+v", e)
	}
	// A group is no member of itself, and may be looked up like any other.
	if e := w.explain(again); e.State != mirror.StateServed || e.Why == "" {
		t.Errorf("a group is explained as %+v", e)
	}
	w.configure(func(cfg *mirror.Config) { cfg.Guard = mirror.Guard{}; cfg.Scope.Groups = false })
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Held {
		t.Fatal(report.Outcome, err)
	}
	if e := w.explain(again); e.State != mirror.StateServed || e.Rule != "groups.enabled" || !strings.Contains(e.Why, "a held round would take it out") {
		t.Errorf("what is held is explained as %+v", e)
	}
}

func TestExplainWhoIsAssigned(t *testing.T) {
	tenant, users, group := company(4)
	tenant.RemoveMember(group, users[3])
	w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.Assigned = clientID })
	tenant.Assign(clientID, group, users[3])
	w.round()
	if e := w.explain(users[0]); e.State != mirror.StateServed || len(e.Rules) != 1 || !slices.Equal(e.Rules[0].Path, []string{"All"}) {
		t.Errorf("who is assigned by a group: %+v", e)
	}
	if e := w.explain(users[3]); e.State != mirror.StateServed || len(e.Rules) != 1 || e.Rules[0].Path != nil {
		t.Errorf("who is assigned herself: %+v", e)
	}
}

// A condition that fails leaves everybody where they were.
type failing struct{ fails bool }

func (c *failing) Holds([]byte) (bool, error) {
	if c.fails {
		return false, errors.New("it can't be computed")
	}
	return true, nil
}
func (c *failing) Properties() []string { return nil }
func (c *failing) String() string {
	if c.fails {
		return "fails"
	}
	return "holds"
}

func TestAConditionWithoutAnAnswerLosesNobody(t *testing.T) {
	tenant, users, _ := company(6)
	w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Guard = mirror.Guard{}; cfg.Scope.Where = &failing{} })
	w.round()
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Where = &failing{fails: true} })
	tenant.SetUser(map[string]any{"id": users[0], "accountEnabled": false, "jobTitle": "Gone"})
	stranger := tenant.SetUser(map[string]any{"displayName": "New", "accountEnabled": true})
	w.cfg.Guard = mirror.Guard{MaxRemoved: mirror.Limit{Count: 1}}
	w.configure(nil)
	if report := w.round(); report.Problems != 7 {
		t.Errorf("%d problems are reported", report.Problems)
	}
	w.servesActive("after", users[1:]...)
	if u, _ := w.user(users[0]); u.Active || u.Title != "Gone" {
		t.Errorf("a change of one who can't be judged is served as %+v", u)
	}
	if _, ok := w.user(stranger); ok {
		t.Error("somebody who can't be judged came in")
	}
	if e := w.explain(stranger); e.State != mirror.StateAbsent || !strings.Contains(e.Rules[0].Text, "can't be judged") {
		t.Errorf("she is explained as %+v", e)
	}
}

func TestSample(t *testing.T) {
	mapper, err := mapping.New(mapping.Config{BaseURL: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	const group = "5b1e0000-1111-4222-8333-444455550001"
	for _, c := range []struct {
		name, object string
		kind         store.Kind
		scope        mirror.Scope
		state, text  string // text is in Why or a rule
	}{
		{"in", `{"@odata.context": "x", "id": "A1", "userPrincipalName": "ada@contoso.example"}`, store.User,
			mirror.Scope{Guests: true, Disabled: true}, mirror.StateServed, "would be served"},
		{"out", `{"id": "a1", "userType": "Guest"}`, store.User, mirror.Scope{Disabled: true}, mirror.StateAbsent, "users.guests: is a guest"},
		{"disabled", `{"id": "a1", "accountEnabled": false}`, store.User, mirror.Scope{Guests: true, Disabled: true}, mirror.StateInactive, "disabled"},
		{"member", `{"id": "a1", "memberOf": ["` + group + `"]}`, store.User,
			mirror.Scope{Guests: true, Disabled: true, MemberOf: []string{group}}, mirror.StateServed, "is in one of the groups"},
		{"member, as Graph has it", `{"id": "a1", "memberOf": [{"@odata.type": "#microsoft.graph.group", "id": "` + strings.ToUpper(group) + `"}]}`, store.User,
			mirror.Scope{Guests: true, Disabled: true, MemberOf: []string{group}}, mirror.StateServed, "is in one of the groups"},
		{"no member", `{"id": "a1", "memberOf": []}`, store.User,
			mirror.Scope{Guests: true, Disabled: true, MemberOf: []string{group}}, mirror.StateAbsent, "is in none of the groups"},
		{"not told", `{"id": "a1"}`, store.User,
			mirror.Scope{Guests: true, Disabled: true, MemberOf: []string{group}, Assigned: clientID}, mirror.StateServed, "is not judged"},
		{"group", `{"id": "g1", "displayName": "G", "securityEnabled": true, "mailEnabled": false}`, store.Group,
			mirror.Scope{Groups: true, GroupTypes: []mirror.GroupType{mirror.Distribution}}, mirror.StateAbsent, "is security, cloud"},
	} {
		e, err := mirror.Sample(mirror.Config{Name: "contoso", Mapper: mapper, Scope: c.scope}, c.kind, []byte(c.object))
		all, _ := json.Marshal(e)
		if err != nil || e.State != c.state || !strings.Contains(string(all), c.text) {
			t.Errorf("%s: %s, %v; want %s and %q", c.name, all, err, c.state, c.text)
		}
		if (e.SCIM != nil) != (c.state != mirror.StateAbsent) || e.SCIM != nil && !json.Valid(e.SCIM) {
			t.Errorf("%s: SCIM is %s", c.name, e.SCIM)
		}
	}
	for bad, want := range map[string]string{
		``: "one user or group", `[]`: "one user or group", `{}`: "has no id", `{"id":7}`: "has no id", `{"value":[{"id":"a"}]}`: "it holds a list",
		`{"id":"a","memberOf":{}}`: "memberOf", `{"id":"a","memberOf":[7]}`: "memberOf",
	} {
		if e, err := mirror.Sample(mirror.Config{Mapper: mapper}, store.User, []byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is explained as %+v, %v", bad, e, err)
		}
	}
}
