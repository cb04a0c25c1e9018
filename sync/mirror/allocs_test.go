package mirror_test

import (
	"log/slog"
	"runtime"
	"testing"

	"scimbridge/sync/mirror"
)

// What a first round allocates for each person, the simulated tenant's answers
// included, is little more than what there is on her: what is the same for all
// is worked out once.
func TestAllocationsOfAFirstRound(t *testing.T) {
	const few, many, budget = 200, 1200, 250
	got := (firstRoundAllocations(t, many) - firstRoundAllocations(t, few)) / (many - few)
	if got > budget {
		t.Errorf("%d allocations for each person, more than %d", got, budget)
	}
}

func firstRoundAllocations(t *testing.T, people int) int {
	tenant, _, _ := company(people)
	w := newWorld(t, tenant, func(c *mirror.Config) { c.Log = slog.New(slog.DiscardHandler) })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.round()
	runtime.ReadMemStats(&after)
	return int(after.Mallocs - before.Mallocs)
}
