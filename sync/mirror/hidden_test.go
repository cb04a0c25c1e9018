package mirror_test

import (
	"context"
	"slices"
	"testing"

	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
)

// A granting source says that it has further permissions, or none that can be
// read.
type granting struct {
	mirror.Source
	roles []string
	err   error
}

func (s *granting) Claims(context.Context) (graph.Claims, error) {
	return graph.Claims{Roles: s.roles}, s.err
}

// Groups that hide their members from us are named, as long as they do.
func TestHiddenMembershipIsTold(t *testing.T) {
	tenant, users, all := company(5)
	quiet := tenant.SetGroup(map[string]any{"displayName": "Quiet", "visibility": "HiddenMembership", "groupTypes": []string{"Unified"}})
	tenant.AddMember(quiet, users...)
	tenant.SetGroup(map[string]any{"displayName": `About "HiddenMembership"`, "visibility": "Private", "groupTypes": []string{"Unified"}})
	w := newWorld(t, tenant, nil)
	told := func(when string, want ...string) {
		t.Helper()
		if got := w.mirror.Status().Hidden; got.Total != len(want) || !slices.Equal(got.Names, want) {
			t.Errorf("%s: told is %+v, want %v", when, got, want)
		}
	}
	w.round()
	told("at first", "Quiet")
	if g, _ := w.user(quiet); len(g.Members) != 0 {
		t.Errorf("its members are served: %v", g.Members)
	}
	w.restart()
	w.refresh(mirror.Options{}, mirror.Unchanged)
	told("after a restart", "Quiet")
	tenant.UpdateGroup(quiet, map[string]any{"displayName": "Silent"})
	w.round()
	told("renamed", "Silent")
	w.configure(func(cfg *mirror.Config) { cfg.Graph = &granting{Source: w.client, err: graph.ErrOpaque} })
	w.refresh(mirror.Options{}, mirror.Unchanged)
	told("where it is not known what was granted")
	w.configure(func(cfg *mirror.Config) {
		cfg.Graph = &granting{Source: w.client, roles: []string{"User.Read.All", "Member.Read.Hidden"}}
	})
	w.refresh(mirror.Options{}, mirror.Unchanged)
	told("where it was granted")
	// Where groups are not served, what counts are those that people are chosen by.
	other := tenant.SetGroup(map[string]any{"displayName": "Other", "visibility": "HiddenMembership", "groupTypes": []string{"Unified"}})
	w.configure(func(cfg *mirror.Config) {
		cfg.Graph = w.client
		cfg.Scope.Groups, cfg.Scope.MemberOf = false, []string{all, quiet}
	})
	w.refresh(mirror.Options{}, mirror.Held) // the groups would go
	told("where it is a group that people are chosen by", "Silent")
	tenant.PurgeGroup(other)
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Groups, cfg.Scope.MemberOf = true, nil })
	w.refresh(mirror.Options{}, mirror.Unchanged)
	tenant.RemoveGroup(quiet)
	w.round()
	told("removed")
}
