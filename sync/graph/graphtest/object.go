package graphtest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// state is where an object is in its life.
type state uint8

const (
	live    state = iota
	removed       // soft-deleted: in the recycle bin, @removed "changed"
	purged        // gone for good: @removed "deleted"
)

func (s state) reason() string {
	switch s {
	case removed:
		return "changed"
	case purged:
		return "deleted"
	}
	return ""
}

// object is one directory object. Objects are numbered in the order of their
// creation, and a number is never used again: links between objects are
// numbers.
//
// Its properties are one packed slice (see packer), so that a million users
// fit in well under a gigabyte and the garbage collector has nothing to
// follow.
type object struct {
	id      string
	data    []byte
	group   *links // groups only
	manager uint32 // number of the manager + 1; 0: none
	kind    kind
	state   state
	unborn  bool // created, but held back from delta queries by a lag
}

// links are the direct members of a group: numbers in rising order.
type links struct {
	members []uint32
	shared  bool // a round reads members: copy before changing it
}

func (l *links) has(member uint32) bool {
	_, found := slices.BinarySearch(l.members, member)
	return found
}

func (l *links) add(member uint32) bool {
	at, found := slices.BinarySearch(l.members, member)
	if found {
		return false
	}
	l.own()
	l.members = slices.Insert(l.members, at, member)
	return true
}

func (l *links) remove(member uint32) bool {
	at, found := slices.BinarySearch(l.members, member)
	if !found {
		return false
	}
	l.own()
	l.members = slices.Delete(l.members, at, at+1)
	return true
}

func (l *links) own() {
	if l.shared {
		l.members, l.shared = slices.Clone(l.members), false
	}
}

// share gives the members to a reader that keeps them; later changes go to a
// copy.
func (l *links) share() []uint32 {
	l.shared = true
	return l.members
}

// packer stores properties: for each a varint of position<<1|common, then for
// common values their number in the dictionary, else length and JSON text.
type packer struct {
	values [][]byte          // the dictionary: JSON texts
	index  map[string]uint32 // JSON text -> position in values
}

// maxCommon bounds the dictionary; values beyond it are stored in full.
const maxCommon = 1 << 16

func (p *packer) append(data []byte, c *catalogue, name uint16, value []byte) []byte {
	if c.flags[name]&repetitive != 0 {
		if i, ok := p.common(value); ok {
			data = binary.AppendUvarint(data, uint64(name)<<1|1)
			return binary.AppendUvarint(data, uint64(i))
		}
	}
	data = binary.AppendUvarint(data, uint64(name)<<1)
	data = binary.AppendUvarint(data, uint64(len(value)))
	return append(data, value...)
}

func (p *packer) common(value []byte) (uint32, bool) {
	if i, ok := p.index[string(value)]; ok {
		return i, true
	}
	if len(p.values) >= maxCommon {
		return 0, false
	}
	i := uint32(len(p.values))
	p.values = append(p.values, bytes.Clone(value))
	p.index[string(value)] = i
	return i, true
}

// field is one unpacked property; its value must not be kept or changed.
type field struct {
	name  uint16
	value []byte
}

// unpack appends the properties in data that the selection has (nil: all).
func (p *packer) unpack(fields []field, data []byte, sel *selection) []field {
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		data = data[n:]
		size, n := binary.Uvarint(data)
		data = data[n:]
		name := uint16(head >> 1)
		var value []byte
		if head&1 == 1 {
			value = p.values[size]
		} else {
			value, data = data[:size:size], data[size:]
		}
		if sel == nil || sel.has(name) {
			fields = append(fields, field{name, value})
		}
	}
	return fields
}

// get finds one property; nil when it was never set.
func (p *packer) get(data []byte, name uint16) []byte {
	for _, f := range p.unpack(nil, data, nil) {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// set gives data new values and says which properties really changed. A nil
// value clears: the property stays, as null, because Graph tells a cleared
// property from one that was never set.
func (p *packer) set(c *catalogue, data []byte, changes map[string]any) ([]byte, []uint16) {
	fields := p.unpack(nil, data, nil)
	var changed []uint16
	for _, name := range sortedKeys(changes) {
		if name == "id" {
			continue
		}
		i, value := c.settable(name), appendValue(nil, changes[name])
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == i })
		switch {
		case at < 0 && string(value) == "null": // clearing what never was
		case at < 0:
			fields, changed = append(fields, field{i, value}), append(changed, i)
		case !bytes.Equal(fields[at].value, value):
			fields[at].value = value
			changed = append(changed, i)
		}
	}
	if len(changed) == 0 {
		return data, nil
	}
	var packed []byte
	for _, f := range fields {
		packed = p.append(packed, c, f.name, f.value)
	}
	return bytes.Clone(packed), changed
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// appendValue writes a property's value as compact JSON, UTF-8 as it is.
// A value that JSON cannot hold is a mistake in the calling test: it panics.
func appendValue(dst []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return appendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case time.Time:
		return appendString(dst, v.UTC().Format(time.RFC3339Nano))
	case []string:
		dst = append(dst, '[')
		for i, s := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, s)
		}
		return append(dst, ']')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(fmt.Sprintf("graphtest: property value %v: %v", value, err))
	}
	return append(dst, bytes.TrimSpace(b.Bytes())...)
}

// appendString writes a JSON string, escaping no more than JSON must.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}
