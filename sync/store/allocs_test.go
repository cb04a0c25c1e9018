package store_test

import (
	"fmt"
	"testing"

	"scimbridge/sync/store"
)

// What a round allocates for each change does not depend on how much is stored.
func TestAllocations(t *testing.T) {
	const changes, budget = 100, 66 // for each change, reading it back included
	var per []float64
	for _, n := range []int{500, 5000} {
		s := open(t)
		fill(t, s, n, 0)
		round := 0
		got := testing.AllocsPerRun(5, func() {
			round++
			tx, err := s.Begin(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			for i := range changes {
				object := fmt.Appendf(nil, `{"id":%q,"jobTitle":"Engineer %d"}`, guid(uint64(i)), round)
				if _, err := tx.Put(store.User, guid(uint64(i)), object); err != nil {
					t.Fatal(err)
				}
			}
			number := tx.Round()
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, err := range s.Objects(t.Context(), "a", store.User, number-1) {
				if err != nil {
					t.Fatal(err)
				}
				found++
			}
			if found != changes {
				t.Fatalf("%d objects changed, want %d", found, changes)
			}
		}) / changes
		t.Logf("%d stored: %.1f allocations for each change, of %d", n, got, budget)
		if got > budget {
			t.Errorf("%d stored: %.1f allocations for each change, the budget is %d", n, got, budget)
		}
		per = append(per, got)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if per[1] > per[0]*1.1 {
		t.Errorf("%.1f allocations for each change of few, %.1f of many", per[0], per[1])
	}
}
