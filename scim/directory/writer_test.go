package directory

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSortKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 7, 8, 9, 100, 5000} {
		for name, hash := range map[string]func() uint64{
			"spread evenly":  random.Uint64,
			"few":            func() uint64 { return keyHash(fmt.Sprint(random.IntN(3))) },
			"one":            func() uint64 { return 1 << 63 },
			"the first bits": func() uint64 { return random.Uint64() >> 40 },
			"the last bits":  func() uint64 { return random.Uint64() << 60 },
		} {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				keys := make([]keyEntry, n)
				for i := range keys {
					keys[i] = keyEntry{hash(), uint32(i)}
				}
				want := slices.SortedFunc(slices.Values(keys), func(a, b keyEntry) int {
					return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.row, b.row))
				})
				if got := sortKeys(keys); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		}
	}
}

func BenchmarkSortKeys(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	keys := make([]keyEntry, 1_000_000)
	for b.Loop() {
		b.StopTimer()
		for i := range keys {
			keys[i] = keyEntry{random.Uint64(), uint32(i)}
		}
		b.StartTimer()
		sortKeys(keys)
	}
}
