package tests

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// TestPackageInDebian boots a Debian in a container and lives the life of the
// package in it: see testdata/package.sh. systemd/package/try.sh makes what it
// needs.
func TestPackageInDebian(t *testing.T) {
	work := os.Getenv("SCIM_BRIDGE_TRY")
	if work == "" {
		t.Skip("SKIPPED: the package was not tried: systemd/package/try.sh does it")
	}
	tenant := startNewTenant(t, graphtest.App{Secret: setupSecret, Permissions: usersAndGroups, Consented: true})
	root := filepath.Join(work, "root")
	try := filepath.Join(root, "try")
	script, err := os.ReadFile("testdata/package.sh")
	if err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	flags := append([]string{"--client-id", tenant.clientID, "--tenant-id", tenant.ID(), "--listen", listen}, tenant.flags...)
	for name, content := range map[string]string{
		"try/package.sh": string(script), "try/contoso.secret": setupSecret, "try/flags": strings.Join(flags, "\n") + "\n",
		"etc/systemd/system/try.service": `[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=10min
ExecStart=/bin/sh /try/package.sh
ExecStopPost=/usr/bin/systemctl poweroff --force
`,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/systemd/system/try.service", filepath.Join(wants, "try.service")); err != nil {
		t.Fatal(err)
	}
	// The network is the machine's, so that the simulated tenant is at hand.
	boot := exec.CommandContext(t.Context(), "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory", root)
	console, err := os.Create(filepath.Join(work, "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	boot.Stdout, boot.Stderr = console, console
	if err := boot.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- boot.Wait() }()
	for looked := false; ; time.Sleep(200 * time.Millisecond) {
		select {
		case err := <-ended:
			checkVerdicts(t, work, err)
			return
		default:
		}
		if _, err := os.Stat(filepath.Join(try, "serving")); err == nil && !looked {
			looked = true
			checkServed(t, listen, try)
		}
	}
}

// checkServed asks the packaged daemon as the platform does.
func checkServed(t *testing.T, listen, try string) {
	t.Helper()
	token := regexp.MustCompile(`(?m)^  Authorization +(\S+)$`).FindSubmatch(readFile(t, filepath.Join(try, "setup.txt")))
	if token == nil {
		t.Error("the set-up gave no token")
	} else {
		b := newBridge(t)
		status, body := b.get("http://"+listen+"/scim/v2/Users?count=1", map[string]string{"Authorization": "Bearer " + string(token[1])})
		if status != http.StatusOK || !strings.Contains(body, `"totalResults":230`) {
			t.Errorf("the endpoint answers %d %s", status, body)
		}
	}
	if err := os.WriteFile(filepath.Join(try, "looked"), nil, 0o644); err != nil {
		t.Error(err)
	}
}

func checkVerdicts(t *testing.T, work string, ended error) {
	t.Helper()
	try := filepath.Join(work, "root", "try")
	verdicts := string(readFile(t, filepath.Join(try, "verdicts")))
	fmt.Print(verdicts)
	_, err := os.Stat(filepath.Join(try, "done"))
	if ended != nil || err != nil || strings.Contains(verdicts, "FAILED") || strings.Count(verdicts, "ok: ") < 35 {
		log, _ := os.ReadFile(filepath.Join(try, "log")) // there may be none
		t.Errorf("it ended with %v, %v:\n%s\n%s", ended, err, verdicts, tail(string(log), 20000))
	}
}
