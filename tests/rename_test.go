package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// wants has a client be served a list with just these versions, by id.
func (c limited) wants(when, kind string, versions map[string]string) {
	c.b.t.Helper()
	if got := c.versions(kind); !maps.Equal(got, versions) {
		c.b.t.Errorf("%s: %d %s are served, or with other versions; want %d", when, len(got), kind, len(versions))
	}
}

// versions gives everybody in a list by id, with meta.version.
func (c limited) versions(kind string) map[string]string {
	c.b.t.Helper()
	_, _, text := c.ask("/"+kind+"?count=1000", "")
	var page struct {
		Resources []struct {
			ID   string
			Meta struct{ Version string }
		}
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		c.b.t.Fatalf("%v: %s", err, text)
	}
	all := make(map[string]string)
	for _, r := range page.Resources {
		if all[r.ID] != "" {
			c.b.t.Errorf("%s came twice", r.ID)
		}
		all[r.ID] = r.Meta.Version
	}
	return all
}

// watch begins to watch that a client never finds another number of users. What it
// gives ends that, and tells what else was found.
func (c limited) watch(want int) (stop func() (wrong []string)) {
	ctx, cancel := context.WithCancel(c.b.t.Context())
	var ended sync.WaitGroup
	var wrong []string
	ended.Go(func() {
		for ctx.Err() == nil {
			if fault := c.count(ctx, want); fault != "" && ctx.Err() == nil {
				wrong = append(wrong, fault)
			}
		}
	})
	end := func() { cancel(); ended.Wait() }
	c.b.t.Cleanup(end)
	return func() []string { end(); return wrong }
}

// count asks how many users there are, and says what is wrong with the answer.
func (c limited) count(ctx context.Context, want int) (fault string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.b.scim+"/Users?count=0", nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	var page struct{ TotalResults int }
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || res.StatusCode != http.StatusOK || page.TotalResults != want {
		return fmt.Sprintf("%s, %d users, %v", res.Status, page.TotalResults, err)
	}
	return ""
}

// A source that gets another name goes on as it was: nobody is there twice, nobody
// is gone for a moment, and nothing is read again.
func TestSourceIsRenamed(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 61, Domain: "contoso.example"}, 60, 6))
	fabrikam := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 62, Domain: "fabrikam.example"}, 20, 3))
	northwind := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 63, Domain: "northwind.example"}, 15, 2))
	b, all, fab, two := newTenantsBridge(t)
	others := fabrikam.source("fabrikam", "interval: 1h") + northwind.source("northwind", "interval: 1h")
	file := func(name, list string) string {
		return config("    - {name: fab, token_file: fab.token, sources: [fabrikam]}\n    - {name: two, token_file: two.token, sources: ["+list+"]}\n  public_url: https://scim.example.com/scim/v2\n",
			contoso.source(name, "interval: 1h"), others)
	}
	b.write("config.yaml", file("contoso", "contoso, northwind"))
	b.start()
	b.ready()
	for _, source := range []string{"contoso", "fabrikam", "northwind"} {
		b.sync(source)
	}
	users := all.versions("Users")
	groups := all.versions("Groups")
	twoUsers := two.versions("Users")
	same := func(when string) {
		t.Helper()
		all.wants(when, "Users", users)
		all.wants(when, "Groups", groups)
		two.wants(when+", for two", "Users", twoUsers)
		if got := len(fab.versions("Users")); got != fabrikam.UserCount() {
			t.Errorf("%s: fab sees %d users", when, got)
		}
		_, status, _ := b.runDaemon("status")
		if strings.Contains(status, "no longer in the file") || strings.Contains(status, "HELD") {
			t.Errorf("%s: status says:\n%s", when, status)
		}
	}
	first := all.page("/Users?startIndex=1&count=10", "")

	watched := all.watch(len(users))
	b.taken(file("acme", "acme, northwind"))
	b.expectLog(`source has another name and goes on as it was.*source=acme.*formerly=contoso`)
	b.ready()
	if got := b.sync("acme"); got != "unchanged" {
		t.Errorf("the first round under the new name: %s", got)
	}
	if wrong := watched(); len(wrong) > 0 {
		t.Errorf("while the name changed: %d times something else, such as %s", len(wrong), wrong[0])
	}
	same("under the new name")
	if got := all.page(fmt.Sprintf("/Users?startIndex=%d&count=10", len(first.Resources)+1), ""); got.TotalResults != len(users) {
		t.Errorf("the import that was under way goes on with %d users", got.TotalResults)
	}
	if strings.Contains(b.logged(), "source=acme round=1 ") {
		t.Error("it was imported anew")
	}

	b.kill()
	b.start()
	b.ready()
	same("after a kill")

	// Back again, while the daemon is stopped, and with a leaver and a joiner.
	if status := b.stop(); status != 0 {
		t.Fatalf("it ended with %d", status)
	}
	leaver := someone(contoso)
	contoso.RemoveUser(leaver)
	joiner := contoso.SetUser(map[string]any{"displayName": "Joiner", "userPrincipalName": "joiner@contoso.example", "accountEnabled": true})
	b.write("config.yaml", file("contoso", "contoso, northwind"))
	b.start()
	b.ready()
	b.expectLog(`source has another name and goes on as it was.*source=contoso.*formerly=acme`)
	b.sync("contoso")
	got := all.versions("Users")
	if got[joiner] == "" || got[leaver] == "" || got[leaver] == users[leaver] || len(got) != len(users)+1 {
		t.Errorf("after a round %d users are served, the leaver is %q", len(got), got[leaver])
	}

	// The guard judges under the new name as well, and what a client was shown of
	// the old name it was shown of the new.
	n := 0
	for u := range contoso.Users() {
		if n++; n > 30 {
			break
		}
		contoso.RemoveUser(u.ID)
	}
	b.taken(file("acme", "northwind"))
	b.wantHeld("two acme")
	if got := b.sync("acme"); got != "held" {
		t.Errorf("the round that takes half of them: %s", got)
	}
	if after := all.versions("Users"); !maps.Equal(after, got) {
		t.Errorf("%d users are served, want %d", len(after), len(got))
	}
	// A held round is held under the next name.
	b.taken(file("contoso", "contoso, northwind"))
	b.wantHeld("")
	b.eventually("it is held", func() error {
		if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, "contoso: round") || !strings.Contains(stdout, "HELD") {
			return fmt.Errorf("%s", stdout)
		}
		return nil
	})
	if status, stdout, stderr := b.runDaemon("approve", "--source", "contoso"); status != 0 {
		t.Errorf("approve: %s%s", stdout, stderr)
	}
}

// What can't be told is refused, and what is refused leaves all as it was.
func TestRenameThatIsRefused(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 64, Domain: "contoso.example"}, 30, 3))
	b := newBridge(t)
	b.write("wrong.secret", "no secret of anybody's")
	b.configure(contoso.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	b.sync("contoso")
	all := limited{b, bridgeToken}
	users := all.versions("Users")
	b.configure(strings.Replace(contoso.source("acme", "interval: 1h"), "tenant.secret", "wrong.secret", 1))
	b.expectLog(`configuration was not taken`)
	if got := all.versions("Users"); !maps.Equal(got, users) {
		t.Errorf("%d users are served, want %d", len(got), len(users))
	}
	if got := b.sync("contoso"); got != "unchanged" {
		t.Errorf("a round under the old name: %s", got)
	}
}

// A tenant has several names. A source that is renamed in the edit in which its
// tenant gets another one goes on as it was all the same.
func TestSourceIsRenamedWithItsTenant(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 65, Domain: "contoso.example"}, 40, 4))
	fabrikam := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 66, Domain: "fabrikam.example"}, 10, 2))
	b, all, _, two := newTenantsBridge(t)
	file := func(name, tenant, more string) string {
		return config("    - {name: two, token_file: two.token, sources: ["+name+"]}\n  public_url: https://scim.example.com/scim/v2\n",
			strings.Replace(contoso.source(name, "interval: 1h"), contoso.ID(), tenant, 1), fabrikam.source("fabrikam", "interval: 1h"), more)
	}
	b.write("config.yaml", file("contoso", contoso.ID(), ""))
	b.start()
	b.ready()
	b.sync("contoso")
	users, twoUsers := all.versions("Users"), two.versions("Users")
	same := func(when string) {
		t.Helper()
		all.wants(when, "Users", users)
		two.wants(when+", for two", "Users", twoUsers)
		b.wantHeld("")
	}
	for _, next := range []struct{ name, formerly, tenant string }{
		{"acme", "contoso", "contoso.example"},
		{"contoso", "acme", strings.ToUpper(contoso.ID())},
	} {
		watched := all.watch(len(users))
		b.taken(file(next.name, next.tenant, ""))
		b.expectLog(`source has another name and goes on as it was.*source=` + next.name + `.*formerly=` + next.formerly)
		b.eventually("a round is done", func() error {
			if _, stdout, stderr := b.runDaemon("sync", "--source", next.name); !strings.Contains(stdout, "unchanged") {
				return fmt.Errorf("%s%s", stdout, stderr)
			}
			return nil
		})
		if wrong := watched(); len(wrong) > 0 {
			t.Errorf("while the name changed to %s: %d times something else, such as %s", next.name, len(wrong), wrong[0])
		}
		same("as " + next.name)
	}
	// Over a restart, before the new name was ever read.
	b.stop()
	b.write("config.yaml", file("acme", "contoso.example", ""))
	b.start()
	b.expectLog(`source has another name and goes on as it was.*source=acme.*formerly=contoso`)
	same("after a restart")
	// Another tenant under a domain is another source.
	northwind := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 67, Domain: "northwind.example"}, 15, 2))
	b.taken(file("acme", "contoso.example", strings.Replace(northwind.source("northwind", "interval: 1h"), northwind.ID(), "northwind.example", 1)))
	b.eventually("it is served beside the others", func() error {
		if got := len(all.versions("Users")); got != len(users)+northwind.UserCount() {
			return fmt.Errorf("%d users", got)
		}
		return nil
	})
}
