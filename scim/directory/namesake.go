package directory

import (
	"cmp"
	"slices"
)

// Yield takes out the detached users whose userName a user has who is attached:
// a name belongs to whom it was given, not to one who went. It is called when
// all has been put, and gives the ids of those it took out.
func (d *Draft) Yield() []string {
	detached := make(map[uint64][]string) // hash of a userName -> those who went with it
	for id, i := range d.byID.All() {
		if e := d.at(i); e.detached && !e.gone && e.ref.typ() == User {
			if h := e.userName; h != 0 {
				detached[h] = append(detached[h], id)
			}
		}
	}
	for r := range d.base.Detached(User) {
		if d.byID.Has(r.ID()) {
			continue
		}
		if name := r.UserName(); name != "" {
			h := keyHash(Fold(name))
			detached[h] = append(detached[h], r.ID())
		}
	}
	if len(detached) == 0 {
		return nil
	}
	taken := make(map[uint64]bool)
	for i := range int32(d.entries.Len()) {
		e := d.at(i)
		if h := e.userName; !e.gone && !e.detached && e.ref.typ() == User && detached[h] != nil {
			taken[h] = true
		}
	}
	var yielded []string
	for h, ids := range detached {
		if taken[h] || d.baseHas(h) {
			yielded = append(yielded, ids...)
		}
	}
	slices.Sort(yielded)
	for _, id := range yielded {
		d.Remove(id)
	}
	return yielded
}

// baseHas says whether an attached user of the base, whom the draft leaves as
// she is, has a userName with the hash.
func (d *Draft) baseHas(h uint64) bool {
	for r := range d.base.matches(User, keyUserName, h) {
		if d.entry(r.ref()) == nil && !r.Detached() {
			return true
		}
	}
	return false
}

// Namesakes gives the positions of the users who share a userName, which has to
// be unique (RFC 7643 §4.1.1, without regard to case): one slice, ascending, for
// each such name, ordered by the first. Its cost is a look at one number for each
// user, and none of the bodies of those whose name is theirs alone.
func (v *View) Namesakes() [][]int {
	var all [][]int
	done := make(map[string]bool)
	for _, h := range v.repeated(User, keyUserName) {
		for name, positions := range v.byUserName(h) {
			if !done[name] && len(positions) > 1 {
				all = append(all, positions)
			}
			done[name] = true
		}
	}
	slices.SortFunc(all, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return all
}

// byUserName gives the positions of the users with a hash, by their folded name.
func (v *View) byUserName(h uint64) map[string][]int {
	names := make(map[string][]int)
	for _, p := range v.parts {
		for r := range p.snap.matches(User, keyUserName, h) {
			name := Fold(r.UserName())
			if at := p.start[User] + r.pos; !slices.Contains(names[name], at) {
				names[name] = append(names[name], at)
			}
		}
	}
	for _, positions := range names {
		slices.Sort(positions)
	}
	return names
}

// repeated gives the hashes that occur more than once in a key's index, those of
// rows that newer ones cover included.
func (v *View) repeated(t Type, key int) []uint64 {
	var lists [][]uint64 // each ascending
	for _, p := range v.parts {
		for _, seg := range p.snap.segments {
			if hashes := seg.hashes[t][key]; len(hashes) > 0 {
				lists = append(lists, hashes)
			}
		}
	}
	slices.SortFunc(lists, func(a, b []uint64) int { return cmp.Compare(len(b), len(a)) })
	var twice []uint64
	for n, list := range lists {
		for i, h := range list {
			if i > 0 && list[i-1] == h || slices.ContainsFunc(lists[:n], func(larger []uint64) bool {
				_, ok := slices.BinarySearch(larger, h)
				return ok
			}) {
				twice = append(twice, h)
			}
		}
	}
	slices.Sort(twice)
	return slices.Compact(twice)
}
