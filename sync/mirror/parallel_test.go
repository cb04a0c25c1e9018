package mirror

import (
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
)

// counting gives the numbers from 0 on, and an error in the place of one of them.
func counting(n, failAt int, err error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if i == failAt {
				yield(0, err)
				return
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

func TestInOrder(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name      string
		n, failAt int
		stopAfter int // 0: never
		want      int // how many come
		err       error
	}{
		{"none", 0, -1, 0, 0, nil},
		{"one", 1, -1, 0, 1, nil},
		{"a batch", batchSize, -1, 0, batchSize, nil},
		{"many", 100*batchSize + 7, -1, 0, 100*batchSize + 7, nil},
		{"an error at once", 10, 0, 0, 0, broken},
		{"an error in the midst", 1000, 777, 0, 777, broken},
		{"an error on the edge of a batch", 1000, 2 * batchSize, 0, 2 * batchSize, broken},
		{"left at the first", 100_000, -1, 1, 1, nil},
		{"left in the midst", 100_000, -1, 333, 333, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var worked atomic.Int64
			var got []int
			var failed error
			for v, err := range inOrder(counting(tt.n, tt.failAt, broken), func(v *int) { *v *= 3; worked.Add(1) }) {
				if err != nil {
					failed = err
					continue
				}
				if got = append(got, *v); len(got) == tt.stopAfter {
					break
				}
			}
			// Nothing works on behind the loop: the race detector sees who does.
			done := worked.Load()
			want := make([]int, tt.want)
			for i := range want {
				want[i] = 3 * i
			}
			if !slices.Equal(got, want) || !errors.Is(failed, tt.err) {
				t.Errorf("%d came, want %d; error %v, want %v", len(got), tt.want, failed, tt.err)
			}
			if most := int64(tt.want + (4*maxWorkers+2)*batchSize); done > most {
				t.Errorf("%d were worked on for %d", done, tt.want)
			}
		})
	}
}
