package mirror_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

func TestFirstImportServesEverybody(t *testing.T) {
	tenant, users, group := company(30)
	w := newWorld(t, tenant, nil)
	if w.picture.Current() != nil {
		t.Fatal("something is served before the first round")
	}
	report := w.round()
	w.counts(30, 30, 1)
	if !report.FullUsers || !report.FullGroups || report.Users.Added != 30 || report.Edges.Added != 30 {
		t.Errorf("report is %+v", report)
	}
	g, _ := w.user(group)
	if !slices.Equal(g.members(), slices.Sorted(slices.Values(users))) {
		t.Errorf("the group has %d members", len(g.Members))
	}
	if u, _ := w.user(users[3]); !slices.Equal(u.groups(), []string{group}) || !u.Active {
		t.Errorf("a user is served as %+v", u)
	}
}

func TestDeltaRounds(t *testing.T) {
	tenant, users, group := company(10)
	w := newWorld(t, tenant, nil)
	w.round()
	if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Full() {
		t.Error("the second round reads in full")
	}
	tenant.SetUser(map[string]any{"id": users[0], "jobTitle": "Engineer"})
	tenant.RemoveMember(group, users[1])
	nested := tenant.SetGroup(map[string]any{"displayName": "Nested", "securityEnabled": true, "mailEnabled": false})
	tenant.AddMember(group, nested)
	tenant.AddMember(nested, users[1], users[2])
	w.round()
	if u, _ := w.user(users[0]); u.Title != "Engineer" {
		t.Errorf("a changed title is served as %q", u.Title)
	}
	if u, _ := w.user(users[1]); len(u.Groups) != 2 || u.Groups[0].Value != nested || u.Groups[1].Type != "indirect" {
		t.Errorf("a user who moved into a nested group has groups %v", u.Groups)
	}
	tenant.SetUser(map[string]any{"id": users[0], "jobTitle": nil})
	w.round()
	if u, _ := w.user(users[0]); u.Title != "" {
		t.Errorf("a cleared title is served as %q", u.Title)
	}
}

func TestRemovedUsersTurnInactiveAndComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, group := company(10)
		w := newWorld(t, tenant, nil)
		w.round()
		before := w.content()
		tenant.RemoveUser(users[4])
		w.round()
		if u, ok := w.user(users[4]); !ok || u.Active || len(u.Groups) != 0 {
			t.Errorf("a removed user is served as %+v", u)
		}
		if g, _ := w.user(group); len(g.Members) != 9 {
			t.Errorf("the group has %d members", len(g.Members))
		}
		tenant.RestoreUser(users[4])
		w.round()
		if after := w.content(); after != before {
			t.Errorf("after the restoration\n%s\nis served, want\n%s", after, before)
		}
		tenant.RemoveUser(users[4])
		w.round()
		time.Sleep(719 * time.Hour)
		w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
		time.Sleep(2 * time.Hour)
		w.round()
		w.counts(9, 9, 1)
	})
}

// One who went is kept no longer than she is to be, even if a rule counts days.
func TestRemovedUsersGoThoughARuleCountsDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(20)
		w := newWorld(t, tenant, mapped(t, "title", `formatDate(today, "yyyy-MM-dd")`))
		w.configure(func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = 72 * time.Hour })
		w.round()
		tenant.RemoveUser(users[3])
		for range 3 {
			w.round()
			w.counts(20, 19, 1)
			time.Sleep(24 * time.Hour)
		}
		time.Sleep(time.Hour)
		w.round()
		w.counts(19, 19, 1)
	})
}

func TestARestoredUserHasTheManagerThatSheComesWith(t *testing.T) {
	tenant, users, _ := company(5)
	tenant.SetManager(users[1], users[0])
	w := newWorld(t, tenant, nil)
	w.round()
	managed := `"manager":{"value":"` + users[0]
	if !strings.Contains(w.content(), managed) {
		t.Fatalf("no manager in\n%s", w.content())
	}
	tenant.RemoveUser(users[1])
	w.round()
	tenant.RestoreUser(users[1])
	tenant.SetManager(users[1], "") // she comes whole, without a word of him
	w.round()
	if strings.Contains(w.content(), managed) {
		t.Errorf("she has her manager of before in\n%s", w.content())
	}
}

// Of a group that went and came back nobody tells who left it meanwhile: it is
// read anew before it is served.
func TestAGroupThatComesBackHasTheMembersThatItHas(t *testing.T) {
	tenant, users, _ := company(10)
	group := tenant.SetGroup(map[string]any{"displayName": "Team", "groupTypes": []string{"Unified"}, "securityEnabled": false, "mailEnabled": true})
	tenant.AddMember(group, users...)
	w := newWorld(t, tenant, nil)
	w.round()
	tenant.RemoveMember(group, users[0]) // in the same round as the group goes
	tenant.RemoveGroup(group)
	w.round()
	w.counts(10, 10, 1)
	tenant.RestoreGroup(group)
	tenant.Inject(graphtest.Status(503, true).On("groups").In(graphtest.FirstRound).Repeat(3))
	w.refresh(mirror.Options{}, mirror.Failed) // the deltas were read, the groups not
	w.restart()
	if _, err := w.mirror.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.counts(10, 10, 1)
	report := w.round()
	if g, ok := w.user(group); !ok || len(g.Members) != 9 {
		t.Errorf("the group came back with %d members, want 9", len(g.Members))
	}
	if !report.FullGroups || report.FullUsers || report.Drift != 0 {
		t.Errorf("the round is %+v", report)
	}
	if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Full() {
		t.Error("it is read in full again and again")
	}
}

// Who leaves a group in the round in which it goes, and is in the recycle bin
// herself when it is read anew, can't be told from one who stayed: no read need
// show her. Back again she is in it until the next full read, which tells.
func TestALeaverInTheRecycleBinIsAMemberUntilAFullRead(t *testing.T) {
	tenant, users, all := company(10)
	group := tenant.SetGroup(map[string]any{"displayName": "Team", "groupTypes": []string{"Unified"}, "securityEnabled": false, "mailEnabled": true})
	tenant.AddMember(group, users...)
	w := newWorld(t, tenant, nil)
	w.round()
	for _, leaver := range users[:2] {
		tenant.RemoveMember(group, leaver)
	}
	tenant.RemoveUser(users[0])
	tenant.RemoveGroup(group)
	w.round()
	tenant.RestoreGroup(group)
	w.round()
	if g, _ := w.user(group); len(g.Members) != 8 {
		t.Errorf("the group came back with %d members, want 8", len(g.Members))
	}
	tenant.RestoreUser(users[0])
	w.round()
	if u, _ := w.user(users[0]); !slices.Equal(u.groups(), sorted(all, group)) {
		t.Errorf("she came back to %v", u.groups())
	}
	report := w.refresh(mirror.Options{Full: true}, mirror.Published)
	if u, _ := w.user(users[0]); !slices.Equal(u.groups(), []string{all}) || report.Drift != 1 {
		t.Errorf("after a full read she is in %v, with a drift of %d", u.groups(), report.Drift)
	}
}

func TestMembersMayComeBeforeTheirUsers(t *testing.T) {
	tenant, users, group := company(10)
	w := newWorld(t, tenant, nil)
	w.round()
	tenant.SetLag("users", 1)
	late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "displayName": "Late", "accountEnabled": true})
	tenant.AddMember(group, late)
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if g, _ := w.user(group); slices.Contains(g.members(), late) {
		t.Error("a member who is no user yet is served")
	}
	w.round()
	g, _ := w.user(group)
	if u, ok := w.user(late); !ok || !slices.Contains(g.members(), late) || len(u.Groups) != 1 || len(g.Members) != len(users)+1 {
		t.Errorf("a late user is served as %+v in %v", u, g.Members)
	}
}

func TestAnExpiredCursorLeadsToAFullRead(t *testing.T) {
	for form := range graphtest.GoneBadRequest + 1 {
		tenant, users, group := company(10)
		w := newWorld(t, tenant, nil)
		w.round()
		tenant.RemoveUser(users[9])
		tenant.SetUser(map[string]any{"id": users[1], "jobTitle": "Pilot"})
		tenant.RemoveMember(group, users[2])
		tenant.Inject(graphtest.Gone(form).In(graphtest.LaterRound).On("users"), graphtest.Gone(form).In(graphtest.LaterRound).On("groups"))
		if report := w.round(); !report.Full() {
			t.Errorf("form %d: the round did not read in full", form)
		}
		w.counts(10, 9, 1)
		if g, _ := w.user(group); len(g.Members) != 8 {
			t.Errorf("form %d: the group has %d members, want 8", form, len(g.Members))
		}
	}
}

func TestAFaultLeavesEverythingAsItWas(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"a page of one collection is refused": graphtest.Status(503, true).On("groups").Forever(),
		"a permission is missing":             graphtest.Denied().On("users").Forever(),
		"the last page never comes":           graphtest.Reset(graphtest.WithinBody).At(graphtest.LastPage).Forever(),
		"no link":                             graphtest.NoLinks().Forever(),
		"a link that loops":                   graphtest.LoopingLink().Forever(),
		"a link to another host":              graphtest.ForeignLink("https://evil.test").Forever(),
		"a body cut short":                    graphtest.Truncated().On("users").Forever(),
	} {
		t.Run(name, func(t *testing.T) {
			tenant, users, group := company(20)
			w := newWorld(t, tenant, nil)
			w.round()
			before, generation := w.content(), w.picture.Current()
			tenant.RemoveUser(users[0])
			tenant.RemoveMember(group, users[1:5]...)
			tenant.Inject(fault)
			for _, opts := range []mirror.Options{{}, {Full: true}} {
				report := w.refresh(opts, mirror.Failed)
				if w.picture.Current() != generation || w.content() != before {
					t.Error("what is served has changed")
				}
				if report.Err == nil || w.mirror.Status().State != mirror.Failing {
					t.Errorf("status is %+v", w.mirror.Status())
				}
			}
			tenant.ClearFaults()
			w.round()
			w.counts(20, 19, 1)
			if s := w.mirror.Status(); s.State != mirror.Current || s.Failures != 0 {
				t.Errorf("status after the mending is %+v", s)
			}
		})
	}
}

func TestFailuresCanBeToldApart(t *testing.T) {
	tenant, _, _ := company(3)
	tenant.Inject(graphtest.Denied().On("users").Forever())
	w := newWorld(t, tenant, nil)
	report := w.refresh(mirror.Options{}, mirror.Failed)
	if !errors.Is(report.Err, graph.ErrPermission) {
		t.Errorf("error is %v", report.Err)
	}
	if w.picture.Current() != nil {
		t.Error("something is served")
	}
}

func TestALargeLossIsHeldUntilApproved(t *testing.T) {
	tenant, users, _ := company(60)
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	for _, id := range users[:10] {
		tenant.RemoveUser(id)
	}
	report := w.refresh(mirror.Options{}, mirror.Held)
	if w.content() != before || len(report.Verdict.Reasons) == 0 || w.mirror.HeldSnapshot() == nil {
		t.Fatalf("a round with 10 of 60 gone: %+v", report)
	}
	w.restart()
	if _, err := w.mirror.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.content() != before || w.mirror.Status().State != mirror.HeldState || w.mirror.HeldSnapshot() == nil {
		t.Fatalf("a restart changed what is held: %+v", w.mirror.Status())
	}
	w.refresh(mirror.Options{}, mirror.Held)
	tenant.Inject(graphtest.Status(503, true).Forever())
	w.refresh(mirror.Options{}, mirror.Failed)
	tenant.ClearFaults()
	if s := w.mirror.Status(); !strings.Contains(s.HeldVerdict().Summary(), "10 of 60 users") {
		t.Errorf("after a round that failed it says of the held one: %q", s.HeldVerdict().Summary())
	}
	if _, err := w.mirror.Approve(t.Context(), 999, "ada"); err == nil {
		t.Error("a round that is not held was approved")
	}
	got, err := w.mirror.Approve(t.Context(), w.mirror.Status().Held.Round, "ada")
	if err != nil || got.Outcome != mirror.Approved {
		t.Fatalf("approving: %+v, %v", got, err)
	}
	w.counts(60, 50, 1)
	if s := w.mirror.Status(); s.Held != nil || s.State != mirror.Failing {
		t.Errorf("status after the approval is %+v", s) // nothing has been read since the failure
	}
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if s := w.mirror.Status(); s.Held != nil || s.State != mirror.Current {
		t.Errorf("status after a round is %+v", s)
	}
}

func TestAHeldRoundThatHealsIsPublished(t *testing.T) {
	tenant, users, _ := company(60)
	w := newWorld(t, tenant, nil)
	w.round()
	for _, id := range users[:10] {
		tenant.RemoveUser(id)
	}
	w.refresh(mirror.Options{}, mirror.Held)
	for _, id := range users[3:10] {
		tenant.RestoreUser(id)
	}
	w.round()
	w.counts(60, 57, 1)
	if w.mirror.Status().Held != nil {
		t.Error("something is held still")
	}
}

func TestFreeze(t *testing.T) {
	tenant, users, _ := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	history := func() int {
		past, err := w.store.Rounds(t.Context(), "contoso", 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(past)
	}
	rounds := history()
	if report, err := w.mirror.Unfreeze(t.Context(), "ada"); err != nil || report.Outcome != mirror.NotFrozen || history() != rounds {
		t.Errorf("unfreezing what is not frozen: %+v, %v, and %d more in the history", report, err, history()-rounds)
	}
	if err := w.mirror.Freeze(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	if past, err := w.store.Rounds(t.Context(), "contoso", 1); err != nil || past[0].Outcome != "frozen" || past[0].By != "ada" || past[0].Users.Present != 20 {
		t.Errorf("the history has %+v, %v", past, err)
	}
	tenant.RemoveUser(users[0])
	w.refresh(mirror.Options{}, mirror.Frozen)
	w.restart()
	w.refresh(mirror.Options{}, mirror.Frozen)
	if w.content() != before || w.mirror.Status().State != mirror.FrozenState {
		t.Errorf("a frozen source changed, or its status: %+v", w.mirror.Status())
	}
	if report, err := w.mirror.Unfreeze(t.Context(), "bob"); err != nil || report.Outcome != mirror.Published {
		t.Fatalf("unfreezing: %+v, %v", report, err)
	}
	w.counts(20, 19, 1)
}

func TestARestartServesTheSamePicture(t *testing.T) {
	tenant, _, _ := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	tenant.Inject(graphtest.Status(503, false).Forever())
	w.restart()
	if w.content() != before {
		t.Error("another picture is served after a restart")
	}
}
