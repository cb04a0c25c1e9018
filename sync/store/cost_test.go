package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"scimbridge/sync/store"
)

func TestChangesAreFoundByIndex(t *testing.T) {
	wantIndexes(t, openAt(t, t.TempDir(), 0))
}

// TestFirstLoadsMakeTheirIndexes has two sources load at once, of which either
// may commit first: what one makes serves the other as well.
func TestFirstLoadsMakeTheirIndexes(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, 2000) // so that the tables fill before the commits
	var txs []store.Tx
	for _, source := range []string{"a", "b"} {
		tx, err := s.Begin(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		txs = append(txs, tx)
		load(t, tx, 0)
	}
	if plans, err := s.Plans(t.Context()); err != nil || !strings.Contains(plans["memberships"], "SCAN") {
		t.Errorf("a first load goes with the indexes: %v, %v", plans, err)
	}
	for i, tx := range txs {
		load(t, tx, 1) // some again, some not
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		wantIndexes(t, s)
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("after commit %d: %v", i+1, err)
		}
	}
	wantRows(t, dir, "2 sources, 84 ids, 80 objects, 120 edges")
	for _, source := range []string{"a", "b"} {
		n := 0
		for _, err := range s.MemberOf(t.Context(), source, guid(25)) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 2 {
			t.Errorf("a user of %s is in %d groups, want 2", source, n)
		}
	}
}

// load puts users from 20n on into a group of their own.
func load(t *testing.T, tx store.Tx, n int) {
	t.Helper()
	for i := 20 * n; i < 20*n+20+20*(1-n); i++ {
		if _, err := tx.Put(store.User, guid(uint64(i)), person(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Join(guid(uint64(1<<40+n)), guid(uint64(i)), "user"); err != nil {
			t.Fatal(err)
		}
	}
}

// wantIndexes fails where a query whose cost must not be that of the source
// goes through it.
func wantIndexes(t *testing.T, s *store.DB) {
	t.Helper()
	plans, err := s.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, plan := range plans {
		if strings.Contains(plan, "SCAN") {
			t.Errorf("%s: reads a whole table:\n%s", name, plan)
		}
		if strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: sorts whole rows:\n%s", name, plan)
		}
	}
}

// TestNothingIsLeftOfWhatWasForgotten looks into the tables: ids that nothing
// names any more would be kept for good.
func TestNothingIsLeftOfWhatWasForgotten(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, 0)
	if err := change(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	tx, err := s.Begin(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for i := range 40 {
		users = append(users, guid(uint64(i)))
		if _, err := tx.Remove(store.User, guid(uint64(i)), store.Removal{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, device := range []string{"kept", "forgotten"} {
		if _, err := tx.Join(guid(1<<40), device, "device"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Leave(guid(1<<40), "forgotten"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(t.Context(), "a", store.User, users...); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(t.Context(), "a", 2); err != nil {
		t.Fatal(err)
	}
	wantRows(t, dir, "1 sources, 2 ids, 0 objects, 1 edges") // the group and the device that it has
	if err := s.DropSource(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	wantRows(t, dir, "0 sources, 0 ids, 0 objects, 0 edges")
}

// wantRows counts what is in the tables.
func wantRows(t *testing.T, dir, want string) {
	t.Helper()
	db, err := sql.Open("sqlite", options(dir).Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var sources, ids, objects, edges int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM sources), (SELECT count(*) FROM ids),
		(SELECT count(*) FROM objects), (SELECT count(*) FROM edges)`).Scan(&sources, &ids, &objects, &edges); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%d sources, %d ids, %d objects, %d edges", sources, ids, objects, edges); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
