package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// chromium is the browser, or the test is skipped.
func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: the status page was not opened in a browser: chromium is not installed")
	}
	return path
}

// browse opens a page in the browser. With scripts the DOM it ends with is
// given; in any case a picture is taken where SCIM_BRIDGE_SCREENSHOTS names a
// directory.
func browse(t *testing.T, page, picture string, more ...string) string {
	t.Helper()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run",
		"--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
	}, more...)
	if dir := os.Getenv("SCIM_BRIDGE_SCREENSHOTS"); dir != "" && picture != "" {
		out, err := exec.CommandContext(t.Context(), chromium(t), append(args, "--screenshot="+filepath.Join(dir, picture), page)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	dom, err := exec.CommandContext(t.Context(), chromium(t), append(args, "--dump-dom", "--virtual-time-budget=7000", page)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(dom)
}

// The status page, in a real browser: an import by a client, a held round with
// the names of those it is about, and approval by the button's form.
func TestStatusPage(t *testing.T) {
	wholeRun(t)
	chromium(t)
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 7}, 300, 25))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	var leaver string
	n := 0
	for u := range tenant.Users() {
		if n++; n%9 == 0 {
			tenant.UpdateUser(u.ID, map[string]any{"jobTitle": "Page tester"})
			if n%27 == 0 {
				for i := range n % 5 { // joiners
					tenant.SetUser(map[string]any{"displayName": fmt.Sprint("Joiner ", n, " ", i), "jobTitle": "Joiner", "userPrincipalName": fmt.Sprintf("joiner%d.%d@contoso.com", n, i), "accountEnabled": true})
				}
				b.sync("contoso")
			}
		}
	}
	b.list("/Users", 100)
	b.scimGet("/Users?startIndex=1&count=50", new(struct{}))
	b.scimGet("/Users?startIndex=51&count=50", new(struct{}))
	n = 0
	for u := range tenant.Users() {
		if n++; n%3 == 0 {
			tenant.RemoveUser(u.ID)
			leaver = u.ID
		}
	}
	if got := b.sync("contoso"); got != "held" {
		t.Fatalf("the round is %s", got)
	}
	page := browse(t, b.admin+"/", "status.png", "--window-size=1080,1310")
	for _, want := range []string{
		"contoso", "is held", "Approve round", "Who would be affected", "importer", "finished", "under way", "<svg", "Configuration in force", leaver,
		"What changed lately", "Dashed: groups",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, secret := range []string{bridgeToken, clientSecret} {
		if strings.Contains(page, secret) {
			t.Errorf("the page has a secret")
		}
	}
	browse(t, b.admin+"/", "status-phone.png", "--window-size=500,1560")
	browse(t, b.admin+"/", "status-dark.png", "--window-size=1080,1310", "--force-dark-mode", "--blink-settings=preferredColorScheme=0")
	var someone string
	for u := range tenant.Users() {
		someone = u.Text("userPrincipalName")
		break
	}
	if found := browse(t, b.admin+"/lookup?q="+url.QueryEscape(someone), "lookup.png", "--window-size=1080,1150"); !strings.Contains(found, "userPrincipalName") || !strings.Contains(found, "urn:ietf:params:scim:schemas:core:2.0:User") ||
		!strings.Contains(found, "Where each value comes from") || !strings.Contains(found, "<code>jobTitle</code>") {
		t.Errorf("the look-up shows no %s:\n%.2000s", someone, found)
	}

	checkAccessibility(t, b.admin+"/", b.admin+"/lookup?q="+url.QueryEscape(someone), b.admin+"/consent")

	// What the button does.
	held := page[strings.Index(page, `name="round" value="`)+len(`name="round" value="`):]
	round := held[:strings.IndexByte(held, '"')]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.admin+"/api/v1/sources/contoso/approve", strings.NewReader("round="+round))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Origin", b.admin)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/" {
		t.Errorf("approving led to %s with %s", res.Request.URL, res.Status)
	}
	if page := browse(t, b.admin+"/", "", "--window-size=1080,1310"); strings.Contains(page, "Approve round") {
		t.Error("after approving a round is still held")
	}
}

// checkAccessibility has axe-core look at pages, where SCIM_BRIDGE_AXE names a
// directory with it and puppeteer-core (npm install puppeteer-core axe-core).
func checkAccessibility(t *testing.T, pages ...string) {
	t.Helper()
	modules := os.Getenv("SCIM_BRIDGE_AXE")
	if modules == "" {
		t.Log("SKIPPED: accessibility was not checked: SCIM_BRIDGE_AXE names no directory with axe-core")
		return
	}
	out, err := exec.CommandContext(t.Context(), "node", append([]string{"accessibility/axe.mjs", modules, chromium(t)}, pages...)...).Output()
	if err != nil {
		t.Fatalf("axe-core: %v\n%s", err, out)
	}
	var result struct {
		Checked int
		Faults  []struct {
			URL, Scheme, Rule string
			Width             int
			Nodes             []string
		}
	}
	if err := json.Unmarshal(out, &result); err != nil || result.Checked == 0 {
		t.Fatalf("axe-core said %s, %v", out, err)
	}
	for _, f := range result.Faults {
		t.Errorf("%s (%s, %d wide): %s\n%s", f.URL, f.Scheme, f.Width, f.Rule, strings.Join(f.Nodes, "\n"))
	}
}
