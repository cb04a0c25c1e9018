package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// active counts the users whom an importer would see as active.
func (b *bridge) active() int {
	b.t.Helper()
	var page struct{ TotalResults int }
	b.scimGet("/Users?count=0&filter=active%20eq%20true", &page)
	return page.TotalResults
}

func (b *bridge) groups() int {
	b.t.Helper()
	var page struct{ TotalResults int }
	b.scimGet("/Groups?count=0", &page)
	return page.TotalResults
}

// What would take too many people away is held: shown, kept over a kill, and let
// through by a person only.
func TestMassRemovalIsHeld(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 31}, 200, 12))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	before := b.active()

	var leavers []string
	for u := range tenant.Users() {
		if u.Bool("accountEnabled") && len(leavers) < 60 {
			leavers = append(leavers, u.ID)
		}
	}
	for _, id := range leavers {
		tenant.RemoveUser(id)
	}
	if got := b.sync("contoso"); got != "held" {
		t.Fatalf("the round ended %q, want held", got)
	}
	unchanged := func() {
		t.Helper()
		if got := b.active(); got != before {
			t.Errorf("%d users are active, want %d as before", got, before)
		}
	}
	unchanged()
	_, stdout, _ := b.runDaemon("status")
	if !strings.Contains(stdout, "is HELD since") || !strings.Contains(stdout, fmt.Sprintf("60 of %d users would disappear or turn inactive", before)) {
		t.Errorf("status says:\n%s", stdout)
	}

	if _, stdout, _ := b.runDaemon("held"); strings.Count(stdout, "removed in the tenant") < 60 {
		t.Errorf("held says:\n%s", stdout)
	}

	t.Run("a kill does not let it through", func(t *testing.T) {
		b.kill()
		b.start()
		b.ready()
		if got := b.sync("contoso"); got != "held" {
			t.Errorf("after a restart the round ended %q", got)
		}
		unchanged()
	})
	t.Run("the approval of another round is refused", func(t *testing.T) {
		if status, _, stderr := b.runDaemon("approve", "999"); status != 1 || !strings.Contains(stderr, "round 999 of source contoso is not held") {
			t.Errorf("status %d: %s", status, stderr)
		}
		unchanged()
	})
	t.Run("a request from another site does not approve", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, b.admin+"/api/v1/sources/contoso/approve", nil)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("it is answered %s", res.Status)
		}
		if status, _ := b.get(b.admin+"/api/v1/sources/contoso/approve", nil); status != http.StatusMethodNotAllowed && status != http.StatusNotFound {
			t.Errorf("a GET is answered %d", status)
		}
		unchanged()
	})
	t.Run("the approval lets it through, once", func(t *testing.T) {
		if status, stdout, stderr := b.runDaemon("approve"); status != 0 || !strings.Contains(stdout, "60 deactivated") {
			t.Fatalf("approve has status %d: %s%s", status, stdout, stderr)
		}
		if got := b.active(); got != before-60 {
			t.Errorf("%d users are active, want %d", got, before-60)
		}
		var u struct {
			Active bool
			Groups []any
		}
		b.scimGet("/Users/"+leavers[0], &u)
		if u.Active || len(u.Groups) > 0 {
			t.Errorf("a leaver is served as %+v", u)
		}
		if status, _, stderr := b.runDaemon("approve"); status != 1 || !strings.Contains(stderr, "no round of source contoso is held") {
			t.Errorf("a second approval has status %d: %s", status, stderr)
		}
	})
	t.Run("groups that are turned off are held as well, and come back as they were", func(t *testing.T) {
		groups := b.groups()
		b.configure(tenant.source("contoso", "interval: 1h", "groups: {enabled: false}"))
		b.eventually("it is held", func() error {
			if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, fmt.Sprintf("all %d groups would disappear", groups)) {
				return fmt.Errorf("%s", stdout)
			}
			return nil
		})
		if got := b.groups(); got != groups {
			t.Errorf("%d groups are served, want %d", got, groups)
		}
		b.configure(tenant.source("contoso", "interval: 1h"))
		b.eventually("nothing is held any more", func() error {
			if _, stdout, _ := b.runDaemon("status"); strings.Contains(stdout, "HELD") || !strings.Contains(stdout, "up to date") {
				return fmt.Errorf("%s", stdout)
			}
			return nil
		})
		if got := b.groups(); got != groups {
			t.Errorf("%d groups are served, want %d", got, groups)
		}
	})
}

// A tenant that answers with half of its people, or with nobody, and status 200,
// takes nobody away.
func TestTenantThatForgets(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{"half": graphtest.Half(), "empty": graphtest.Empty()} {
		t.Run(name, func(t *testing.T) {
			tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 32}, 150, 10))
			b := newBridge(t)
			b.configure(tenant.source("contoso", "interval: 1h"))
			b.start()
			b.ready()
			users, groups := b.active(), b.groups()
			tenant.Inject(fault.Forever())
			res, err := http.Post(b.admin+"/api/v1/sources/contoso/sync?full=1", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if u, g := b.active(), b.groups(); u != users || g != groups {
				t.Errorf("%d users and %d groups are left of %d and %d", u, g, users, groups)
			}
			tenant.ClearFaults()
			if got := b.sync("contoso"); got != "published" && got != "unchanged" {
				t.Errorf("the next round: %s", got)
			}
			if u, g := b.active(), b.groups(); u != users || g != groups {
				t.Errorf("%d users and %d groups are served after it, want %d and %d", u, g, users, groups)
			}
		})
	}
}

// While a source is frozen nothing changes in the endpoint; afterwards all that
// has come meanwhile is there.
func TestFreeze(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 33}, 60, 6))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	if status, _, stderr := b.runDaemon("freeze"); status != 0 {
		t.Fatalf("freeze: %s", stderr)
	}
	id := tenant.SetUser(map[string]any{"displayName": "New", "userPrincipalName": "new@" + tenant.Domain(), "accountEnabled": true})
	if got := b.sync("contoso"); got != "frozen" {
		t.Errorf("the round ended %q", got)
	}
	b.kill()
	b.start()
	b.ready()
	if status, _ := b.get(b.scim+"/Users/"+id, nil); status != http.StatusNotFound {
		t.Errorf("the new user is answered %d although the source is frozen", status)
	}
	if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, "FROZEN since") {
		t.Errorf("status says:\n%s", stdout)
	}
	if status, stdout, stderr := b.runDaemon("unfreeze"); status != 0 || !strings.Contains(stdout, "contoso: no longer frozen\n") {
		t.Fatalf("unfreeze: %s%s", stdout, stderr)
	}
	if status, _ := b.get(b.scim+"/Users/"+id, nil); status != http.StatusOK {
		t.Errorf("the new user is answered %d after the freeze", status)
	}
}

// A second daemon on the same state says who has it, and does no harm.
func TestTwoDaemonsOnOneState(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 34}, 30, 3))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	status, _, stderr := b.run("serve")
	if want := fmt.Sprintf("is in use by process %d", b.cmd.Process.Pid); status != 1 || !strings.Contains(stderr, want) {
		t.Errorf("the second has status %d and says %s", status, stderr)
	}
	if got := b.sync("contoso"); !slices.Contains([]string{"published", "unchanged"}, got) {
		t.Errorf("the first one's round: %s", got)
	}
}
