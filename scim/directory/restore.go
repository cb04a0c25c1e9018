package directory

import (
	"encoding/json"
	"fmt"
	"time"
)

// Restore has the draft hold what a snapshot of the same picture holds, whatever
// it has been told before: what that one had comes back, what it had not goes.
// Resources keep the place in the order that they have now; those that went
// meanwhile come at the end. Each that changes by it is a change like any other.
func (d *Draft) Restore(s *Snapshot) error {
	diff := Compare(d.base, s)
	// Removals first: a resource that went and came again is both.
	for c := range diff.Changes() {
		if c.After.rec == nil {
			d.Remove(c.Before.ID())
		}
	}
	for c := range diff.Changes() {
		if c.After.rec == nil {
			continue
		}
		rec, err := c.After.record()
		if err == nil {
			err = d.put(rec, c.After.manager())
		}
		if err != nil {
			return fmt.Errorf("restoring %s %s: %w", c.Type, c.After.ID(), err)
		}
	}
	for c := range diff.Changes() {
		if c.Type == Group && c.After.rec != nil {
			d.restoreMembers(c.After)
		}
	}
	return nil
}

// restoreMembers has a group have the members that it has in another snapshot.
func (d *Draft) restoreMembers(want Resource) {
	wanted := make(map[string]bool)
	for m := range want.memberRefs() {
		if member, ok := want.snap.byRef(m); ok {
			wanted[member.ID()] = true
			d.Join(want.ID(), member.ID())
		}
	}
	has, ok := d.base.ByID(want.ID())
	if !ok {
		return
	}
	for m := range has.memberRefs() {
		if member, ok := d.base.byRef(m); ok && !wanted[member.ID()] {
			d.Leave(want.ID(), member.ID())
		}
	}
}

// record gives the record that a resource was put as.
func (r Resource) record() (Record, error) {
	var keys struct {
		UserName, ExternalID, DisplayName string
		Emails                            []struct{ Value string }
	}
	head := append(append([]byte{'{'}, r.Head()...), '}')
	if err := json.Unmarshal(head, &keys); err != nil {
		return Record{}, err
	}
	rec := Record{
		Type: r.typ, ID: r.ID(), Body: r.Head(), Active: r.Active(), Detached: r.Detached(),
		UserName: keys.UserName, ExternalID: keys.ExternalID, DisplayName: keys.DisplayName,
		HidesManager: r.HidesManager(),
	}
	for _, e := range keys.Emails {
		rec.Emails = append(rec.Emails, e.Value)
	}
	var err error
	rec.Created, err = time.Parse(time.RFC3339Nano, string(r.created()))
	return rec, err
}
