package tests

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// A dry run tells what a round would do and does nothing; diff tells what was
// done; a rollback undoes it, and keeps it undone until somebody says otherwise.
func TestDryRunDiffAndRollback(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 41}, 80, 6))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	before := b.list("/Users", 100)

	var promoted, leaver graphtest.Object
	for u := range tenant.Users() {
		switch {
		case !u.Bool("accountEnabled"):
		case promoted.ID == "":
			promoted = u
		case leaver.ID == "":
			leaver = u
		}
	}
	tenant.UpdateUser(promoted.ID, map[string]any{"jobTitle": "Chief of Everything"})
	tenant.RemoveUser(leaver.ID)
	hired := tenant.SetUser(map[string]any{"displayName": "New Hire", "userPrincipalName": "new.hire@" + tenant.Domain(), "accountEnabled": true})

	command := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := b.runDaemon(args...)
		if status != want {
			t.Fatalf("%v has status %d: %s%s", args, status, stdout, stderr)
		}
		return stdout + stderr
	}
	same := func() {
		t.Helper()
		after := b.list("/Users", 100)
		if len(after) != len(before) {
			t.Errorf("%d users are served, want %d", len(after), len(before))
		}
		for id, raw := range before {
			if string(after[id]) != string(raw) {
				t.Errorf("user %s changed:\n%s\n%s", id, raw, after[id])
			}
		}
	}

	dry := command(0, "sync", "--dry-run")
	for _, want := range []string{"nothing was changed", "Chief of Everything", "new.hire@", leaver.Text("userPrincipalName"), "removed in the tenant"} {
		if !strings.Contains(dry, want) {
			t.Errorf("the dry run does not tell of %q:\n%s", want, dry)
		}
	}
	same()
	var rehearsal struct {
		Diff struct{ Changes []struct{ Kind, ID string } }
	}
	if err := json.Unmarshal([]byte(command(0, "sync", "--dry-run", "--json")), &rehearsal); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, c := range rehearsal.Diff.Changes {
		kinds[c.ID] = c.Kind
	}
	if kinds[hired] != "added" || kinds[promoted.ID] != "changed" || kinds[leaver.ID] != "deactivated" {
		t.Errorf("changes are %v", kinds)
	}

	if got := b.sync("contoso"); got != "published" {
		t.Fatalf("the round: %s", got)
	}
	if list := command(0, "diff"); !strings.Contains(list, "served now") || strings.Count(list, "\n") != 3 {
		t.Errorf("generations:\n%s", list)
	}
	if diff := command(0, "diff", "1"); !strings.Contains(diff, "Chief of Everything") || !strings.Contains(diff, "new.hire@") {
		t.Errorf("diff:\n%s", diff)
	}
	if out := command(1, "diff", "77"); !strings.Contains(out, "generation 77 of source contoso is not kept; generations 1 to 2 are") {
		t.Errorf("diff of what is not kept: %s", out)
	}

	if out := command(0, "rollback", "1"); !strings.Contains(out, "rolled back") {
		t.Errorf("rollback: %s", out)
	}
	check := func(title string, leaverActive bool, hiredStatus int) {
		t.Helper()
		var u struct {
			Title  string
			Active bool
		}
		b.scimGet("/Users/"+promoted.ID, &u)
		if u.Title != title {
			t.Errorf("title is %q, want %q", u.Title, title)
		}
		b.scimGet("/Users/"+leaver.ID, &u)
		if u.Active != leaverActive {
			t.Errorf("the leaver's active is %t", u.Active)
		}
		if status, _ := b.get(b.scim+"/Users/"+hired, nil); status != hiredStatus {
			t.Errorf("the hired one is answered %d, want %d", status, hiredStatus)
		}
	}
	check(promoted.Text("jobTitle"), true, 404)
	if got := b.sync("contoso"); got != "frozen" {
		t.Errorf("a round after the rollback: %s", got)
	}
	check(promoted.Text("jobTitle"), true, 404)
	// An incremental import sees what was undone.
	var changed struct{ Resources []struct{ ID string } }
	b.scimGet(fmt.Sprintf("/Users?filter=meta.lastModified%%20gt%%20%%22%s%%22", lastModified(t, before[leaver.ID])), &changed)
	if len(changed.Resources) < 2 {
		t.Errorf("an incremental import sees %v", changed.Resources)
	}
	command(0, "unfreeze")
	if out := command(0, "unfreeze"); !strings.Contains(out, "not frozen; there was nothing to unfreeze") || strings.Contains(out, "no longer") {
		t.Errorf("unfreezing twice: %s", out)
	}
	command(0, "freeze")
	if out := command(0, "unfreeze"); !strings.Contains(out, "no longer frozen") {
		t.Errorf("unfreezing after nothing: %s", out)
	}
	check("Chief of Everything", false, 200)
	if out := command(0, "held"); !strings.Contains(out, "nothing is held") {
		t.Errorf("held: %s", out)
	}
}

func lastModified(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var r struct{ Meta struct{ LastModified string } }
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return r.Meta.LastModified
}
