package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// Graph shows a group with hidden membership as one without members, and no error,
// to an application without Member.Read.Hidden
// (learn.microsoft.com/graph/api/resources/group, visibility). A platform would
// take such a group for an empty one; so it is told.
const (
	hiddenRead = "Member.Read.Hidden"
	// maxHidden is how many are named.
	maxHidden = 20
)

// Hidden are the groups whose members are not shown for want of a permission.
type Hidden struct {
	Total int
	// Names are the display names of the first of them.
	Names []string
}

// lookForHidden looks for groups whose members are hidden from us, once after
// the start and whenever groups changed. m.pulling is held.
func (m *Mirror) lookForHidden(ctx context.Context, report *Report) {
	changed := report.FullGroups || report.Groups != (store.Tally{})
	if !m.cfg.Scope.ReadsGroups() || m.lookedForHidden && !changed {
		return
	}
	hidden, err := m.hidden(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.log.Warn("it was not seen whether groups hide their members", "err", err)
		}
		return
	}
	before := m.Status().Hidden
	m.lookedForHidden = true
	m.status.set(func(s *Status) { s.Hidden = hidden })
	if hidden.Total > 0 && (before.Total != hidden.Total || !slices.Equal(before.Names, hidden.Names)) {
		m.log.Warn("groups hide their members and are served without any", "groups", hidden.Total, "names", hidden.Names,
			"mend", "grant the application permission "+hiddenRead+", or leave the groups out")
	}
}

// hidden gives the groups whose members are hidden from us: of those that are
// served, and of those that the scope goes by.
func (m *Mirror) hidden(ctx context.Context) (h Hidden, err error) {
	asks, ok := m.cfg.Graph.(interface {
		Claims(context.Context) (graph.Claims, error)
	})
	if !ok {
		return h, nil
	}
	claims, err := asks.Claims(ctx)
	switch {
	case errors.Is(err, graph.ErrOpaque):
		return h, nil // what was granted is not known
	case err != nil:
		return h, err
	case slices.Contains(claims.Roles, hiddenRead):
		return h, nil
	}
	for obj, err := range m.cfg.Store.Objects(ctx, m.cfg.Name, store.Group, 0) {
		if err != nil {
			return h, err
		}
		if obj.Removed != nil || !bytes.Contains(obj.Properties, []byte(`"HiddenMembership"`)) {
			continue
		}
		if !m.cfg.Scope.Groups && !slices.Contains(m.cfg.Scope.MemberOf, obj.ID) {
			continue
		}
		var group struct{ DisplayName, Visibility any }
		if json.Unmarshal(obj.Properties, &group) != nil || group.Visibility != "HiddenMembership" {
			continue
		}
		h.Total++
		if name, _ := group.DisplayName.(string); len(h.Names) < maxHidden {
			h.Names = append(h.Names, name)
		}
	}
	return h, nil
}
