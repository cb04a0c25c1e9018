package scim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"scimbridge/scim/directory"
	"scimbridge/scim/fair"
)

// An order is a sort order of RFC 7644 §3.4.2.3, compiled against the schemas
// of the types queried. A nil order is list order. It may be used from many
// goroutines.
//
// Strings are ordered by code point, without regard to case where the attribute
// is not caseExact; dateTimes as times, numbers as numbers, false before true.
// Of a multi-valued attribute the primary value counts, else the first.
// Resources without a value come last when ascending and first when descending.
// Equal ones keep list order in both.
type order struct {
	attrs      [directory.NumTypes]*attribute // nil where the type has none such
	steps      [directory.NumTypes][]string   // to attrs
	descending bool
	text       string
	cache      *orderCache
}

// compileSort compiles sortBy and sortOrder for a query over the given types.
// Without sortBy the order is nil. An attribute that none of the types has is
// invalidPath: a client that is told nothing would take list order for sorted.
func (a *attributes) compileSort(types []directory.Type, sortBy, sortOrder string) (*order, *scimError) {
	o := &order{cache: &a.orders}
	switch {
	case strings.EqualFold(sortOrder, "descending"):
		o.descending = true
	case sortOrder != "" && !strings.EqualFold(sortOrder, "ascending"):
		return nil, invalidValue("sortOrder: " + quote(sortOrder) + " is neither ascending nor descending")
	}
	if sortBy == "" {
		return nil, nil
	}
	found, fault := a.perType(types, sortBy)
	if found == [directory.NumTypes]*attribute{} {
		return nil, invalidPath("sortBy: " + fault)
	}
	for _, t := range types {
		attr := found[t]
		if attr == nil {
			o.text += "- " // the types' attributes may share a name that another query gives to one of them only
			continue
		}
		if attr.returned == never {
			return nil, invalidPath("sortBy: " + quote(sortBy) + " cannot be sorted by")
		}
		if o.attrs[t] = leafOf(attr); o.attrs[t] == nil {
			return nil, invalidPath("sortBy: " + quote(sortBy) + " is complex; name one of its sub-attributes")
		}
		o.steps[t] = stepsTo(o.attrs[t], nil)
		o.text += strings.ToLower(o.attrs[t].path()) + " "
	}
	if o.descending {
		o.text += "descending"
	}
	return o, nil
}

// key is the order's canonical text.
func (o *order) key() string {
	if o == nil {
		return ""
	}
	return o.text
}

// places gives the resources of the types in the order asked for: of each type
// those at the places of its subset, or all where that is nil. Orders of all
// resources are kept for the next caller, so the slice must not be changed.
func (o *order) places(ctx context.Context, v *directory.View, types []directory.Type, subsets *[directory.NumTypes][]uint32) ([]uint32, error) {
	k := orderKey{view: v.ID(), order: o.text}
	all := true
	for _, t := range types {
		k.types |= 1 << t
		all = all && subsets[t] == nil
	}
	if all {
		if kept, ok := o.cache.get(k); ok {
			return kept, nil
		}
	}
	var rows sortRows
	for _, t := range types {
		if err := o.appendRows(ctx, &rows, v, t, subsets[t]); err != nil {
			return nil, err
		}
	}
	rows.sort(o.descending)
	sorted := make([]uint32, len(rows.all))
	for i, r := range rows.all {
		sorted[i] = placeOf(r.typ, int(r.position))
	}
	if all {
		o.cache.put(k, sorted)
	}
	return sorted, nil
}

// appendRows adds the keys of the resources at the places of subset, or of all
// where it is nil.
func (o *order) appendRows(ctx context.Context, rows *sortRows, v *directory.View, t directory.Type, subset []uint32) error {
	n := len(subset)
	if subset == nil {
		n = v.Len(t)
	}
	rows.all = slices.Grow(rows.all, n)
	s := &subject{}
	if o.attrs[t] != nil && o.attrs[t].place == inHead {
		s.slots = o.steps[t][:1]
	}
	add := func(i, j int) {
		for s.held = range v.Resources(t, i, j) {
			s.resource, s.loaded = &s.held, false
			rows.add(t, s.held.Position(), o.attrs[t], o.value(s, t))
		}
	}
	return inStrides(ctx, n, time.Time{}, func(i, j int) {
		if subset == nil {
			add(i, j)
			return
		}
		for _, place := range subset[i:j] {
			_, position := placed(place)
			add(position, position+1)
		}
	})
}

// value gives the JSON value that a resource is ordered by, nil for none.
func (o *order) value(s *subject, t directory.Type) []byte {
	attr, steps := o.attrs[t], o.steps[t]
	if attr == nil {
		return nil
	}
	switch attr.place {
	case inLinks:
		for e := range s.resource.Elements() {
			return decisive(e, steps[1:])
		}
		return nil
	case inMeta:
		return decisive(s.resource.Meta(), steps[1:])
	}
	return decisive(s.value(0, nil), steps[1:])
}

// decisive follows steps from value, by the primary element where there are
// several, else the first (RFC 7644 §3.4.2.3).
func decisive(value []byte, steps []string) []byte {
	if isArray(value) {
		value = primary(inside(value))
	}
	if len(steps) == 0 || value == nil {
		return value
	}
	if !isObject(value) {
		return nil
	}
	return decisive(lookup(inside(value), steps[0]), steps[1:])
}

// primary gives the primary of an array's elements, else the first.
func primary(elements []byte) []byte {
	first, _ := nextElement(elements, 0)
	for e, i := nextElement(elements, 0); e != nil; e, i = nextElement(elements, i) {
		if isObject(e) && string(lookup(inside(e), namePrimary)) == "true" {
			return e
		}
	}
	return first
}

// sortRows are resources with their keys. A key is bytes whose order is that of
// the values. The keys lie in one slice, their first eight bytes beside the row
// too, which settles most comparisons without a look at the rest.
type sortRows struct {
	all  []sortRow
	keys []byte
}

type sortRow struct {
	prefix   uint64 // first bytes of the key, zeros after its end
	from, to int    // the key in keys
	position int32
	typ      directory.Type
	missing  bool // it has no value
}

// add makes the row of a resource that has the given JSON value.
func (rows *sortRows) add(t directory.Type, position int, attr *attribute, value []byte) {
	row := sortRow{from: len(rows.keys), position: int32(position), typ: t, missing: !present(value)}
	if !row.missing {
		rows.keys, row.missing = appendSortKey(rows.keys, attr, value)
	}
	row.to = len(rows.keys)
	var first [8]byte
	copy(first[:], rows.keys[row.from:row.to])
	row.prefix = binary.BigEndian.Uint64(first[:])
	rows.all = append(rows.all, row)
}

// appendSortKey appends the key of a value. It says missing for a value that is
// not of the attribute's type.
func appendSortKey(dst []byte, attr *attribute, value []byte) (_ []byte, missing bool) {
	switch attr.kind {
	case kindBoolean:
		return append(dst, value[0]), false // f comes before t
	case kindInteger, kindDecimal:
		return binary.BigEndian.AppendUint64(dst, sortableFloat(parseNumber(string(value)).float)), false
	}
	if !isString(value) {
		return dst, true
	}
	if attr.kind == kindDateTime {
		at, ok := parseTime(string(inside(value)))
		if !ok {
			return dst, true
		}
		dst = binary.BigEndian.AppendUint64(dst, uint64(at.Unix())^1<<63)
		return binary.BigEndian.AppendUint32(dst, uint32(at.Nanosecond())), false
	}
	r := runeReader{inside(value), !attr.caseExact}
	for ch, ok := r.next(); ok; ch, ok = r.next() {
		dst = utf8.AppendRune(dst, ch)
	}
	return dst, false
}

// sortableFloat gives the bits of a float in the order of the floats.
func sortableFloat(f float64) uint64 {
	bits := math.Float64bits(f + 0) // -0 is 0
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

// sort sorts the rows.
func (rows *sortRows) sort(descending bool) {
	fair.SortFunc(rows.all, func(a, b sortRow) int {
		c := rows.compare(a, b)
		if descending {
			c = -c
		}
		if c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.position, b.position))
	})
}

// compare orders two rows ascending.
func (rows *sortRows) compare(a, b sortRow) int {
	switch {
	case a.missing != b.missing:
		if b.missing {
			return -1
		}
		return 1
	case a.prefix != b.prefix:
		return cmp.Compare(a.prefix, b.prefix)
	}
	return bytes.Compare(rows.keys[a.from:a.to], rows.keys[b.from:b.to])
}
