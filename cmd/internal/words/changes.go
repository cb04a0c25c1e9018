package words

import (
	"strings"

	"scimbridge/scim/directory"
)

// Changes says how many resources changed, and how: 2 added, 1,200 active again.
// It is empty where none did.
func Changes(c directory.Counts) string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.Added, "added"}, {c.Changed, "changed"}, {c.Deactivated, "deactivated"}, {c.Reactivated, "active again"},
		{c.Removed, "removed"}, {c.Purged, "gone for good"},
	} {
		if part.n > 0 {
			parts = append(parts, Thousands(part.n)+" "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}
