package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An import that is under way when the program ends goes on after the restart,
// on the picture that it began with: nobody is lost at the page boundary, though
// the directory has changed meanwhile.
func TestImportGoesOnAfterARestart(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, by := range []string{"index", "cursor"} {
			t.Run(fmt.Sprint(end, " by ", by), func(t *testing.T) {
				tenant := startTenant(t, smallCompany(81))
				b := newBridge(t)
				// The port must stay, for the resources' locations are in the picture.
				b.write("config.yaml", strings.Replace(config("", tenant.source("contoso", "interval: 1h", "users: {keep_removed: 0s}")),
					"listen: 127.0.0.1:0", "listen: "+freeAddress(t), 1))
				b.start()
				b.ready()
				everybody := ids(tenant.Users())

				c := &importer{t: t, b: b, seen: make(map[string]int)}
				first := "/Users?startIndex=1&count=60"
				if by == "cursor" {
					first = "/Users?count=60&cursor="
				}
				page := c.list(first)
				b.eventually("the import is on the disk", func() error {
					kept, err := os.ReadFile(filepath.Join(b.dir, "state", "imports.json"))
					if err == nil && !strings.Contains(string(kept), `"next":61,`) {
						err = fmt.Errorf("it is %s", kept)
					}
					return err
				})
				for _, id := range everybody[:20] {
					tenant.RemoveUser(id)
				}
				if got := b.sync("contoso"); got != "published" {
					t.Fatal(got)
				}
				b.signal(end)
				<-b.ended
				b.start()
				b.ready()
				for start := 61; start <= page.TotalResults; start += 60 {
					if by == "cursor" {
						page = c.list("/Users?count=60&cursor=" + url.QueryEscape(page.NextCursor))
					} else {
						page = c.list(fmt.Sprintf("/Users?startIndex=%d&count=60", start))
					}
				}
				c.expect("/Users", everybody, nil)
				b.expectLog(`msg="import finished" client=importer endpoint=/Users kind=full resources=230 total=230 pages=4 `)
			})
		}
	}
}

// What a client has imported is in the status and in the log.
func TestImportsAreTold(t *testing.T) {
	tenant := startTenant(t, smallCompany(82))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	c := &importer{t: t, b: b, header: http.Header{"User-Agent": {"SailPoint"}}, seen: make(map[string]int)}
	c.list("/Users?startIndex=1&count=2") // a test of the credentials
	for start := 1; start <= 230; start += 100 {
		c.list(fmt.Sprintf("/Users?startIndex=%d&count=100", start))
	}
	c.list("/Groups?startIndex=1&count=100")
	since := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	users := ids(tenant.Users())
	tenant.UpdateUser(users[7], map[string]any{"jobTitle": "Changed"})
	if got := b.sync("contoso"); got != "published" {
		t.Fatal(got)
	}
	c.list("/Users?startIndex=1&count=100&filter=" + url.QueryEscape(`meta.lastModified gt "`+since+`"`))
	c.list("/Users?startIndex=1&count=100") // under way

	_, body := b.get(b.admin+"/api/v1/status", nil)
	var status struct {
		Clients []struct {
			Name    string
			Imports []struct {
				Endpoint, Kind, State, Agent    string
				Pages, Resources, Total         int
				DeltaReads, DeltaResources      int
				Started, LastRequest, LastDelta time.Time
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range status.Clients[0].Imports {
		got = append(got, fmt.Sprintf("%s %s %s by %s: %d of %d in %d, %d delta reads of %d", i.Endpoint, i.Kind, i.State, i.Agent, i.Resources, i.Total, i.Pages, i.DeltaReads, i.DeltaResources))
	}
	want := []string{ // the latest first
		"/Users full under way by SailPoint: 100 of 230 in 1, 0 delta reads of 0",
		"/Groups full finished by SailPoint: 24 of 24 in 1, 0 delta reads of 0",
		"/Users full finished by SailPoint: 230 of 230 in 3, 1 delta reads of 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the status has %q", got)
	}
	b.expectLog(`level=INFO msg="import finished" client=importer endpoint=/Users kind=full resources=230 total=230 pages=3 .*agent=SailPoint`)
	b.expectLog(`level=INFO msg="import finished" client=importer endpoint=/Groups kind=full resources=24 `)
	b.expectLog(`level=INFO msg="import finished" client=importer endpoint=/Users kind=delta resources=1 total=1 `)
	_, out, _ := b.runDaemon("status")
	if !strings.Contains(out, "100 of 230") || !strings.Contains(out, "24 of 24") || !strings.Contains(out, "under way") {
		t.Errorf("status says\n%s", out)
	}
	if page := b.page(); !strings.Contains(page, "1 ×, 1 found") || !strings.Contains(page, "230 of 230") {
		t.Error("the page does not show the delta read")
	}
}

// page reads the status page.
func (b *bridge) page() string {
	b.t.Helper()
	status, body := b.get(b.admin+"/", map[string]string{"Accept": "text/html"})
	if status != http.StatusOK {
		b.t.Fatalf("%d %s", status, body)
	}
	return body
}
