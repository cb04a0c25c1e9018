package directory

import (
	"iter"
	"log/slog"
)

// A Diff is what one snapshot changes against another.
type Diff struct {
	Counts [NumTypes]Counts

	before, after *Snapshot
	entries       []diffEntry // none where before is empty: all were added
}

// Counts says how many resources of a type changed, and how. A resource is
// counted once.
type Counts struct {
	Added       int `json:"added"`
	Changed     int `json:"changed"`     // other than by becoming active or inactive
	Removed     int `json:"removed"`     // active before
	Purged      int `json:"purged"`      // removed, inactive before
	Deactivated int `json:"deactivated"` // active before, inactive now
	Reactivated int `json:"reactivated"`
}

// LogValue gives the counts that are not zero, for the log.
func (c Counts) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, a := range []struct {
		name string
		n    int
	}{
		{"added", c.Added}, {"changed", c.Changed}, {"removed", c.Removed}, {"purged", c.Purged},
		{"deactivated", c.Deactivated}, {"reactivated", c.Reactivated},
	} {
		if a.n != 0 {
			attrs = append(attrs, slog.Int(a.name, a.n))
		}
	}
	return slog.GroupValue(attrs...)
}

// Lost is how many resources clients would no longer see as active.
func (c Counts) Lost() int { return c.Removed + c.Deactivated }

// A ChangeKind says what became of a resource.
type ChangeKind uint8

// The kinds of change.
const (
	Added ChangeKind = iota
	Changed
	Removed
	Deactivated
	Reactivated
	Purged // removed after it had been inactive
)

// String gives the kind in the words of logs and reports.
func (k ChangeKind) String() string {
	return [...]string{"added", "changed", "removed", "deactivated", "reactivated", "purged"}[k]
}

type diffEntry struct {
	ref  ref
	kind ChangeKind
}

// A ResourceChange is one resource's change. Before is not valid for an added
// one, After not for a removed one.
type ResourceChange struct {
	Kind          ChangeKind
	Type          Type
	Before, After Resource
}

// Empty says whether nothing changed that a client could see.
func (d *Diff) Empty() bool { return d.Counts == [NumTypes]Counts{} }

// Changes gives each change, users first.
func (d *Diff) Changes() iter.Seq[ResourceChange] {
	return func(yield func(ResourceChange) bool) {
		if len(d.entries) == 0 && !d.Empty() {
			d.additions(yield)
			return
		}
		for _, e := range d.entries {
			c := ResourceChange{Kind: e.kind, Type: e.ref.typ()}
			c.Before, _ = d.before.byRef(e.ref)
			c.After, _ = d.after.byRef(e.ref)
			if !yield(c) {
				return
			}
		}
	}
}

// additions gives the changes of a diff against nothing.
func (d *Diff) additions(yield func(ResourceChange) bool) {
	for t := range Type(NumTypes) {
		for i := range d.after.Len(t) {
			if !yield(ResourceChange{Kind: Added, Type: t, After: d.after.at(t, i)}) {
				return
			}
		}
	}
}

func (d *Diff) add(r ref, kind ChangeKind) {
	if d.before.Len(User)+d.before.Len(Group) > 0 {
		d.entries = append(d.entries, diffEntry{r, kind})
	}
	c := &d.Counts[r.typ()]
	switch kind {
	case Added:
		c.Added++
	case Changed:
		c.Changed++
	case Removed:
		c.Removed++
	case Deactivated:
		c.Deactivated++
	case Reactivated:
		c.Reactivated++
	case Purged:
		c.Purged++
	}
}

// Compare gives the diff between any two snapshots of one source. It reads
// every row of both.
func Compare(before, after *Snapshot) *Diff {
	d := &Diff{before: before, after: after}
	for t := range Type(NumTypes) {
		i, j := 0, 0
		for i < before.Len(t) || j < after.Len(t) {
			var a, b Resource
			if i < before.Len(t) {
				a = before.at(t, i)
			}
			if j < after.Len(t) {
				b = after.at(t, j)
			}
			switch {
			case b.rec == nil || a.rec != nil && a.rec.seq < b.rec.seq:
				if a.Active() {
					d.add(a.ref(), Removed)
				} else {
					d.add(a.ref(), Purged)
				}
				i++
			case a.rec == nil || b.rec.seq < a.rec.seq:
				d.add(b.ref(), Added)
				j++
			default:
				if a.rec.hash != b.rec.hash {
					d.add(a.ref(), changeKind(a.Active(), b.Active()))
				}
				i++
				j++
			}
		}
	}
	return d
}

func changeKind(wasActive, isActive bool) ChangeKind {
	switch {
	case wasActive && !isActive:
		return Deactivated
	case !wasActive && isActive:
		return Reactivated
	}
	return Changed
}
