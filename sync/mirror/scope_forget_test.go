package mirror_test

import (
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/mirror"
)

// A group that went while the source was frozen, and is long gone when the freeze
// ends, takes those out of the scope who were in it all the same.
func TestAGroupThatWentLongAgoIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, group := company(6)
		root := tenant.SetGroup(map[string]any{"displayName": "Root", "securityEnabled": true})
		tenant.AddMember(root, users[5], group)
		w := newWorld(t, tenant, func(cfg *mirror.Config) {
			open(cfg)
			cfg.Scope.MemberOf, cfg.Scope.Groups = []string{root}, false
		})
		w.round()
		w.servesActive("first", users...)
		if err := w.mirror.Freeze(t.Context(), "a test"); err != nil {
			t.Fatal(err)
		}
		w.goesLongAgo(group, mirror.Frozen)
		if report, err := w.mirror.Unfreeze(t.Context(), "a test"); err != nil || report.Outcome != mirror.Published {
			t.Fatal(report.Outcome, err)
		}
		w.servesActive("after", users[5])
	})
}

// goesLongAgo removes a group, and has 40 days go by whose rounds publish nothing.
func (w *world) goesLongAgo(group string, want mirror.Outcome) {
	w.t.Helper()
	w.tenant.RemoveGroup(group)
	w.refresh(mirror.Options{}, want)
	for range 40 {
		time.Sleep(25 * time.Hour)
		w.refresh(mirror.Options{Full: true}, want)
	}
}

// So it does where the round is held for as long.
func TestAGroupThatWentLongAgoIsRememberedWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, group := company(20)
		root := tenant.SetGroup(map[string]any{"displayName": "Root", "securityEnabled": true})
		tenant.AddMember(root, users[5], group)
		w := newWorld(t, tenant, func(cfg *mirror.Config) {
			cfg.Scope.MemberOf, cfg.Scope.Groups = []string{root}, false
		})
		w.round()
		w.goesLongAgo(group, mirror.Held)
		w.servesActive("held", users...)
		if report, err := w.mirror.Approve(t.Context(), 0, "a test"); err != nil || report.Outcome != mirror.Approved {
			t.Fatal(report.Outcome, err)
		}
		w.servesActive("approved", users[5])
	})
}
