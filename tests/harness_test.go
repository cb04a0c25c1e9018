package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// binary is the path of the program under test, built once with the race
// detector where the tests have it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "scim-bridge-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "scim-bridge")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "scimbridge/cmd/scim-bridge")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds waiting for something that has to happen. It is no
// measurement: a busy machine takes its time.
const patience = 90 * time.Second

// A tenantServer is a simulated tenant that listens, and an application in it.
type tenantServer struct {
	*graphtest.Tenant
	server   *graphtest.Server
	clientID string
}

const clientSecret = "the-client-secret-of-the-tests"

// startTenant has a tenant listen.
func startTenant(t testing.TB, tenant *graphtest.Tenant) *tenantServer {
	t.Helper()
	ts := &tenantServer{Tenant: tenant, server: graphtest.NewServer(tenant)}
	ts.clientID = tenant.AddApp(graphtest.App{
		Secret: clientSecret, Consented: true, Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"},
	})
	if err := ts.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ts.server.Close() })
	t.Logf("tenant's seed is %d", tenant.Seed())
	return ts
}

// source gives the tenant as an entry of sources, with further lines.
func (ts *tenantServer) source(name string, more ...string) string {
	lines := append([]string{
		"tenant_id: " + ts.ID(), "client_id: " + ts.clientID, "client_secret_file: tenant.secret",
		"login_url: " + ts.server.LoginURL(), "graph_url: " + ts.server.GraphURL(),
	}, more...)
	return "  - name: " + name + "\n    " + strings.Join(lines, "\n    ") + "\n"
}

// A bridge is a running scim-bridge, with a configuration of its own.
type bridge struct {
	t     testing.TB
	dir   string
	cmd   *exec.Cmd
	ended chan error

	mu    sync.Mutex
	log   bytes.Buffer
	lines chan struct{} // a line of log has come

	scim, admin string // base URLs
}

const bridgeToken = "the-bearer-token-of-the-tests"

// newBridge prepares a directory for a scim-bridge.
func newBridge(t testing.TB) *bridge {
	b := &bridge{t: t, dir: t.TempDir()}
	b.write("client.token", bridgeToken)
	b.write("tenant.secret", clientSecret)
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			t.Logf("log of scim-bridge:\n%s", tail(b.logged(), 8000))
		}
	})
	return b
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// write replaces a file of the bridge's directory.
func (b *bridge) write(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		b.t.Fatal(err)
	}
}

// configure writes a configuration: one client, listeners on free ports, and
// the given sources.
func (b *bridge) configure(sources ...string) { b.write("config.yaml", config("", sources...)) }

// config gives a configuration. scim are further lines of its section.
func config(scim string, sources ...string) string {
	return `scim:
  listen: 127.0.0.1:0
  clients:
    - {name: importer, token_file: client.token}
` + scim + `admin:
  listen: 127.0.0.1:0
state:
  directory: state
log: {level: info, format: text}
sources:
` + strings.Join(sources, "")
}

// freeAddress gives an address that nobody listens on at the moment.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (b *bridge) configFile() string { return filepath.Join(b.dir, "config.yaml") }

var servingLine = regexp.MustCompile(`msg=serving scim=(\S+) admin=(\S+)`)

// start runs the program and waits until it listens.
func (b *bridge) start() {
	b.t.Helper()
	if err := b.tryStart(); err != nil {
		b.t.Fatal(err)
	}
}

// tryStart is start for a program that may end at once.
func (b *bridge) tryStart(env ...string) error {
	return b.launch(exec.Command(binary, "serve", "--config", b.configFile()), nil, env...)
}

// launch runs a command that is, or becomes, the program, with further files and
// environment, and waits until it listens.
func (b *bridge) launch(cmd *exec.Cmd, files []*os.File, env ...string) error {
	b.mu.Lock()
	b.log.Reset()
	b.mu.Unlock()
	b.lines, b.ended = make(chan struct{}, 1), make(chan error, 1)
	b.cmd = cmd
	b.cmd.Env, b.cmd.ExtraFiles = append(os.Environ(), env...), files
	stderr, err := b.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := b.cmd.Start(); err != nil {
		return err
	}
	ended := b.ended
	go func() {
		for scan := bufio.NewScanner(stderr); scan.Scan(); {
			b.mu.Lock()
			b.log.WriteString(scan.Text() + "\n")
			b.mu.Unlock()
			select {
			case b.lines <- struct{}{}:
			default:
			}
		}
		ended <- cmd.Wait()
		close(ended)
	}()
	m, err := b.awaitLog(servingLine)
	if err != nil {
		return err
	}
	b.scim, b.admin = "http://"+m[1]+"/scim/v2", "http://"+m[2]
	return nil
}

func (b *bridge) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// awaitLog waits for a line of the log.
func (b *bridge) awaitLog(pattern *regexp.Regexp) ([]string, error) {
	deadline := time.After(patience)
	for {
		if m := pattern.FindStringSubmatch(b.logged()); m != nil {
			return m, nil
		}
		select {
		case <-b.lines:
		case err := <-b.ended:
			if m := pattern.FindStringSubmatch(b.logged()); m != nil {
				return m, nil
			}
			return nil, fmt.Errorf("scim-bridge ended: %w\n%s", err, b.logged())
		case <-deadline:
			return nil, fmt.Errorf("no line %s in the log:\n%s", pattern, b.logged())
		}
	}
}

func (b *bridge) expectLog(pattern string) []string {
	b.t.Helper()
	m, err := b.awaitLog(regexp.MustCompile(pattern))
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// ready waits until every source is served.
func (b *bridge) ready() {
	b.t.Helper()
	b.eventually("the endpoint is ready", func() error {
		status, body := b.get(b.admin+"/readyz", nil)
		if status != http.StatusOK {
			return fmt.Errorf("%d: %s", status, body)
		}
		return nil
	})
}

// eventually asks again and again until check passes.
func (b *bridge) eventually(what string, check func() error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("waiting until %s: %v", what, err)
		case <-ticker.C:
		}
	}
}

// sync has a round done and gives its outcome.
func (b *bridge) sync(source string) string {
	b.t.Helper()
	res, err := http.Post(b.admin+"/api/v1/sources/"+source+"/sync", "", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var round struct{ Outcome, Error string }
	if err := json.NewDecoder(res.Body).Decode(&round); err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(round.Outcome + " " + round.Error)
}

// get makes a request as the client and gives status and body.
func (b *bridge) get(url string, header map[string]string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bridgeToken)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// scimGet reads JSON from the endpoint.
func (b *bridge) scimGet(path string, into any) {
	b.t.Helper()
	status, body := b.get(b.scim+path, nil)
	if status != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		b.t.Fatalf("GET %s: %v: %s", path, err, body)
	}
}

// list walks a list by startIndex and gives the resources by id, each of which
// must come once.
func (b *bridge) list(path string, count int) map[string]json.RawMessage {
	b.t.Helper()
	all := make(map[string]json.RawMessage)
	for start, total := 1, 1; start <= total; {
		var page struct {
			TotalResults, ItemsPerPage, StartIndex int
			Resources                              []json.RawMessage
		}
		b.scimGet(fmt.Sprintf("%s?startIndex=%d&count=%d", path, start, count), &page)
		total = page.TotalResults
		if page.StartIndex != start || page.ItemsPerPage != len(page.Resources) || len(page.Resources) == 0 && total > 0 {
			b.t.Fatalf("%s from %d: startIndex %d, itemsPerPage %d, %d resources of %d", path, start, page.StartIndex, page.ItemsPerPage, len(page.Resources), total)
		}
		for _, raw := range page.Resources {
			var r struct{ ID string }
			if err := json.Unmarshal(raw, &r); err != nil {
				b.t.Fatal(err)
			}
			if _, twice := all[r.ID]; twice || r.ID == "" {
				b.t.Errorf("%s: %q came twice", path, r.ID)
			}
			all[r.ID] = raw
		}
		start += len(page.Resources)
	}
	return all
}

// signal sends a signal to the program.
func (b *bridge) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// kill ends the program without warning.
func (b *bridge) kill() {
	if b.cmd != nil && b.cmd.Process != nil {
		b.cmd.Process.Kill()
		<-b.ended
	}
}

// stop ends the program as systemd does and gives its exit status.
func (b *bridge) stop() int {
	b.t.Helper()
	b.signal(syscall.SIGTERM)
	select {
	case err := <-b.ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		if err != nil {
			b.t.Fatal(err)
		}
		return 0
	case <-time.After(patience):
		b.t.Fatal("it does not end")
		return -1
	}
}

// run does a command with the bridge's configuration to its end.
func (b *bridge) run(args ...string) (status int, stdout, stderr string) {
	b.t.Helper()
	return b.runWith("config.yaml", args...)
}

// runDaemon does a command that talks to the running program, whose port the
// configuration leaves open.
func (b *bridge) runDaemon(args ...string) (status int, stdout, stderr string) {
	b.t.Helper()
	cfg, err := os.ReadFile(b.configFile())
	if err != nil {
		b.t.Fatal(err)
	}
	open := "admin:\n  listen: "
	b.write("running.yaml", strings.Replace(string(cfg), open+"127.0.0.1:0", open+strings.TrimPrefix(b.admin, "http://"), 1))
	return b.runWith("running.yaml", args...)
}

func (b *bridge) runWith(file string, args ...string) (status int, stdout, stderr string) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), binary, append(args, "--config", filepath.Join(b.dir, file))...)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), diag.String()
}

// wholeRun skips a test that mostly waits, for somebody at a keyboard or a clock,
// where the run is to be short: under the race detector, which has more to see in
// the others.
func wholeRun(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is part of the whole run")
	}
}
