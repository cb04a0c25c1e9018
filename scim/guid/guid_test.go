package guid

import (
	"crypto/sha256"
	"testing"

	"scimbridge/scim/bulk"
)

func TestTable(t *testing.T) {
	ids := []string{
		"0f8fad5b-d9cb-469f-a165-70867728950e", "0F8FAD5B-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950",
		"0f8fad5b-d9cb-469f-a165-7086772895-e", "0f8fad5bdd9cb-469f-a165-70867728950e", "someone", "00000000-0000-0000-0000-000000000000",
		"0f8fad5b-d9cb-469f-a165-70867728950g",
	}
	table := NewTable[int32](bulk.Place{Dir: t.TempDir()}, 0)
	defer table.Close()
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

// A table is what a map is, whatever its size and whatever room it was given.
func TestTableIsAMap(t *testing.T) {
	for _, room := range []int{0, 1, 10_000, 100_000} {
		table := NewTable[uint32](bulk.Place{Dir: t.TempDir()}, room)
		defer table.Close()
		want := make(map[string]uint32)
		for i := range uint32(20_000) {
			g := GUID(sha256Of(i / 2)) // each is set twice
			table.Set(g.String(), i)
			want[g.String()] = i
		}
		for i := range uint32(20_000) {
			id := GUID(sha256Of(i)).String()
			n, ok := table.Find(id)
			if w, in := want[id]; ok != in || ok && n != w {
				t.Fatalf("room %d: %s is %d (%t), want %d (%t)", room, id, n, ok, w, in)
			}
		}
		seen := 0
		for id, n := range table.All() {
			if seen++; want[id] != n {
				t.Fatalf("room %d: %s is %d in the list, want %d", room, id, n, want[id])
			}
		}
		if seen != len(want) {
			t.Errorf("room %d: %d ids in the list, want %d", room, seen, len(want))
		}
		if table.Close(); table.guids != 0 {
			t.Error("a closed table is not empty")
		}
		if _, ok := table.Find(GUID(sha256Of(0)).String()); ok {
			t.Error("a closed table finds an id")
		}
	}
}

func sha256Of(n uint32) (id [16]byte) {
	sum := sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	copy(id[:], sum[:])
	return id
}

func BenchmarkTable(b *testing.B) {
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = GUID(sha256Of(uint32(i))).String()
	}
	b.ReportAllocs()
	for b.Loop() {
		table := NewTable[uint32](bulk.Place{Dir: b.TempDir()}, 0)
		for i, id := range ids {
			table.Set(id, uint32(i))
		}
		for _, id := range ids {
			table.Find(id)
		}
		table.Close()
	}
}
