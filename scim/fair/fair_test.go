package fair_test

import (
	"cmp"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/scim/fair"
)

// Whoever waits for a file descriptor that has become readable runs before the
// work goes on, also where there is one processor and nobody else looks.
func TestYieldLooksAtTheNetwork(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var seen atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var one [1]byte
		for range 20 {
			if _, err := r.Read(one[:]); err != nil {
				return
			}
			seen.Add(1)
		}
	}()
	for i := range int32(20) {
		fair.Yield() // it waits by now
		if _, err := w.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		for range 1000 { // both become ready at the same time, and another thread may look first
			if fair.Yield(); seen.Load() > i {
				break
			}
		}
		if got := seen.Load(); got != i+1 {
			t.Fatalf("after %d bytes %d were read", i+1, got)
		}
	}
	<-ended
}

func TestYieldFromMany(t *testing.T) {
	ended := make(chan struct{})
	for range 50 {
		go func() {
			for range 20 {
				fair.Yield()
			}
			ended <- struct{}{}
		}()
	}
	for range 50 {
		<-ended
	}
}

// Work goes on for a slice at a time.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p fair.Pace
		for range 3 {
			if p.Keep() {
				t.Fatal("it gives way at once")
			}
			time.Sleep(fair.Slice - 1)
			if p.Keep() {
				t.Fatal("it gives way before its slice is over")
			}
			time.Sleep(time.Nanosecond)
			if !p.Keep() {
				t.Fatal("it does not give way")
			}
		}
	})
}

func TestSortFunc(t *testing.T) {
	s := rand.New(rand.NewPCG(1, 2)).Perm(20_000)
	fair.SortFunc(s, cmp.Compare[int])
	if !slices.IsSorted(s) {
		t.Error("not sorted")
	}
}

func TestAllocations(t *testing.T) {
	if got := testing.AllocsPerRun(100, fair.Yield); got > 0 {
		t.Errorf("%.0f allocations, the budget is 0", got)
	}
}

func BenchmarkYield(b *testing.B) {
	for b.Loop() {
		fair.Yield()
	}
}
