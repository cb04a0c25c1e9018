package guid

import "testing"

func TestTable(t *testing.T) {
	ids := []string{
		"0f8fad5b-d9cb-469f-a165-70867728950e", "0F8FAD5B-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950",
		"0f8fad5b-d9cb-469f-a165-7086772895-e", "0f8fad5bdd9cb-469f-a165-70867728950e", "someone", "00000000-0000-0000-0000-000000000000",
		"0f8fad5b-d9cb-469f-a165-70867728950g",
	}
	table := NewTable[int32](0)
	for i, id := range ids {
		if n, ok := table.Find(id); ok {
			t.Errorf("%s is %d before it was set", id, n)
		}
		table.Set(id, int32(i))
	}
	found := make(map[string]int32)
	for id, n := range table.All() {
		found[id] = n
	}
	for i, id := range ids {
		if n, ok := table.Find(id); !ok || n != int32(i) || found[id] != n {
			t.Errorf("%s is %d (%t), and %d in the list, want %d", id, n, ok, found[id], i)
		}
	}
	if len(found) != len(ids) || len(table.others) != len(ids)-2 {
		t.Errorf("%d ids, %d of them no GUIDs, of %d", len(found), len(table.others), len(ids))
	}
}
