package store_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"scimbridge/sync/store"
)

func guid(i uint64) string {
	r := rand.New(rand.NewPCG(i, 7))
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", uint32(a), uint16(a>>32), uint16(a>>48), uint16(b), b>>16)
}

func person(i int) []byte {
	return fmt.Appendf(nil, `{"accountEnabled":true,"displayName":"Person %d","fill":"%s"}`, i, bytes.Repeat([]byte("x"), 1150))
}

var benchSizes = []int{10_000, 100_000}

func init() {
	if os.Getenv("STORE_BENCH_MILLION") != "" {
		benchSizes = append(benchSizes, 1_000_000)
	}
}

func open(tb testing.TB) *store.DB {
	s, err := store.Open(tb.Context(), store.Options{Path: filepath.Join(tb.TempDir(), "state", "scim-bridge.db"), Program: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// fill makes a round of n users and a hundredth as many groups, each with
// perGroup members; the second time it changes nothing.
func fill(tb testing.TB, s store.Store, n, perGroup int) {
	tx, err := s.Begin(tb.Context(), "a")
	if err != nil {
		tb.Fatal(err)
	}
	defer tx.Rollback()
	tx.BeginFull(store.User)
	for i := range n {
		if _, err := tx.Put(store.User, guid(uint64(i)), person(i)); err != nil {
			tb.Fatal(err)
		}
	}
	tx.EndFull(store.User, store.Removal{})
	for i := range n / 100 {
		group := guid(uint64(1<<32 + i))
		if _, err := tx.Put(store.Group, group, person(i)); err != nil {
			tb.Fatal(err)
		}
		for j := range perGroup {
			if _, err := tx.Join(group, guid(uint64((i*7919+j*31)%n)), "user"); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkFirstRound(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("users=%d", n), func(b *testing.B) {
			for b.Loop() {
				s := open(b)
				fill(b, s, n, 0)
				b.StopTimer()
				s.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/user")
		})
	}
}

// BenchmarkFirstEdges is a first round with ten memberships for each user.
func BenchmarkFirstEdges(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		s := open(b)
		fill(b, s, n, 1000)
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*10), "ns/edge")
}

// BenchmarkDeltaRound is a round of 100 changed users and 100 changed
// memberships, and the reading of them.
func BenchmarkDeltaRound(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("users=%d", n), func(b *testing.B) {
			s := open(b)
			fill(b, s, n, 10)
			for i := 0; b.Loop(); i++ {
				tx, err := s.Begin(b.Context(), "a")
				if err != nil {
					b.Fatal(err)
				}
				for j := range 100 {
					k := (i*100 + j*997) % n
					if _, err := tx.Put(store.User, guid(uint64(k)), person(k+i)); err != nil {
						b.Fatal(err)
					}
					if _, err := tx.Join(guid(1<<32), guid(uint64(k)), "user"); err != nil {
						b.Fatal(err)
					}
				}
				if err := tx.Commit(); err != nil {
					b.Fatal(err)
				}
				for _, err := range s.Objects(b.Context(), "a", store.User, tx.Round()-1) {
					if err != nil {
						b.Fatal(err)
					}
				}
				for _, err := range s.Edges(b.Context(), "a", tx.Round()-1) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkFullReread is a full read that finds nothing changed.
func BenchmarkFullReread(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("users=%d", n), func(b *testing.B) {
			s := open(b)
			fill(b, s, n, 100)
			for b.Loop() {
				fill(b, s, n, 100)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/user")
		})
	}
}

func BenchmarkStream(b *testing.B) {
	const n = 50_000
	s := open(b)
	fill(b, s, n, 1000)
	b.Run("objects", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.Objects(b.Context(), "a", store.User, 0) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/object")
	})
	b.Run("edges", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.Edges(b.Context(), "a", 0) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*10), "ns/edge")
	})
}
