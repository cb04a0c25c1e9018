package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"scimbridge/sync/store"
)

func TestChangesAreFoundByIndex(t *testing.T) {
	s := openAt(t, t.TempDir(), 0)
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
