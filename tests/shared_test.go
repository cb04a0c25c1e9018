package tests

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// Two sources of one tenant have the same ids. Who sees both gets each id once, and
// who sees one gets all that it has. So a client whose list goes from one to the
// other has nobody twice, not even while the shorter list waits for approval.
func TestTwoSourcesOfOneTenant(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 71, Domain: "contoso.example"}, 60, 6))
	b, all, _, two := newTenantsBridge(t)
	file := func(list string, sources ...string) string {
		return config("    - {name: two, token_file: two.token, sources: ["+list+"]}\n", sources...)
	}
	whole := contoso.source("contoso", "interval: 1h")
	// The file does not show that it is the same tenant.
	part := strings.Replace(contoso.source("staff", "interval: 1h", "users: {guests: false}", "mapping: {nickName: user.displayName}"), contoso.ID(), "contoso.example", 1)
	b.write("config.yaml", file("contoso", whole))
	b.start()
	b.ready()
	b.sync("contoso")
	users, groups := all.versions("Users"), all.versions("Groups")

	watched := all.watch(len(users))
	b.taken(file("contoso", whole, part))
	b.expectLog(`two sources have the same ids.*source=staff other=contoso`)
	b.sync("staff")
	if wrong := watched(); len(wrong) > 0 {
		t.Errorf("while the second source came: %d times something else, such as %s", len(wrong), wrong[0])
	}
	same := func(when string) {
		t.Helper()
		all.wants(when, "Users", users)
		all.wants(when, "Groups", groups)
	}
	same("with a second source")
	if page := all.page(`/Users?filter=nickName+pr`, ""); page.TotalResults != 0 {
		t.Errorf("%d users are shown as the second source has them", page.TotalResults)
	}
	_, status, _ := b.runDaemon("status")
	if !strings.Contains(status, "IDS OF TWO SOURCES") || !strings.Contains(status, "have the ids of others in source contoso") {
		t.Errorf("status says:\n%s", status)
	}
	if strings.Contains(status, "userName") {
		t.Errorf("status speaks of userNames with two owners:\n%s", status)
	}

	// The list goes from the one to the other.
	seen := two.versions("Users")
	b.taken(file("staff", whole, part))
	b.wantHeld("two contoso")
	if got := two.versions("Users"); !maps.Equal(got, seen) {
		t.Errorf("while the shorter list waits %d users are seen, or with other versions; want %d", len(got), len(seen))
	}
	if status, stdout, stderr := b.runDaemon("approve", "--client", "two"); status != 0 {
		t.Fatalf("approve: %s%s", stdout, stderr)
	}
	after := two.versions("Users")
	if page := two.page(`/Users?filter=nickName+pr`, ""); page.TotalResults != len(after) || len(after) == 0 || len(after) >= len(seen) {
		t.Errorf("of the other source %d of %d users are seen, of %d", page.TotalResults, len(after), len(seen))
	}
	same("after the approval")

	// The first one leaves the file: the other one stands first then.
	b.taken(file("staff", part))
	if got := all.versions("Users"); len(got) != len(users) {
		t.Errorf("when the first source left %d users are served, want %d", len(got), len(users))
	}
	if page := all.page(`/Users?filter=nickName+pr`, ""); page.TotalResults != len(after) {
		t.Errorf("then %d users are shown of the other, want %d", page.TotalResults, len(after))
	}
	if status, stdout, stderr := b.runDaemon("approve", "--source", "contoso"); status != 0 {
		t.Fatalf("dropping: %s%s", stdout, stderr)
	}
	b.eventually("only the other is served", func() error {
		if got := all.versions("Users"); !maps.Equal(got, after) {
			return fmt.Errorf("%d users, want %d", len(got), len(after))
		}
		return nil
	})
}
