package tests

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The demo shows changes as they arrive, and ends cleanly on Ctrl-C.
func TestDemoFollowsAndEnds(t *testing.T) {
	wholeRun(t)
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--users", "40", "--groups", "4", "--every", "10ms")
	var diag strings.Builder
	cmd.Stderr = &diag
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	arrived := 0
	var out strings.Builder
	for scan := bufio.NewScanner(stdout); scan.Scan(); {
		out.WriteString(scan.Text() + "\n")
		if !strings.Contains(scan.Text(), "in the endpoint after") {
			continue
		}
		if arrived++; arrived == 7 {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || diag.Len() > 0 {
		t.Errorf("demo ended with %v and said: %s", err, diag.String())
	}
	if arrived < 7 {
		t.Errorf("%d changes arrived:\n%s", arrived, out.String())
	}
}
