package bulk

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

type record struct {
	a uint64
	b uint32
}

func TestListHoldsWhatWasAdded(t *testing.T) {
	for _, n := range []int{0, 1, 100, defaultOnHeap / 16, defaultOnHeap/16 + 1, 10*defaultOnHeap/16 + 7} {
		for name, dir := range map[string]string{"file": t.TempDir(), "no room for a file": t.TempDir() + "/none"} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				l := List[record]{Place: Place{Dir: dir}}
				defer l.Close()
				var want []record
				for i := range n {
					r := record{a: uint64(i) * 3, b: uint32(i)}
					l.Add(r)
					want = append(want, r)
				}
				if !slices.Equal(l.All(), want) || l.Len() != n {
					t.Fatalf("%d records of %d", l.Len(), n)
				}
				if mapped := l.data != nil; mapped != (name == "file" && n*16 > defaultOnHeap) {
					t.Errorf("in a file: %t", mapped)
				}
				for i := range l.All() {
					l.All()[i].b = 7
					want[i].b = 7
				}
				l.Resize(n / 2)
				l.Resize(n + 5)
				want = append(append(want[:n/2:n/2], make([]record, n-n/2)...), make([]record, 5)...)
				if !slices.Equal(l.All(), want) {
					t.Error("what was cut and appended again is not zero, or what was left has changed")
				}
				if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
					t.Errorf("there are files: %v", left)
				}
				l.Close()
				if l.Len() != 0 {
					t.Error("a closed list is not empty")
				}
				if l.Add(record{b: 1}); l.Len() != 1 {
					t.Error("a closed list takes nothing")
				}
			})
		}
	}
}

// A disk that fills up while a list grows must not lose what it held: writing to
// the mapping of a file for which there is no room would end the program.
func TestListOnADiskThatFillsUp(t *testing.T) {
	l := List[record]{Place: Place{Dir: t.TempDir()}}
	defer l.Close()
	var want []record
	for i := 0; l.data == nil; i++ {
		l.Add(record{b: uint32(i)})
		want = append(want, record{b: uint32(i)})
	}
	l.file.Close() // what is written to it from here on fails
	for i := range 4 * cap(l.records) {
		l.Add(record{a: uint64(i)})
		want = append(want, record{a: uint64(i)})
	}
	if l.data != nil || !slices.Equal(l.All(), want) {
		t.Errorf("%d records of %d, in a file: %t", l.Len(), len(want), l.data != nil)
	}
}

func BenchmarkListAdd(b *testing.B) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := List[record]{Place: Place{Dir: b.TempDir()}}
				for i := range n {
					l.Add(record{b: uint32(i)})
				}
				l.Close()
			}
		})
	}
}
