package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
)

func percent(p float64) mirror.Limit { return mirror.Limit{Percent: p, IsPercent: true} }

// Shares and numbers, and the floor under shares alone.
func TestGuardsLimits(t *testing.T) {
	for _, c := range []struct {
		people, gone int
		guard        mirror.Guard
		held         bool
	}{
		{5, 1, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, false},  // one leaver of five
		{5, 4, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, false},  // the floor is absolute …
		{5, 5, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, true},   // … but nobody left is always held
		{60, 6, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, false}, // exactly the share
		{60, 7, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, true},
		{59, 6, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, true}, // shares are rounded down
		{59, 5, mirror.Guard{MaxRemoved: percent(10), Floor: 5}, false},
		{60, 1, mirror.Guard{MaxRemoved: percent(0)}, true},
		{60, 1, mirror.Guard{MaxRemoved: percent(0), Floor: 1}, false},
		{60, 1, mirror.Guard{MaxRemoved: percent(1.9)}, false},
		{60, 2, mirror.Guard{MaxRemoved: percent(1.9)}, true},
		{60, 59, mirror.Guard{MaxRemoved: percent(100)}, false},
		{60, 60, mirror.Guard{MaxRemoved: percent(100)}, true},
		{60, 3, mirror.Guard{MaxRemoved: mirror.Limit{Count: 3}, Floor: 10}, false},
		{60, 4, mirror.Guard{MaxRemoved: mirror.Limit{Count: 3}, Floor: 10}, true}, // a number is a number
		{1, 1, mirror.Guard{MaxRemoved: mirror.Limit{Count: 100}, Floor: 100}, true},
	} {
		t.Run(fmt.Sprintf("%d of %d by %s, floor %d", c.gone, c.people, c.guard.MaxRemoved, c.guard.Floor), func(t *testing.T) {
			tenant, users, _ := company(c.people)
			w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Guard = c.guard })
			w.round()
			for i, id := range users[:c.gone] {
				// To be removed, and to be switched off, is the same to a platform.
				if i%2 == 0 {
					tenant.RemoveUser(id)
				} else {
					tenant.SetUser(map[string]any{"id": id, "accountEnabled": false})
				}
			}
			want := mirror.Published
			if c.held {
				want = mirror.Held
			}
			w.refresh(mirror.Options{}, want)
		})
	}
}

// Leavers of several rounds that are held add up; those of rounds that go
// through do not.
func TestTheGuardCountsFromWhatIsServed(t *testing.T) {
	tenant, users, _ := company(60)
	w := newWorld(t, tenant, nil)
	w.round()
	for _, id := range users[:6] {
		tenant.RemoveUser(id)
	}
	w.round()
	for _, id := range users[6:11] {
		tenant.RemoveUser(id)
	}
	w.round()
	for _, id := range users[11:20] {
		tenant.RemoveUser(id)
	}
	w.refresh(mirror.Options{}, mirror.Held)
	first := w.mirror.Status().Held.Round
	w.refresh(mirror.Options{}, mirror.Held)
	if again := w.mirror.Status().Held.Round; again != first {
		t.Errorf("the held round was %d and is %d, though nothing else would go", first, again)
	}
	tenant.RemoveUser(users[20])
	w.refresh(mirror.Options{}, mirror.Held)
	if again := w.mirror.Status().Held.Round; again == first {
		t.Errorf("it is still round %d, though one more would go", first)
	}
	if _, err := w.mirror.Approve(t.Context(), first, "ada"); err == nil {
		t.Error("the approval of what was shown before let more through")
	}
	w.counts(60, 49, 1)
}

// Groups that are turned off stay served until that is approved: over a reload,
// a restart, and rounds; and turned on again they are as they were.
func TestGroupsThatAreTurnedOffWaitForApproval(t *testing.T) {
	tenant, users, group := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	off := func(cfg *mirror.Config) { cfg.Scope.Groups = false }
	on := func(cfg *mirror.Config) { cfg.Scope.Groups = true }
	same := func(when string) {
		t.Helper()
		if w.content() != before {
			t.Errorf("%s: what is served changed", when)
		}
	}
	w.configure(off)
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Held {
		t.Fatalf("turned off: %s, %v", report.Outcome, err)
	}
	same("turned off")
	w.restart()
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Held {
		t.Fatalf("after a restart: %s, %v", report.Outcome, err)
	}
	w.refresh(mirror.Options{}, mirror.Held)
	w.refresh(mirror.Options{Full: true}, mirror.Held)
	same("after a restart and rounds")
	if diff, err := w.mirror.HeldDiff(t.Context(), 1); err != nil || diff.Changes[0].Why != "groups were turned off in the configuration" {
		t.Errorf("the held change is %+v, %v", diff, err)
	}

	// The groups went on changing meanwhile.
	tenant.RemoveMember(group, users[0])
	w.configure(on)
	w.round()
	if g, _ := w.user(group); len(g.Members) != 19 {
		t.Errorf("turned on again, the group has %d members", len(g.Members))
	}

	w.configure(off)
	w.refresh(mirror.Options{}, mirror.Held)
	if report, err := w.mirror.Approve(t.Context(), 0, "ada"); err != nil || report.Outcome != mirror.Approved {
		t.Fatalf("approving: %s, %v", report.Outcome, err)
	}
	w.counts(20, 20, 0)
	if u, _ := w.user(users[1]); len(u.Groups) != 0 {
		t.Errorf("without groups she is in %v", u.Groups)
	}
	w.refresh(mirror.Options{}, mirror.Unchanged)
	w.configure(on)
	w.round()
	w.counts(20, 20, 1)
	if u, _ := w.user(users[1]); len(u.Groups) != 1 {
		t.Errorf("with groups again she is in %v", u.Groups)
	}
}

// What assertions say, and that each holds the round like the guard.
func TestAssertions(t *testing.T) {
	limit := percent(20)
	for name, c := range map[string]struct {
		assertion mirror.Assertion
		change    func(w *world, users []string, group string)
		want      string // empty: it holds true
	}{
		"somebody who must exist is there, by any case of her name": {
			assertion: mirror.Assertion{MustExist: []string{"UAA@contoso.example"}},
		},
		"somebody who must exist goes": {
			assertion: mirror.Assertion{MustExist: []string{"uaa@contoso.example"}},
			change:    func(w *world, users []string, _ string) { w.tenant.RemoveUser(users[0]) },
			want:      "asserted to exist but missing or inactive: uaa@contoso.example",
		},
		"somebody who must exist is switched off": {
			assertion: mirror.Assertion{MustExist: []string{"uaa@contoso.example"}},
			change: func(w *world, users []string, _ string) {
				w.tenant.SetUser(map[string]any{"id": users[0], "accountEnabled": false})
			},
			want: "missing or inactive",
		},
		"somebody who must exist never did": {
			assertion: mirror.Assertion{MustExist: []string{"breakglass@contoso.example"}},
			want:      "breakglass@contoso.example",
		},
		"so many users, both ends included": {assertion: mirror.Assertion{Users: &mirror.Range{Min: 19, Max: 19}}},
		"too few users": {
			assertion: mirror.Assertion{Users: &mirror.Range{Min: 20, Max: 30}},
			want:      "asserted 20 to 30 active users, but there would be 19",
		},
		"too many groups": {assertion: mirror.Assertion{Groups: &mirror.Range{Min: 0, Max: 0}}, want: "asserted 0 to 0 groups, but there would be 1"},
		"a group with its members": {
			assertion: mirror.Assertion{Group: "all", Members: &mirror.Range{Min: 3, Max: -1}},
		},
		"a group with too few members": {
			assertion: mirror.Assertion{Group: "All", Members: &mirror.Range{Min: 20, Max: -1}},
			want:      `asserted at least 20 members in group "All", but there would be 19`,
		},
		"a group that is not there": {assertion: mirror.Assertion{Group: "Admins"}, want: `asserted one group "Admins", but there would be 0`},
		"two groups of the name": {
			assertion: mirror.Assertion{Group: "All"},
			change: func(w *world, _ []string, _ string) {
				w.tenant.SetGroup(map[string]any{"displayName": "ALL", "securityEnabled": true, "mailEnabled": false})
			},
			want: `asserted one group "All", but there would be 2`,
		},
		"a group that loses a fifth": {
			assertion: mirror.Assertion{Group: "All", MaxRemoved: &limit},
			change:    func(w *world, users []string, group string) { w.tenant.RemoveMember(group, users[:3]...) },
		},
		"a group that loses more": {
			assertion: mirror.Assertion{Group: "All", MaxRemoved: &limit},
			change:    func(w *world, users []string, group string) { w.tenant.RemoveMember(group, users[:5]...) },
			want:      `group "All" would lose 4 of 19 members, more than 20%`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tenant, users, group := company(20)
			w := newWorld(t, tenant, nil)
			w.round()
			tenant.RemoveUser(users[2])
			w.round()
			before := w.content()
			w.configure(func(cfg *mirror.Config) { cfg.Assertions = []mirror.Assertion{c.assertion} })
			if c.change != nil {
				c.change(w, users, group)
			} else {
				tenant.SetUser(map[string]any{"id": users[9], "jobTitle": "Pilot"})
			}
			if c.want == "" {
				w.round()
				return
			}
			report := w.refresh(mirror.Options{}, mirror.Held)
			if got := report.Verdict.Summary(); !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want %q", got, c.want)
			}
			if w.content() != before {
				t.Error("what is served changed")
			}
			if report, err := w.mirror.Approve(t.Context(), 0, "ada"); err != nil || report.Outcome != mirror.Approved {
				t.Errorf("approving: %s, %v", report.Outcome, err)
			}
		})
	}
}

// Of a group that would lose too many the held round shows who they are, and an
// approval is for them and no others.
func TestWhoWouldLoseAGroup(t *testing.T) {
	tenant, users, group := company(20)
	limit := percent(10)
	w := newWorld(t, tenant, func(cfg *mirror.Config) {
		cfg.Assertions = []mirror.Assertion{{Group: "All", MaxRemoved: &limit}}
	})
	w.round()
	tenant.RemoveMember(group, users[:4]...)
	tenant.SetUser(map[string]any{"id": users[10], "jobTitle": "Pilot"})
	w.refresh(mirror.Options{}, mirror.Held)
	diff, err := w.mirror.HeldDiff(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, c := range diff.Changes {
		if want := `group "All" would lose 4 of 20 members, more than 10%`; c.Why != want {
			t.Errorf("%s is shown with %q, want %q", c.ID, c.Why, want)
		}
		shown = append(shown, c.ID)
	}
	want := append([]string{group}, users[:4]...)
	slices.Sort(shown)
	slices.Sort(want)
	if !slices.Equal(shown, want) {
		t.Errorf("shown first are %v, want %v", shown, want)
	}
	held := w.mirror.Status().Held.Round
	tenant.AddMember(group, users[0])
	tenant.RemoveMember(group, users[5]) // as many, and not the same
	w.refresh(mirror.Options{}, mirror.Held)
	if _, err := w.mirror.Approve(t.Context(), held, "ada"); err == nil {
		t.Error("an approval of others was taken")
	}
}

// keep_removed: 0 has people go at once.
func TestRemovedUsersMayGoAtOnce(t *testing.T) {
	tenant, users, _ := company(20)
	w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = 0 })
	w.round()
	tenant.RemoveUser(users[0])
	w.round()
	w.counts(19, 19, 1)
	w.configure(func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = time.Hour })
	tenant.RemoveUser(users[1])
	w.round()
	w.counts(19, 18, 1)
	w.configure(func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = 0 })
	w.round()
	w.counts(18, 18, 1)
}

// An approval is for what was shown: what a change of the file, or a round that was
// committed meanwhile, would take away beyond it is held anew.
func TestAnApprovalIsForWhatWasShown(t *testing.T) {
	tenant, users, _ := company(30)
	w := newWorld(t, tenant, nil)
	w.round()
	for _, id := range users[:8] {
		tenant.RemoveUser(id)
	}
	shown := w.refresh(mirror.Options{}, mirror.Held)
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Exclude = users[8:18] })
	report, err := w.mirror.Approve(t.Context(), shown.HeldRound, "a test")
	if err != nil || report.Outcome != mirror.Held || report.HeldRound == shown.HeldRound {
		t.Fatalf("the approval of round %d ends as %s of round %d, %v", shown.HeldRound, report.Outcome, report.HeldRound, err)
	}
	w.counts(30, 30, 1)
	// Nor does it come back to life when the file is as it was.
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Exclude = nil })
	again := w.refresh(mirror.Options{}, mirror.Held)
	w.counts(30, 30, 1)
	if report, err := w.mirror.Approve(t.Context(), again.HeldRound, "a test"); err != nil || report.Outcome != mirror.Approved {
		t.Fatal(report.Outcome, err)
	}
	w.counts(30, 22, 1)
}

// Groups that were off for a while are stored as they were then. Turned on again
// they are not served before they have been read.
func TestGroupsThatWereOffAreReadBeforeTheyAreServed(t *testing.T) {
	tenant, users, group := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Groups = false })
	w.refresh(mirror.Options{}, mirror.Held)
	if _, err := w.mirror.Approve(t.Context(), 0, "ada"); err != nil {
		t.Fatal(err)
	}
	tenant.RemoveMember(group, users[0])
	tenant.UpdateUser(users[1], map[string]any{"jobTitle": "Countess"})
	w.round()
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Groups = true })
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Unchanged {
		t.Errorf("before they are read: %s, %v", report.Outcome, err)
	}
	w.counts(20, 20, 0)
	w.round()
	if g, _ := w.user(group); len(g.Members) != 19 {
		t.Errorf("the group has %d members", len(g.Members))
	}
}

// While what a full read did not show is held, further ones look whether it was a
// bad moment of the tenant: with the next round, then ever more seldom, at last once
// an hour. What deltas told needs none.
func TestAHoldOfAFullReadIsDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(40)
		w, source := newTampered(t, tenant)
		hidden := users[10:25]
		source.alter = func(_ graph.Kind, cursor string, page *graph.Page) {
			page.Changes = slices.DeleteFunc(page.Changes, func(c graph.Change) bool { return cursor == "" && slices.Contains(hidden, c.ID) })
		}
		time.Sleep(time.Minute)
		w.refresh(mirror.Options{Full: true}, mirror.Held)
		for i, step := range []struct {
			after time.Duration
			full  bool
		}{
			{5 * time.Minute, true}, {5 * time.Minute, true}, {5 * time.Minute, false}, {5 * time.Minute, true},
			{10 * time.Hour, true}, {50 * time.Minute, false}, {20 * time.Minute, true},
		} {
			time.Sleep(step.after)
			if report := w.refresh(mirror.Options{}, mirror.Held); report.Full() != step.full {
				t.Errorf("round %d, %s after the one before, reads in full: %t", i, step.after, report.Full())
			}
		}
		source.alter = nil
		time.Sleep(time.Hour)
		w.refresh(mirror.Options{}, mirror.Unchanged)
		w.counts(40, 40, 1)

		tenant.UpdateUser(users[0], map[string]any{"jobTitle": "Countess"})
		w.round()
		for _, id := range hidden {
			tenant.RemoveUser(id)
		}
		for range 3 {
			time.Sleep(time.Hour)
			if report := w.refresh(mirror.Options{}, mirror.Held); report.Full() {
				t.Error("what deltas told is doubted")
			}
		}
	})
}
