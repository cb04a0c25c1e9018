package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// taken writes a configuration and waits until it is in force.
func (b *bridge) taken(text string) {
	b.t.Helper()
	before := strings.Count(b.logged(), "configuration is in force")
	b.write("config.yaml", text)
	b.eventually("the edit is taken", func() error {
		if n := strings.Count(b.logged(), "configuration is in force"); n == before {
			return fmt.Errorf("it is not:\n%s", tail(b.logged(), 500))
		}
		return nil
	})
}

// heldBy gives the sources that the status says are held from each client.
func (b *bridge) heldBy() string {
	b.t.Helper()
	_, text := b.get(b.admin+"/api/v1/status", nil)
	var st struct {
		Clients []struct {
			Name string
			Held []struct{ Source string }
		}
	}
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, c := range st.Clients {
		for _, h := range c.Held {
			all = append(all, c.Name+" "+h.Source)
		}
	}
	return strings.Join(all, ", ")
}

// wantHeld checks what is held, in the status and as a metric.
func (b *bridge) wantHeld(want string) {
	b.t.Helper()
	if got := b.heldBy(); got != want {
		b.t.Errorf("held is %q, want %q", got, want)
	}
	sum := 0
	_, metrics := b.get(b.admin+"/metrics", nil)
	for line := range strings.Lines(metrics) {
		var n int
		if name, value, ok := strings.Cut(line, "} "); ok && strings.HasPrefix(name, "scim_bridge_client_held_sources{") {
			fmt.Sscan(value, &n)
			sum += n
		}
	}
	n := 0
	if want != "" {
		n = strings.Count(want, ",") + 1
	}
	if sum != n {
		b.t.Errorf("the metric says that %d are held, want %d", sum, n)
	}
}

// An edit of the file takes nobody from a client that was shown them: a shorter
// list of sources, a list where there was none, a source that leaves the file.
func TestNarrowingWaitsForApproval(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 51, Domain: "contoso.example"}, 30, 4))
	fabrikam := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 52, Domain: "fabrikam.example"}, 20, 3))
	northwind := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 53, Domain: "northwind.example"}, 15, 2))
	every := []*tenantServer{contoso, fabrikam, northwind}
	b, all, fab, two := newTenantsBridge(t)
	idle := limited{b, "the-token-of-the-client-idle"}
	b.write("idle.token", idle.token)
	sources := []string{contoso.source("contoso", "interval: 1h"), fabrikam.source("fabrikam", "interval: 1h"), northwind.source("northwind", "interval: 1h")}
	clients := func(fab, two, idle string) string {
		return fmt.Sprintf(`    - {name: fab, token_file: fab.token, sources: [%s]}
    - {name: two, token_file: two.token, sources: [%s]}
    - {name: idle, token_file: idle.token, sources: [%s]}
`, fab, two, idle)
	}
	sees := func(name string, c limited, tenants ...*tenantServer) {
		t.Helper()
		checkSight(t, name, c, tenants, every)
	}
	b.write("config.yaml", config(clients("fabrikam", "contoso, northwind", "contoso, northwind"), sources...))
	b.start()
	b.ready()
	sees("two", two, contoso, northwind)
	sees("fab", fab, fabrikam)
	sees("importer", all, every...)

	narrowed := config(clients("fabrikam, contoso", "contoso", "contoso"), sources...)
	t.Run("a shorter list keeps what the client was shown; a longer one counts at once", func(t *testing.T) {
		b.taken(narrowed)
		b.expectLog(`client's list of sources is shorter.*client=two.*northwind \(15 users, 2 groups\)`)
		sees("two", two, contoso, northwind)
		sees("fab", fab, fabrikam, contoso)
		sees("idle", idle, contoso) // it was never shown anybody of northwind
		b.wantHeld("two northwind")
	})
	t.Run("it is told everywhere", func(t *testing.T) {
		for _, tt := range []struct {
			args []string
			want string
		}{
			{[]string{"reload"}, "HELD: client two is still shown northwind (15 users, 2 groups)"},
			{[]string{"status"}, "client two: HELD: its list of sources no longer has northwind"},
			{[]string{"held", "--client", "two"}, "the client's list of sources no longer has this one"},
			{[]string{"held", "--client", "two"}, "northwind: generation 1 to none\n"},
			{[]string{"held", "--client", "fab"}, "fab: nothing is held"},
			{[]string{"explain", someone(northwind)}, "its list of sources no longer has northwind, which waits for scim-bridge approve --client two"},
		} {
			if status, stdout, stderr := b.runDaemon(tt.args...); status != 0 || !strings.Contains(stdout, tt.want) {
				t.Errorf("%s has status %d and says:\n%s%s", tt.args, status, stdout, stderr)
			}
		}
		if _, page := b.get(b.admin+"/", nil); !strings.Contains(page, "The list of sources of client two is shorter") || !strings.Contains(page, `action="/api/v1/clients/two/approve"`) {
			t.Error("it is not on the page")
		}
	})
	t.Run("a kill does not let it through", func(t *testing.T) {
		b.kill()
		b.start()
		b.ready()
		b.expectLog(`client's list of sources is shorter.*client=two`)
		sees("two", two, contoso, northwind)
		sees("idle", idle, contoso)
		b.wantHeld("two northwind")
	})
	t.Run("to put it back ends it", func(t *testing.T) {
		b.taken(config(clients("fabrikam", "contoso, northwind", "contoso"), sources...))
		b.wantHeld("fab contoso")
		b.taken(narrowed)
		b.wantHeld("two northwind")
	})
	t.Run("what is not held is not approved", func(t *testing.T) {
		for _, tt := range []struct {
			args []string
			want string
		}{
			{[]string{"--client", "nobody"}, `there is no client "nobody"; there are: importer, fab, two, idle`},
			{[]string{"--client", "fab"}, "nothing is held from client fab"},
			{[]string{"--client", "two", "--source", "contoso"}, "source contoso is not held from client two; held are: northwind"},
		} {
			if status, _, stderr := b.runDaemon(append([]string{"approve"}, tt.args...)...); status != 1 || !strings.Contains(stderr, tt.want) {
				t.Errorf("approve %s has status %d and says %s", tt.args, status, stderr)
			}
		}
		b.wantHeld("two northwind")
	})
	t.Run("an approval ends imports of before, and nobody is left out of the next", func(t *testing.T) {
		first := two.page("/Users?startIndex=1&count=10", "")
		cursor := two.page("/Users?cursor&count=10", "").NextCursor
		_, header, _ := two.ask("/Users?count=100", "")
		status, stdout, stderr := b.runDaemon("approve", "--client", "two")
		if status != 0 || !strings.Contains(stdout, "two: no longer sees northwind (15 users, 2 groups)") {
			t.Fatalf("approve has status %d: %s%s", status, stdout, stderr)
		}
		b.expectLog(`client is no longer shown sources.*client=two.*by=`)
		if status, _, text := two.ask(fmt.Sprintf("/Users?startIndex=%d&count=10", len(first.Resources)+1), ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "start again with startIndex=1") {
			t.Errorf("the next page by index is %d %s", status, text)
		}
		if status, _, text := two.ask("/Users?count=10&cursor="+url.QueryEscape(cursor), ""); status != http.StatusBadRequest || !strings.Contains(text, "invalidCursor") {
			t.Errorf("the next page by cursor is %d %s", status, text)
		}
		if status := two.conditional("/Users?count=100", header.Get("ETag")); status != http.StatusOK {
			t.Errorf("with the tag of before it is answered %d", status)
		}
		sees("two", two, contoso)
		b.wantHeld("")
		b.kill()
		b.start()
		b.ready()
		sees("two", two, contoso)
		b.wantHeld("")
	})
	t.Run("a list for who saw everything, and a client that was away", func(t *testing.T) {
		limit := func(text string) string {
			return strings.Replace(text, "{name: importer, token_file: client.token}", "{name: importer, token_file: client.token, sources: [contoso]}", 1)
		}
		b.taken(limit(narrowed))
		sees("importer", all, every...)
		b.wantHeld("importer fabrikam, importer northwind")
		b.taken(strings.Replace(narrowed, "    - {name: importer, token_file: client.token}\n", "", 1))
		if status, _, _ := all.ask("/Users", ""); status != http.StatusUnauthorized {
			t.Errorf("a client that left the file is answered %d", status)
		}
		b.wantHeld("")
		b.taken(limit(narrowed))
		sees("importer", all, every...)
		if status, stdout, stderr := b.runDaemon("approve", "--client", "importer", "--source", "fabrikam"); status != 0 {
			t.Fatalf("approve: %s%s", stdout, stderr)
		}
		sees("importer", all, contoso, northwind)
		b.wantHeld("importer northwind")
		b.taken(narrowed)
		sees("importer", all, every...)
	})
	t.Run("a source that leaves the file stays until it is dropped, for clients with a list too", func(t *testing.T) {
		b.taken(config(clients("fabrikam", "contoso, northwind", "contoso"), sources...))
		sees("two", two, contoso, northwind)
		if status, stdout, stderr := b.runDaemon("approve", "--client", "fab"); status != 0 {
			t.Fatalf("approve: %s%s", stdout, stderr)
		}
		b.taken(config(clients("fabrikam", "contoso", "contoso"), sources[:2]...))
		for range 2 {
			sees("two", two, contoso, northwind)
			sees("importer", all, every...)
			sees("fab", fab, fabrikam)
			sees("idle", idle, contoso)
			b.wantHeld("two northwind")
			b.kill()
			b.start()
			b.ready()
		}
		if status, stdout, stderr := b.runDaemon("approve", "--source", "northwind"); status != 0 || !strings.Contains(stdout, "dropped") {
			t.Fatalf("approve has status %d: %s%s", status, stdout, stderr)
		}
		sees("two", two, contoso)
		sees("importer", all, contoso, fabrikam)
		b.wantHeld("")
	})
	t.Run("one of its name is another one", func(t *testing.T) {
		b.taken(config(clients("fabrikam", "contoso", "contoso"), sources...))
		b.ready()
		sees("two", two, contoso)
		sees("importer", all, every...)
		b.wantHeld("")
	})
}

// conditional asks for what differs from a tag, and gives the status.
func (c limited) conditional(path, tag string) int {
	c.b.t.Helper()
	req, err := http.NewRequestWithContext(c.b.t.Context(), http.MethodGet, c.b.scim+path, nil)
	if err != nil {
		c.b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("If-None-Match", tag)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.b.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}
