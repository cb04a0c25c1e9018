package tests

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph/graphtest"
)

// A dialogue is the program at a terminal of 80 columns, and somebody who reads
// and types.
type dialogue struct {
	t     *testing.T
	cmd   *exec.Cmd
	tty   *os.File
	ended chan struct{}

	mu      sync.Mutex
	shown   bytes.Buffer
	read    int // how much of it was looked at
	changed chan struct{}
}

// talk starts a command at a terminal.
func talk(t *testing.T, env []string, args ...string) *dialogue {
	t.Helper()
	d := &dialogue{t: t, cmd: exec.Command(binary, args...), ended: make(chan struct{}), changed: make(chan struct{}, 1)}
	d.cmd.Env = append(append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "NO_COLOR=1"), env...)
	tty, err := pty.StartWithSize(d.cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	d.tty = tty
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			d.mu.Lock()
			d.shown.Write(buf[:n])
			d.mu.Unlock()
			select {
			case d.changed <- struct{}{}:
			default:
			}
			if err != nil { // EIO, when the program has ended
				close(d.ended)
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close()
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		if t.Failed() {
			t.Logf("the dialogue was:\n%s", d.text())
		}
	})
	return d
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")

// text is everything shown, as a person sees it: each line as it was in the end.
func (d *dialogue) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.ReplaceAll(escapes.ReplaceAllString(d.shown.String(), ""), "\r", "")
}

// expect waits until something new is shown that has the text in it, and gives
// what is new up to its end.
func (d *dialogue) expect(text string) string {
	d.t.Helper()
	deadline := time.After(patience)
	for last := false; ; {
		all := d.text()
		if i := strings.Index(all[d.read:], text); i >= 0 {
			news := all[d.read : d.read+i+len(text)]
			d.read += len(news)
			return news
		}
		if last {
			d.t.Fatalf("it ended without %q", text)
		}
		select {
		case <-d.changed:
		case <-d.ended:
			last = true
		case <-deadline:
			d.t.Fatalf("%q is not shown", text)
		}
	}
}

func (d *dialogue) typeText(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.tty, text); err != nil {
		d.t.Fatal(err)
	}
}

// answer waits for a question and answers it.
func (d *dialogue) answer(question, text string) {
	d.t.Helper()
	d.expect("\n  " + question)
	d.expect(": ")
	d.typeText(text + "\r")
}

// wait waits for the end and gives the exit status.
func (d *dialogue) wait() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatal("it does not end")
	}
	err := d.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return d.cmd.ProcessState.ExitCode()
}

// A newTenant is one that nobody has set anything up for, but the registration.
type newTenant struct {
	*graphtest.Tenant
	server   *graphtest.Server
	clientID string
	admin    string // where the program listens for the browser
	flags    []string
}

func startNewTenant(t *testing.T, app graphtest.App) *newTenant {
	t.Helper()
	n := &newTenant{Tenant: smallCompany(91), admin: freeAddress(t)}
	n.server = graphtest.NewServer(n.Tenant)
	if err := n.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.server.Close() })
	app.RedirectURIs = []string{n.redirectURI()}
	n.clientID = n.AddApp(app)
	n.flags = []string{"--login-url", n.server.LoginURL(), "--graph-url", n.server.GraphURL(), "--admin-listen", n.admin}
	return n
}

func (n *newTenant) redirectURI() string {
	return "http://localhost:" + n.admin[strings.LastIndex(n.admin, ":")+1:] + "/consent/callback"
}

const setupSecret = "Qz8~the.client-secret_of.the-set-up~tests"

var usersAndGroups = []string{"User.Read.All", "GroupMember.Read.All"}

// TestSetup is a set-up at a terminal with all that can go wrong on the way: bad
// answers, Ctrl-C, a lost connection, a wrong secret, a declined consent; and at
// its end a daemon that imports.
func TestSetup(t *testing.T) {
	wholeRun(t)
	tenant := startNewTenant(t, graphtest.App{Secret: setupSecret, Permissions: usersAndGroups})
	dir := filepath.Join(t.TempDir(), "etc")
	file := filepath.Join(dir, "config.yaml")
	args := append([]string{"setup", "--config", file, "--state-directory", "state"}, tenant.flags...)
	// Where the tests run under nohup, so would the program; what is handled here
	// is not ignored there.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	d := talk(t, nil, args...)
	d.answer("Name [m365]", "Con toso")
	d.expect(`✗ "Con toso" is no name; write 1 to 63 lower-case letters`)
	d.answer("Name [m365]", "contoso")
	d.answer("Cloud [global]", "moon")
	d.expect(`✗ "moon" is none of global, usgov, dod, china`)
	d.answer("Cloud", "1")
	d.answer("Enable API integration [yes]", "")
	d.answer("Serve guests [yes]", "")
	d.answer("Import groups [now]", "")
	d.answer("Show hidden members [no]", "")
	d.answer("Credential [secret]", "")
	d.answer("Consent [elsewhere]", "link")
	d.expect("Show [portal]")
	d.typeText("\x03") // Ctrl-C
	d.expect("Stopped. The configuration was not written.")
	d.expect("--restart")
	if status := d.wait(); status != 1 {
		t.Errorf("a stopped set-up ends with %d", status)
	}
	checkPrivate(t, dir)

	d = talk(t, nil, args...)
	d.answer("Go on from there?", "")
	d.answer("Credential [secret]", "")
	d.answer("Consent [link]", "")
	d.answer("Show [portal]", "az")
	lines := d.expect("  Application (client) ID:")
	for _, want := range []string{"df021288-bdef-4463-88db-98f22de89214=Role", "98830695-27a2-44f7-8c18-0c3ebc9698f6=Role", "--web-redirect-uris " + tenant.redirectURI()} {
		if !strings.Contains(lines, want) {
			t.Errorf("%s is not in the lines for the Azure CLI", want)
		}
	}
	if strings.Contains(lines, "658aa5d8") || strings.Contains(lines, "admin-consent") {
		t.Error("the lines for the Azure CLI ask for what is not wanted")
	}
	d.typeText("scim-bridge\r")
	d.expect(`✗ "scim-bridge" is no application id; copy the Application (client) ID`)
	d.answer("Application (client) ID", strings.ToUpper(tenant.clientID))
	d.answer("Directory (tenant) ID [leave out]", tenant.clientID)
	d.expect("✗ this is the client ID again")
	d.answer("Directory (tenant) ID [leave out]", "")
	d.answer("Secret value (not shown)", "0f3c0000-1111-4222-8333-444455556666")
	d.expect("✗ this is the secret's ID; the Value beside it is needed")
	d.answer("Secret value (not shown)", "wrong~but.looks_like-a.client~secret-value")
	d.expect("contoso.secret")
	d.expect("Waiting for the browser")
	checkPrivate(t, dir)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil { // as sshd's end does
		t.Fatal(err)
	}
	d.wait()
	checkPrivate(t, dir)

	d = talk(t, nil, args...)
	d.answer("Go on from there?", "")
	d.expect("and accepts:")
	tenant.visit(t, d.expect("state=")+d.expect("\n"), "decline")
	d.expect("✗ The administrator declined")
	d.answer("Ask for consent again?", "")
	d.expect("and accepts:")
	tenant.visit(t, d.expect("state=")+d.expect("\n"), "accept")
	d.expect("Consent was given")
	d.expect("✗ token")
	d.expect("AADSTS7000215")
	d.answer("Do [credential]", "")
	d.answer("Secret value (not shown)", setupSecret)
	d.expect("✓ token")
	d.expect("✓ users            230")
	d.answer("Platform [okta]", "sap")
	d.answer("Name [sap]", "")
	d.answer("Endpoint [proxy]", "local")
	d.answer("Listen on [127.0.0.1:8880]", "127.0.0.1:80")
	d.expect("✗ the daemon runs without the right to use port 80")
	d.answer("Listen on", freeAddress(t))
	d.answer("Write [yes]", "")
	end := d.expect("scim-bridge status --config " + file)
	if status := d.wait(); status != 0 {
		t.Errorf("the set-up ends with %d", status)
	}
	if !strings.Contains(end, "OAuth2TokenServiceURL") || strings.Contains(d.text(), setupSecret) {
		t.Error("what to paste is not right, or the client secret was shown")
	}
	checkPrivate(t, dir)

	b := newBridge(t)
	b.dir = dir
	b.start()
	b.ready()
	if status, body := b.get(b.scim+"/Users?count=0", nil); status != http.StatusUnauthorized {
		t.Errorf("without the password the endpoint answers %d %s", status, body)
	}
	password := regexp.MustCompile(`Password +(\S+)`).FindStringSubmatch(end)
	if token := fetchToken(t, b, "sap", password[1]); token == "" {
		t.Error("the password that was shown gets no token")
	}

	status, _, stderr := b.run("setup", "--non-interactive")
	if status != 2 || !strings.Contains(stderr, "config.yaml is there already, and is not overwritten") {
		t.Errorf("over a configuration the set-up ends with %d: %s", status, stderr)
	}
}

// visit opens Microsoft's consent page, decides, and goes where it is sent.
func (n *newTenant) visit(t *testing.T, shown, action string) {
	t.Helper()
	link := regexp.MustCompile(`http://\S+adminconsent\S+`).FindString(strings.ReplaceAll(shown, "\n", " "))
	res, err := http.PostForm(link, url.Values{"action": {action}})
	if err != nil {
		t.Fatalf("visiting %q: %v", link, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasPrefix(res.Request.URL.String(), "http://localhost:") {
		t.Fatalf("the browser ends at %s with %q, %v", res.Request.URL, body, err)
	}
}

// fetchToken gets an access token of the endpoint by client credentials.
func fetchToken(t *testing.T, b *bridge, id, secret string) string {
	t.Helper()
	res, err := http.PostForm(strings.TrimSuffix(b.scim, "/scim/v2")+"/oauth2/token",
		url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Token
}

// TestSetupTranscript walks the plain way, as docs/getting-started.md shows it: the
// transcript there is this one, with the names that it would have elsewhere. What
// the credential test finds is not compared: other tests do that.
func TestSetupTranscript(t *testing.T) {
	wholeRun(t)
	tenant := startNewTenant(t, graphtest.App{Secret: setupSecret, Permissions: usersAndGroups, Consented: true})
	dir := filepath.Join(t.TempDir(), "etc")
	file := filepath.Join(dir, "config.yaml")
	listen := freeAddress(t)
	d := talk(t, nil, append([]string{"setup", "--config", file}, tenant.flags...)...)
	d.answer("Name [m365]", "contoso")
	d.answer("Cloud [global]", "")
	d.answer("Enable API integration [yes]", "")
	d.answer("Serve guests [yes]", "")
	d.answer("Import groups [now]", "")
	d.answer("Show hidden members [no]", "")
	d.answer("Credential [secret]", "")
	d.answer("Consent [elsewhere]", "")
	d.answer("Show [portal]", "")
	d.answer("Application (client) ID", tenant.clientID)
	d.answer("Directory (tenant) ID", tenant.ID())
	d.answer("Secret value (not shown)", setupSecret)
	d.answer("Platform [okta]", "")
	d.answer("Mapping [okta]", "")
	d.answer("Name [okta]", "")
	d.answer("Endpoint [proxy]", "")
	d.answer("Listen on [127.0.0.1:8880]", listen)
	d.answer("URL [", "https://scim.example.com/scim/v2")
	d.answer("Write [yes]", "")
	if status := d.wait(); status != 0 {
		t.Fatalf("the set-up ends with %d", status)
	}
	checkPrivate(t, dir)
	shown := d.text()
	for _, line := range strings.Split(shown, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 && !strings.Contains(line, dir) && !strings.Contains(line, "token_sha256") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	token := regexp.MustCompile(`Authorization +(\S+)`).FindStringSubmatch(shown)[1]
	if written, err := os.ReadFile(file); err != nil || !strings.Contains(string(written), fmt.Sprintf("%x", sha256.Sum256([]byte(token)))) {
		t.Errorf("the file does not have the token's hash: %v\n%s", err, written)
	}

	got := strings.NewReplacer(dir, "/etc/scim-bridge", token, "nEvB0tR9…", listen, "127.0.0.1:8880", host(tenant.server.LoginURL()), "login.microsoftonline.com",
		host(tenant.server.GraphURL()), "graph.microsoft.com", "scim-bridge serve --config "+file, "sudo systemctl enable --now scim-bridge", " --config "+file, "").Replace(shown)
	for pattern, with := range map[string]string{
		`(?m)^.*\(--[a-z-]+\)\n`: "", `(?m)^ +(login_url|graph_url): .*\n`: "", `(?m)^  admin:\n    listen.*\n`: "",
		`URL \[.*?\]`: "URL [https://this-host/scim/v2]", `setup \S+ on \d+-\d+-\d+`: "setup 1.0.0 on 2026-11-26", `token_sha256: \S+`: "token_sha256: 5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
	} {
		got = regexp.MustCompile(pattern).ReplaceAllString(got, with)
	}
	checkTranscript(t, "$ sudo scim-bridge setup\n"+strings.TrimSpace(got)+"\n")
}

func host(base string) string { return strings.TrimPrefix(base, "http://") }

// checkTranscript compares a transcript with the one in docs/getting-started.md, or
// puts it there.
func checkTranscript(t *testing.T, got string) {
	t.Helper()
	const path, begin, end = "../docs/getting-started.md", "<!-- transcript -->\n```console\n", "```\n<!-- end of transcript -->"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), begin)
	want, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no transcript", path)
	}
	if os.Getenv("UPDATE_TRANSCRIPT") != "" {
		if err := os.WriteFile(path, []byte(before+begin+got+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(withoutTable(want), withoutTable(got)); diff != "" {
		t.Errorf("%s is not what setup shows; UPDATE_TRANSCRIPT=1 go test -run SetupTranscript ./tests mends it (-docs +now):\n%s", path, diff)
	}
}

// withoutTable leaves out what the credential test found.
func withoutTable(transcript string) string {
	head, rest, _ := strings.Cut(transcript, "Asking Microsoft …\n")
	_, tail, _ := strings.Cut(rest, "\n\nStep ")
	return head + tail
}

// Consent by a mailed link, whose answer is pasted; somebody else has the port; a key that is
// made on the spot; and colours.
func TestSetupWithCertificateAndPastedAnswer(t *testing.T) {
	wholeRun(t)
	tenant := startNewTenant(t, graphtest.App{Permissions: usersAndGroups})
	dir := filepath.Join(t.TempDir(), "etc")
	file := filepath.Join(dir, "config.yaml")
	taken, err := net.Listen("tcp", tenant.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := talk(t, []string{"NO_COLOR=", "LC_ALL=C"}, append([]string{"setup", "--config", file, "--cloud", "global", "--enabled", "yes",
		"--credential", "new-certificate", "--consent", "mail", "--method", "powershell", "--client-id", tenant.clientID, "--tenant-id", "",
		"--expose", "local", "--listen", freeAddress(t)}, tenant.flags...)...)
	d.answer("Name [m365]", "contoso")
	d.answer("Serve guests [yes]", "")
	d.answer("Import groups [now]", "later")
	shown := d.expect("Waiting for the browser")
	if strings.Contains(shown, "GroupMember.Read.All") || !strings.Contains(shown, "New-MgApplication") || !strings.Contains(shown, "Subject: ") || !strings.Contains(shown, "copy "+filepath.Join(dir, "contoso.crt")) || !strings.Contains(strings.Join(strings.Fields(shown), " "), "cannot be taken here") {
		t.Error("the lines for PowerShell are not right")
	}
	block, _ := pem.Decode(readFile(t, filepath.Join(dir, "contoso.crt")))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	tenant.UpdateApp(tenant.clientID, func(a *graphtest.App) { a.Certificates = []*x509.Certificate{certificate} })

	d.expect("paste the address")
	link := regexp.MustCompile(`http://\S+adminconsent\S+`).FindString(shown)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.PostForm(link, url.Values{"action": {"accept"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	d.typeText("https://contoso.example/\r")
	d.expect("x this is not the address")
	d.expect("paste the address")
	d.typeText(res.Header.Get("Location") + "\r")
	d.expect("+ permissions")
	d.answer("Platform [okta]", "midpoint")
	d.answer("Name [midpoint]", "")
	d.answer("Write [yes]", "")
	if status := d.wait(); status != 0 {
		t.Errorf("the set-up ends with %d", status)
	}
	checkPrivate(t, dir)
	d.mu.Lock()
	raw := d.shown.String()
	d.mu.Unlock()
	if !strings.Contains(raw, "\x1b[32m+\x1b[0m") || strings.ContainsFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }) {
		t.Error("there is no colour, or something that this terminal can't show")
	}
	if text := string(readFile(t, file)); !strings.Contains(text, "tenant_id: "+tenant.ID()) || !strings.Contains(text, "enabled: false    # true takes") {
		t.Errorf("the file is\n%s", text)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Consent that comes while somebody waits at the test; a set-up that is stopped
// there, finds the consent when it goes on, and is begun anew.
// Whoever leaves at the first question leaves nothing behind, and is told so.
func TestSetupLeftAtOnce(t *testing.T) {
	dir := t.TempDir()
	d := talk(t, nil, "setup", "--config", filepath.Join(dir, "config.yaml"))
	d.expect("Name [m365]")
	d.typeText("\x03")
	d.expect("Stopped. Nothing was answered, and nothing was written.")
	d.wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestSetupWaitsForConsent(t *testing.T) {
	wholeRun(t)
	tenant := startNewTenant(t, graphtest.App{Secret: setupSecret, Permissions: usersAndGroups})
	dir := filepath.Join(t.TempDir(), "etc")
	args := append([]string{"setup", "--config", filepath.Join(dir, "config.yaml"), "--source", "contoso", "--cloud", "global", "--enabled", "yes", "--guests", "yes", "--groups", "now",
		"--hidden-members", "no", "--credential", "secret", "--consent", "elsewhere", "--method", "done", "--tenant-id", tenant.ID()}, tenant.flags...)
	d := talk(t, nil, args...)
	d.answer("Application (client) ID", "7d2e0000-1111-4222-8333-444455556666")
	d.answer("Secret value (not shown)", setupSecret)
	d.expect("AADSTS700016")
	d.answer("Do [ids]", "")
	d.answer("Application (client) ID [7d2e0000-", tenant.clientID)
	d.expect("✗ ") // nobody has consented
	d.answer("Do [", "again")
	d.expect("✗ ")
	tenant.Grant(tenant.clientID, usersAndGroups...)
	d.answer("Do [", "again")
	d.expect("✓ permissions")
	d.expect("Platform [okta]")
	d.typeText("\x04") // Ctrl-D
	d.expect("Stopped.")
	d.wait()
	checkPrivate(t, dir)

	d = talk(t, nil, append(args, "--restart", "--client-id", tenant.clientID, "--consent", "link")...)
	d.expect("Secret value (not shown)")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 { // the new answers
		t.Errorf("begun anew, there are %v, %v", entries, err)
	}
	d.typeText(setupSecret + "\r")
	d.expect("Consent is there already.")
	d.expect("✓ permissions")
	d.expect("Platform [okta]")
	d.typeText("\x03")
	d.wait()
}

// Without a dialogue: faults of all flags at once, a credential that does not work
// writes nothing, and what is written works.
func TestSetupNonInteractive(t *testing.T) {
	tenant := startNewTenant(t, graphtest.App{Secret: setupSecret, Permissions: usersAndGroups, Consented: true})
	b := newBridge(t)
	b.dir = filepath.Join(t.TempDir(), "etc")
	flags := append([]string{"setup", "--non-interactive", "--state-directory", "state", "--source", "contoso", "--listen", freeAddress(t), "--expose", "local"}, tenant.flags...)

	status, stdout, stderr := b.run(append(flags, "--groups", "sometimes", "--client-id", "x")...)
	for _, want := range []string{`--groups: "sometimes" is none of now, later`, `--client-id: "x" is no application id`, "--tenant-id: an answer is needed", "--client-secret-file: an answer is needed"} {
		if status != 2 || !strings.Contains(stderr, want) {
			t.Errorf("with bad flags the status is %d, without %q: %s%s", status, want, stdout, stderr)
		}
	}
	if status, _, stderr = b.run(append([]string{"setup"}, flags[2:]...)...); status != 2 || !strings.Contains(stderr, "needs a terminal") {
		t.Errorf("without a terminal the status is %d: %s", status, stderr)
	}

	flags = append(flags, "--client-id", tenant.clientID, "--tenant-id", tenant.ID(), "--client-secret-file", "contoso.secret")
	b.write("contoso.secret", "wrong~but.looks_like-a.client~secret-value")
	if status, stdout, stderr = b.run(flags...); status != 1 || !strings.Contains(stdout, "✗ token") || !strings.Contains(stderr, "nothing was written") {
		t.Errorf("with a wrong secret the status is %d: %s%s", status, stdout, stderr)
	}
	if entries, err := os.ReadDir(b.dir); err != nil || len(entries) != 1 {
		t.Errorf("it left %v, %v", entries, err)
	}
	b.write("contoso.secret", setupSecret)
	status, stdout, stderr = b.run(flags...)
	token := regexp.MustCompile(`(?m)^  Authorization +(\S+)$`).FindStringSubmatch(stdout)
	if status != 0 || token == nil {
		t.Fatalf("the status is %d: %s%s", status, stdout, stderr)
	}
	b.start()
	b.ready()
	if status, body := b.get(b.scim+"/Users?count=0", map[string]string{"Authorization": "Bearer " + token[1]}); status != http.StatusOK || !strings.Contains(body, `"totalResults":230`) {
		t.Errorf("with the token that was printed the endpoint answers %d %s", status, body)
	}
}

// Without a dialogue, too, consent can be given by a link, which is printed.
func TestSetupNonInteractiveConsent(t *testing.T) {
	wholeRun(t)
	tenant := startNewTenant(t, graphtest.App{Secret: setupSecret, Permissions: usersAndGroups})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "contoso.secret"), []byte(setupSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"setup", "--non-interactive", "--config", filepath.Join(dir, "config.yaml"), "--source", "contoso",
		"--consent", "link", "--client-id", tenant.clientID, "--client-secret-file", "contoso.secret", "--expose", "local"}, tenant.flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for scan := bufio.NewScanner(out); scan.Scan(); {
		shown.WriteString(scan.Text() + "\n")
		if strings.Contains(scan.Text(), "adminconsent?") {
			tenant.visit(t, scan.Text(), "accept")
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(shown.String(), "✓ permissions") {
		t.Errorf("it ends with %v:\n%s", err, shown.String())
	}
	if text := string(readFile(t, filepath.Join(dir, "config.yaml"))); !strings.Contains(text, "tenant_id: "+tenant.ID()) {
		t.Errorf("the tenant that consented is not in the file:\n%s", text)
	}
}

// checkPrivate checks that nobody else can read what a set-up wrote.
func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o600)
		if f.Name() == "config.yaml" {
			want = 0o640
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", f.Name(), info.Mode().Perm())
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), setupSecret) && !strings.HasSuffix(f.Name(), ".secret") {
			t.Errorf("%s has the client secret in it", f.Name())
		}
	}
}
