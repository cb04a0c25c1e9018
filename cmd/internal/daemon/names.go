package daemon

import (
	"sync"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
)

// names knows the userNames that have more than one owner in what is served. It
// looks again when something else is served.
type names struct {
	mu   sync.Mutex
	view string // the view's id
	last *admin.DuplicateNames
}

// maxDuplicates is how many are shown.
const maxDuplicates = 100

// of gives those of a view; nil: there are none.
func (n *names) of(v *directory.View) *admin.DuplicateNames {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id := v.ID(); id != n.view {
		n.view, n.last = id, nil
		if named, total := mirror.Namesakes(v, maxDuplicates); total > 0 {
			n.last = &admin.DuplicateNames{Total: total, Names: named}
		}
	}
	return n.last
}

// nameRule is what a source's mirror goes by: the rule of the configuration in
// force, and what the other sources serve at the moment.
func (d *Daemon) nameRule(source string) mirror.NameRule {
	return mirror.NameRule{
		Hold: func() bool { return d.gen.Load().cfg.SCIM.DuplicateUserNames == config.NamesHold },
		Others: func() []*directory.Snapshot {
			var others []*directory.Snapshot
			for _, s := range d.library.View().Snapshots() {
				if s.Source() != source {
					others = append(others, s)
				}
			}
			return others
		},
	}
}
