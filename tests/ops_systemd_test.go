package tests

import (
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
	"syscall"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// The units keep what they promise: exposure by systemd's own measure.
func TestUnitsAreConfined(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: the units were not judged: systemd-analyze is not installed")
	}
	for _, unit := range []string{"scim-bridge.service", "scim-bridge@.service"} {
		out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=10", "../systemd/"+unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s is more exposed than 1.0: %v\n%s", unit, err, out)
		}
	}
}

// For systemd 247: what later ones brought may not be there.
func TestUnitsArePortable(t *testing.T) {
	units, err := filepath.Glob("../systemd/scim-bridge*")
	if err != nil || len(units) < 3 {
		t.Fatalf("found %v, %v", units, err)
	}
	young := regexp.MustCompile(`(?m)^(ImportCredential|Type=notify-reload|SetCredentialEncrypted|LoadCredentialEncrypted|ExitType|PrivatePIDs|RestrictFileSystems|MemoryKSM|OpenFile|RootEphemeral|DelegateSubgroup)\b.*`)
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		if found := young.FindAllString(string(text), -1); found != nil {
			t.Errorf("%s has %v", unit, found)
		}
	}
}

// A notifySocket is where systemd hears from its services.
type notifySocket struct {
	path string
	conn *net.UnixConn
}

func newNotifySocket(t *testing.T) *notifySocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &notifySocket{path, conn}
}

// expect reads messages until one has all the parts.
func (n *notifySocket) expect(t *testing.T, parts ...string) string {
	t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		size, err := n.conn.Read(buf)
		if err != nil {
			t.Fatalf("waiting for %q: %v", parts, err)
		}
		message, all := string(buf[:size]), true
		for _, part := range parts {
			all = all && strings.Contains(message, part)
		}
		if all {
			return message
		}
	}
}

func TestSystemdHearsOfEverything(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3}, 40, 5))
	b := newBridge(t)
	b.configure(tenant.source("contoso"))
	systemd := newNotifySocket(t)
	if err := b.tryStart("NOTIFY_SOCKET="+systemd.path, "WATCHDOG_USEC=600000"); err != nil {
		t.Fatal(err)
	}
	systemd.expect(t, "READY=1", "STATUS=contoso: ")
	systemd.expect(t, "WATCHDOG=1")
	b.ready()
	b.signal(syscall.SIGHUP)
	systemd.expect(t, "RELOADING=1", "MONOTONIC_USEC=")
	systemd.expect(t, "READY=1", "40 users, 5 groups")
	b.write("client.token", "")
	systemd.expect(t, "RELOADING=1")
	systemd.expect(t, "READY=1") // with the old configuration
	systemd.expect(t, "WATCHDOG=1")
	b.signal(syscall.SIGTERM)
	systemd.expect(t, "STOPPING=1")
	if err := <-b.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// Sockets that systemd holds: the endpoint's alone, and both listeners'; requests
// that come while nobody runs are answered by the next daemon.
func TestSocketActivation(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3}, 40, 5))
	for name, names := range map[string]string{"the endpoint, by its name": "scim", "the endpoint, by any name": "scim-bridge.socket", "both": "scim:admin"} {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t)
			var files []*os.File
			var addrs []string
			for range strings.Split(names, ":") {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				f, err := l.(*net.TCPListener).File()
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				files, addrs = append(files, f), append(addrs, l.Addr().String())
			}
			cfg := strings.Replace(config("", tenant.source("contoso")), "  listen: 127.0.0.1:0\n", "  listen: systemd\n  public_url: http://"+addrs[0]+"/scim/v2\n", 1)
			if len(addrs) == 2 {
				b.write("admin.token", bridgeToken)
				cfg = strings.Replace(cfg, "admin:\n  listen: 127.0.0.1:0\n", "admin:\n  listen: systemd\n  token_file: admin.token\n  public_url: http://"+addrs[1]+"\n", 1)
			}
			b.write("config.yaml", cfg)
			b.activate(files, names)
			b.ready()
			want := b.list("/Users", 10)
			if status := b.stop(); status != 0 {
				t.Errorf("it ended with %d", status)
			}
			answer := make(chan string, 1)
			go func() {
				status, body := b.get("http://"+addrs[0]+"/scim/v2/Users?count=0", nil)
				answer <- fmt.Sprint(status, " ", body)
			}()
			b.activate(files, names)
			if got := <-answer; !strings.HasPrefix(got, "200 ") {
				t.Errorf("a request between two daemons got %s", got)
			}
			if got := b.list("/Users", 10); len(got) != len(want) {
				t.Errorf("after the restart %d are served, before it were %d", len(got), len(want))
			}
		})
	}
}

// A crash must not look like a faulty file, which is not started again: Go's own
// status for it is ours for that.
func TestCrashIsNoFaultyFile(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3}, 40, 5))
	b := newBridge(t)
	b.configure(tenant.source("contoso"))
	if err := b.launch(exec.Command("/bin/sh", "-c", `ulimit -c 0; exec "$@"`, "-", binary, "serve", "--config", b.configFile()), nil); err != nil {
		t.Fatal(err)
	}
	b.ready()
	b.signal(syscall.SIGSEGV)
	var exit *exec.ExitError
	if err := <-b.ended; !errors.As(err, &exit) || exit.ExitCode() != -1 || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGABRT {
		t.Errorf("a crash ends the program with %v", err)
	}
}

// The units are in order as systemd reads them.
func TestUnitsAreInOrder(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: the units were not verified: systemd-analyze is not installed")
	}
	dir := t.TempDir()
	args := []string{"--man=no", "verify"}
	for from, to := range map[string]string{"scim-bridge.service": "scim-bridge.service", "scim-bridge.socket": "scim-bridge.socket", "scim-bridge@.service": "scim-bridge@contoso.service"} {
		text, err := os.ReadFile(filepath.Join("../systemd", from))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, to)
		// It looks for the program, which is not installed here.
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/bin/scim-bridge", binary)), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), analyze, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := cmd.CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "scim-bridge") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// activate starts the program as systemd does with sockets.
func (b *bridge) activate(files []*os.File, names string) {
	b.t.Helper()
	// LISTEN_PID has to be the program's own, which a shell knows before it
	// becomes the program.
	shell := filepath.Join(b.dir, "activate.sh")
	b.write("activate.sh", "#!/bin/sh\nexport LISTEN_PID=$$\nexec \"$@\"\n")
	if err := os.Chmod(shell, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := b.launch(exec.Command("/bin/sh", shell, binary, "serve", "--config", b.configFile()), files,
		fmt.Sprint("LISTEN_FDS=", len(files)), "LISTEN_FDNAMES="+names); err != nil {
		b.t.Fatal(err)
	}
}

// TestConfined runs the program with as little as can be taken from it without
// systemd: a user that owns nothing but its state, no capability, no new
// privileges, no other process to be seen.
func TestConfined(t *testing.T) {
	setpriv, err := exec.LookPath("setpriv")
	if err != nil || os.Getuid() != 0 {
		t.Skip("SKIPPED: the program was not run confined: it takes root and setpriv")
	}
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3}, 40, 5))
	b := newBridge(t)
	home, err := os.MkdirTemp("", "scim-bridge-confined-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	b.dir = home
	b.write("client.token", bridgeToken)
	b.write("tenant.secret", clientSecret)
	b.configure(tenant.source("contoso"))
	program := filepath.Join(home, "scim-bridge")
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	const uid = 61234
	for _, err := range []error{os.Chmod(home, 0o755), os.Chown(filepath.Join(home, "state"), uid, uid), os.Chown(filepath.Join(home, "client.token"), 0, uid),
		os.Chown(filepath.Join(home, "tenant.secret"), 0, uid), os.Chown(b.configFile(), 0, uid),
		os.Chmod(filepath.Join(home, "client.token"), 0o640), os.Chmod(filepath.Join(home, "tenant.secret"), 0o640), os.Chmod(b.configFile(), 0o640)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(setpriv, "--reuid", fmt.Sprint(uid), "--regid", fmt.Sprint(uid), "--clear-groups", "--no-new-privs",
		"--bounding-set=-all", "--inh-caps=-all", program, "serve", "--config", b.configFile())
	cmd.Dir = "/"
	if err := b.launch(cmd, nil); err != nil {
		t.Fatal(err)
	}
	b.ready()
	if got := b.list("/Users", 100); len(got) != 40 {
		t.Errorf("%d are served", len(got))
	}
	res, err := http.Get(b.admin + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok\n" {
		t.Errorf("health is %q, %v", body, err)
	}
}
