// Package storetest is the contract of [store.Store] as tests that any store
// can be run through. It is imported by tests only.
package storetest

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"scimbridge/sync/store"
)

// An Opener opens one state, empty at first. After Close of the store it gave,
// it may be called again, to open the same state as it was left.
type Opener func(t *testing.T) store.Store

// Run checks that a store keeps the contract. Each call of fresh gives the
// opener of another, empty state.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for name, check := range map[string]func(*testing.T, Opener){
		"an unknown source has its zero state":                       unknownSource,
		"a round is read once it is committed, not before":           visibility,
		"a rolled back round leaves nothing":                         rollback,
		"what did not change keeps its round":                        unchanged,
		"ids that differ only in case are different objects":         caseMatters,
		"a kind's ids are its own":                                   kindsApart,
		"a removed object keeps what it had and can come back":       removedAndBack,
		"a full read removes what it did not show":                   fullRead,
		"a full read leaves memberships of removed objects alone":    fullReadHidden,
		"a full read that was not ended is not committed":            fullReadOpen,
		"a full read of nothing removes everything":                  fullReadNothing,
		"a full read that is given up takes nothing away":            fullReadAborted,
		"a source that was dropped comes back in another epoch":      epochs,
		"a clone changes nothing of what it was made of":             clones,
		"a source has one round at a time, sources do not wait":      oneRound,
		"small updates do not wait for a round and outlive it":       smallUpdates,
		"a round whose context is done is not committed":             cancelled,
		"an error leaves only rollback":                              afterError,
		"a round that is over is over":                               over,
		"forgetting spares what is present":                          forget,
		"pruning drops ended memberships up to a round":              prune,
		"the history is bounded":                                     history,
		"a stream is one consistent state":                           consistentStream,
		"a stream ends with its context, and when nobody wants more": streamEnds,
		"a dropped source is unknown and others are not":             drop,
		"closing rolls back open rounds":                             closing,
		"what is given and got is not shared":                        notShared,
		"a state is opened once and for good":                        openedForGood,
		"a source has all that is of it under its new name":          renamed,
		"what a client was shown is kept by client and source":       shownByClient,
	} {
		t.Run(name, func(t *testing.T) { check(t, fresh(t)) })
	}
	t.Run("random histories give what a naive model gives", func(t *testing.T) {
		randomHistories(t, fresh)
	})
}

var (
	noon    = time.Date(2026, 1, 2, 12, 0, 0, 123456000, time.UTC)
	changed = store.Removal{At: noon, Reason: "changed"}
	gone    = store.Removal{At: noon.Add(time.Hour), Reason: "vanished"}
)

const (
	ada   = "0f3c8a52-1d0e-4b5c-9b57-5f0a1c2d3e4f"
	bob   = "text id"
	staff = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	dogs  = "dogs"
)

func opened(t *testing.T, open Opener) store.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func begin(t *testing.T, s store.Store, source string) store.Tx {
	t.Helper()
	tx, err := s.Begin(t.Context(), source)
	if err != nil {
		t.Fatalf("Begin(%s): %v", source, err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

// round commits what do does.
func round(t *testing.T, s store.Store, source string, do func(store.Tx)) {
	t.Helper()
	tx := begin(t, s, source)
	do(tx)
	must(t, tx.Commit())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantChange(t *testing.T, want bool) func(bool, error) {
	t.Helper()
	return func(got bool, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Fatalf("changed %v, %v; want %v", got, err, want)
		}
	}
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return // by far the most common, and by far faster
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func ids(objects []store.Object) string {
	var all []string
	for _, o := range objects {
		id := o.ID
		if o.Removed != nil {
			id = "-" + id
		}
		all = append(all, id)
	}
	return strings.Join(all, " ")
}

func users(t *testing.T, s store.Store, since uint64) string {
	t.Helper()
	return ids(collect(t, s.Objects(t.Context(), "a", store.User, since)))
}

func unknownSource(t *testing.T, open Opener) {
	s := opened(t, open)
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "source", src, store.Source{Name: "a"})
	all, err := s.Sources(t.Context())
	must(t, err)
	same(t, "sources", all, []store.Source{})
	same(t, "objects", users(t, s, 0), "")
	same(t, "edges", collect(t, s.Edges(t.Context(), "a", 0)), []store.Edge{})
	n, m, err := s.Counts(t.Context(), "a")
	must(t, err)
	same(t, "counts", []int{n, m}, []int{0, 0})
	must(t, s.Forget(t.Context(), "a", store.User, ada))
	must(t, s.Prune(t.Context(), "a", 7))
	must(t, s.DropSource(t.Context(), "a"))
}

func visibility(t *testing.T, open Opener) {
	s := opened(t, open)
	for n := uint64(1); n <= 3; n++ {
		tx := begin(t, s, "a")
		same(t, "round", tx.Round(), n)
		props := []byte(`{"n":` + string('0'+rune(n)) + `}`)
		wantChange(t, true)(tx.Put(store.User, ada, props))
		must(t, tx.SetCursor(store.User, store.Cursor{Link: "l", Fingerprint: "f", At: noon.Add(time.Duration(n))}))
		inside, ok, err := tx.Object(store.User, ada)
		must(t, err)
		same(t, "object inside", inside, store.Object{Kind: store.User, ID: ada, Properties: props, Round: n})
		before, known, err := s.Object(t.Context(), "a", store.User, ada)
		must(t, err)
		if !ok || known != (n > 1) || before.Round != n-1 {
			t.Fatalf("round %d: inside %v, outside %v %+v", n, ok, known, before)
		}
		same(t, "users before", users(t, s, n-1), "")
		must(t, tx.Commit())
		after, _, err := s.Object(t.Context(), "a", store.User, ada)
		must(t, err)
		same(t, "object after", after, inside)
		same(t, "users after", users(t, s, n-1), ada)
		same(t, "users since this round", users(t, s, max(n, 1)), "")
		src, err := s.Source(t.Context(), "a")
		must(t, err)
		same(t, "source", src, store.Source{Name: "a", Epoch: src.Epoch, Round: n, Users: 1,
			Cursors: map[store.Kind]store.Cursor{store.User: {Link: "l", Fingerprint: "f", At: noon}}})
	}
}

func rollback(t *testing.T, open Opener) {
	s := opened(t, open)
	for range 2 { // before a first round, and after it
		before, err := s.Source(t.Context(), "a")
		must(t, err)
		was := users(t, s, 0)
		tx := begin(t, s, "a")
		wantChange(t, true)(tx.Put(store.User, bob, []byte("{}")))
		wantChange(t, true)(tx.Join(staff, bob, "user"))
		must(t, tx.SetCursor(store.User, store.Cursor{Link: "l"}))
		must(t, tx.Rollback())
		after, err := s.Source(t.Context(), "a")
		must(t, err)
		if before.Epoch == "" {
			before.Epoch = after.Epoch // it was not known
		}
		same(t, "source", after, before)
		same(t, "users", users(t, s, 0), was)
		same(t, "edges", collect(t, s.Edges(t.Context(), "a", 0)), []store.Edge{})
		round(t, s, "a", func(tx store.Tx) {
			_, known, err := tx.Object(store.User, bob)
			must(t, err)
			same(t, "known", known, false)
			_, err = tx.Put(store.User, ada, []byte("{}"))
			must(t, err)
		})
	}
}

func unchanged(t *testing.T, open Opener) {
	s := opened(t, open)
	fill := func(tx store.Tx, want bool) {
		wantChange(t, want)(tx.Put(store.User, ada, []byte(`{"a":1}`)))
		wantChange(t, want)(tx.Put(store.Group, staff, []byte(`{"g":1}`)))
		wantChange(t, want)(tx.Join(staff, ada, "user"))
		wantChange(t, false)(tx.Leave(staff, bob))
		wantChange(t, false)(tx.Remove(store.User, bob, changed))
		same(t, "Changed", tx.Changed(), want)
	}
	round(t, s, "a", func(tx store.Tx) { fill(tx, true); wantChange(t, false)(tx.Join(staff, ada, "user")) })
	round(t, s, "a", func(tx store.Tx) { fill(tx, false) })
	same(t, "users", users(t, s, 1), "")
	same(t, "edges", collect(t, s.Edges(t.Context(), "a", 1)), []store.Edge{})
	same(t, "all edges", collect(t, s.Edges(t.Context(), "a", 0)), []store.Edge{{Group: staff, Member: ada, Type: "user", Round: 1}})
	round(t, s, "a", func(tx store.Tx) {
		must(t, tx.SetCursor(store.Group, store.Cursor{Link: "x"}))
		same(t, "Changed by a cursor", tx.Changed(), false)
	})
	round(t, s, "a", func(tx store.Tx) { must(t, tx.SetCursor(store.Group, store.Cursor{})) })
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "source", src, store.Source{Name: "a", Epoch: src.Epoch, Round: 4, Users: 1, Groups: 1})
}

func caseMatters(t *testing.T, open Opener) {
	s := opened(t, open)
	all := []string{ada, strings.ToUpper(ada), bob, strings.ToUpper(bob), strings.ReplaceAll(ada, "-", ""), "{" + ada + "}", "é", "É", "a\x00b", "a"}
	round(t, s, "a", func(tx store.Tx) {
		for _, id := range all {
			wantChange(t, true)(tx.Put(store.User, id, []byte(id)))
			wantChange(t, true)(tx.Join(staff, id, id))
		}
	})
	same(t, "users", users(t, s, 0), strings.Join(all, " "))
	for i, id := range all {
		got, _, err := s.Object(t.Context(), "a", store.User, id)
		must(t, err)
		same(t, "object", got, store.Object{Kind: store.User, ID: id, Properties: []byte(id), Round: 1})
		same(t, "edge", collect(t, s.MemberOf(t.Context(), "a", id)), []store.Edge{{Group: staff, Member: all[i], Type: id, Round: 1}})
	}
}

func kindsApart(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Put(store.User, ada, []byte("user")))
		wantChange(t, true)(tx.Put(store.Group, ada, []byte("group")))
		wantChange(t, true)(tx.Remove(store.User, ada, changed))
	})
	group, ok, err := s.Object(t.Context(), "a", store.Group, ada)
	must(t, err)
	same(t, "ok", ok, true)
	same(t, "group", group, store.Object{Kind: store.Group, ID: ada, Properties: []byte("group"), Round: 1})
	same(t, "users", users(t, s, 0), "-"+ada)
	tx := begin(t, s, "a")
	for _, err := range []error{
		second(tx.Put("device", ada, nil)), second(s.Begin(t.Context(), "")),
		second(second3(s.Object(t.Context(), "a", "device", ada))),
	} {
		if err == nil {
			t.Error("an unknown kind, or a source without a name, was taken")
		}
	}
}

func second[T any](_ T, err error) error               { return err }
func second3[T any](v T, _ bool, err error) (T, error) { return v, err }

func removedAndBack(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Put(store.User, ada, []byte("1")))
		wantChange(t, true)(tx.Join(staff, ada, "user"))
	})
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Remove(store.User, ada, changed))
		wantChange(t, false)(tx.Remove(store.User, ada, store.Removal{At: noon.Add(time.Minute), Reason: "changed"}))
	})
	got, ok, err := s.Object(t.Context(), "a", store.User, ada)
	must(t, err)
	same(t, "ok", ok, true)
	same(t, "removed", got, store.Object{Kind: store.User, ID: ada, Properties: []byte("1"), Round: 2, Removed: &changed})
	same(t, "streamed", collect(t, s.Objects(t.Context(), "a", store.User, 1)), []store.Object{got})
	same(t, "edges", collect(t, s.MemberOf(t.Context(), "a", ada)), []store.Edge{{Group: staff, Member: ada, Type: "user", Round: 1}})
	n, _, err := s.Counts(t.Context(), "a")
	must(t, err)
	same(t, "count", n, 0)

	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Remove(store.User, ada, store.Removal{At: noon.Add(time.Minute), Reason: "deleted"}))
	})
	got, _, err = s.Object(t.Context(), "a", store.User, ada)
	must(t, err)
	same(t, "removal", got.Removed, &store.Removal{At: noon, Reason: "deleted"})

	round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Put(store.User, ada, []byte("1"))) })
	got, _, err = s.Object(t.Context(), "a", store.User, ada)
	must(t, err)
	same(t, "back", got, store.Object{Kind: store.User, ID: ada, Properties: []byte("1"), Round: 4})
	round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Remove(store.User, ada, store.Removal{})) })
	got, _, err = s.Object(t.Context(), "a", store.User, ada)
	must(t, err)
	same(t, "removed at no known time", got.Removed, &store.Removal{})
}

func fullRead(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		for _, id := range []string{ada, bob, "carl"} {
			wantChange(t, true)(tx.Put(store.User, id, []byte(id)))
			wantChange(t, true)(tx.Join(staff, id, "user"))
		}
		wantChange(t, true)(tx.Put(store.Group, staff, []byte("{}")))
		wantChange(t, true)(tx.Put(store.Group, dogs, []byte("{}")))
	})
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Put(store.User, "early", []byte("put before the full read")))
		must(t, tx.BeginFull(store.User))
		must(t, tx.BeginFull(store.Group))
		wantChange(t, false)(tx.Put(store.User, ada, []byte(ada)))
		wantChange(t, true)(tx.Put(store.User, bob, []byte("new")))
		wantChange(t, false)(tx.Put(store.Group, staff, []byte("{}")))
		wantChange(t, false)(tx.Join(staff, ada, "user"))
		wantChange(t, true)(tx.Join(staff, "phone", "device"))
		objects, edges, err := tx.EndFull(store.User, gone)
		must(t, err)
		same(t, "users removed", []int{objects, edges}, []int{2, 0})
		objects, edges, err = tx.EndFull(store.Group, gone)
		must(t, err)
		// Carl is removed, so his membership can't be told from this.
		same(t, "groups removed", []int{objects, edges}, []int{1, 1})
		same(t, "Changed", tx.Changed(), true)
	})
	same(t, "users", users(t, s, 0), ada+" "+bob+" -carl -early")
	same(t, "changes", users(t, s, 1), bob+" -carl -early")
	same(t, "groups", ids(collect(t, s.Objects(t.Context(), "a", store.Group, 0))), staff+" -"+dogs)
	same(t, "edges", collect(t, s.Edges(t.Context(), "a", 0)), []store.Edge{
		{Group: staff, Member: ada, Type: "user", Round: 1},
		{Group: staff, Member: bob, Type: "user", Round: 2, Removed: true},
		{Group: staff, Member: "carl", Type: "user", Round: 1},
		{Group: staff, Member: "phone", Type: "device", Round: 2},
	})
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "source", src, store.Source{Name: "a", Epoch: src.Epoch, Round: 2, Users: 2, Groups: 1,
		LastFull: map[store.Kind]time.Time{store.User: gone.At, store.Group: gone.At}})
}

func fullReadHidden(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
		wantChange(t, true)(tx.Put(store.User, bob, []byte("{}")))
		wantChange(t, true)(tx.Put(store.Group, dogs, []byte("{}")))
		wantChange(t, true)(tx.Join(staff, ada, "user"))
		wantChange(t, true)(tx.Join(dogs, bob, "user"))
		wantChange(t, true)(tx.Remove(store.User, ada, changed))
	})
	round(t, s, "a", func(tx store.Tx) {
		must(t, tx.BeginFull(store.Group))
		objects, edges, err := tx.EndFull(store.Group, gone)
		must(t, err)
		same(t, "removed", []int{objects, edges}, []int{1, 0})
	})
	same(t, "ada is in staff", len(collect(t, s.MemberOf(t.Context(), "a", ada))), 1)
	same(t, "bob is in dogs", len(collect(t, s.Members(t.Context(), "a", dogs))), 1)
}

func fullReadOpen(t *testing.T, open Opener) {
	s := opened(t, open)
	tx := begin(t, s, "a")
	if _, _, err := tx.EndFull(store.User, gone); err == nil {
		t.Error("EndFull without BeginFull succeeded")
	}
	must(t, tx.Rollback())
	tx = begin(t, s, "a")
	must(t, tx.BeginFull(store.Group))
	if err := tx.Commit(); err == nil {
		t.Error("Commit within a full read succeeded")
	}
	must(t, tx.Rollback())
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "round", src.Round, uint64(0))
}

func fullReadNothing(t *testing.T, open Opener) {
	s := opened(t, open)
	const many = 2500
	round(t, s, "a", func(tx store.Tx) {
		for i := range many {
			id := ada + strings.Repeat("x", i%7) + string(rune('A'+i%26)) + strings.Repeat("y", i/26)
			_, err := tx.Put(store.User, id, []byte("{}"))
			must(t, err)
			_, err = tx.Join(staff, id, "user")
			must(t, err)
		}
	})
	round(t, s, "a", func(tx store.Tx) {
		must(t, tx.BeginFull(store.Group))
		_, edges, err := tx.EndFull(store.Group, gone)
		must(t, err)
		same(t, "edges", edges, many)
		must(t, tx.BeginFull(store.User))
		objects, _, err := tx.EndFull(store.User, gone)
		must(t, err)
		same(t, "objects", objects, many)
	})
	n, _, err := s.Counts(t.Context(), "a")
	must(t, err)
	same(t, "users", n, 0)
	same(t, "members", len(collect(t, s.Members(t.Context(), "a", staff))), 0)
}

func oneRound(t *testing.T, open Opener) {
	s := opened(t, open)
	a, b := begin(t, s, "a"), begin(t, s, "b")
	for _, err := range []error{
		second(s.Begin(t.Context(), "a")),
		s.Forget(t.Context(), "a", store.User, ada),
		s.Prune(t.Context(), "b", 1),
		s.DropSource(t.Context(), "b"),
	} {
		if !errors.Is(err, store.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
	}
	wantChange(t, true)(a.Put(store.User, ada, []byte("a")))
	wantChange(t, true)(b.Put(store.User, ada, []byte("b")))
	must(t, b.Commit())
	wantChange(t, true)(a.Put(store.User, bob, []byte("a")))
	must(t, a.Commit())
	for _, source := range []string{"a", "b"} {
		o, _, err := s.Object(t.Context(), source, store.User, ada)
		must(t, err)
		same(t, "object", string(o.Properties), source)
	}
	must(t, begin(t, s, "a").Commit())
}

func smallUpdates(t *testing.T, open Opener) {
	s := opened(t, open)
	tx := begin(t, s, "a")
	wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
	must(t, s.SetConsent(t.Context(), "a", store.Consent{TenantID: "t", At: noon, By: "root@contoso.com"}))
	must(t, s.SetTenant(t.Context(), "a", "guid"))
	must(t, s.SetFrozen(t.Context(), "a", noon))
	must(t, s.SetHeld(t.Context(), "a", &store.Held{Round: 7, Since: noon, Detail: []byte(`{"users":9}`)}))
	must(t, s.SetApproved(t.Context(), "a", store.Approval{Round: 6, At: noon, By: "root"}))
	must(t, s.AddRound(t.Context(), store.RoundRecord{Source: "a", Round: 1, Outcome: "failed"}))
	must(t, tx.Rollback())
	want := store.Source{Name: "a", Tenant: "guid",
		Consent:  store.Consent{TenantID: "t", At: noon, By: "root@contoso.com"},
		Frozen:   noon,
		Held:     &store.Held{Round: 7, Since: noon, Detail: []byte(`{"users":9}`)},
		Approved: store.Approval{Round: 6, At: noon, By: "root"},
	}
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	want.Epoch = src.Epoch
	same(t, "source", src, want)
	must(t, s.Close())
	s = opened(t, open)
	must(t, s.SetFrozen(t.Context(), "a", time.Time{}))
	must(t, s.SetHeld(t.Context(), "a", nil))
	want.Frozen, want.Held = time.Time{}, nil
	src, err = s.Source(t.Context(), "a")
	must(t, err)
	same(t, "source", src, want)
}

func cancelled(t *testing.T, open Opener) {
	s := opened(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := s.Begin(ctx, "a")
	must(t, err)
	wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
	cancel()
	if _, err := tx.Put(store.User, bob, []byte("{}")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if err := tx.Commit(); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v", err)
	}
	must(t, tx.Rollback())
	same(t, "users", users(t, s, 0), "")
	if err := s.SetFrozen(ctx, "a", noon); !errors.Is(err, context.Canceled) {
		t.Errorf("SetFrozen: %v", err)
	}
	must(t, begin(t, s, "a").Commit())
}

func afterError(t *testing.T, open Opener) {
	s := opened(t, open)
	tx := begin(t, s, "a")
	wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
	_, first := tx.Put(store.User, "", []byte("{}"))
	if first == nil {
		t.Fatal("an object without an id was taken")
	}
	if err := tx.Commit(); !errors.Is(err, first) {
		t.Errorf("Commit: %v, want %v", err, first)
	}
	must(t, tx.Rollback())
	same(t, "users", users(t, s, 0), "")
}

func over(t *testing.T, open Opener) {
	s := opened(t, open)
	for _, end := range []func(store.Tx) error{store.Tx.Commit, store.Tx.Rollback} {
		tx := begin(t, s, "a")
		must(t, end(tx))
		_, putErr := tx.Put(store.User, ada, nil)
		_, _, objectErr := tx.Object(store.User, ada)
		for _, err := range []error{putErr, objectErr, tx.Commit(), tx.Rollback(), tx.SetCursor(store.User, store.Cursor{}), tx.BeginFull(store.User)} {
			if !errors.Is(err, store.ErrDone) {
				t.Errorf("got %v, want ErrDone", err)
			}
		}
	}
}

func forget(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		for _, id := range []string{ada, bob} {
			wantChange(t, true)(tx.Put(store.User, id, []byte("{}")))
			wantChange(t, true)(tx.Join(staff, id, "user"))
		}
		wantChange(t, true)(tx.Put(store.Group, staff, []byte("{}")))
		wantChange(t, true)(tx.Remove(store.User, ada, changed))
	})
	must(t, s.Forget(t.Context(), "a", store.User, ada, bob, staff, "nobody"))
	same(t, "users", users(t, s, 0), bob)
	same(t, "edges", collect(t, s.Edges(t.Context(), "a", 0)), []store.Edge{{Group: staff, Member: bob, Type: "user", Round: 1}})
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
		wantChange(t, false)(tx.Leave(staff, ada))
		wantChange(t, true)(tx.Join(staff, ada, "user"))
	})
	same(t, "users", users(t, s, 0), bob+" "+ada)
	n, m, err := s.Counts(t.Context(), "a")
	must(t, err)
	same(t, "counts", []int{n, m}, []int{2, 1})
}

func prune(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		for _, id := range []string{ada, bob, "carl"} {
			wantChange(t, true)(tx.Join(staff, id, "user"))
		}
		wantChange(t, true)(tx.Leave(staff, "carl"))
	})
	round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Leave(staff, ada)) })
	round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Leave(staff, bob)) })
	must(t, s.Prune(t.Context(), "a", 2))
	left := []store.Edge{{Group: staff, Member: bob, Type: "user", Round: 3, Removed: true}}
	same(t, "edges", collect(t, s.Edges(t.Context(), "a", 0)), left)
	same(t, "edges since 2", collect(t, s.Edges(t.Context(), "a", 2)), left)
}

func history(t *testing.T, open Opener) {
	s := opened(t, open)
	record := func(n int) store.RoundRecord {
		return store.RoundRecord{Source: "a", Round: uint64(n), Started: noon, Elapsed: time.Duration(n), Full: n%2 == 0,
			Users: store.Tally{Present: n, Added: 1, Changed: 2, Removed: 3}, Requests: 4, Pages: 5, Outcome: "failed", Error: "no"}
	}
	for n := range store.History + 3 {
		must(t, s.AddRound(t.Context(), record(n)))
	}
	must(t, s.AddRound(t.Context(), store.RoundRecord{Source: "b"}))
	last, err := s.Rounds(t.Context(), "a", 2)
	must(t, err)
	same(t, "last", last, []store.RoundRecord{record(store.History + 2), record(store.History + 1)})
	all, err := s.Rounds(t.Context(), "a", 1<<30)
	must(t, err)
	same(t, "kept", len(all), store.History)
	same(t, "oldest", all[len(all)-1].Round, uint64(3))
	none, err := s.Rounds(t.Context(), "c", 5)
	must(t, err)
	same(t, "none", none, []store.RoundRecord{})
}

func consistentStream(t *testing.T, open Opener) {
	s := opened(t, open)
	put := func(tx store.Tx, value string) {
		for i := range 300 {
			wantChange(t, true)(tx.Put(store.User, ada+string(rune('A'+i)), []byte(value)))
		}
	}
	round(t, s, "a", func(tx store.Tx) { put(tx, "old") })
	n := 0
	for o, err := range s.Objects(t.Context(), "a", store.User, 0) {
		must(t, err)
		if n++; n == 10 {
			round(t, s, "a", func(tx store.Tx) { put(tx, "new") })
		}
		if string(o.Properties) != "old" {
			t.Fatalf("object %d is %s", n, o.Properties)
		}
	}
	same(t, "objects", n, 300)
	same(t, "now", string(collect(t, s.Objects(t.Context(), "a", store.User, 1))[299].Properties), "new")
}

func streamEnds(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		for i := range 300 {
			wantChange(t, true)(tx.Put(store.User, ada+string(rune('A'+i)), []byte("{}")))
		}
	})
	for range s.Objects(t.Context(), "a", store.User, 0) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.Objects(ctx, "a", store.User, 0) {
		if n++; n == 10 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n > 12 {
		t.Errorf("ended after %d with %v", n, last)
	}
}

func drop(t *testing.T, open Opener) {
	s := opened(t, open)
	for _, source := range []string{"a", "b"} {
		round(t, s, source, func(tx store.Tx) {
			wantChange(t, true)(tx.Put(store.User, ada, []byte(source)))
			wantChange(t, true)(tx.Join(staff, ada, "user"))
			must(t, tx.SetCursor(store.User, store.Cursor{Link: source}))
		})
		must(t, s.AddRound(t.Context(), store.RoundRecord{Source: source}))
		must(t, s.SetFrozen(t.Context(), source, noon))
	}
	other, err := s.Source(t.Context(), "b")
	must(t, err)
	must(t, s.DropSource(t.Context(), "a"))
	unknown := func() {
		t.Helper()
		src, err := s.Source(t.Context(), "a")
		must(t, err)
		same(t, "a", src, store.Source{Name: "a"})
		all, err := s.Sources(t.Context())
		must(t, err)
		same(t, "sources", all, []store.Source{other})
		same(t, "users", users(t, s, 0), "")
		records, err := s.Rounds(t.Context(), "a", 9)
		must(t, err)
		same(t, "history", len(records), 0)
	}
	unknown()
	must(t, s.Close())
	s = opened(t, open)
	unknown()
	same(t, "b", len(collect(t, s.Objects(t.Context(), "b", store.User, 0))), 1)
	round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Put(store.User, bob, []byte("{}"))) })
	same(t, "users", users(t, s, 0), bob)
	same(t, "edges", len(collect(t, s.Edges(t.Context(), "a", 0))), 0)
}

func closing(t *testing.T, open Opener) {
	s := opened(t, open)
	tx := begin(t, s, "a")
	wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
	must(t, s.Close())
	must(t, s.Close())
	if err := tx.Commit(); err == nil {
		t.Error("Commit after Close succeeded")
	}
	if _, err := s.Source(t.Context(), "a"); err == nil {
		t.Error("Source after Close succeeded")
	}
	if _, err := s.Begin(t.Context(), "a"); err == nil {
		t.Error("Begin after Close succeeded")
	}
	s = opened(t, open)
	same(t, "users", users(t, s, 0), "")
}

func notShared(t *testing.T, open Opener) {
	s := opened(t, open)
	tx := begin(t, s, "a")
	given := []byte("old")
	wantChange(t, true)(tx.Put(store.User, ada, given))
	copy(given, "bad")
	got, _, err := tx.Object(store.User, ada)
	must(t, err)
	same(t, "inside", string(got.Properties), "old")
	copy(got.Properties, "bad")
	must(t, tx.Commit())
	got, _, err = s.Object(t.Context(), "a", store.User, ada)
	must(t, err)
	same(t, "outside", string(got.Properties), "old")
}

func renamed(t *testing.T, open Opener) {
	s := opened(t, open)
	tx := begin(t, s, "a")
	wantChange(t, true)(tx.Put(store.User, ada, []byte("props")))
	must(t, tx.Commit())
	must(t, s.AddRound(t.Context(), store.RoundRecord{Source: "a", Round: 1, Outcome: "published"}))
	must(t, s.SetShown(t.Context(), "okta", "a"))
	must(t, s.SetHeld(t.Context(), "a", &store.Held{Round: 1}))
	before, err := s.Source(t.Context(), "a")
	must(t, err)

	busy := begin(t, s, "b")
	for _, names := range [][2]string{{"a", "b"}, {"b", "c"}} {
		if err := s.RenameSource(t.Context(), names[0], names[1]); !errors.Is(err, store.ErrBusy) {
			t.Errorf("%s to %s while a round is open: %v", names[0], names[1], err)
		}
	}
	wantChange(t, true)(busy.Put(store.User, ada, []byte("unfinished")))
	must(t, busy.Rollback())
	consent := store.Consent{TenantID: "contoso", At: time.Unix(1000, 0).UTC(), By: "admin"}
	must(t, s.SetConsent(t.Context(), "b", consent))
	must(t, s.RenameSource(t.Context(), "nobody", "c"))
	must(t, s.RenameSource(t.Context(), "a", "b"))

	want := before
	want.Name, want.Formerly, want.Consent = "b", "a", consent
	got, err := s.Source(t.Context(), "b")
	must(t, err)
	same(t, "the state", got, want)
	all, err := s.Sources(t.Context())
	must(t, err)
	same(t, "the sources", all, []store.Source{want})
	obj, ok, err := s.Object(t.Context(), "b", store.User, ada)
	must(t, err)
	same(t, "the object", []any{ok, string(obj.Properties)}, []any{true, "props"})
	records, err := s.Rounds(t.Context(), "b", 9)
	must(t, err)
	same(t, "the history", records, []store.RoundRecord{{Source: "b", Round: 1, Outcome: "published"}})
	shown, _, err := s.Shown(t.Context())
	must(t, err)
	same(t, "who was shown it", shown, map[string][]string{"okta": {"b"}})
	tx = begin(t, s, "b")
	same(t, "the next round", tx.Round(), uint64(2))
	must(t, tx.Rollback())

	other := begin(t, s, "a") // a new one of the old name
	wantChange(t, true)(other.Put(store.User, ada, []byte("other")))
	must(t, other.Commit())
	if err := s.RenameSource(t.Context(), "b", "a"); err == nil {
		t.Error("a source with rounds was replaced")
	}
}

func shownByClient(t *testing.T, open Opener) {
	s := open(t)
	is := func(want map[string][]string, kept bool) {
		t.Helper()
		got, is, err := s.Shown(t.Context())
		must(t, err)
		same(t, "shown", got, want)
		same(t, "whether it is kept", is, kept)
	}
	is(map[string][]string{}, false)
	must(t, s.SetShown(t.Context(), ""))
	is(map[string][]string{}, true)
	must(t, s.SetShown(t.Context(), "okta", "b", "a"))
	must(t, s.SetShown(t.Context(), "okta", "b", "c"))
	must(t, s.SetShown(t.Context(), "sap", "b"))
	is(map[string][]string{"okta": {"a", "b", "c"}, "sap": {"b"}}, true)
	must(t, s.SetHidden(t.Context(), "okta", "b", "unknown"))
	must(t, s.SetHidden(t.Context(), "nobody", "a"))
	is(map[string][]string{"okta": {"a", "c"}, "sap": {"b"}}, true)
	must(t, s.DropSource(t.Context(), "c"))
	is(map[string][]string{"okta": {"a"}, "sap": {"b"}}, true)
	must(t, s.SetShown(t.Context(), "sap", "c")) // another one of that name
	must(t, s.Close())
	s = open(t)
	is(map[string][]string{"okta": {"a"}, "sap": {"b", "c"}}, true)
}

func openedForGood(t *testing.T, open Opener) {
	s := open(t)
	is := func(want bool) {
		t.Helper()
		if got, err := s.Opened(t.Context()); err != nil || got != want {
			t.Errorf("opened: %t, %v; want %t", got, err, want)
		}
	}
	is(false)
	for range 2 {
		if err := s.SetOpened(t.Context()); err != nil {
			t.Fatal(err)
		}
		is(true)
	}
	if err := s.DropSource(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	is(true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t)
	is(true)
}
