package mirrortest_test

import (
	"fmt"
	"testing"

	"scimbridge/sync/mirror/mirrortest"
)

// Random histories end where the model does, and are nowhere else on the way.
func TestHistories(t *testing.T) {
	seeds, steps := 12, 150
	if testing.Short() {
		seeds, steps = 5, 80
	}
	figures := make(chan mirrortest.Figures, seeds)
	t.Run("seeds", func(t *testing.T) {
		for seed := range seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				f, err := mirrortest.Play(t.Context(), mirrortest.Options{Dir: t.TempDir(), Seed: uint64(seed), Steps: steps})
				if err != nil {
					t.Error(err)
				}
				figures <- f
			})
		}
	})
	close(figures)
	var all mirrortest.Figures
	for f := range figures {
		all.Add(f)
	}
	t.Logf("%+v", all)
	// A history in which nothing happens proves nothing.
	wanted := map[string]int{
		"published": all.Published, "held": all.Held, "approved": all.Approved, "failed": all.Failed, "full reads": all.FullReads, "reads by filter": all.FilteredReads,
		"crashes": all.Crashes, "restarts": all.Restarts, "edits": all.Edits, "disk faults": all.DiskFaults,
		"further sources": all.Sources - all.Histories, "breakdowns": all.Breakdowns, "nested rounds": all.Nested,
	}
	if !testing.Short() {
		wanted["sources dropped"] = all.Dropped
	}
	for what, n := range wanted {
		if n == 0 {
			t.Errorf("no %s in all histories", what)
		}
	}
}
