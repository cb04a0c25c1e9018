package directory

import (
	"encoding/hex"
	"iter"
	"strings"
)

// An idTable has a number for each id: in some thirty bytes for one that is a GUID
// in its canonical lower-case form, as nearly all are, and with nothing for the
// garbage collector to follow.
type idTable struct {
	guids  map[[16]byte]int32
	others map[string]int32
}

// newIDTable makes a table with room for so many GUIDs.
func newIDTable(n int) idTable {
	return idTable{guids: make(map[[16]byte]int32, n), others: make(map[string]int32)}
}

func (t idTable) set(id string, n int32) {
	if guid, ok := parseGUID(id); ok {
		t.guids[guid] = n
	} else {
		t.others[strings.Clone(id)] = n // it may be a part of all that there is on her
	}
}

func (t idTable) find(id string) (n int32, ok bool) {
	if guid, isGUID := parseGUID(id); isGUID {
		n, ok = t.guids[guid]
		return n, ok
	}
	n, ok = t.others[id]
	return n, ok
}

// all gives the ids in no order.
func (t idTable) all() iter.Seq2[string, int32] {
	return func(yield func(string, int32) bool) {
		for guid, n := range t.guids {
			if !yield(formatGUID(guid), n) {
				return
			}
		}
		for id, n := range t.others {
			if !yield(id, n) {
				return
			}
		}
	}
}

// guidParts are the groups of digits of a GUID.
var guidParts = [...]struct{ from, to int }{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}}

func parseGUID(id string) (guid [16]byte, ok bool) {
	if len(id) != 36 {
		return guid, false
	}
	for i := range len(id) {
		c := id[i]
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') ||
			!dash && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return guid, false
		}
	}
	var text [36]byte
	copy(text[:], id)
	n := 0
	for _, part := range guidParts {
		m, err := hex.Decode(guid[n:], text[part.from:part.to])
		if err != nil {
			return guid, false
		}
		n += m
	}
	return guid, true
}

func formatGUID(guid [16]byte) string {
	text := []byte("00000000-0000-0000-0000-000000000000")
	n := 0
	for _, part := range guidParts {
		n += hex.Encode(text[part.from:], guid[n:n+(part.to-part.from)/2]) / 2
	}
	return string(text)
}
