package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A verdict is what a check of scim2-tester found.
type verdict struct{ Title, Status, Reason, Resource, Data string }

// runSCIM2Tester runs the suite against an endpoint. The environment variable
// names the Python interpreter that has it (see conformance/venv.sh).
func runSCIM2Tester(t *testing.T, url string, tags ...string) []verdict {
	t.Helper()
	python := os.Getenv("SCIM_BRIDGE_SCIM2_TESTER")
	if python == "" {
		t.Skip("NOT RUN: SCIM_BRIDGE_SCIM2_TESTER does not name a Python interpreter with scim2-tester; conformance/venv.sh makes one")
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"conformance/check.py", url, bridgeToken}, tags...)...)
	var diag bytes.Buffer
	cmd.Stderr = &diag
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, diag.String())
	}
	var verdicts []verdict
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		var v verdict
		if err := json.Unmarshal(scan.Bytes(), &v); err != nil {
			t.Fatalf("%v: %s", err, scan.Text())
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// judge counts the checks that passed. Every other one is an error, but for
// those skipped for a reason that excuse gives.
func judge(t *testing.T, verdicts []verdict, excuse map[string]string) (passed map[string]int) {
	t.Helper()
	passed = make(map[string]int)
	for _, v := range verdicts {
		switch {
		case v.Status == "SUCCESS" || v.Status == "COMPLIANT" || v.Status == "ACCEPTABLE":
			passed[v.Title]++
		case v.Status == "SKIPPED" && excuse[v.Title] != "" && strings.Contains(v.Reason, excuse[v.Title]):
			t.Logf("%s %s: skipped: %s", v.Resource, v.Title, v.Reason)
		default:
			t.Errorf("%s %s: %s: %s\n%s", v.Resource, v.Title, v.Status, v.Reason, v.Data)
		}
	}
	t.Logf("%d checks, passed: %v", len(verdicts), passed)
	return passed
}

// The public suite's checks of discovery and of errors hold for the endpoint as
// it is.
func TestSCIM2TesterReadOnly(t *testing.T) {
	tenant := startTenant(t, smallCompany(22))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	const filtered = "Skipped due to tag filtering"
	passed := judge(t, runSCIM2Tester(t, b.scim, "discovery", "misc"), map[string]string{
		"object_creation": filtered, "object_query": filtered, "object_query_without_id": filtered,
		"object_query_with_attributes": filtered, "object_list_with_attributes": filtered, "search_with_attributes": filtered,
		"object_replacement": filtered, "object_deletion": filtered,
		"check_add_attribute": filtered, "check_remove_attribute": filtered, "check_replace_attribute": filtered,
	})
	for check, want := range map[string]int{
		"service_provider_config_endpoint": 1, "service_provider_config_endpoint_methods": 4, "query_all_resource_types": 1,
		"query_resource_type_by_id": 2, "resource_types_schema_validation": 2, "access_invalid_resource_type": 1,
		"resource_types_endpoint_methods": 4, "query_all_schemas": 1, "access_schema_by_id": 5, "access_invalid_schema": 1,
		"core_schemas_validation": 1, "schemas_endpoint_methods": 4, "random_url": 1,
	} {
		if passed[check] < want {
			t.Errorf("%s passed %d times, want %d", check, passed[check], want)
		}
	}
}

// All of the public suite's checks hold for the endpoint behind the write shim:
// every read that it makes is of something that it has just had made in Graph.
func TestSCIM2TesterWithWrites(t *testing.T) {
	if os.Getenv("SCIM_BRIDGE_SCIM2_TESTER") == "" {
		runSCIM2Tester(t, "")
	}
	s := startShim(t)
	// The shim could write by PATCH, but that patches work is no property of the
	// endpoint; it says that it takes none, and the suite goes by that.
	const noPatch = "PATCH operations not supported by server"
	passed := judge(t, runSCIM2Tester(t, s.base), map[string]string{
		"check_add_attribute": noPatch, "check_remove_attribute": noPatch, "check_replace_attribute": noPatch,
	})
	for _, check := range []string{
		"object_creation", "object_query", "object_query_without_id", "object_query_with_attributes",
		"object_list_with_attributes", "search_with_attributes", "object_replacement", "object_deletion",
	} {
		if passed[check] < 2 {
			t.Errorf("%s passed %d times, want at least once each for User and Group", check, passed[check])
		}
	}
	if s.writes < 20 {
		t.Errorf("only %d writes came through", s.writes)
	}
}
