package mirror_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/mapping"
	"scimbridge/scim/mapping/expr"
	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// where compiles a condition over users.
func where(t *testing.T, source string) mirror.Condition {
	t.Helper()
	c, err := mirror.Where(expr.Config{Object: expr.User}, source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// edit changes the scope as a reload does, and publishes what it makes of what
// is stored: without a request.
func (w *world) edit(want mirror.Outcome, change func(*mirror.Scope)) mirror.Report {
	w.t.Helper()
	w.tenant.ClearJournal()
	w.configure(func(cfg *mirror.Config) { change(&cfg.Scope) })
	report, err := w.mirror.Publish(w.t.Context())
	if err != nil || report.Outcome != want {
		w.t.Fatalf("the edit is %s (%v): %s; want %s", report.Outcome, err, report.Verdict.Summary(), want)
	}
	if n := len(w.tenant.Journal()); n > 0 {
		w.t.Errorf("the edit took %d requests", n)
	}
	return report
}

// active gives who is served as active.
func (w *world) active() (ids []string) {
	w.t.Helper()
	for u := range w.tenant.Users() {
		if s, ok := w.user(u.ID); ok && s.Active {
			ids = append(ids, u.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *world) servesActive(what string, want ...string) {
	w.t.Helper()
	want = sorted(want...)
	if got := w.active(); !slices.Equal(got, want) {
		w.t.Errorf("%s: %d users are active, want %d: %v, want %v", what, len(got), len(want), got, want)
	}
}

func open(cfg *mirror.Config) {
	cfg.Guard = mirror.Guard{MaxRemoved: mirror.Limit{Count: 1000}}
}

func TestEveryRuleOfUsers(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 1, PageSize: 3})
	add := func(props map[string]any) string {
		name := props["displayName"].(string)
		props["userPrincipalName"] = name + "@contoso.example"
		if _, ok := props["accountEnabled"]; !ok {
			props["accountEnabled"] = true
		}
		return tenant.SetUser(props)
	}
	ada := add(map[string]any{"displayName": "Ada", "userType": "Member", "department": "Eng", "assignedLicenses": []any{map[string]any{"skuId": "x"}}})
	bob := add(map[string]any{"displayName": "Bob", "userType": "Guest", "assignedLicenses": []any{}})
	cyd := add(map[string]any{"displayName": "Cyd", "accountEnabled": false, "department": "Eng"})
	dan := add(map[string]any{"displayName": "Dan", "department": "Test"})
	for _, c := range []struct {
		name   string
		change func(*mirror.Scope)
		want   []string // cyd is out or inactive anyway
		why    string
	}{
		{"all", func(*mirror.Scope) {}, []string{ada, bob, dan}, ""},
		{"no guests", func(s *mirror.Scope) { s.Guests = false }, []string{ada, dan}, "is a guest (users.guests)"},
		{"guests only", func(s *mirror.Scope) { s.GuestsOnly = true }, []string{bob}, "is no guest (users.guests)"},
		{"none disabled", func(s *mirror.Scope) { s.Disabled = false }, []string{ada, bob, dan}, ""},
		{"licensed", func(s *mirror.Scope) { s.LicensedOnly = true }, []string{ada}, "has no licence (users.licensed_only)"},
		{"excluded by id", func(s *mirror.Scope) { s.Exclude = []string{ada} }, []string{bob, dan}, "is in the list (users.exclude)"},
		{"excluded by name", func(s *mirror.Scope) { s.Exclude = []string{"ada@contoso.example"} }, []string{bob, dan}, "is in the list (users.exclude)"},
		{"where", func(s *mirror.Scope) { s.Where = where(t, `user.department != "Test"`) }, []string{ada, bob}, `does not meet user.department != "Test" (users.where)`},
		{"all of them", func(s *mirror.Scope) {
			s.Guests, s.Where, s.Exclude = false, where(t, `has(user.department)`), []string{dan}
		}, []string{ada}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, tenant, open)
			w.round()
			w.servesActive("before", ada, bob, dan)
			w.configure(func(cfg *mirror.Config) {
				cfg.Guard = mirror.Guard{}
				c.change(&cfg.Scope)
			})
			// A round, since licences were not asked for before.
			report, err := w.mirror.Refresh(t.Context(), mirror.Options{})
			if err != nil || (report.Outcome == mirror.Held) != (c.name != "all" && c.name != "none disabled") {
				t.Fatalf("the guard: %s, %v", report.Outcome, err)
			}
			if c.why != "" {
				diff, err := w.mirror.HeldDiff(t.Context(), 0)
				if err != nil || len(diff.Changes) == 0 || diff.Changes[0].Why != "left the scope: "+c.why {
					t.Errorf("held: %+v, %v, want %q", diff.Changes, err, c.why)
				}
			}
			w.configure(open)
			if _, err := w.mirror.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.servesActive("after", c.want...)
			// Who left is there, inactive; who was not served to begin with never is.
			fresh := newWorld(t, tenant, func(cfg *mirror.Config) { c.change(&cfg.Scope) })
			fresh.round()
			fresh.servesActive("from the beginning", c.want...)
			if _, ok := fresh.user(cyd); ok != (c.name != "none disabled" && c.name != "guests only" && c.name != "licensed") {
				t.Errorf("the disabled account is served: %t", ok)
			}
			w.configure(func(cfg *mirror.Config) {
				cfg.Scope = mirror.Scope{Groups: true, Guests: true, Disabled: true, KeepRemoved: 720 * time.Hour}
			})
			if _, err := w.mirror.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.servesActive("after it was taken back", ada, bob, dan)
		})
	}
}

func TestGroupTypes(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 1})
	tenant.SetUser(map[string]any{"displayName": "Ada"})
	add := func(name string, security, mail bool, synced any, types ...string) string {
		return tenant.SetGroup(map[string]any{"displayName": name, "securityEnabled": security, "mailEnabled": mail, "groupTypes": types, "onPremisesSyncEnabled": synced})
	}
	security := add("security", true, false, nil)
	synced := add("synced", true, false, true)
	unified := add("unified", false, true, nil, "Unified")
	distribution := add("distribution", false, true, true)
	mixed := add("mixed", true, true, false)
	all := []string{security, synced, unified, distribution, mixed}
	for _, c := range []struct {
		types []mirror.GroupType
		want  []string
	}{
		{nil, all},
		{[]mirror.GroupType{mirror.Security}, []string{security, synced}},
		{[]mirror.GroupType{mirror.Security, mirror.Cloud}, []string{security}},
		{[]mirror.GroupType{mirror.Synchronized}, []string{synced, distribution}},
		{[]mirror.GroupType{mirror.Cloud, mirror.Synchronized}, all},
		{[]mirror.GroupType{mirror.Microsoft365, mirror.MailEnabledSecurity}, []string{unified, mixed}},
		{[]mirror.GroupType{mirror.Distribution, mirror.Cloud}, nil},
	} {
		w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.GroupTypes = c.types })
		w.round()
		for _, id := range all {
			if _, ok := w.user(id); ok != slices.Contains(c.want, id) {
				t.Errorf("%v: group %d is served: %t", c.types, slices.Index(all, id), ok)
			}
		}
	}
}

func TestMembersOfNestedGroupsThatChange(t *testing.T) {
	tenant, users, _ := company(12)
	root := tenant.SetGroup(map[string]any{"displayName": "Eng", "securityEnabled": true, "groupTypes": []string{"Unified"}})
	middle := tenant.SetGroup(map[string]any{"displayName": "Eng-EU", "securityEnabled": true, "groupTypes": []string{"Unified"}})
	low := tenant.SetGroup(map[string]any{"displayName": "Eng-EU-1", "securityEnabled": true})
	tenant.AddMember(root, users[0], middle)
	tenant.AddMember(middle, users[1], low)
	tenant.AddMember(low, users[2], users[3], root) // a cycle
	w := newWorld(t, tenant, func(cfg *mirror.Config) {
		open(cfg)
		cfg.Scope.MemberOf = []string{root}
		cfg.Scope.Groups = false // they are read all the same
	})
	step := func(what string, change func(), want ...string) {
		t.Helper()
		change()
		if report, err := w.mirror.Refresh(t.Context(), mirror.Options{}); err != nil || report.Full() != (what == "first" || what == "and restored, and read anew") {
			t.Fatalf("%s: %v, full %t", what, err, report.Full())
		}
		w.servesActive(what, want...)
	}
	step("first", func() {}, users[0], users[1], users[2], users[3])
	step("a member more, far below", func() { tenant.AddMember(low, users[4]) }, users[0], users[1], users[2], users[3], users[4])
	step("one less", func() { tenant.RemoveMember(low, users[2]) }, users[0], users[1], users[3], users[4])
	step("a group that leaves takes its users", func() { tenant.RemoveMember(middle, low) }, users[0], users[1])
	step("it is elsewhere, too", func() { tenant.AddMember(root, low); tenant.AddMember(middle, users[5]) }, users[0], users[1], users[3], users[4], users[5])
	step("two changes at once", func() { tenant.RemoveMember(root, low); tenant.RemoveMember(low, users[3]) }, users[0], users[1], users[5])
	step("a group is removed", func() { tenant.RemoveGroup(middle) }, users[0])
	step("and restored, and read anew", func() { tenant.RestoreGroup(middle) }, users[0], users[1], users[5])
	step("a name changes", func() { tenant.UpdateGroup(middle, map[string]any{"displayName": "Eng-Europe"}) }, users[0], users[1], users[5])
	step("a user is removed", func() { tenant.RemoveUser(users[1]) }, users[0], users[5])
	step("and restored", func() { tenant.RestoreUser(users[1]) }, users[0], users[1], users[5])
	w.restart()
	step("after a restart", func() { tenant.RemoveMember(root, users[0]) }, users[1], users[5])
	w.edit(mirror.Published, func(s *mirror.Scope) { s.Groups = true })
	w.edit(mirror.Published, func(s *mirror.Scope) { s.MemberOf = []string{low} })
	w.servesActive("another group, which is above the first, too", users[1], users[4], users[5])
	w.edit(mirror.Published, func(s *mirror.Scope) { s.MemberOf = nil })
	w.servesActive("all", users...)
}

func TestMembersOfAGroupThatIsGoneAreHeld(t *testing.T) {
	tenant, users, group := company(30)
	w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.MemberOf = []string{group} })
	w.round()
	w.servesActive("first", users...)
	tenant.RemoveGroup(group)
	w.refresh(mirror.Options{}, mirror.Held)
	w.servesActive("held", users...)
	diff, err := w.mirror.HeldDiff(t.Context(), 3)
	if err != nil || diff.Changes[0].Why != "left the scope: is in none of the groups, of which the tenant does not have "+group+" (users.member_of)" {
		t.Errorf("held: %+v, %v", diff, err)
	}
	if e := w.explain(users[0]); !strings.Contains(e.Why, "(users.member_of: is in none of the groups, of which the tenant does not have "+group+")") {
		t.Errorf("she is explained by %q", e.Why)
	}
	w.configure(nil) // which counts anew
	w.refresh(mirror.Options{}, mirror.Held)
	if lost := w.mirror.Status().LeftOut.Lost; !slices.Equal(lost, []string{group}) {
		t.Errorf("the status tells of the groups %v", lost)
	}
}

func TestAssigned(t *testing.T) {
	tenant, users, group := company(12)
	nested := tenant.SetGroup(map[string]any{"displayName": "Nested", "securityEnabled": true})
	team := tenant.SetGroup(map[string]any{"displayName": "Team", "securityEnabled": true})
	tenant.AddMember(team, users[3], users[4], nested)
	tenant.AddMember(nested, users[5])
	w := newWorld(t, tenant, func(cfg *mirror.Config) { open(cfg); cfg.Scope.Assigned = clientID })
	tenant.Assign(clientID, users[0], users[1], team)
	w.round()
	w.servesActive("first", users[0], users[1], users[3], users[4])
	w.counts(4, 4, 1)
	if g, _ := w.user(team); !slices.Equal(g.members(), sorted(users[3], users[4])) {
		t.Errorf("the assigned group has members %v", g.members())
	}
	tenant.Assign(clientID, nested, users[7])
	tenant.Unassign(clientID, users[0])
	tenant.RemoveMember(team, users[4])
	w.round()
	w.servesActive("after changes", users[1], users[3], users[5], users[7])
	if g, _ := w.user(team); !slices.Equal(g.members(), sorted(users[3], nested)) {
		t.Errorf("the assigned group has members %v", g.members())
	}
	// A page of users, one of groups, and the list.
	if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Requests != 3 {
		t.Errorf("a round in which nothing changed takes %d requests", report.Requests)
	}
	w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
	w.servesActive("after a full read", users[1], users[3], users[5], users[7])
	w.restart()
	tenant.Unassign(clientID, nested)
	w.round()
	w.servesActive("after a restart", users[1], users[3], users[7])

	t.Run("a failure removes nobody", func(t *testing.T) {
		tenant.Inject(graphtest.Denied().On("servicePrincipals"))
		before := w.content()
		tenant.SetUser(map[string]any{"id": users[1], "jobTitle": "Boss"})
		report := w.refresh(mirror.Options{}, mirror.Failed)
		if !strings.Contains(report.Err.Error(), "Application.Read.All") {
			t.Errorf("the error is %v", report.Err)
		}
		if w.content() != before {
			t.Error("a failed round changed something")
		}
		w.round()
	})
	t.Run("a list that leaves people out is read again", func(t *testing.T) {
		for _, fault := range []graphtest.Fault{graphtest.Half(), graphtest.Empty()} {
			tenant.Inject(fault.On("servicePrincipals"))
			w.refresh(mirror.Options{}, mirror.Unchanged)
			w.servesActive("after half a list", users[1], users[3], users[7])
		}
	})
	t.Run("an edit needs the list and no full read", func(t *testing.T) {
		w.edit(mirror.Published, func(s *mirror.Scope) { s.Assigned = "" })
		w.servesActive("without", users...)
		w.configure(func(cfg *mirror.Config) { cfg.Scope.Assigned = clientID })
		tenant.Assign(clientID, group)
		if report := w.round(); report.Full() {
			t.Error("a scope edit read in full")
		}
		w.servesActive("with", users...)
		tenant.Unassign(clientID, group)
		w.round()
		w.servesActive("the group no more", users[1], users[3], users[7])
	})
}

func sorted(ids ...string) []string { return slices.Sorted(slices.Values(ids)) }

func TestFlattenedGroups(t *testing.T) {
	tenant, users, all := company(8)
	top := tenant.SetGroup(map[string]any{"displayName": "Top", "securityEnabled": true})
	mid := tenant.SetGroup(map[string]any{"displayName": "Mid", "securityEnabled": true, "groupTypes": []string{"Unified"}})
	low := tenant.SetGroup(map[string]any{"displayName": "Low", "securityEnabled": true})
	tenant.AddMember(top, mid, users[0])
	tenant.AddMember(mid, low, users[1])
	tenant.AddMember(low, users[2], users[3], top)
	w := newWorld(t, tenant, func(cfg *mirror.Config) { open(cfg); cfg.Scope.Flatten = true })
	members := func(what, group string, want ...string) {
		t.Helper()
		g, ok := w.user(group)
		if slices.Sort(want); !ok || !slices.Equal(g.members(), want) {
			t.Errorf("%s: members are %v, want %v", what, g.members(), want)
		}
	}
	w.round()
	members("first", top, users[0], users[1], users[2], users[3])
	members("first", low, users[0], users[1], users[2], users[3])
	if u, _ := w.user(users[2]); len(u.Groups) != 4 || u.Groups[0].Type != "direct" || u.Groups[3].Type != "direct" {
		t.Errorf("a user's groups are %v", u.Groups)
	}
	tenant.RemoveMember(low, users[2], top)
	tenant.AddMember(low, users[4])
	w.round()
	members("after changes", top, users[0], users[1], users[3], users[4])
	members("after changes", mid, users[1], users[3], users[4])
	members("after changes", low, users[3], users[4])
	tenant.RemoveMember(mid, low)
	tenant.RemoveMember(low, users[3])
	w.round()
	members("two at once", top, users[0], users[1])
	tenant.AddMember(top, low)
	tenant.RemoveGroup(mid)
	w.round()
	members("a removed group", top, users[0], users[4])
	tenant.RestoreGroup(mid)
	w.round()
	members("a restored group", top, users[0], users[1], users[4])
	members("a restored group", mid, users[1])
	tenant.RemoveUser(users[1])
	w.round()
	members("a removed user", top, users[0], users[4])
	tenant.RestoreUser(users[1])
	w.round()
	members("a restored user", top, users[0], users[1], users[4])
	flat := w.content()

	w.edit(mirror.Published, func(s *mirror.Scope) { s.Flatten = false })
	members("nested again", top, users[0], mid, low)
	w.edit(mirror.Published, func(s *mirror.Scope) { s.Flatten = true })
	if w.content() != flat {
		t.Error("flattened again, something else is served")
	}
	// A group that is not served hands its users up all the same.
	w.edit(mirror.Published, func(s *mirror.Scope) { s.GroupTypes = []mirror.GroupType{mirror.Security} })
	members("a group out of scope", top, users[0], users[1], users[4])
	tenant.AddMember(mid, users[6])
	w.round()
	members("a change below a group out of scope", top, users[0], users[1], users[4], users[6])
	members("untouched", all, users...)
}

func TestLessThanIsReadNeedsNoRead(t *testing.T) {
	tenant, users, _ := company(6)
	w := newWorld(t, tenant, func(cfg *mirror.Config) { open(cfg); cfg.Scope.LicensedOnly = true })
	tenant.SetUser(map[string]any{"id": users[0], "assignedLicenses": []any{map[string]any{"skuId": "x"}}})
	w.round()
	w.servesActive("licensed", users[0])
	w.edit(mirror.Published, func(s *mirror.Scope) { s.LicensedOnly = false })
	if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Full() {
		t.Error("asking for less made a full read")
	}
	w.edit(mirror.Published, func(s *mirror.Scope) { s.LicensedOnly = true })
	tenant.SetUser(map[string]any{"id": users[1], "assignedLicenses": []any{map[string]any{"skuId": "x"}}})
	w.round()
	w.servesActive("licensed again", users[0], users[1])

	mapper, err := mapping.New(mapping.Config{BaseURL: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	selected := mirror.Select(mapper, &mirror.Scope{LicensedOnly: true, Where: where(t, `user.city == "x" || user.onPremisesSamAccountName == "y"`)})
	if n := len(selected[graph.Users]); !slices.Contains(selected[graph.Users], "assignedLicenses") || n != len(slices.Compact(sorted(slices.Clone(selected[graph.Users])...))) {
		t.Errorf("selected are %v", selected[graph.Users])
	}
}

func TestHowManyAreLeftOut(t *testing.T) {
	tenant, users, group := company(10)
	tenant.UpdateUser(users[0], map[string]any{"userType": "Guest"})
	tenant.UpdateUser(users[1], map[string]any{"userType": "Guest"})
	tenant.RemoveMember(group, users[1], users[2], users[3])
	tenant.SetGroup(map[string]any{"displayName": "Mail", "mailEnabled": true})
	w := newWorld(t, tenant, open)
	w.round()
	if out := w.mirror.Status().LeftOut; !out.At.IsZero() {
		t.Errorf("without a rule: %+v", out)
	}
	w.configure(func(cfg *mirror.Config) {
		cfg.Scope.Guests, cfg.Scope.MemberOf, cfg.Scope.GroupTypes = false, []string{group}, []mirror.GroupType{mirror.Security}
	})
	w.round()
	out := w.mirror.Status().LeftOut
	if diff := cmp.Diff(mirror.Census{At: out.At, Users: map[string]int{"users.guests": 2, "users.member_of": 2}, Groups: map[string]int{"groups.types": 1}}, out); diff != "" || out.At.IsZero() {
		t.Error(diff)
	}
}

// A scope that leaves out everybody is not served for a start: a platform may know
// them all from before.
func TestAFirstPictureWithoutAnybodyIsHeld(t *testing.T) {
	tenant, users, group := company(4)
	w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.MemberOf = []string{users[0]} })
	report := w.refresh(mirror.Options{}, mirror.Held)
	if w.picture.Current() != nil || report.Verdict.Summary() != "the scope leaves out all 4 users of the tenant: look at its rules, with scim-bridge status and explain" {
		t.Errorf("it is served, or held because %s", report.Verdict.Summary())
	}
	w.edit(mirror.Published, func(s *mirror.Scope) { s.MemberOf = []string{group} })
	w.servesActive("with the right group", users...)

	w = newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.MemberOf = []string{users[0]} })
	w.refresh(mirror.Options{}, mirror.Held)
	if report, err := w.mirror.Approve(t.Context(), 0, "a test"); err != nil || report.Outcome != mirror.Approved {
		t.Errorf("approved: %s, %v", report.Outcome, err)
	}
	w = newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: 1}), func(cfg *mirror.Config) { cfg.Scope.Guests = false })
	w.round()
}
