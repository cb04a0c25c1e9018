package mirror_test

import (
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
)

// Somebody who went gives her name up to whom it is given, and goes herself.
func TestARemovedUserGivesHerNameUp(t *testing.T) {
	tenant, users, _ := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	tenant.RemoveUser(users[4])
	w.round()
	w.counts(20, 19, 1)
	old, _ := w.user(users[4])
	heir := tenant.SetUser(map[string]any{"userPrincipalName": strings.ToUpper(old.UserName), "displayName": "Heir", "accountEnabled": true})
	w.round()
	w.counts(20, 20, 1)
	if _, ok := w.user(users[4]); ok {
		t.Error("she is there, with the name of somebody else")
	}
	// In one round, too.
	next, _ := w.user(users[5])
	tenant.RemoveUser(users[5])
	tenant.SetUser(map[string]any{"id": heir, "userPrincipalName": next.UserName})
	w.round()
	w.counts(19, 19, 1)
	// And when everything is rendered again.
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Guests = false })
	w.refresh(mirror.Options{}, mirror.Unchanged)
	w.counts(19, 19, 1)
}

// Two people of two sources with one name are both served, and told; where the
// rule says so the round that brings the second waits, and nobody else does.
func TestNamesakesOfTwoSources(t *testing.T) {
	for _, hold := range []bool{false, true} {
		first, _, _ := company(5)
		a := newWorld(t, first, nil)
		a.round()
		second, users, _ := companyOf(2, 0)
		second.SetUser(map[string]any{"userPrincipalName": "bob@fabrikam.example", "displayName": "Bob", "accountEnabled": true})
		b := newWorld(t, second, func(cfg *mirror.Config) {
			cfg.Name = "fabrikam"
			cfg.Names = mirror.NameRule{
				Hold:   func() bool { return hold },
				Others: func() []*directory.Snapshot { return []*directory.Snapshot{a.picture.Current()} },
			}
		})
		b.round()
		users = append(users, second.SetUser(map[string]any{"userPrincipalName": "UAA@contoso.example", "displayName": "Twin", "accountEnabled": true}))
		want := mirror.Published
		if hold {
			want = mirror.Held
		}
		report := b.refresh(mirror.Options{}, want)
		if v := report.Verdict; v.NewNamesakes != 1 || len(v.Namesakes[0].Owners) != 2 || v.Namesakes[0].Owners[0].ID != users[0] || v.Namesakes[0].Owners[1].Source != "contoso" {
			t.Errorf("hold %t: told is %+v", hold, v)
		}
		if hold {
			if _, ok := b.user(users[0]); ok {
				t.Error("she is served, though the round is held")
			}
			if got := report.Verdict.Summary(); got != "a userName would have more than one owner" {
				t.Errorf("it says %q", got)
			}
			diff, err := b.mirror.HeldDiff(t.Context(), 1)
			if err != nil || diff.Changes[0].ID != users[0] || !strings.HasPrefix(diff.Changes[0].Why, "its userName is also that of ") {
				t.Errorf("the held round shows %+v, %v", diff.Changes, err)
			}
			if _, err := b.mirror.Approve(t.Context(), 0, "ada"); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := b.user(users[0]); !ok {
			t.Errorf("hold %t: she is not served", hold)
		}
		// What is served already is no news.
		second.SetUser(map[string]any{"id": users[0], "jobTitle": "Pilot"})
		if report := b.round(); report.Verdict.NewNamesakes != 0 {
			t.Errorf("hold %t: told again: %+v", hold, report.Verdict)
		}
		named, total := mirror.Namesakes(directory.NewView(a.picture.Current(), b.picture.Current()), 10)
		if total != 1 || len(named) != 1 || !strings.EqualFold(named[0].UserName, "uaa@contoso.example") {
			t.Errorf("hold %t: in all there are %d: %+v", hold, total, named)
		}
	}
}

// Two people of one tenant with one name are both served, and told once.
func TestNamesakesOfOneSource(t *testing.T) {
	tenant, users, _ := company(5)
	w := newWorld(t, tenant, nil)
	w.round()
	twin := tenant.SetUser(map[string]any{"userPrincipalName": "UAA@contoso.example", "displayName": "Twin", "accountEnabled": true})
	if v := w.round().Verdict; v.NewNamesakes != 1 || len(v.Namesakes[0].Owners) != 2 {
		t.Errorf("told is %+v", v)
	}
	for _, id := range []string{users[0], twin} {
		if u, ok := w.user(id); !ok || !u.Active {
			t.Errorf("%s is served as %+v", id, u)
		}
	}
	// One of the two goes: the name is the other's, and she is gone at once.
	tenant.RemoveUser(users[0])
	w.round()
	if _, ok := w.user(users[0]); ok {
		t.Error("who went keeps the name of who is there")
	}
	w.counts(5, 5, 1)
}

// A held round goes through by itself once the name is free again.
func TestAHeldNamesakeThatIsRenamed(t *testing.T) {
	first, _, _ := company(5)
	a := newWorld(t, first, nil)
	a.round()
	second, _, _ := companyOf(2, 0)
	id := second.SetUser(map[string]any{"userPrincipalName": "uaa@contoso.example", "displayName": "Twin", "accountEnabled": true})
	b := newWorld(t, second, func(cfg *mirror.Config) {
		cfg.Name = "fabrikam"
		cfg.Names.Hold = func() bool { return true }
		cfg.Names.Others = func() []*directory.Snapshot { return []*directory.Snapshot{a.picture.Current()} }
	})
	b.refresh(mirror.Options{}, mirror.Held)
	if b.picture.Current() != nil {
		t.Error("something is served")
	}
	second.SetUser(map[string]any{"id": id, "userPrincipalName": "uaa@fabrikam.example"})
	b.round()
	b.counts(1, 1, 1)
}

// A mapping that gives everybody one name is held, whatever the rule.
func TestOneNameForEverybodyIsHeld(t *testing.T) {
	tenant, _, _ := company(40)
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	w.configure(mapped(t, "userName", `"user@contoso.example"`))
	report := w.refresh(mirror.Options{}, mirror.Held)
	v := report.Verdict
	if len(v.Reasons) != 1 || v.Reasons[0].Rule != "user_name" || !strings.HasPrefix(v.Reasons[0].Text, "40 users would share") {
		t.Errorf("it says %+v", v.Reasons)
	}
	if len(v.Namesakes) != 1 || len(v.Namesakes[0].Owners)+v.Namesakes[0].More != 40 || v.Namesakes[0].More == 0 {
		t.Errorf("told is %+v", v.Namesakes)
	}
	diff, err := w.mirror.HeldDiff(t.Context(), 1)
	if err != nil || !strings.HasSuffix(diff.Changes[0].Why, " and 30 more") {
		t.Errorf("the held round shows %+v, %v", diff, err)
	}
	if w.content() != before {
		t.Error("it is served")
	}
	w.configure(mapped(t))
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if !w.mirror.Status().HeldVerdict().OK() {
		t.Error("it is still held")
	}
	// Whoever wants it approves it.
	w.configure(mapped(t, "userName", `"user@contoso.example"`))
	w.refresh(mirror.Options{}, mirror.Held)
	if report, err := w.mirror.Approve(t.Context(), 0, "ada"); err != nil || report.Outcome != mirror.Approved {
		t.Errorf("approved: %v, %v", report.Outcome, err)
	}
}
