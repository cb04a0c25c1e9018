package mirror_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// days has days go by, with a round and on each, as wanted, a change in the tenant.
func (w *world) days(n int, change bool, somebody string) {
	w.t.Helper()
	for range n {
		time.Sleep(24*time.Hour + time.Minute)
		if change {
			w.tenant.UpdateUser(somebody, map[string]any{"jobTitle": time.Now().String()})
		}
		if _, err := w.mirror.Refresh(w.t.Context(), mirror.Options{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// remembered says what is stored of a user: the object, and memberships.
func (w *world) remembered(id string) string {
	w.t.Helper()
	_, found, err := w.store.Object(w.t.Context(), w.cfg.Name, store.User, id)
	if err != nil {
		w.t.Fatal(err)
	}
	memberships := 0
	for _, err := range w.store.MemberOf(w.t.Context(), w.cfg.Name, id) {
		if err != nil {
			w.t.Fatal(err)
		}
		memberships++
	}
	return fmt.Sprintf("%t %d", found, memberships)
}

// Who was removed is kept with her memberships for as long as she can be restored,
// or a kept generation has her, for a rollback to it; and no longer.
func TestTheRemovedAreForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, group := company(20)
		w := newWorld(t, tenant, func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = 72 * time.Hour })
		w.round()
		check := func(when, want string) {
			t.Helper()
			if got := w.remembered(users[3]); got != want {
				t.Errorf("%s: stored are %s, want %s", when, got, want)
			}
		}
		tenant.RemoveUser(users[3])
		w.round()
		w.days(29, true, users[0])
		w.counts(19, 19, 1)
		check("while she can be restored", "true 1")
		tenant.RestoreUser(users[3])
		w.round()
		if u, _ := w.user(users[3]); len(u.Groups) != 1 || u.Groups[0].Value != group {
			t.Errorf("restored after 29 days she is in %v", u.Groups)
		}

		tenant.RemoveUser(users[3])
		w.round()
		w.days(40, false, "")
		w.counts(19, 19, 1)
		check("while a generation has her", "true 1")
		w.days(3, true, users[0])
		check("in the last generation that has her", "true 1")
		w.days(2, true, users[0])
		check("in the end", "false 0")
	})
}

// A clock that is far off forgets nobody: what was removed yesterday may look as if
// it were long ago.
func TestAWrongClockForgetsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(20)
		w, source := timedWorld(t, tenant)
		w.configure(func(cfg *mirror.Config) { cfg.Scope.KeepRemoved = 0 })
		w.round()
		tenant.RemoveUser(users[3])
		w.round()
		for range 6 { // until no generation has her
			time.Sleep(time.Minute)
			tenant.UpdateUser(users[0], map[string]any{"jobTitle": time.Now().String()})
			w.round()
		}
		source.offset = -40 * 24 * time.Hour
		w.days(40, false, "")
		if got := w.remembered(users[3]); got != "true 1" {
			t.Errorf("with a clock that is off, stored are %s", got)
		}
		source.offset = 0
		w.days(2, false, "")
		if got := w.remembered(users[3]); got != "false 0" {
			t.Errorf("once it is set, stored are %s", got)
		}
	})
}

// A tidied store counts how often it is asked who was removed.
type tidied struct {
	store.Store
	asked int
}

func (s *tidied) Removed(ctx context.Context, source string, kind store.Kind, before time.Time) iter.Seq2[store.Object, error] {
	s.asked++
	return s.Store.Removed(ctx, source, kind, before)
}

// To look for what can be forgotten costs all that was removed: once a day is enough.
func TestTheStoreIsTidiedOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, _, _ := company(5)
		w := newWorld(t, tenant, nil)
		counting := &tidied{Store: w.store}
		w.cfg.Store, w.cfg.Picture = counting, w.picture
		w.mirror = mirror.New(w.cfg)
		w.round()
		first := counting.asked
		for range 22 {
			time.Sleep(time.Hour)
			w.refresh(mirror.Options{}, mirror.Unchanged)
		}
		if first == 0 || counting.asked != first {
			t.Errorf("within a day it is asked %d times, at first %d", counting.asked, first)
		}
		time.Sleep(3 * time.Hour)
		w.refresh(mirror.Options{}, mirror.Unchanged)
		if counting.asked != 2*first {
			t.Errorf("on the next day it was asked %d times, want %d", counting.asked, 2*first)
		}
	})
}
