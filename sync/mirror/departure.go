package mirror

import "scimbridge/scim/directory"

// Departure says what to drop a source would take away: everybody who is served of
// it. It lists up to list of them, all with 0.
func Departure(served *directory.Snapshot, why string, list int) *Diff {
	diff := &Diff{Source: served.Source(), From: served.Generation()}
	v := directory.NewView(served)
	for t := range directory.Type(directory.NumTypes) {
		counts := &diff.Users
		if t == directory.Group {
			counts = &diff.Groups
		}
		counts.Removed = served.Active(t)
		counts.Purged = served.Len(t) - served.Active(t)
		for i := range v.Len(t) {
			if list > 0 && len(diff.Changes) == list {
				diff.Omitted++
				continue
			}
			r := v.At(t, i)
			kind := directory.Removed
			if !r.Active() {
				kind = directory.Purged
			}
			diff.Changes = append(diff.Changes, Change{Kind: kind.String(), Type: t.String(), ID: r.ID(), Name: name(r), Why: why})
		}
	}
	return diff
}
