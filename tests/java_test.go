package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A real Java client, the SCIM 2 SDK of UnboundID, as one of the zoo: it discovers,
// walks both types, and queries, with its own strict decoding. The environment
// variable is the class path that javaclient/build.sh prints.
func TestJavaClient(t *testing.T) {
	classPath := os.Getenv("SCIM_BRIDGE_JAVA_CLIENT")
	if classPath == "" {
		t.Skip("NOT RUN: SCIM_BRIDGE_JAVA_CLIENT does not give a class path; javaclient/build.sh makes one")
	}
	tenant := startTenant(t, smallCompany(54))
	b := newBridge(t)
	// This version of the SDK can't read a ServiceProviderConfig of RFC 9865.
	b.write("config.yaml", config("  cursor_paging: false\n", tenant.source("contoso", "interval: 1h")))
	b.start()
	b.ready()
	cmd := exec.CommandContext(t.Context(), "java", "-cp", classPath, "Importer", b.scim, bridgeToken)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, diag.String())
	}
	said := make(map[string][]string)
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = append(said[name], value)
	}
	for name, want := range map[string][]string{
		"filter": {"true"}, "patch": {"false"}, "type": {"/Users", "/Groups"}, "found": {"true"}, "unchanged": {"true"},
		"filtered": {"true"}, "missing": {"404"}, "refused": {"invalidFilter"},
	} {
		if !slices.Equal(said[name], want) {
			t.Errorf("%s is %q, want %q", name, said[name], want)
		}
	}
	if len(said["schema"]) < 5 {
		t.Errorf("schemas are %q", said["schema"])
	}
	same := func(what string, got, want []string) {
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d came, %d are there", what, len(got), len(want))
		}
	}
	same("users", said["user"], ids(tenant.Users()))
	same("groups", said["group"], ids(tenant.Groups()))
	var members []string
	for g := range tenant.Groups() {
		members = append(members, fmt.Sprintf("%s %d", g.ID, len(tenant.Members(g.ID))))
	}
	same("members", said["members"], members)
	names := strings.Fields(strings.Join(said["sorted"], " "))
	if len(names) != 5 || !slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(b), strings.ToLower(a)) }) {
		t.Errorf("sorted descending: %q", names)
	}
}
