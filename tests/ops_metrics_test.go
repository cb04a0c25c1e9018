package tests

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// promtool is Prometheus' own tool, of the path or named by SCIM_BRIDGE_PROMTOOL;
// empty where there is none.
func promtool() string {
	path, err := exec.LookPath(cmp.Or(os.Getenv("SCIM_BRIDGE_PROMTOOL"), "promtool"))
	if err != nil {
		return ""
	}
	return path
}

// The rules are right for Prometheus, and fire when they should.
func TestAlertRules(t *testing.T) {
	wholeRun(t)
	promtool := promtool()
	if promtool == "" {
		t.Skip("SKIPPED: the alert rules were not checked: promtool is not installed")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../systemd/monitoring"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

var metricName = regexp.MustCompile(`\bscim_bridge_[a-z_]+`)

// What rules, dashboard and manual speak of is there, and every alert is in the
// runbook.
func TestMonitoringSpeaksOfWhatThereIs(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 20, 2))
	b := newBridge(t)
	writeKeyPair(t, b.dir, "source")
	issuer := "    - {name: gateway, jwt: {issuer: http://localhost:1, audience: scim, subject: gateway}}\n"
	b.write("config.yaml", config(issuer, tenant.source("contoso"), "  - name: by-certificate\n    enabled: false\n    tenant_id: fabrikam.com\n    client_id: 7d2e0000-1111-4222-8333-444455556666\n    certificate_file: source.crt\n    private_key_file: source.key\n"))
	b.start()
	b.ready()
	b.list("/Users", 7)
	b.list("/Groups", 1)
	_, metrics := b.get(b.admin+"/metrics", nil)
	if tool := promtool(); tool != "" {
		lint := exec.CommandContext(t.Context(), tool, "check", "metrics")
		lint.Stdin = strings.NewReader(metrics)
		if out, err := lint.CombinedOutput(); err != nil {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
	read := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	rules, dashboard, runbook := read("../systemd/monitoring/alerts.yml"), read("../systemd/monitoring/grafana-dashboard.json"), read("../docs/operating.md")
	for what, text := range map[string]string{"alerts.yml": rules, "the dashboard": dashboard, "docs/operating.md": runbook} {
		for _, name := range metricName.FindAllString(text, -1) {
			if !strings.Contains(metrics, "\n"+name+"{") && !strings.Contains(metrics, "\n"+name+" ") {
				t.Errorf("%s speaks of %s, which there is not", what, name)
			}
		}
	}
	checkQueries(t, []byte(dashboard))
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 {
		t.Errorf("found %d alerts", len(alerts))
	}
	for _, alert := range alerts {
		if !strings.Contains(runbook, "### "+alert[1]+"\n") {
			t.Errorf("docs/operating.md has no section %s", alert[1])
		}
	}
}

// checkQueries has promtool read every query of the dashboard.
func checkQueries(t *testing.T, dashboard []byte) {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &board); err != nil || len(board.Panels) < 10 {
		t.Fatalf("the dashboard has %d panels, %v", len(board.Panels), err)
	}
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	for i, p := range board.Panels {
		for j, target := range p.Targets {
			rules += fmt.Sprintf("      - {record: 'panel:%d:%d', expr: %q}\n", i, j, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	tool := promtool()
	if tool == "" {
		t.Log("SKIPPED: the dashboard's queries were not read: promtool is not installed")
		return
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), tool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool on the dashboard's queries: %v\n%s", err, out)
	}
}
