package directory_test

import (
	"fmt"
	"testing"

	"scimbridge/scim/directory"
)

// Allocations are counted, not timed: they are the same on every machine.
func TestAllocations(t *testing.T) {
	const n = 3000
	p := benchPicture(t, n)
	v := directory.NewView(p.Current())
	id := v.At(directory.User, n/3).ID()
	var pieces [][]byte
	var packed []directory.Piece
	var body []byte
	for _, tt := range []struct {
		name   string
		budget float64
		work   func()
	}{
		{"a page", 0, func() { pieces = v.Pieces(pieces[:0], directory.User, 500, 1500) }},
		{"a packed page", 0, func() { packed = v.PackedPieces(packed[:0], directory.User, 505, 1500) }},
		{"by id", 0, func() { v.ByID(id) }},
		{"by userName", 2, func() { v.Find(directory.User, directory.ByUserName, "user711@contoso.example") }},
		{"a resource", 1, func() { body = v.At(directory.User, 7).AppendJSON(body[:0]) }},
	} {
		got := testing.AllocsPerRun(100, tt.work)
		t.Logf("%-20s %4.0f of %4.0f", tt.name, got, tt.budget)
		if got > tt.budget {
			t.Errorf("%s: %.0f allocations, the budget is %.0f", tt.name, got, tt.budget)
		}
	}
}

// What a round of a hundred changes allocates does not depend on how many people
// there are, as long as those who changed are in as many groups.
func TestAllocationsOfARound(t *testing.T) {
	const changes, budget = 100, 42 // for each change
	var per []float64
	for _, n := range []int{5000, 20_000} {
		p := benchPictureOf(t, n, 100)
		round := 0
		got := testing.AllocsPerRun(5, func() {
			round++
			d := p.Draft()
			for i := range changes {
				if err := d.Put(benchUser((round*7919+i*104729)%n, fmt.Sprint("Engineer ", round))); err != nil {
					t.Fatal(err)
				}
			}
			benchSeal(t, p, d)
		}) / changes
		t.Logf("%d people: %.1f allocations for each change, of %d", n, got, budget)
		if got > budget && !raceEnabled { // the detector has pools forget at random
			t.Errorf("%d people: %.1f allocations for each change, the budget is %d", n, got, budget)
		}
		per = append(per, got)
	}
	if per[1] > per[0]*1.1 {
		t.Errorf("%.1f allocations for each change among the few, %.1f among the many", per[0], per[1])
	}
}
