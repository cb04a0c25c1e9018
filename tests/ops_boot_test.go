package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// The units as they are, sandbox and all, run by the systemd of this machine, which
// boots in namespaces of its own: start, readiness, credentials, status line, reload,
// a file with a fault, death, the template, the watchdog. SCIM_BRIDGE_SYSTEMD_ROOT may
// name the root file system of another distribution (debootstrap makes one of Debian 11,
// which has systemd 247) to boot in its place.
func TestUnitsUnderSystemd(t *testing.T) {
	if os.Getenv("SCIM_BRIDGE_SYSTEMD") == "" || os.Getuid() != 0 {
		t.Skip("SKIPPED: the units were not run by systemd: it takes SCIM_BRIDGE_SYSTEMD=1, root, and a kernel that lets it boot in namespaces")
	}
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3}, 40, 5))
	work := t.TempDir()
	in := filepath.Join(work, "in")
	for _, dir := range []string{in, filepath.Join(work, "out"), filepath.Join(work, "root")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(in, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(t.TempDir(), "scim-bridge")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "scimbridge/cmd/scim-bridge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is packaged: it needs nothing of the distribution
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	for _, path := range []string{
		program, "../systemd/scim-bridge.service", "../systemd/scim-bridge@.service", "../systemd/scim-bridge.socket",
		"../systemd/sysusers.conf", "../systemd/tmpfiles.conf", "systemd/trial.sh",
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put(filepath.Base(path), data)
	}
	source := strings.ReplaceAll(tenant.source("contoso", "interval: 1h"), "tenant.secret", "${CREDENTIALS_DIRECTORY}/tenant.secret")
	configured := func(listen, admin, state string) string {
		text := strings.Replace(config("", source), "  listen: 127.0.0.1:0\n", listen, 1)
		return strings.NewReplacer("admin:\n  listen: 127.0.0.1:0", "admin:\n  listen: unix:"+admin, "directory: state", "directory: "+state, "format: text", "format: auto").Replace(text)
	}
	socket := freeAddress(t)
	main := configured("  listen: systemd\n  public_url: http://"+socket+"/scim/v2\n", "/run/scim-bridge/admin", "/var/lib/scim-bridge")
	put("config.yaml", []byte(main))
	put("bad.yaml", []byte(main+"unknown: 1\n"))
	put("other.yaml", []byte(configured("  listen: 127.0.0.1:0\n", "/run/scim-bridge/other/admin", "/var/lib/scim-bridge/other")))
	put("socket", []byte(socket))
	put("client.token", []byte(bridgeToken))
	put("tenant.secret", []byte(clientSecret))

	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	// --kill-child: with unshare the whole of it ends.
	boot := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child", "bash", "systemd/boot.sh", work)
	boot.Env = append(os.Environ(), "ROOT="+os.Getenv("SCIM_BRIDGE_SYSTEMD_ROOT"))
	var console bytes.Buffer
	boot.Stdout, boot.Stderr = &console, &console
	err := boot.Run()
	read := func(name string) string {
		data, _ := os.ReadFile(filepath.Join(work, "out", name)) // what is missing is told below
		return string(data)
	}
	results := make(map[string]string)
	for line := range strings.Lines(read("results")) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		results[name] = value
	}
	if results["booted"] == "" {
		t.Skipf("SKIPPED: systemd does not boot here: %v\n%s", err, tail(console.String(), 2000))
	}
	for name, want := range map[string]string{
		"sysusers": "0", "tmpfiles": "0", "start": "0", "serves": "yes",
		"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
		"state": "scim-bridge 700", "secrets": "root 700",
		"reload": "0", "reloaded-pid": "same", "bad-reload": "1", "after-bad-reload": "active",
		"bad-restart": "1", "after-bad-restart": "failed 2 0", "mended": "0", "serves-again": "yes",
		"comes-back": "yes", "restarts": "1", "template": "0", "template-serves": "yes", "template-state": "scim-bridge 700",
		"watched": "0", "watched-lives": "active 0", "watchdog-restarts": "yes", "watchdog": "1",
		"stop": "0", "stopped": "success 0", "end": "end",
	} {
		if results[name] != want {
			t.Errorf("%s is %q, want %q", name, results[name], want)
		}
	}
	if results["Uid"] == "0" || !strings.HasPrefix(results["status"], "contoso: up to date, 40 users, 5 groups, ") {
		t.Errorf("it runs as user %s and says %q", results["Uid"], results["status"])
	}
	checkJournal(t, read("journal.json"))
	if t.Failed() {
		t.Logf("log of the trial:\n%s\njournal:\n%s\nconsole:\n%s", read("log"), tail(read("journal.txt"), 6000), tail(console.String(), 2000))
	}
}

// checkJournal looks for the fields and the priority of the line about the first
// round.
func checkJournal(t *testing.T, journal string) {
	t.Helper()
	for line := range strings.Lines(journal) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("the journal has %q: %v", line, err)
		}
		if entry["SCIM_BRIDGE_MSG"] == "round" {
			got := fmt.Sprint(entry["SCIM_BRIDGE_SOURCE"], " ", entry["SCIM_BRIDGE_OUTCOME"], " ", entry["PRIORITY"], " ", entry["SYSLOG_IDENTIFIER"])
			if got != "contoso published 6 scim-bridge" {
				t.Errorf("the journal's line is %s", got)
			}
			return
		}
	}
	t.Error("the journal has no line about the round")
}
