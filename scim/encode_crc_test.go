package scim

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// The checksums of two texts, joined, are that of both one after the other, however
// long they are.
func TestJoinCRC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 17<<20)
	for i := 0; i < len(text); i += 1 + r.IntN(50) {
		text[i] = byte(r.Uint32())
	}
	lengths := []int{0, 1, 255, 256, 257, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<24 - 1, 1 << 24, 1<<24 + 1}
	for range 200 {
		lengths = append(lengths, r.IntN(1<<17))
	}
	for _, n := range lengths {
		cut := r.IntN(1000)
		first, second := text[:cut], text[cut:cut+n]
		got := joinCRC(crc32.ChecksumIEEE(first), crc32.ChecksumIEEE(second), n)
		if want := crc32.ChecksumIEEE(text[:cut+n]); got != want {
			t.Errorf("%d and %d bytes: %#x, want %#x", cut, n, got, want)
		}
	}
}

// BenchmarkJoinCRC is what each block of a compressed page costs.
func BenchmarkJoinCRC(b *testing.B) {
	crc := uint32(1)
	for b.Loop() {
		crc = joinCRC(crc, 0x12345678, 75_432)
	}
}
