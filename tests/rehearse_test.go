package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// A rehearsal names those whom a platform would not take, with a line for the
// mapping: of the running daemon, over the network, and of what is stored once it
// has ended. It is no import of the client whom it stands for.
func TestRehearsal(t *testing.T) {
	company := smallCompany(71)
	domain := company.Domain()
	nameless := company.SetUser(map[string]any{"displayName": "Front Desk", "userPrincipalName": "desk@" + domain, "mail": "desk@" + domain, "accountEnabled": true})
	var pair []string
	for _, name := range []string{"twin1", "twin2"} {
		pair = append(pair, company.SetUser(map[string]any{
			"displayName": "Twin", "givenName": "Twin", "surname": "Twin", "accountEnabled": true,
			"userPrincipalName": name + "@" + domain, "mail": "shared@" + domain,
		}))
	}
	tenant := startTenant(t, company)
	b := newBridge(t)
	const public = "  public_url: https://scim.example.com/scim/v2\n"
	b.write("config.yaml", config(public, tenant.source("contoso", "interval: 1h")))
	b.start()
	b.ready()

	for _, platform := range []string{"okta", "ping", "sailpoint", "sap"} {
		t.Run(platform, func(t *testing.T) {
			r := rehearsal(t, b.runDaemon, 1, "--as", platform, "--limit", "0")
			if r.Platform != platform || r.Users != 233 || r.Groups != 24 || r.Stored || r.Client != "importer" {
				t.Errorf("%+v", r)
			}
			for _, q := range r.Requests {
				if !q.OK {
					t.Errorf("%s: %s", q.Request, q.Detail)
				}
			}
			if f := r.finding("no-family-name"); !f.names(nameless) || len(f.Mapping) != 1 || f.Mapping[0].Path != "name.familyName" {
				t.Errorf("without a last name: %+v", f)
			}
			if f := r.finding("same-email"); f.Count != 2 || !f.names(pair...) {
				t.Errorf("with one address: %+v", f)
			}
		})
	}
	if status, body := b.get(b.admin+"/api/v1/status", nil); status != 200 || strings.Contains(body, `"imports"`) {
		t.Errorf("a rehearsal counts as an import: %d %s", status, body)
	}

	t.Run("for people", func(t *testing.T) {
		status, out, diag := b.runDaemon("rehearse", "--as", "okta", "--limit", "2")
		if status != 1 || !strings.Contains(out, "REJECTED: ") || !strings.Contains(out, "'name.familyName': 'coalesce(user.surname") || !strings.Contains(out, "more (--limit 0 names all)") {
			t.Errorf("%d %s %s", status, out, diag)
		}
	})
	t.Run("with a preset", func(t *testing.T) {
		cfg, err := os.ReadFile(b.configFile())
		if err != nil {
			t.Fatal(err)
		}
		b.write("config.yaml", string(cfg)+"    mapping: {preset: okta}\n")
		b.eventually("the preset is served", func() error {
			if _, body := b.get(b.scim+"/Users/"+nameless, nil); !strings.Contains(body, "familyName") {
				return fmt.Errorf("%s", body)
			}
			return nil
		})
		r := rehearsal(t, b.runDaemon, 0, "--as", "okta", "--limit", "0")
		made := false
		for _, f := range r.Findings {
			made = made || f.Rule == "made-up" && f.Attribute == "name.familyName" && f.names(nameless) && !f.names(pair[0])
		}
		if !made || r.finding("no-family-name").Count != 0 {
			t.Errorf("%+v", r.Findings)
		}
		b.write("config.yaml", string(cfg))
		b.eventually("the preset is gone", func() error {
			if _, body := b.get(b.scim+"/Users/"+nameless, nil); strings.Contains(body, "familyName") {
				return fmt.Errorf("%s", body)
			}
			return nil
		})
	})
	t.Run("over the network", func(t *testing.T) {
		r := rehearsal(t, b.run, 1, "--as", "sap", "--url", b.scim, "--token-file", filepath.Join(b.dir, "client.token"))
		if r.Users != 233 || r.Endpoint != b.scim {
			t.Errorf("%+v", r)
		}
		b.write("wrong.token", "not-the-token")
		status, _, diag := b.run("rehearse", "--as", "sap", "--url", b.scim, "--token-file", filepath.Join(b.dir, "wrong.token"))
		if status != 1 || !strings.Contains(diag, "401") || strings.Contains(diag, "not-the-token") {
			t.Errorf("with a wrong token: %d %s", status, diag)
		}
	})
	t.Run("as a client that there is not", func(t *testing.T) {
		status, _, diag := b.runDaemon("rehearse", "--as", "okta", "--client", "nobody")
		if status != 1 || !strings.Contains(diag, `there is no client "nobody"; there are: importer`) {
			t.Errorf("%d %s", status, diag)
		}
	})
	t.Run("of what is stored", func(t *testing.T) {
		if status := b.stop(); status != 0 {
			t.Fatalf("ended with %d", status)
		}
		r := rehearsal(t, b.runDaemon, 1, "--as", "okta", "--limit", "0")
		if !r.Stored || r.Users != 233 || len(r.Stale) > 0 || !r.finding("no-family-name").names(nameless) {
			t.Errorf("%+v", r)
		}
		before, err := os.ReadFile(b.configFile())
		if err != nil {
			t.Fatal(err)
		}
		for _, edit := range []string{"mapping: {nickName: user.displayName}", "users: {guests: exclude}"} {
			b.write("config.yaml", config(public, tenant.source("contoso", "interval: 1h", edit)))
			if r := rehearsal(t, b.runDaemon, 1, "--as", "okta"); !slices.Equal(r.Stale, []string{"contoso"}) {
				t.Errorf("after the edit of %s: %+v", edit, r)
			}
			if _, text, _ := b.runDaemon("rehearse", "--as", "okta"); !strings.Contains(text, "Source contoso is served by another mapping or scope than the file has now") {
				t.Errorf("after the edit of %s:\n%s", edit, text)
			}
		}
		b.write("config.yaml", string(before))
		if _, err := os.Stat(filepath.Join(b.dir, "state", "scim-bridge.db-wal")); err == nil {
			t.Error("the store was left open")
		}
		b.start() // it took nothing away
		b.ready()
	})
}

// With nobody to object to the status is 0; a client sees its sources only.
func TestRehearsalOfTheFaultless(t *testing.T) {
	good := graphtest.NewTenant(graphtest.Options{Seed: 72, Calm: true})
	for i := range 120 {
		name := fmt.Sprintf("u%d@%s", i, good.Domain())
		good.SetUser(map[string]any{"displayName": "Ada Lovelace", "givenName": "Ada", "surname": "Lovelace", "userPrincipalName": name, "mail": name, "accountEnabled": true})
	}
	one, other := startTenant(t, good), startTenant(t, smallCompany(73))
	b := newBridge(t)
	b.write("config.yaml", config("    - {name: okta, token_sha256: \""+strings.Repeat("ab", 32)+"\", sources: [good]}\n",
		one.source("good", "interval: 1h"), other.source("other", "interval: 1h")))
	b.start()
	b.ready()
	if r := rehearsal(t, b.runDaemon, 0, "--as", "okta"); r.Users != 120 || r.Client != "okta" || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
	r := rehearsal(t, b.runDaemon, 1, "--as", "okta", "--client", "importer")
	if f := r.finding("no-family-name"); r.Users != 350 || len(f.Named) == 0 || f.Named[0].Source != "other" {
		t.Errorf("%+v", r)
	}
}

type rehearsed struct {
	Platform, Client, Endpoint string
	Stored                     bool
	Stale                      []string
	Users, Groups              int
	Requests                   []struct {
		Request, Detail string
		OK              bool
	}
	Findings []rehearsedFinding
}

type rehearsedFinding struct {
	Rule, Effect, Attribute string
	Count                   int
	Mapping                 []struct{ Path, Expression string }
	Named                   []rehearsedNamed
}

type rehearsedNamed struct{ ID, Source string }

func (r *rehearsed) finding(rule string) (f rehearsedFinding) {
	for _, f := range r.Findings {
		if f.Rule == rule {
			return f
		}
	}
	return f
}

func (f rehearsedFinding) names(ids ...string) bool {
	for _, id := range ids {
		if !slices.ContainsFunc(f.Named, func(n rehearsedNamed) bool { return n.ID == id }) {
			return false
		}
	}
	return true
}

// rehearsal runs the command and reads its report.
func rehearsal(t *testing.T, run func(...string) (int, string, string), want int, args ...string) *rehearsed {
	t.Helper()
	status, out, diag := run(append([]string{"rehearse", "--json"}, args...)...)
	r := new(rehearsed)
	if err := json.Unmarshal([]byte(out), r); err != nil || status != want {
		t.Fatalf("status %d, want %d: %v %s %s", status, want, err, out, diag)
	}
	return r
}
