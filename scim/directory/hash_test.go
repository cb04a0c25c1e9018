package directory

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// However hashes are spread, the search finds what one by halves does.
func TestFirstOf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() uint64{
		"evenly":   r.Uint64,
		"low":      func() uint64 { return r.Uint64N(1000) },
		"high":     func() uint64 { return math.MaxUint64 - r.Uint64N(1000) },
		"clusters": func() uint64 { return r.Uint64N(4)<<62 + r.Uint64N(100) },
		"equal":    func() uint64 { return 1 << 63 },
	} {
		for _, n := range []int{0, 1, 2, 15, 16, 17, 1000, 30_000} {
			hashes := make([]uint64, n)
			for i := range hashes {
				hashes[i] = draw()
			}
			slices.Sort(hashes)
			probes := []uint64{0, 1, math.MaxUint64}
			for range 300 {
				probes = append(probes, draw(), draw()+1, draw()-1, r.Uint64())
			}
			for _, h := range probes {
				want, _ := slices.BinarySearch(hashes, h)
				if got := firstOf(hashes, h); got != want {
					t.Fatalf("%s, %d of them: %#x would be at %d, want %d", name, n, h, got, want)
				}
			}
		}
	}
}

// BenchmarkFirstOf looks up keys of a million.
func BenchmarkFirstOf(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, 1_000_000)
	for i := range hashes {
		hashes[i] = r.Uint64()
	}
	probes := slices.Clone(hashes[:1<<16])
	slices.Sort(hashes)
	for _, search := range []struct {
		name string
		find func(uint64) int
	}{
		{"guessed", func(h uint64) int { return firstOf(hashes, h) }},
		{"halved", func(h uint64) int { i, _ := slices.BinarySearch(hashes, h); return i }},
	} {
		b.Run(search.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if search.find(probes[i%len(probes)]) < 0 {
					b.Fatal("not found")
				}
			}
		})
	}
}
