package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/store"
)

// picture is everything that a store gives of the source "a", as text.
func picture(t *testing.T, s store.Store) string {
	t.Helper()
	src, err := s.Source(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %d", src.Round, src.Users, src.Groups)
	for _, kind := range slices.Sorted(maps.Keys(src.Cursors)) {
		fmt.Fprintf(&b, " %s=%v", kind, src.Cursors[kind])
	}
	b.WriteString("\n")
	for _, kind := range []store.Kind{store.User, store.Group} {
		for o, err := range s.Objects(t.Context(), "a", kind, 0) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s %d %v %.40s\n", o.Kind, o.ID, o.Round, o.Removed, o.Properties)
		}
	}
	for e, err := range s.Edges(t.Context(), "a", 0) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%+v\n", e)
	}
	return b.String()
}

// change makes changes of every sort, other ones for each n.
func change(ctx context.Context, s store.Store, n int) error {
	tx, err := s.Begin(ctx, "a")
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if n%3 == 0 {
		if err := tx.BeginFull(store.User); err != nil {
			return err
		}
	}
	for i := range 40 {
		user := guid(uint64(i * n))
		_, err1 := tx.Put(store.User, user, fmt.Appendf(nil, `{"n":%d}`, n))
		_, err2 := tx.Join(guid(1<<40), user, "user")
		_, err3 := tx.Leave(guid(1<<40), guid(uint64(i*(n-1))))
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
	}
	if n%3 == 0 {
		if _, _, err := tx.EndFull(store.User, store.Removal{Reason: "vanished"}); err != nil {
			return err
		}
	}
	if _, err := tx.Remove(store.User, guid(0), store.Removal{Reason: "deleted"}); err != nil {
		return err
	}
	if err := tx.SetCursor(store.User, store.Cursor{Link: fmt.Sprint(n)}); err != nil {
		return err
	}
	return tx.Commit()
}

// expected gives what change leads to, from n rounds that went well.
func expected(t *testing.T, rounds int) string {
	s := openAt(t, t.TempDir(), 0)
	for n := range rounds {
		if err := change(t.Context(), s, n+1); err != nil {
			t.Fatal(err)
		}
	}
	return picture(t, s)
}

var errRefused = errors.New("refused")

func TestRoundRefusedAtAnyStepLeavesTheOldState(t *testing.T) {
	earlier := []int{0, 1, 2}
	if testing.Short() {
		earlier = earlier[:2]
	}
	for _, stage := range []int{0, 2000} {
		for _, good := range earlier {
			t.Run(fmt.Sprintf("stage %d after %d rounds", stage, good), func(t *testing.T) {
				before, after := expected(t, good), expected(t, good+1)
				at := 0
				for refuse(t, stage, good, at, before, after) {
					at++
				}
				if at < 5 {
					t.Errorf("there are %d steps only", at)
				}
			})
		}
	}
}

// refuse makes a number of good rounds and one whose step number at is refused,
// and says whether there is such a step.
func refuse(t *testing.T, stage, good, at int, before, after string) bool {
	t.Helper()
	dir := t.TempDir()
	s := openAt(t, dir, stage)
	for n := range good {
		if err := change(t.Context(), s, n+1); err != nil {
			t.Fatal(err)
		}
	}
	step := ""
	count := 0
	s.SetFailpoint(func(name string) error {
		if count++; count != at+1 {
			return nil
		}
		step = name
		return errRefused
	})
	err := change(t.Context(), s, good+1)
	s.SetFailpoint(nil)
	if step == "" {
		if err != nil {
			t.Fatalf("no step %d, and %v", at, err)
		}
		return false
	}
	if !errors.Is(err, errRefused) {
		t.Fatalf("step %d (%s) failed and the round gave %v", at, step, err)
	}
	got := picture(t, s)
	// One sort of step comes when a transaction is done and fails too late. The
	// last of them is that of the round itself.
	late := step == "committed" && got == after
	if !late {
		wantPicture(t, fmt.Sprintf("step %d (%s)", at, step), got, before)
	}
	// The next round heals, in this process or the next.
	if at%2 == 1 {
		s.Close()
		s = openAt(t, dir, stage)
	}
	if err := change(t.Context(), s, good+1); err != nil {
		t.Fatalf("the round after step %d (%s): %v", at, step, err)
	}
	if !late {
		wantPicture(t, fmt.Sprintf("the round after step %d (%s)", at, step), picture(t, s), after)
	}
	return true
}

func wantPicture(t *testing.T, when, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s:\n%s", when, diff)
	}
}

func TestFullDiskLeavesTheOldState(t *testing.T) {
	for _, rounds := range []int{0, 1} {
		t.Run(fmt.Sprintf("after %d rounds", rounds), func(t *testing.T) {
			dir := t.TempDir()
			s := openAt(t, dir, 0)
			for n := range rounds {
				if err := change(t.Context(), s, n+1); err != nil {
					t.Fatal(err)
				}
			}
			before := picture(t, s)
			s.Close()
			s, err := store.OpenWith(t.Context(), options(dir), "max_page_count(60)")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.SetStageLimit(100_000)
			tx, err := s.Begin(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < 1000 && err == nil; i++ {
				_, err = tx.Put(store.User, guid(uint64(i)), person(i))
			}
			if err == nil {
				err = tx.Commit()
			}
			if err == nil || !strings.Contains(err.Error(), "the disk is full; the state is as it was before") {
				t.Fatalf("got %v", err)
			}
			if again := tx.Commit(); again == nil {
				t.Error("Commit after the error succeeded")
			}
			tx.Rollback()
			if diff := cmp.Diff(before, picture(t, s)); diff != "" {
				t.Error(diff)
			}
			s.Close()
			if err := change(t.Context(), openAt(t, dir, 0), rounds+1); err != nil {
				t.Errorf("with room again: %v", err)
			}
		})
	}
}

func TestReadOnlyDiskLeavesTheOldState(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, 0)
	if err := change(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	before := picture(t, s)
	s.Close()
	s, err := store.OpenWith(t.Context(), options(dir), "query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, err := range []error{change(t.Context(), s, 2), s.SetHeld(t.Context(), "a", nil)} {
		if err == nil || !strings.Contains(err.Error(), "can't be written") {
			t.Errorf("got %v", err)
		}
	}
	if diff := cmp.Diff(before, picture(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestDropCutShortIsFinishedLater(t *testing.T) {
	for at := range 4 {
		dir := t.TempDir()
		s := openAt(t, dir, 0)
		if err := change(t.Context(), s, 1); err != nil {
			t.Fatal(err)
		}
		sweeps := 0
		s.SetFailpoint(func(step string) error {
			if step == "sweep" {
				if sweeps++; sweeps > at {
					return errRefused
				}
			}
			return nil
		})
		err := s.DropSource(t.Context(), "a")
		if want := at < 3; errors.Is(err, errRefused) != want {
			t.Fatalf("with %d sweeps: %v", at, err)
		}
		if src, err := s.Source(t.Context(), "a"); err != nil || src.Round != 0 {
			t.Errorf("the source is still there: %+v, %v", src, err)
		}
		s.Close()
		openAt(t, dir, 0)
		wantRows(t, dir, "0 sources, 0 ids, 0 objects, 0 edges")
	}
}
