package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"scimbridge/sync/store"
)

// TestNobodyWaitsForARound has rounds of two sources, small updates and readers
// at once. What a reader sees is always one round, whole.
func TestNobodyWaitsForARound(t *testing.T) {
	s := openAt(t, t.TempDir(), 3000)
	ctx, stop := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	for _, source := range []string{"a", "b"} {
		writers.Go(func() {
			for n := range 15 {
				if err := uniform(ctx, s, source, n); err != nil {
					t.Error(err)
				}
			}
		})
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := checkUniform(ctx, s, source); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Go(func() {
		for n := range 30 {
			if err := errors.Join(s.SetApproved(ctx, "a", store.Approval{Round: uint64(n)}), s.SetFrozen(ctx, "c", time.Now())); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Wait()
	stop()
	readers.Wait()
}

// uniform makes a round after which all users have the same properties.
func uniform(ctx context.Context, s store.Store, source string, n int) error {
	tx, err := s.Begin(ctx, source)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for i := range 50 {
		if _, err := tx.Put(store.User, guid(uint64(i)), fmt.Appendf(nil, "%d", n)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func checkUniform(ctx context.Context, s store.Store, source string) error {
	var first string
	n := 0
	for o, err := range s.Objects(ctx, source, store.User, 0) {
		if err != nil {
			return err
		}
		if n++; n == 1 {
			first = string(o.Properties)
		}
		if string(o.Properties) != first {
			return fmt.Errorf("%s and %s in one read", first, o.Properties)
		}
	}
	if n != 0 && n != 50 {
		return fmt.Errorf("%d objects", n)
	}
	return nil
}

// TestRoundHoldsNoLockWhileItWaits begins a round with more changes than memory
// takes and leaves it open: everything else goes on.
func TestRoundHoldsNoLockWhileItWaits(t *testing.T) {
	for _, earlier := range []int{0, 1} {
		s := openAt(t, t.TempDir(), 3000)
		for n := range earlier {
			if err := uniform(t.Context(), s, "a", n); err != nil {
				t.Fatal(err)
			}
		}
		tx, err := s.Begin(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if _, err := tx.Put(store.User, guid(uint64(i)), person(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := uniform(t.Context(), s, "b", 0); err != nil {
			t.Fatal(err)
		}
		if err := s.SetHeld(t.Context(), "a", &store.Held{Round: 1}); err != nil {
			t.Fatal(err)
		}
		if err := checkUniform(t.Context(), s, "a"); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n, _, err := s.Counts(t.Context(), "a"); n != 200 || err != nil {
			t.Errorf("after %d earlier rounds: %d users, %v", earlier, n, err)
		}
	}
}
