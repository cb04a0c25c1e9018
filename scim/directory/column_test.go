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

func TestIDTable(t *testing.T) {
	ids := []string{
		"0f8fad5b-d9cb-469f-a165-70867728950e", "0F8FAD5B-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950",
		"0f8fad5b-d9cb-469f-a165-7086772895-e", "0f8fad5bdd9cb-469f-a165-70867728950e", "someone", "00000000-0000-0000-0000-000000000000",
		"0f8fad5b-d9cb-469f-a165-70867728950g",
	}
	table := newIDTable(0)
	for i, id := range ids {
		if n, ok := table.find(id); ok {
			t.Errorf("%s is %d before it was set", id, n)
		}
		table.set(id, int32(i))
	}
	found := make(map[string]int32)
	for id, n := range table.all() {
		found[id] = n
	}
	for i, id := range ids {
		if n, ok := table.find(id); !ok || n != int32(i) || found[id] != n {
			t.Errorf("%s is %d (%t), and %d in the list, want %d", id, n, ok, found[id], i)
		}
	}
	if len(found) != len(ids) || len(table.others) != len(ids)-2 {
		t.Errorf("%d ids, %d of them no GUIDs, of %d", len(found), len(table.others), len(ids))
	}
}
