package mirror_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// dropState takes the database away, or puts files in its place.
func (w *world) dropState(files map[string][]byte) {
	w.t.Helper()
	w.close()
	old, err := filepath.Glob(filepath.Join(w.dir, "scim-bridge.db*"))
	if err != nil || len(old) == 0 {
		w.t.Fatalf("the database is not found: %v", err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	w.open()
}

// stateFiles gives the database's files as they are now.
func (w *world) stateFiles() map[string][]byte {
	w.t.Helper()
	w.close()
	files := make(map[string][]byte)
	paths, _ := filepath.Glob(filepath.Join(w.dir, "scim-bridge.db*"))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		files[filepath.Base(path)] = data
	}
	w.open()
	return files
}

// A database that was lost, or an older copy that was put back, takes nobody
// away: the picture stays until the tenant was read again, and then it is the
// tenant's.
func TestALostOrOlderDatabase(t *testing.T) {
	for name, older := range map[string]bool{"lost": false, "older": true} {
		t.Run(name, func(t *testing.T) {
			tenant, users, group := company(40)
			w := newWorld(t, tenant, nil)
			w.round()
			copied := w.stateFiles()
			tenant.RemoveUser(users[0])
			tenant.RemoveMember(group, users[1])
			late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "displayName": "Late", "accountEnabled": true})
			tenant.AddMember(group, late)
			w.round()
			w.counts(41, 40, 1)
			before := w.content()
			if !older {
				copied = nil
			}
			w.dropState(copied)
			if _, err := w.mirror.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.content() != before {
				t.Error("what is served changed before the tenant was read")
			}
			tenant.Inject(graphtest.Status(503, true).On("groups").Forever())
			w.refresh(mirror.Options{}, mirror.Failed)
			if w.content() != before {
				t.Error("what is served changed by a round that failed")
			}
			tenant.ClearFaults()
			if report, err := w.mirror.Refresh(t.Context(), mirror.Options{}); err != nil || report.Outcome == mirror.Held {
				t.Fatalf("the next round: %s, %v", report.Outcome, err)
			}
			if g, _ := w.user(group); len(g.Members) != 39 {
				t.Errorf("the group has %d members, want 39", len(g.Members))
			}
			if u, ok := w.user(late); !ok || !u.Active || len(u.Groups) != 1 {
				t.Errorf("who came late is served as %+v", u)
			}
			if u, ok := w.user(users[0]); ok && u.Active {
				t.Error("who was removed is active")
			}
		})
	}
}

// A source that is pointed at another tenant would lose everybody: it is held.
func TestAnotherTenantUnderTheSameName(t *testing.T) {
	tenant, _, _ := company(30)
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	other := graphtest.NewTenant(graphtest.Options{Seed: 2, PageSize: 7})
	for range 30 {
		other.SetUser(map[string]any{"userPrincipalName": "x@fabrikam.example", "displayName": "X", "accountEnabled": true})
	}
	w.configure(func(cfg *mirror.Config) {
		cfg.Tenant = other.ID()
		cfg.Graph = newClient(t, other, cfg.Mapper)
	})
	for range 2 {
		report := w.refresh(mirror.Options{}, mirror.Held)
		if !strings.Contains(report.Verdict.Summary(), "30 of 30 users") && !strings.Contains(report.Verdict.Summary(), "all") {
			t.Errorf("it says %q", report.Verdict.Summary())
		}
		if w.content() != before {
			t.Error("what is served changed")
		}
	}
}

// Devices, service principals and contacts are members in Graph and nobody here;
// a manager who leaves the scope is named for as long as she is kept inactive.
func TestWhoIsNamedAndNotServed(t *testing.T) {
	tenant, users, group := company(20)
	for _, typ := range []string{"device", "servicePrincipal", "orgContact"} {
		tenant.AddMember(group, tenant.AddObject(typ, map[string]any{"displayName": "a " + typ}))
	}
	tenant.SetManager(users[1], users[0])
	w := newWorld(t, tenant, nil)
	w.round()
	if g, _ := w.user(group); len(g.Members) != 20 {
		t.Errorf("the group has %d members, want its 20 users", len(g.Members))
	}
	for edge, err := range w.store.Members(t.Context(), "contoso", group) {
		if err != nil {
			t.Fatal(err)
		}
		if edge.Type == "" || edge.Type == "group" {
			t.Errorf("a member is stored as %q", edge.Type)
		}
	}
	managed := `"manager":{"value":"` + users[0]
	if strings.Count(w.content(), managed) != 1 {
		t.Errorf("the manager is named %d times", strings.Count(w.content(), managed))
	}
	r, _ := w.picture.Current().ByID(users[1])
	version, modified := r.Version(), r.LastModified()
	tenant.SetUser(map[string]any{"id": users[0], "userType": "Guest"})
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Guests = false })
	w.round()
	if u, _ := w.user(users[0]); u.Active {
		t.Error("the manager, a guest now, is active")
	}
	r, _ = w.picture.Current().ByID(users[1])
	if r.Version() != version || !r.LastModified().Equal(modified) || strings.Count(w.content(), managed) != 1 {
		t.Error("whom she manages has changed")
	}
	// Removed in the tenant she is nobody's manager any more, as it tells.
	tenant.RemoveUser(users[0])
	tenant.PurgeUser(users[0])
	if _, err := w.mirror.Refresh(t.Context(), mirror.Options{Full: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.content(), managed) {
		t.Error("she is somebody's manager still")
	}
	if state, err := w.store.Source(t.Context(), "contoso"); err != nil || state.Users != 19 {
		t.Errorf("%d users are stored, %v", state.Users, err)
	}
}

// What publishes without reading the tenant, an edit or an approval, makes the data
// no younger, and a tenant that can't be read is no better for it.
func TestOnlyReadingIsASuccess(t *testing.T) {
	tenant, users, _ := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	w.configure(func(cfg *mirror.Config) { cfg.Scope.Exclude = users[:1] })
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Published {
		t.Fatalf("an edit is %s, %v", report.Outcome, err)
	}
	if s := w.mirror.Status(); !s.LastSuccess.IsZero() || s.State != mirror.Current {
		t.Errorf("after an edit: %s, last success at %v", s.State, s.LastSuccess)
	}

	for _, id := range users[5:15] {
		tenant.RemoveUser(id)
	}
	w.refresh(mirror.Options{}, mirror.Held)
	read := w.mirror.Status().LastSuccess
	tenant.Inject(graphtest.Status(http.StatusInternalServerError, true).Forever())
	w.refresh(mirror.Options{}, mirror.Failed)
	before := w.mirror.Status()
	if report, err := w.mirror.Approve(t.Context(), 0, "ada"); err != nil || report.Outcome != mirror.Approved {
		t.Fatalf("approving: %s, %v", report.Outcome, err)
	}
	s := w.mirror.Status()
	if read.IsZero() || !s.LastSuccess.Equal(read) {
		t.Errorf("the last success is at %v, want %v", s.LastSuccess, read)
	}
	if s.State != mirror.Failing || s.Failures != 1 || !s.FailedSince.Equal(before.FailedSince) || s.Last.Err == nil {
		t.Errorf("after an approval: %s, %d failures since %v, %v", s.State, s.Failures, s.FailedSince, s.Last.Err)
	}
	tenant.ClearFaults()
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if s := w.mirror.Status(); s.State != mirror.Current || s.Failures != 0 || !s.LastSuccess.After(read) {
		t.Errorf("after a round: %s, %d failures, last success at %v", s.State, s.Failures, s.LastSuccess)
	}
}

// The rounds of a new database are not those that a picture knows, though they have
// their numbers.
func TestALostDatabaseOfAsManyRounds(t *testing.T) {
	tenant, users, group := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	w.dropState(nil)
	tenant.RemoveUser(users[0])
	late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "displayName": "Late", "accountEnabled": true})
	tenant.AddMember(group, late)
	if report := w.round(); report.Round != 1 {
		t.Fatalf("it is round %d", report.Round)
	}
	if u, ok := w.user(users[0]); ok && u.Active {
		t.Error("who was removed is active")
	}
	if u, ok := w.user(late); !ok || len(u.Groups) != 1 {
		t.Errorf("who came late is served as %+v", u)
	}
}
