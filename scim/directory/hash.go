package directory

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

// Fold gives the form in which keys that ignore case are compared (RFC 7643
// §2.2, caseExact false).
func Fold(s string) string { return strings.ToLower(s) }

// Multipliers of the hash, from the family of wyhash: odd, with their bits
// evenly spread.
const (
	hashA = 0xa0761d6478bd642f
	hashB = 0xe7037ed1a0b428db
	hashC = 0x8ebc6af09c88c6e3
)

// hash64 is the hash that segment files and entity tags are made with. It must
// give the same value for ever: a change of it is a change of formatVersion.
// It is fast and spreads well; it keeps nobody out.
func hash64[T string | []byte](data T) uint64 {
	b := []byte(data)
	h := uint64(len(b)) ^ hashA
	for ; len(b) >= 16; b = b[16:] {
		h = mix(binary.LittleEndian.Uint64(b)^hashB, binary.LittleEndian.Uint64(b[8:])^h)
	}
	if len(b) >= 8 {
		h = mix(binary.LittleEndian.Uint64(b)^hashB, h^hashC)
		b = b[8:]
	}
	if len(b) > 0 {
		var tail uint64
		for i, c := range b {
			tail |= uint64(c) << (8 * i)
		}
		h = mix(tail^hashC, h^hashB)
	}
	return mix(h^hashA, hashC)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// firstOf gives the place of the first of the sorted hashes that is not below hash.
// Hashes are spread evenly, so the search begins where it ought to be, twice, and goes
// away from there in steps that double: it touches a page or two of the file, where
// one by halves touches another with each of its first steps.
func firstOf(hashes []uint64, hash uint64) int {
	at := share(hash, len(hashes))
	if at < len(hashes) {
		if h := hashes[at]; h <= hash {
			at = min(at+share(hash-h, len(hashes)), len(hashes))
		} else {
			at = max(at-share(h-hash, len(hashes)), 0)
		}
	}
	from, to := at, at
	for step := 8; from > 0 && hashes[from-1] >= hash; step *= 2 {
		to = from - 1
		from = max(from-step, 0)
	}
	for step := 8; to < len(hashes) && hashes[to] < hash; step *= 2 {
		from = to + 1
		to = min(to+step, len(hashes))
	}
	// All before from are below hash, and none from to on is.
	i, _ := slices.BinarySearch(hashes[from:to], hash)
	return from + i
}

// share gives how many of n hashes are in a distance of two, where they are spread
// evenly.
func share(distance uint64, n int) int {
	high, _ := bits.Mul64(distance, uint64(n))
	return int(high)
}
