package tests

import (
	"fmt"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// Sources come and go while the program runs. One that is added is served
// beside the others; one that fails leaves the others alone; one that is turned
// off, or taken out of the file, stays served as it was, until it is dropped on
// purpose: an edit must not deprovision a company.
func TestSourcesComeAndGo(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 21, Domain: "contoso.example"}, 80, 8))
	fabrikam := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 22, Domain: "fabrikam.example"}, 50, 5))
	b := newBridge(t)
	first, second := contoso.source("contoso", "interval: 1h"), fabrikam.source("fabrikam", "interval: 1h")
	b.configure(first)
	b.start()
	b.ready()

	users := func(want int) {
		t.Helper()
		b.eventually(fmt.Sprintf("%d users are served", want), func() error {
			var page struct{ TotalResults int }
			b.scimGet("/Users?count=0", &page)
			if page.TotalResults != want {
				return fmt.Errorf("%d are", page.TotalResults)
			}
			return nil
		})
	}
	explained := func(state string) {
		t.Helper()
		one := someone(fabrikam)
		for _, more := range [][]string{nil, {"--source", "fabrikam"}} {
			status, stdout, stderr := b.runDaemon(append([]string{"explain", strings.ToUpper(one)}, more...)...)
			for _, want := range []string{"(" + one + ") of source fabrikam: ", "served as it was: the source is not pulled (" + state + ")",
				"last changed\n  in the endpoint at ", "in generation 1\n", "importer has ", `"id": "` + one + `"`} {
				if status != 0 || !strings.Contains(stdout, want) {
					t.Errorf("%q is not in what explain says, with status %d:\n%s%s", want, status, stdout, stderr)
				}
			}
		}
		if status, _, stderr := b.runDaemon("explain", "--source", "fabrikam", "nobody"); status != 1 || !strings.Contains(stderr, "source fabrikam is not pulled: "+state) {
			t.Errorf("of nobody explain says, with status %d: %s", status, stderr)
		}
	}
	both := contoso.UserCount() + fabrikam.UserCount()
	users(contoso.UserCount())

	b.configure(first, second)
	users(both)
	if n := len(b.list("/Users", 7)); n != both {
		t.Errorf("%d users are listed, want %d", n, both)
	}

	t.Run("one that fails leaves the other alone", func(t *testing.T) {
		fabrikam.Inject(graphtest.Status(500, true).Forever())
		contoso.SetUser(map[string]any{"displayName": "New", "userPrincipalName": "new@contoso.example", "accountEnabled": true})
		if got := b.sync("contoso"); got != "published" {
			t.Errorf("the round of the other source: %s", got)
		}
		both++
		users(both)
		fabrikam.ClearFaults()
	})
	t.Run("one that is turned off stays served", func(t *testing.T) {
		b.configure(first, fabrikam.source("fabrikam", "interval: 1h", "enabled: false"))
		b.eventually("status says so", func() error {
			if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, "disabled") {
				return fmt.Errorf("it says %s", stdout)
			}
			return nil
		})
		users(both)
		explained("disabled")
	})
	t.Run("one that is taken out stays served, over a restart too, until it is dropped", func(t *testing.T) {
		b.configure(first)
		b.expectLog(`source is no longer in the configuration.*fabrikam`)
		users(both)
		explained("no longer in the file")
		b.kill()
		b.start()
		users(both)
		if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, "no longer in the configuration") {
			t.Errorf("status says:\n%s", stdout)
		}
		if _, stdout, _ := b.runDaemon("held", "--source", "fabrikam"); strings.Count(stdout, ": the source is no longer in the configuration") != fabrikam.UserCount()+fabrikam.GroupCount() {
			t.Errorf("held says:\n%s", stdout)
		}
		for _, command := range []string{"held", "approve"} {
			if status, stdout, stderr := b.runDaemon(command); status != 2 || !strings.Contains(stderr, "name one with --source: contoso, fabrikam (no longer in the file)") {
				t.Errorf("%s without a source has status %d: %s%s", command, status, stdout, stderr)
			}
		}
		if status, _, stderr := b.runDaemon("approve", "--source", "fabrikam", "7"); status != 1 || !strings.Contains(stderr, "round 7 of source fabrikam is not held") {
			t.Errorf("the approval of a round has status %d: %s", status, stderr)
		}
		users(both)
		if status, stdout, stderr := b.runDaemon("approve", "--source", "fabrikam"); status != 0 || !strings.Contains(stdout, "dropped") {
			t.Fatalf("approve has status %d: %s%s", status, stdout, stderr)
		}
		b.expectLog(`source is dropped.*source=fabrikam.*by=".*at the command line"`)
		users(contoso.UserCount())
		if status, stdout, stderr := b.runDaemon("held"); status != 0 || !strings.Contains(stdout, "contoso: nothing is held") {
			t.Errorf("held without a source has status %d: %s%s", status, stdout, stderr)
		}
		b.kill()
		b.start()
		users(contoso.UserCount())
	})
}
