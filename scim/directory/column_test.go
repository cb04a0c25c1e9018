package directory

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestColumnGivesBackWhatWasAdded(t *testing.T) {
	for _, n := range []int{0, 1, 100, columnBuffer / 8, 3*columnBuffer + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir := t.TempDir()
			c := column[keyEntry]{dir: dir}
			defer c.close()
			var want []keyEntry
			for i := range n {
				e := keyEntry{hash: uint64(i) * hashA, row: uint32(i)}
				c.add(e)
				want = append(want, e)
			}
			got, err := c.all()
			if err != nil || !slices.Equal(got, want) || c.n != n {
				t.Fatalf("%d records of %d, %v", len(got), n, err)
			}
			if most := 2 * columnBuffer / 16; cap(c.mem) > most {
				t.Errorf("%d records are kept in memory, want %d at most", cap(c.mem), most)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("there are files: %v, %v", left, err)
			}
		})
	}
}

func TestColumnThatCanNotBeKept(t *testing.T) {
	c := column[ref]{dir: t.TempDir() + "/none"}
	defer c.close()
	for range columnBuffer {
		c.add(1)
	}
	if _, err := c.all(); err == nil {
		t.Error("there is no directory, and no error")
	}
}
