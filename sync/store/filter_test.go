package store

import (
	"math/rand/v2"
	"testing"
)

func TestFilterForgetsNothingAndSeldomErrs(t *testing.T) {
	var f filter
	known, unknown := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(2, 2))
	const n = 200_000
	for range n {
		f.add(known.Uint64())
	}
	known = rand.New(rand.NewPCG(1, 1))
	wrong := 0
	for range n {
		if !f.mayHave(known.Uint64()) {
			t.Fatal("a key that was added is not there")
		}
		if f.mayHave(unknown.Uint64()) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d other keys seem to be there", wrong, n)
	}
}
