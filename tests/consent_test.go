package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// A consentWorld is a tenant that has not consented yet, and a bridge whose
// source waits for it.
type consentWorld struct {
	*bridge
	tenant *tenantServer
	admin  string // host:port of the administrator's listener
}

// newConsentWorld registers the application with the bridge's redirect URI.
// source are further lines of the source; change alters the registration.
func newConsentWorld(t *testing.T, tenant *graphtest.Tenant, change func(*graphtest.App), source ...string) *consentWorld {
	t.Helper()
	w := &consentWorld{bridge: newBridge(t), tenant: startTenant(t, tenant)}
	w.admin = freeAddress(t)
	_, port, _ := strings.Cut(w.admin, ":")
	app := graphtest.App{
		Name: "scim-bridge", Secret: clientSecret, Permissions: []string{"User.Read.All", "GroupMember.Read.All"},
		RedirectURIs: []string{"http://localhost:" + port + "/consent/callback"},
	}
	if change != nil {
		change(&app)
	}
	w.tenant.clientID = tenant.AddApp(app)
	w.setSource(source...)
	return w
}

// setSource writes the configuration: a source without tenant_id, with further
// lines.
func (w *consentWorld) setSource(more ...string) {
	w.t.Helper()
	lines := append([]string{
		"client_id: " + w.tenant.clientID, "client_secret_file: tenant.secret",
		"login_url: " + w.tenant.server.LoginURL(), "graph_url: " + w.tenant.server.GraphURL(),
	}, more...)
	cfg := config("", "  - name: contoso\n    "+strings.Join(lines, "\n    ")+"\n")
	w.write("config.yaml", strings.Replace(cfg, "admin:\n  listen: 127.0.0.1:0", "admin:\n  listen: "+w.admin, 1))
}

// state is what the status says of the source.
func (w *consentWorld) state() (state, fault string) {
	w.t.Helper()
	_, body := w.get("http://"+w.admin+"/api/v1/status", nil)
	var st struct {
		Sources []struct{ State, Error string }
	}
	if err := json.Unmarshal([]byte(body), &st); err != nil || len(st.Sources) != 1 {
		w.t.Fatalf("status is %v: %s", err, body)
	}
	return st.Sources[0].State, st.Sources[0].Error
}

// noFollow makes requests as a browser that shows where it would be led.
var noFollow = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// microsoftPage asks the bridge for consent, as the administrator's browser, and
// gives the address of Microsoft's page.
func (w *consentWorld) microsoftPage() string {
	w.t.Helper()
	res, err := noFollow.Get("http://" + w.admin + "/consent/contoso")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	page := res.Header.Get("Location")
	if res.StatusCode != http.StatusFound || !strings.HasPrefix(page, w.tenant.server.LoginURL()+"/") {
		body, _ := io.ReadAll(res.Body)
		w.t.Fatalf("asking for consent gives %s, leads to %q: %s", res.Status, page, body)
	}
	return page
}

// decide is the administrator's click on Microsoft's page; it gives the address
// to which Microsoft sends the browser back.
func (w *consentWorld) decide(page string, form url.Values) string {
	w.t.Helper()
	res, err := noFollow.PostForm(page, form)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusFound {
		body, _ := io.ReadAll(res.Body)
		w.t.Fatalf("Microsoft's page answers %s: %s", res.Status, body)
	}
	return res.Header.Get("Location")
}

// browseBack opens an address as the browser does, redirects included.
func (w *consentWorld) browseBack(address string) (status int, page string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

var accept = url.Values{"action": {"accept"}}

// From a tenant that knows nothing of us to an import: the source waits, the
// administrator consents, the tenant is learnt, the source starts by itself, and
// all of that survives a restart.
func TestConsentStartsTheSource(t *testing.T) {
	w := newConsentWorld(t, smallCompany(81), func(a *graphtest.App) {
		a.Spread = graphtest.Spread{Requests: 2, Form: graphtest.SpreadNoPrincipal}
	})
	w.start()
	if state, fault := w.state(); state != "waiting for consent" || !strings.Contains(fault, "/consent/contoso") {
		t.Errorf("before consent the source is %s: %s", state, fault)
	}
	if status, body := w.get(w.scim+"/Users", nil); status != http.StatusServiceUnavailable {
		t.Errorf("before consent the endpoint answers %d: %s", status, body)
	}
	back := w.decide(w.microsoftPage(), accept)
	if !strings.HasPrefix(back, "http://localhost:") {
		t.Fatalf("Microsoft sends the browser to %s", back)
	}
	status, page := w.browseBack(back)
	if status != http.StatusOK || !strings.Contains(page, "waiting for it to arrive") || !strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("after consent the page is %d:\n%s", status, page)
	}
	w.ready()
	// The picture is served some moments before the round is over.
	w.eventually("the source is up to date", func() error {
		if state, fault := w.state(); state != "up to date" && state != "importing" || fault != "" {
			return fmt.Errorf("after consent the source is %s: %s", state, fault)
		}
		return nil
	})
	if users := w.list("/Users", 100); len(users) != 230 {
		t.Errorf("%d users are served", len(users))
	}
	// The answer is good once.
	if status, page := w.browseBack(back); status != http.StatusGone || !strings.Contains(page, "used already") {
		t.Errorf("the second time the page is %d:\n%s", status, page)
	}
	if code := w.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	w.start()
	w.ready()
	if status, stdout, stderr := w.run("consent"); status != 0 || !strings.Contains(stdout, "nothing to consent to") || !strings.Contains(stdout, w.tenant.ID()) {
		t.Errorf("asked again, the command ends with %d:\n%s%s", status, stdout, stderr)
	}
	if status, page := w.browseBack("http://" + w.admin + "/consent/contoso"); status != http.StatusOK || !strings.Contains(page, "Consent is given already") {
		t.Errorf("asked again, the page is %d:\n%s", status, page)
	}
}

// Each way in which it may come to nothing has its page, with its words and a
// next step, and leaves the source waiting.
func TestConsentThatComesToNothing(t *testing.T) {
	tenant := smallCompany(82)
	w := newConsentWorld(t, tenant, nil)
	w.start()
	answer := func(with url.Values) string {
		page, err := url.Parse(w.microsoftPage())
		if err != nil {
			t.Fatal(err)
		}
		with.Set("state", page.Query().Get("state"))
		return "http://" + w.admin + "/consent/callback?" + with.Encode()
	}
	for name, x := range map[string]struct {
		back         func() string
		status       int
		title, words string
	}{
		"declined": {func() string { return w.decide(w.microsoftPage(), url.Values{"action": {"cancel"}}) },
			403, "Consent was declined", "User.Read.All to read users"},
		"not an administrator": {func() string {
			return answer(url.Values{"error": {"access_denied"}, "error_description": {"AADSTS90094: The grant requires admin permission."}})
		}, 403, "may not consent", "Privileged Role Administrator"},
		"conditional access": {func() string {
			return answer(url.Values{"error": {"access_denied"}, "error_description": {"AADSTS53003: Access has been blocked by Conditional Access policies."}})
		}, 403, "A policy forbids", "sign-in logs"},
		"an account of another tenant": {func() string {
			return answer(url.Values{"error": {"invalid_request"}, "error_description": {"AADSTS50020: User account from identity provider does not exist in tenant"}})
		}, 403, "belongs to another tenant", "Sign in with an account"},
		"redirect URI not registered": {func() string {
			return answer(url.Values{"error": {"invalid_request"}, "error_description": {"AADSTS50011: The redirect URI does not match."}})
		}, 403, "does not know the application", "/consent/callback"},
		"forged": {func() string {
			return "http://" + w.admin + "/consent/callback?admin_consent=True&tenant=" + tenant.ID() + "&state=AAAAAAAAAAAAAAAAAAAAAA"
		}, 400, "Nobody asked for this answer", "somebody sent you a made-up address"},
		"no state": {func() string {
			return "http://" + w.admin + "/consent/callback?admin_consent=True&tenant=" + tenant.ID()
		},
			400, "no answer of Microsoft", "Ask for consent again"},
		"something of Microsoft's that nobody knows": {func() string {
			return answer(url.Values{"error": {"server_error"}, "error_description": {"AADSTS99999: <script>alert(1)</script>"}})
		}, 403, "Microsoft did not grant consent", "&lt;script&gt;"},
	} {
		t.Run(name, func(t *testing.T) {
			status, page := w.browseBack(x.back())
			if status != x.status || !strings.Contains(page, x.title) || !strings.Contains(page, x.words) || strings.Contains(page, "<script") {
				t.Errorf("the page is %d, want %d with %q and %q:\n%s", status, x.status, x.title, x.words, page)
			}
			if state, _ := w.state(); state != "waiting for consent" {
				t.Errorf("the source is %s", state)
			}
		})
	}
}

// The tenant in the file wins: consent of another one is refused.
func TestConsentOfAnotherTenant(t *testing.T) {
	own, other := smallCompany(83), graphtest.NewTenant(graphtest.Options{Seed: 84, Domain: "fabrikam.example"})
	w := newConsentWorld(t, own, nil)
	w.setSource("tenant_id: " + own.ID())
	w.start()
	back, err := url.Parse(w.microsoftPage())
	if err != nil {
		t.Fatal(err)
	}
	answer := url.Values{"admin_consent": {"True"}, "tenant": {other.ID()}, "state": {back.Query().Get("state")}}
	status, page := w.browseBack("http://" + w.admin + "/consent/callback?" + answer.Encode())
	if status != http.StatusForbidden || !strings.Contains(page, "another tenant") || !strings.Contains(page, own.ID()) || !strings.Contains(page, other.ID()) {
		t.Errorf("the page is %d:\n%s", status, page)
	}
}

// A consentCommand is the command consent while it waits.
type consentCommand struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
	said  string
}

func (w *consentWorld) consent(args ...string) *consentCommand {
	w.t.Helper()
	c := &consentCommand{t: w.t.(*testing.T), lines: make(chan string, 1000)}
	c.cmd = exec.CommandContext(w.t.Context(), binary, append([]string{"consent", "--config", w.configFile(), "--no-browser"}, args...)...)
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	c.cmd.Stderr = c.cmd.Stdout
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(c.lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			c.lines <- scan.Text()
		}
	}()
	return c
}

// until reads what the command says up to a line, and gives its first group.
func (c *consentCommand) until(pattern string) string {
	c.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("it ended without saying %s:\n%s", pattern, c.said)
			}
			c.said += line + "\n"
			if m := re.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		case <-deadline:
			c.t.Fatalf("it does not say %s:\n%s", pattern, c.said)
		}
	}
}

// end waits for the end and gives the exit status.
func (c *consentCommand) end() int {
	c.t.Helper()
	for line := range c.lines {
		c.said += line + "\n"
	}
	_ = c.cmd.Wait() // the status tells
	return c.cmd.ProcessState.ExitCode()
}

// The command waits for the verdict, through the daemon and by itself, whether
// the answer comes by the browser or is pasted.
func TestConsentCommand(t *testing.T) {
	wholeRun(t)
	for _, daemon := range []bool{true, false} {
		for _, pasted := range []bool{true, false} {
			t.Run(fmt.Sprintf("daemon=%t pasted=%t", daemon, pasted), func(t *testing.T) {
				w := newConsentWorld(t, smallCompany(85), nil)
				if daemon {
					w.start()
				}
				c := w.consent()
				c.until(`redirect URI`)
				page := c.until(`^\s+(` + regexp.QuoteMeta(w.tenant.server.LoginURL()) + `/\S+)$`)
				if !strings.Contains(c.said, "User.Read.All") || !strings.Contains(c.said, "GroupMember.Read.All") {
					t.Errorf("it does not name the permissions:\n%s", c.said)
				}
				c.until(`ssh -N -L \d+:localhost:\d+`)
				c.until(`Waiting for the answer`)
				back := w.decide(page, accept)
				if pasted {
					fmt.Fprintln(c.stdin, back)
				} else if status, page := w.browseBack(back); status != 200 {
					t.Errorf("the page is %d:\n%s", status, page)
				}
				c.until(`✓ contoso: consent of tenant ` + w.tenant.ID() + ` is given and tested`)
				if code := c.end(); code != 0 {
					t.Errorf("it ends with %d:\n%s", code, c.said)
				}
				if !daemon {
					w.start()
				}
				w.ready()
			})
		}
	}
}

// An administrator who declines ends the command, with words.
func TestConsentCommandIsDeclined(t *testing.T) {
	w := newConsentWorld(t, smallCompany(86), nil)
	w.start()
	c := w.consent()
	page := c.until(`^\s+(` + regexp.QuoteMeta(w.tenant.server.LoginURL()) + `/\S+)$`)
	w.browseBack(w.decide(page, url.Values{"action": {"cancel"}}))
	c.until(`✗ the administrator declined`)
	c.until(`→ tell the administrator what is asked and why`)
	if code := c.end(); code != 1 {
		t.Errorf("it ends with %d:\n%s", code, c.said)
	}
}

// Ctrl-C ends the waiting, with words and not with what Go calls it.
func TestConsentCommandIsInterrupted(t *testing.T) {
	w := newConsentWorld(t, smallCompany(86), nil)
	c := w.consent()
	c.until(`Waiting for the answer`)
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := c.end(); code != 1 || !strings.Contains(c.said, "No longer waiting; nothing was changed") || strings.Contains(c.said, "context canceled") {
		t.Errorf("it ends with %d:\n%s", code, c.said)
	}
}

// A hand-off: the administrator's browser cannot reach us, the address comes back
// by mail, wrapped and quoted, and is pasted later.
func TestConsentHandedOff(t *testing.T) {
	w := newConsentWorld(t, smallCompany(87), nil)
	w.start()
	c := w.consent("--hand-off")
	c.until(`Subject: `)
	page := c.until(`^\s+(` + regexp.QuoteMeta(w.tenant.server.LoginURL()) + `/\S+)$`)
	for _, want := range []string{"It only reads", "User.Read.All to read users", w.tenant.clientID, "Privileged Role"} {
		if !strings.Contains(c.said, want) {
			t.Errorf("the mail lacks %q:\n%s", want, c.said)
		}
	}
	c.until(`paste it here`)
	c.cmd.Process.Kill()
	c.end()
	if code := w.stop(); code != 0 { // days may pass, and an update
		t.Errorf("it ended with %d", code)
	}
	if kept := string(readFile(t, filepath.Join(w.dir, "state", "consent-links.json"))); strings.Contains(kept, page[strings.Index(page, "state=")+len("state="):]) {
		t.Errorf("the state itself is kept: %s", kept)
	}
	w.start()
	back := w.decide(page, accept)
	mail := "> Done! It ended here:\n> " + back[:60] + "\n> " + back[60:] + "\n>\n> Regards, Ada\n\n"
	c = w.consent("--answer", "-")
	c.until(`Paste the address`)
	io.WriteString(c.stdin, mail)
	c.stdin.Close()
	c.until(`consent of tenant ` + w.tenant.ID())
	if code := c.end(); code != 0 {
		t.Errorf("it ends with %d:\n%s", code, c.said)
	}
	w.ready()
}

// Where the tenant is known the grant itself is proof: consent that was given in
// the admin center is seen without any answer.
func TestConsentGivenElsewhere(t *testing.T) {
	w := newConsentWorld(t, smallCompany(88), nil)
	w.setSource("tenant_id: " + w.tenant.ID())
	w.start()
	c := w.consent()
	c.until(`Waiting for the answer`)
	w.tenant.Grant(w.tenant.clientID)
	c.until(`is given and tested`)
	if code := c.end(); code != 0 {
		t.Errorf("it ends with %d:\n%s", code, c.said)
	}
	w.ready()
}

// source gives the source as the status has it.
func (w *consentWorld) source() (s struct {
	State, Error, Waiting             string
	Users, Groups                     int
	ProgressUsers, ProgressTotalUsers int
	ProgressPerSecond                 float64
	ProgressLeftNanoseconds           int64
}) {
	w.t.Helper()
	_, body := w.get("http://"+w.admin+"/api/v1/status", nil)
	var st struct{ Sources []json.RawMessage }
	if err := json.Unmarshal([]byte(body), &st); err != nil || len(st.Sources) != 1 {
		w.t.Fatalf("status is %v: %s", err, body)
	}
	if err := json.Unmarshal(st.Sources[0], &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// Groups that are turned on later wait for their permission alone: which one, and
// where to consent, is said, users go on meanwhile, and once it is granted the
// groups come by themselves.
func TestGroupsLater(t *testing.T) {
	w := newConsentWorld(t, smallCompany(89), func(a *graphtest.App) {
		a.Permissions, a.Consented = []string{"User.Read.All"}, true
	})
	tenant := "tenant_id: " + w.tenant.ID()
	w.setSource(tenant, "groups: {enabled: false}")
	w.start()
	w.ready()
	w.setSource(tenant, "groups: {enabled: true}")
	w.eventually("the missing permission is named", func() error {
		if s := w.source(); !strings.Contains(s.Waiting, "add GroupMember.Read.All") || !strings.Contains(s.Waiting, "/consent/contoso") {
			return fmt.Errorf("it says %q, and %s", s.Waiting, s.Error)
		}
		return nil
	})
	joiner := w.tenant.SetUser(map[string]any{"userPrincipalName": "joiner@contoso.example", "accountEnabled": true, "userType": "Member"})
	if outcome := w.sync("contoso"); outcome != "published" && outcome != "unchanged" { // its own round may have been first
		t.Errorf("while groups wait, a round is %s", outcome)
	}
	if status, _ := w.get(w.scim+"/Users/"+joiner, nil); status != http.StatusOK {
		t.Errorf("while groups wait, a joiner is answered %d", status)
	}
	if _, stdout, _ := w.run("status"); !strings.Contains(stdout, "WAITING FOR CONSENT: groups are not imported yet") {
		t.Errorf("the command status says:\n%s", stdout)
	}
	if code := w.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	w.start() // it waits after a restart, too
	w.ready()
	if s := w.source(); s.Waiting == "" || s.Groups != 0 {
		t.Errorf("after a restart it says %q, with %d groups", s.Waiting, s.Groups)
	}
	w.tenant.UpdateApp(w.tenant.clientID, func(a *graphtest.App) { a.Permissions = append(a.Permissions, "GroupMember.Read.All") })
	c := w.consent()
	page := c.until(`^\s+(` + regexp.QuoteMeta(w.tenant.server.LoginURL()) + `/\S+)$`)
	w.browseBack(w.decide(page, accept))
	c.until(`is given and tested`)
	w.eventually("the groups are served", func() error {
		if s := w.source(); s.Waiting != "" || s.Groups != w.tenant.GroupCount() {
			return fmt.Errorf("there are %d groups; it says %q, %s", s.Groups, s.Waiting, s.Error)
		}
		return nil
	})
}

// A first import that takes a while shows how far it is, how fast, and what is
// left.
func TestFirstImportShowsItsProgress(t *testing.T) {
	wholeRun(t)
	w := newConsentWorld(t, graphtest.NewCompany(graphtest.Options{Seed: 90, PageSize: 20}, 230, 24), func(a *graphtest.App) { a.Consented = true })
	w.tenant.Inject(graphtest.Slow(250 * time.Millisecond).On("users").Forever())
	w.setSource("tenant_id: " + w.tenant.ID())
	w.start()
	w.eventually("the progress is shown", func() error {
		s := w.source()
		if s.State != "first import" || s.ProgressUsers == 0 || s.ProgressTotalUsers != 230 || s.ProgressPerSecond <= 0 || s.ProgressLeftNanoseconds <= 0 {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
	w.tenant.ClearFaults()
	w.ready()
	w.expectLog(`msg="source is first import" source=contoso`)
	w.expectLog(`msg="source is up to date" source=contoso state="up to date" was="first import"`)
}

// A source whose consent was never given says so in the same words everywhere,
// and starts when it is given in the admin center without a word to us.
func TestWaitingForConsentEverywhere(t *testing.T) {
	w := newConsentWorld(t, smallCompany(91), nil)
	w.setSource("tenant_id: " + w.tenant.ID())
	w.start()
	w.eventually("the source waits", func() error {
		if s := w.source(); s.State != "waiting for consent" {
			return fmt.Errorf("it is %s: %s", s.State, s.Error)
		}
		return nil
	})
	w.expectLog(`msg="source is waiting for consent" source=contoso`)
	if _, metrics := w.get("http://"+w.admin+"/metrics", nil); !strings.Contains(metrics, `scim_bridge_source_state{source="contoso",state="waiting for consent"} 1`) ||
		!strings.Contains(metrics, `scim_bridge_waiting_for_consent{source="contoso"} 1`) {
		t.Error("the metrics do not say that it waits for consent")
	}
	if _, page := w.browseBack("http://" + w.admin + "/"); !strings.Contains(page, "Waiting for consent:") || !strings.Contains(page, `href="/consent/contoso"`) {
		t.Error("the page does not say that it waits for consent")
	}
	w.tenant.Grant(w.tenant.clientID)
	w.ready()
}

// reconfigure replaces a part of the configuration.
func (w *consentWorld) reconfigure(old, new string) {
	w.t.Helper()
	data, err := os.ReadFile(w.configFile())
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("config.yaml", strings.Replace(string(data), old, new, 1))
}

// quoted gives a text as a JSON string.
func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}
