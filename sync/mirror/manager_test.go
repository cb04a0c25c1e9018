package mirror_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/scim/mapping"
	"scimbridge/sync/mirror"
)

// manager gives whom a user names as her manager, and where that leads.
func (w *world) manager(id string) (value, ref string) {
	w.t.Helper()
	r, ok := w.picture.Current().ByID(id)
	if !ok {
		w.t.Fatalf("user %s is not served", id)
	}
	text := string(r.AppendJSON(nil))
	_, value, _ = strings.Cut(text, `"manager":{"value":"`)
	value, ref, _ = strings.Cut(value, `"`)
	ref, _, _ = strings.Cut(strings.TrimPrefix(ref, `,"$ref":"`), `"`)
	return value, ref
}

// led checks who names a manager.
func (w *world) led(what, manager string, reports ...string) {
	w.t.Helper()
	for _, id := range reports {
		value, ref := w.manager(id)
		if value != manager || manager != "" && ref != baseURL+"/Users/"+manager {
			w.t.Errorf("%s: %s has manager %q (%q), want %q", what, id, value, ref, manager)
		}
	}
}

// A manager is named for as long as he is served, which includes the time for
// which he is kept inactive; in the round in which he goes his reports are rendered
// without him, and in that in which he is back, with him: of his reports the
// tenant tells nothing at all.
func TestAManagerIsNamedWhileHeIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(20)
		boss, ada, bea, cyd := users[0], users[1], users[2], users[3]
		for _, report := range []string{ada, bea, cyd} {
			tenant.SetManager(report, boss)
		}
		w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = 72 * time.Hour })
		w.round()
		w.led("first", boss, ada, bea, cyd)
		before, _ := w.picture.Current().ByID(ada)

		tenant.RemoveUser(boss)
		w.round()
		w.led("kept inactive", boss, ada, bea, cyd)
		if after, _ := w.picture.Current().ByID(ada); after.Version() != before.Version() {
			t.Error("a report has another version though nothing of hers changed")
		}
		time.Sleep(24 * time.Hour)
		tenant.RemoveUser(cyd) // is kept for a day longer than her manager
		w.round()
		w.counts(20, 18, 1)

		w.restart()
		time.Sleep(49 * time.Hour)
		report := w.round()
		w.counts(19, 18, 1)
		w.led("gone for good", "", ada, bea, cyd)
		after, _ := w.picture.Current().ByID(ada)
		if after.Version() == before.Version() || !after.LastModified().Equal(w.picture.Current().Published()) {
			t.Errorf("a report that changed has version %s and lastModified %s", after.Version(), after.LastModified())
		}
		if c := report.Changes[0]; c.Changed != 3 || c.Purged != 1 {
			t.Errorf("the round says %+v", c)
		}
		time.Sleep(24 * time.Hour)
		w.round()
		w.counts(18, 18, 1) // cyd went when she had to, though she changed meanwhile

		tenant.RestoreUser(boss)
		w.round()
		w.led("back", boss, ada, bea)
		w.led("himself", "", boss)
		w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
	})
}

// He may go for what he is, and his reports with it change for what they are.
func TestAManagerWhoLeavesTheScope(t *testing.T) {
	tenant, users, _ := company(20)
	boss, ada, guest := users[0], users[1], users[2]
	tenant.SetManager(ada, boss)
	tenant.SetManager(boss, guest)
	tenant.UpdateUser(guest, map[string]any{"userType": "Guest"})
	w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.KeepRemoved, cfg.Scope.Guests = 0, false })
	w.round() // the guest comes after those whom he manages, and is not served
	w.led("first", boss, ada)
	w.led("first", "", boss)

	tenant.UpdateUser(boss, map[string]any{"userType": "Guest"})
	w.round()
	w.led("left", "", ada)
	tenant.SetManager(ada, guest)
	w.refresh(mirror.Options{}, mirror.Unchanged) // whom she may not name is nobody's business
	w.edit(mirror.Published, func(s *mirror.Scope) { s.Guests = true })
	w.led("edited", guest, ada, boss)
	w.edit(mirror.Published, func(s *mirror.Scope) { s.Exclude = []string{guest} })
	w.led("edited again", "", ada, boss)
	tenant.SetManager(ada, boss)
	w.round()
	w.led("another", boss, ada)
}

// What is held or frozen changes nobody, and then all of it.
func TestAManagerWhoseGoingIsHeld(t *testing.T) {
	tenant, users, _ := company(20)
	boss, ada := users[0], users[1]
	tenant.SetManager(ada, boss)
	w := newWorld(t, tenant, func(cfg *mirror.Config) {
		cfg.Scope.KeepRemoved = 0
		cfg.Assertions = []mirror.Assertion{{MustExist: []string{boss}}}
	})
	w.round()
	tenant.RemoveUser(boss)
	w.refresh(mirror.Options{}, mirror.Held)
	w.led("held", boss, ada)
	tenant.UpdateUser(ada, map[string]any{"jobTitle": "Countess"})
	w.refresh(mirror.Options{}, mirror.Held)
	w.led("held", boss, ada)
	if report, err := w.mirror.Approve(t.Context(), 0, "a test"); err != nil || report.Outcome != mirror.Approved {
		t.Fatal(report.Outcome, err)
	}
	w.led("approved", "", ada)
	generations := w.picture.Generations()
	if _, err := w.mirror.Rollback(t.Context(), generations[len(generations)-1].Number, "a test"); err != nil {
		t.Fatal(err)
	}
	w.led("rolled back", boss, ada)
	w.configure(func(cfg *mirror.Config) { cfg.Assertions = nil })
	if report, err := w.mirror.Unfreeze(t.Context(), "a test"); err != nil || report.Outcome != mirror.Published {
		t.Fatal(report.Outcome, err)
	}
	w.led("thawed", "", ada)
}

// A contact is nobody here, so he can't be named; a rule of the mapping sees no
// manager either.
func TestAManagerWhoIsNobodyHere(t *testing.T) {
	tenant, users, _ := company(5)
	tenant.SetManager(users[1], users[4])
	tenant.SetManager(users[2], users[0])
	w := newWorld(t, tenant, mapped(t, "title", `has(user.manager) ? "led by " + user.manager.id : "free"`))
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Exclude = []string{users[4]} })
	w.round()
	for id, want := range map[string]string{users[1]: "free", users[2]: "led by " + users[0], users[0]: "free"} {
		if u, _ := w.user(id); u.Title != want {
			t.Errorf("%s has title %q, want %q", id, u.Title, want)
		}
	}
	all, err := w.mirror.Explain(t.Context(), users[1], 1)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	const path = mapping.EnterpriseUserSchema + ":manager.value"
	for _, v := range all[0].Values {
		switch {
		case v.Path == path && (v.JSON != nil || v.Problem != "the manager, "+users[4]+", is not served, and so not named"):
			t.Errorf("the manager is explained as %+v", v)
		case v.Path == "title" && string(v.JSON) != `"free"`:
			t.Errorf("the title is explained as %+v", v)
		}
	}
	if !strings.Contains(string(all[0].Graph), users[4]) {
		t.Error("what the tenant says is not shown")
	}
}

// Who reports to whom is found without looking at everybody.
func TestAManagerCostsHisReports(t *testing.T) {
	var costs []int
	for _, n := range []int{50, 600} {
		tenant, users, _ := company(n)
		for i, report := range users[1:] {
			tenant.SetManager(report, users[i/3])
		}
		w := newWorld(t, tenant, func(cfg *mirror.Config) { open(cfg); cfg.Scope.KeepRemoved = 0 })
		w.round()
		if err := w.mirror.Freeze(t.Context(), "a test"); err != nil {
			t.Fatal(err)
		}
		tenant.RemoveUser(users[1])
		w.refresh(mirror.Options{}, mirror.Frozen)
		asked := &counting{Store: w.store}
		cfg := w.cfg
		cfg.Store = asked
		if report, err := mirror.New(cfg).Unfreeze(t.Context(), "a test"); err != nil || report.Outcome != mirror.Published {
			t.Fatal(report.Outcome, err)
		}
		w.led("gone", "", users[4:7]...)
		w.led("another's", users[2], users[7:10]...)
		costs = append(costs, asked.rows)
	}
	if costs[0] != costs[1] || costs[0] > 5 {
		t.Errorf("%d rows are read in a small tenant, %d in one twelve times as large: want the manager and his three reports", costs[0], costs[1])
	}
}

// He may go at once, too: when somebody else has his userName.
func TestAManagerWhoseNameIsSomebodyElses(t *testing.T) {
	tenant, users, _ := company(20)
	boss, ada := users[0], users[1]
	tenant.SetManager(ada, boss)
	w := newWorld(t, tenant, nil)
	w.round()
	tenant.RemoveUser(boss)
	w.round()
	w.led("kept inactive", boss, ada)
	tenant.SetUser(map[string]any{"userPrincipalName": "uaa@contoso.example", "displayName": "another", "accountEnabled": true})
	w.round()
	w.counts(20, 20, 1)
	w.led("gone for his name", "", ada)
}
