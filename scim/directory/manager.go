package directory

import (
	"iter"
	"slices"
)

// A user's manager is part of her attributes, which the mapping renders; but a
// manager who is not served must not be named, for a client would look for him in
// vain. Whether he is served is not known before everybody has been put, and
// changes for reasons that have nothing to do with her. So the directory keeps for
// each user whose report she is, named or not, and finds those who have to be
// rendered otherwise. It costs the changes of a draft and the reports of those
// who came or went by it.

// Misled gives the ids of the users whose record names a manager whom the sealed
// snapshot would not hold, or hides one whom it would: they have to be put again.
// It is called when all else has been put; a user who is kept inactive is held.
func (d *Draft) Misled() []string {
	served, moved := d.managers()
	if len(served) == 0 {
		return nil
	}
	wrong := make(map[int32]bool)
	for i := range int32(d.entries.Len()) {
		if e := d.at(i); e.managed() && served[e.manager] == e.hides {
			wrong[i] = true
		}
	}
	var misled []string
	if len(wrong) > 0 {
		for id, i := range d.byID.All() {
			if wrong[i] {
				misled = append(misled, id)
			}
		}
	}
	for _, h := range moved {
		for r := range d.base.reports(h) {
			if d.entry(r.ref()) == nil && r.HidesManager() == served[h] {
				misled = append(misled, r.ID())
			}
		}
	}
	slices.Sort(misled)
	return misled
}

// managed says whether the draft puts a user who has a manager.
func (e *entry) managed() bool { return !e.gone && e.manager != 0 && e.ref.typ() == User }

// managers says of everybody who may be a manager to look at whether he will be
// served, by the hashes of their ids, and who among them came or went.
func (d *Draft) managers() (served map[uint64]bool, moved []uint64) {
	served = make(map[uint64]bool)
	for i := range int32(d.entries.Len()) {
		e := d.at(i)
		if e.managed() {
			served[e.manager] = false
		}
		// Without a base nobody is there whom another could have misled before.
		if e.ref.typ() == User && e.gone == e.known && d.base.Len(User) > 0 {
			moved = append(moved, e.id)
			served[e.id] = false
		}
	}
	if len(served) == 0 {
		return served, nil
	}
	for i := range int32(d.entries.Len()) {
		e := d.at(i)
		if _, asked := served[e.id]; asked && !e.gone && e.ref.typ() == User {
			served[e.id] = true
		}
	}
	for h, is := range served {
		served[h] = is || d.baseKeeps(h)
	}
	return served, moved
}

// baseKeeps says whether a user of the base, whom the draft leaves as she is, has
// an id with the hash.
func (d *Draft) baseKeeps(h uint64) bool {
	for r := range d.base.matches(User, keyID, h) {
		if d.entry(r.ref()) == nil {
			return true
		}
	}
	return false
}

// reports gives the users whose manager's id has the hash.
func (s *Snapshot) reports(manager uint64) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for i, seg := range s.segments {
			for _, row := range seg.reports(manager) {
				p, ok := s.tables[User].position(uint32(i), row, seg.rows[User][row].seq, s.segments[0], User)
				if ok && !yield(s.resource(User, uint32(i), row, p)) {
					return
				}
			}
		}
	}
}

// reports gives the rows of the users whose manager's id has the hash.
func (s *segment) reports(manager uint64) []uint32 {
	after := func(row uint32, manager uint64) int {
		if s.managers[row] < manager {
			return -1
		}
		return 1
	}
	i, _ := slices.BinarySearchFunc(s.byManager, manager, after)
	j := i
	for j < len(s.byManager) && s.managers[s.byManager[j]] == manager {
		j++
	}
	return s.byManager[i:j]
}
