package config_test

import (
	"encoding/hex"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/cmd/internal/config"
)

func hexOf(d config.Digest) string {
	sum := d.Sum()
	return hex.EncodeToString(sum[:])
}

func TestDiffNamesWhatChanged(t *testing.T) {
	const fabrikam = `
  - name: fabrikam
    client_id: 7d2e0000-1111-4222-8333-444455557777
    client_secret_file: contoso.secret
`
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", minimal, minimal, nil},
		{"comments, order and lines", minimal + "# x\nlog: {level: info}\n", "log: {level: info}\n\n" + minimal, nil},
		{"a default that is written down", minimal, minimal + "    interval: 5m\n", nil},
		{"an interval", minimal, minimal + "    interval: 90s\n", []string{"sources[contoso].interval: 5m -> 1m30s"}},
		{"a source more", minimal, minimal + fabrikam, []string{"sources[fabrikam]: added"}},
		{"a source less", minimal + fabrikam, minimal, []string{"sources[fabrikam]: removed"}},
		{"a listener", minimal, with(t, "scim: {listen: '127.0.0.1:9'}"), []string{
			"scim.listen: 127.0.0.1:8880 -> 127.0.0.1:9 (restart)",
			"scim.public_url: http://127.0.0.1:8880/scim/v2 -> http://127.0.0.1:9/scim/v2"}},
		{"the other listener and the state", minimal, minimal + "admin: {listen: '127.0.0.1:9'}\nstate: {directory: /x}\n", []string{
			"admin.listen: 127.0.0.1:8881 -> 127.0.0.1:9 (restart)",
			"admin.public_url: http://localhost:8881 -> http://localhost:9",
			"state.directory: /var/lib/scim-bridge -> /x (restart)"}},
		{"a list of addresses", with(t, "client: {allow: [192.0.2.1]}"), with(t, "client: {allow: [192.0.2.0/24, 198.51.100.1]}"), []string{
			"scim.clients[okta].allow: [192.0.2.1/32] -> [192.0.2.0/24, 198.51.100.1/32]"}},
		{"a rate where there was none", minimal, with(t, "client: {requests_per_second: 5}"), []string{"scim.clients[okta].requests_per_second: added 5"}},
		{"a budget of requests that goes", with(t, "source: {requests_per_second: 0.5}"), minimal, []string{"sources[contoso].requests_per_second: removed 0.5"}},
		{"who is served", minimal, minimal + "    scope: assigned\n    users: {guests: only, member_of: [5B1E0000-1111-4222-8333-444455550001], where: user.department == 'x'}\n    groups: {nested: flatten, types: [security]}\n", []string{
			"sources[contoso].scope: all -> assigned",
			"sources[contoso].assigned_to: added 7d2e0000-1111-4222-8333-444455556666",
			"sources[contoso].users.guests: include -> only",
			"sources[contoso].users.member_of: added [5b1e0000-1111-4222-8333-444455550001]",
			"sources[contoso].users.where: added user.department == 'x'",
			"sources[contoso].groups.types: added [security]",
			"sources[contoso].groups.nested: members -> flatten"}},
		{"guests as they were written before", with(t, "source: {users: {guests: false}}"), with(t, "source: {users: {guests: exclude}}"), nil},
		{"rules of a mapping", with(t, "source: {mapping: {title: a, nickName: b}}"), with(t, "source: {mapping: {nickName: c, externalId: d, groups: {displayName: e}}}"), []string{
			"sources[contoso].mapping.groups.displayName: added e", "sources[contoso].mapping.externalId: added d",
			"sources[contoso].mapping.nickName: b -> c", "sources[contoso].mapping.title: removed a"}},
		{"a preset", minimal, with(t, "source: {mapping: {preset: okta}}"), []string{"sources[contoso].mapping.preset: added okta"}},
		{"lookup tables", minimal + "tables: {a: {x: 1}, b: {y: 2}}\n", minimal + "tables: {b: {y: 3}, c: {z: 4}}\n", []string{
			"tables.b: changed", "tables.c: added", "tables.a: removed"}},
		{"a section where there was none", minimal, with(t, "client: {basic: {username: u, password_file: contoso.secret}}"), []string{"scim.clients[okta].basic: added"}},
		{"a claim of tokens", with(t, "client: {jwt: {issuer: 'https://a.example', audience: b, claims: [{claim: azp, value: c}]}}"),
			with(t, "client: {jwt: {issuer: 'https://a.example', audience: b, claims: [{claim: azp, value: d}]}}"), []string{"scim.clients[okta].jwt.claims: changed"}},
		{"assertions, without showing them", with(t, "source: {assert: [{must_exist: [a@b.c]}]}"), with(t, "source: {assert: [{must_exist: [d@b.c]}]}"),
			[]string{"sources[contoso].assert: changed"}},
		{"assertions where there were none", minimal, with(t, "source: {assert: [{users: 5}]}"), []string{"sources[contoso].assert: added"}},
		{"a hash, without showing it", "scim: {clients: [{name: a, token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}]}\n" + minimal[len("scim:\n  clients:\n    - {name: okta, token_file: okta.token}\n"):],
			"scim: {clients: [{name: a, token_sha256: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752}]}\n" + minimal[len("scim:\n  clients:\n    - {name: okta, token_file: okta.token}\n"):],
			[]string{"scim.clients[a].token_sha256: changed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeMinimal(t, c.old)
			old, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Dir(path), "config.yaml", c.new)
			new, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, texts(config.Diff(old, new))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if config.Equal(old, new) != (c.want == nil) {
				t.Error("Equal disagrees with Diff")
			}
		})
	}
}

func texts(changes []config.Change) []string {
	restart := map[string]bool{}
	for _, c := range config.NeedRestart(changes) {
		restart[c.Path] = true
	}
	var texts []string
	for _, c := range changes {
		s := c.String()
		if restart[c.Path] {
			s += " (restart)"
		}
		texts = append(texts, s)
	}
	return texts
}

func TestDiffSeesTheContentOfFiles(t *testing.T) {
	path := writeMinimal(t, minimal)
	load := func() *config.Config {
		cfg, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	old := load()
	write(t, filepath.Dir(path), "contoso.secret", "another")
	write(t, filepath.Dir(path), "okta.token", "another-token-0123456789")
	want := []string{"scim.clients[okta].token_file: changed", "sources[contoso].client_secret_file: changed"}
	if diff := cmp.Diff(want, texts(config.Diff(old, load()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
