package store

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"time"
)

var (
	errNoID    = errors.New("an object without an id")
	errTooMany = errors.New("the source has named more ids than can be numbered")
)

// place gives the kind's code, and an error for what can't be stored.
func place(kind Kind, id string) (int64, error) {
	code, err := kindCode(kind)
	if err == nil && id == "" {
		err = errNoID
	}
	return code, err
}

func (r *round) slot(code, n int64) int64 { return kindSpan(r.source, code).first + n }

// Object implements [Tx].
func (r *round) Object(kind Kind, id string) (obj Object, ok bool, err error) {
	defer r.leave("reading an object", &err)
	if err := r.enter(); err != nil {
		return Object{}, false, err
	}
	code, err := place(kind, id)
	if err != nil {
		return Object{}, false, err
	}
	n, known, err := r.lookup(id)
	if !known || err != nil {
		return Object{}, false, err
	}
	slot := r.slot(code, n)
	row, round, err := r.row(slot)
	if row == nil || err != nil {
		return Object{}, false, err
	}
	properties := row.properties
	if row == r.stage.objects[slot] {
		properties = slices.Clone(properties) // those that were read are a copy
	}
	return Object{Kind: kind, ID: id, Properties: properties, Round: round, Removed: row.removed}, true, nil
}

// row gives an object's row as the round has it so far, nil if there is none.
func (r *round) row(slot int64) (*stagedObject, uint64, error) {
	if o := r.stage.objects[slot]; o != nil {
		return o, r.number, nil
	}
	if r.seen != nil && !r.seen.hasObject(slot) {
		return nil, 0, nil
	}
	for _, schema := range r.schemas() {
		var o stagedObject
		var round uint64
		var at *int64
		var reason *string
		found, err := r.one("SELECT round, removed_at, reason, properties FROM "+schema+".objects WHERE slot = ?",
			[]any{slot}, &round, &at, &reason, &o.properties)
		if err != nil {
			return nil, 0, err
		}
		if found {
			o.removed = decodeRemoval(at, reason)
			return &o, round, nil
		}
	}
	return nil, 0, nil
}

// How an object that is to be put compares with what there is.
const (
	differs = iota // present, with other properties
	same           // present, with these properties
	removed        // known, but removed
	absent         // not known
)

// match gives the number of an object that is to be put, a new one if need be,
// and how it compares with what there is. The database does the comparing, so
// that a full read of what did not change copies nothing out of it, and mostly
// in one query.
func (r *round) match(code int64, id string, properties []byte) (n int64, how int, err error) {
	if _, known := r.stage.known[id]; !known && r.written && !r.spilled && r.seen == nil {
		refs := refSpan(r.source)
		var ref int64
		found, err := r.one(`SELECT i.ref, coalesce((SELECT CASE WHEN o.removed_at IS NULL THEN o.properties = ?1 ELSE 2 END
			FROM main.objects o WHERE o.slot = ?2 + (i.ref & 0xffffffff)), 3)
			FROM main.ids i WHERE i.id = ?3 AND i.ref BETWEEN ?4 AND ?5`,
			[]any{properties, r.slot(code, 0), encodeID(id), refs.first, refs.last}, &ref, &how)
		if err != nil {
			return 0, 0, err
		}
		if n = ref - refs.first; found && r.stage.objects[r.slot(code, n)] == nil {
			r.stage.remember(id, n)
			return n, how, nil
		}
	}
	n, fresh, err := r.refer(id)
	if fresh || err != nil {
		return n, absent, err
	}
	how, err = r.compare(r.slot(code, n), properties)
	return n, how, err
}

func (r *round) compare(slot int64, properties []byte) (how int, err error) {
	if o := r.stage.objects[slot]; o != nil {
		switch {
		case o.removed != nil:
			return removed, nil
		case bytes.Equal(o.properties, properties):
			return same, nil
		}
		return differs, nil
	}
	if r.seen != nil && !r.seen.hasObject(slot) {
		return absent, nil
	}
	for _, schema := range r.schemas() {
		found, err := r.one("SELECT CASE WHEN removed_at IS NULL THEN properties = ? ELSE 2 END FROM "+schema+".objects WHERE slot = ?",
			[]any{properties, slot}, &how)
		if found || err != nil {
			return how, err
		}
	}
	return absent, nil
}

// Put implements [Tx].
func (r *round) Put(kind Kind, id string, properties []byte) (changed bool, err error) {
	defer r.leave("storing an object", &err)
	if err := r.enter(); err != nil {
		return false, err
	}
	code, err := place(kind, id)
	if err != nil {
		return false, err
	}
	n, how, err := r.match(code, id, properties)
	if err != nil {
		return false, err
	}
	slot := r.slot(code, n)
	r.reads[code].see(n)
	if r.seen != nil {
		r.seen.objects[code].set(n)
	}
	if how == same {
		return false, nil
	}
	if how != differs {
		r.count(code, 1)
	}
	r.changed = true
	r.stage.putObject(slot, &stagedObject{properties: r.stage.keep(properties)})
	return true, r.makeRoom()
}

// Remove implements [Tx].
func (r *round) Remove(kind Kind, id string, removal Removal) (changed bool, err error) {
	defer r.leave("removing an object", &err)
	if err := r.enter(); err != nil {
		return false, err
	}
	code, err := place(kind, id)
	if err != nil {
		return false, err
	}
	n, known, err := r.lookup(id)
	if !known || err != nil {
		return false, err
	}
	slot := r.slot(code, n)
	row, _, err := r.row(slot)
	if row == nil || err != nil {
		return false, err
	}
	if row.removed != nil {
		if row.removed.Reason == removal.Reason {
			return false, nil
		}
		removal.At = row.removed.At
	}
	return true, r.remove(code, slot, row, removal)
}

// remove gives a row its removal.
func (r *round) remove(code, slot int64, row *stagedObject, removal Removal) error {
	if row.removed == nil {
		r.count(code, -1)
	}
	r.changed = true
	removal.At = decodeTime(timeOrNil(removal.At))
	r.stage.putObject(slot, &stagedObject{removed: &removal, properties: row.properties})
	return r.makeRoom()
}

func (r *round) count(code int64, by int) {
	if code == 0 {
		r.users += by
	} else {
		r.groups += by
	}
}

// timeOrNil is encodeTime with its type.
func timeOrNil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	micro := t.UnixMicro()
	return &micro
}

// noTime stands for the zero time where NULL means something else.
const noTime = math.MinInt64

func encodeRemoval(removal *Removal) (at, reason any) {
	switch {
	case removal == nil:
		return nil, nil
	case removal.At.IsZero():
		return int64(noTime), removal.Reason
	}
	return removal.At.UnixMicro(), removal.Reason
}

func decodeRemoval(at *int64, reason *string) *Removal {
	if at == nil {
		return nil
	}
	var removal Removal
	if *at != noTime {
		removal.At = decodeTime(at)
	}
	if reason != nil {
		removal.Reason = *reason
	}
	return &removal
}
