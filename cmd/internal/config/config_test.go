package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"scimbridge/cmd/internal/config"
)

// minimal is the shortest file that loads, given the files of writeMinimal.
const minimal = `scim:
  clients:
    - {name: okta, token_file: okta.token}
sources:
  - name: contoso
    client_id: 7d2e0000-1111-4222-8333-444455556666
    client_secret_file: contoso.secret
`

// write puts a file into dir, readable by its owner only, and gives its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeMinimal writes text as a configuration, and the files that minimal names.
func writeMinimal(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "okta.token", "token-of-okta-0123456789\n")
	write(t, dir, "contoso.secret", "secret-of-contoso\n")
	return write(t, dir, "config.yaml", text)
}

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Load(writeMinimal(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaultsHoldWhereTheFileSaysNothing(t *testing.T) {
	cfg := load(t, minimal)
	s := cfg.Sources[0]
	for _, c := range []struct {
		path      string
		got, want any
	}{
		{"scim.listen", cfg.SCIM.Listen, config.Listen{Network: "tcp", Address: "127.0.0.1:8880"}},
		{"scim.public_url", cfg.SCIM.PublicURL, "http://127.0.0.1:8880/scim/v2"},
		{"scim.page_size", cfg.SCIM.PageSize, config.PageSize{Default: 1000, Max: 5000}},
		{"scim.source_attribute", cfg.SCIM.SourceAttribute, false},
		{"scim.duplicate_user_names", cfg.SCIM.DuplicateUserNames, config.NamesReport},
		{"admin.listen", cfg.Admin.Listen, config.Listen{Network: "tcp", Address: "127.0.0.1:8881"}},
		{"admin.public_url", cfg.Admin.PublicURL, "http://localhost:8881"},
		{"state", cfg.State, config.State{Directory: "/var/lib/scim-bridge", KeepGenerations: 20}},
		{"enabled", s.Enabled, true},
		{"cloud", s.Cloud, config.CloudGlobal},
		{"login_url", s.LoginURL, "https://login.microsoftonline.com"},
		{"graph_url", s.GraphURL, "https://graph.microsoft.com"},
		{"interval", s.Interval, 5 * time.Minute},
		{"full_every", s.FullEvery, 24 * time.Hour},
		{"users", s.Users, config.Users{Guests: config.GuestsInclude, Disabled: true, Read: config.ReadAll, KeepRemoved: 720 * time.Hour}},
		{"groups", s.Groups, config.Groups{Enabled: true, Nested: config.NestedMembers}},
		{"safeguard", s.Safeguard, config.Safeguard{MaxRemoved: config.Limit{Percent: 10, Relative: true}, Floor: 5}},
		{"log", cfg.Log, config.Log{Level: slog.LevelInfo, Format: config.FormatAuto}},
		{"warnings", len(cfg.Warnings), 0},
		{"line of the client", cfg.SCIM.Clients[0].Line, 3},
		{"line of the source", s.Line, 5},
		{"secret", s.ClientSecretFile.Secret.Reveal(), "secret-of-contoso"},
		{"token", cfg.SCIM.Clients[0].TokenSums(), [][32]byte{sha256.Sum256([]byte("token-of-okta-0123456789"))}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
}

func TestDefaultsFollowOtherSettings(t *testing.T) {
	for _, c := range []struct {
		name, text string
		got        func(*config.Config) any
		want       any
	}{
		{"a small max lowers the default page size", "scim: {page_size: {max: 100}}",
			func(c *config.Config) any { return c.SCIM.PageSize }, config.PageSize{Default: 100, Max: 100}},
		{"a large default page size raises max", "scim: {page_size: {default: 9000}}",
			func(c *config.Config) any { return c.SCIM.PageSize }, config.PageSize{Default: 9000, Max: 9000}},
		{"a long interval lengthens full_every", "source: {interval: 48h}",
			func(c *config.Config) any { return c.Sources[0].FullEvery }, 48 * time.Hour},
		{"a listener on all addresses is on localhost", "scim: {listen: ':80'}",
			func(c *config.Config) any { return c.SCIM.PublicURL }, "http://localhost:80/scim/v2"},
		{"an IPv6 listener keeps its brackets", "scim: {listen: '[2001:db8::1]:80'}",
			func(c *config.Config) any { return c.SCIM.PublicURL }, "http://[2001:db8::1]:80/scim/v2"},
		{"a slash at the end of a URL is dropped", "scim: {public_url: 'https://a.example/scim/v2/'}",
			func(c *config.Config) any { return c.SCIM.PublicURL }, "https://a.example/scim/v2"},
		{"a unix socket gives the admin pages no URL", "admin: {listen: 'unix:/run/admin.sock'}",
			func(c *config.Config) any { return c.Admin.PublicURL }, ""},
		{"usgov", "source: {cloud: usgov}", urls, [2]string{"https://login.microsoftonline.us", "https://graph.microsoft.us"}},
		{"dod", "source: {cloud: dod}", urls, [2]string{"https://login.microsoftonline.us", "https://dod-graph.microsoft.us"}},
		{"china", "source: {cloud: china}", urls, [2]string{"https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"}},
		{"a graph_url of one's own", "source: {graph_url: 'http://127.0.0.1:9/'}", urls, [2]string{"https://login.microsoftonline.com", "http://127.0.0.1:9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.got(load(t, with(t, c.text)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func urls(c *config.Config) any { return [2]string{c.Sources[0].LoginURL, c.Sources[0].GraphURL} }

// with gives minimal with settings added: those of scim, admin, state, log, and
// of its only source and client under "source" and "client".
func with(t *testing.T, text string) string {
	t.Helper()
	var base, more map[string]any
	for text, into := range map[string]*map[string]any{minimal: &base, text: &more} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	scim := base["scim"].(map[string]any)
	for section, settings := range more {
		var to map[string]any
		switch section {
		case "source":
			to = base["sources"].([]any)[0].(map[string]any)
		case "client":
			to = scim["clients"].([]any)[0].(map[string]any)
		case "scim":
			to = scim
		default:
			base[section] = settings
			continue
		}
		for k, v := range settings.(map[string]any) {
			to[k] = v
		}
	}
	merged, err := yaml.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	return string(merged)
}

func TestValuesAreReadInAllTheirForms(t *testing.T) {
	cfg := load(t, minimal+`    interval: 90s
    users: {guests: "false"}
    safeguard: {max_removed: 2.5%}
    assert:
      - must_exist: [a@contoso.com, b@contoso.com]
      - users: 9000..13000
      - groups: "> 3"
      - {group: Admins, members: "<=7", max_removed: 3}
      - users: ..5
      - users: 5..
      - users: 7
`)
	s := cfg.Sources[0]
	got := []any{s.Interval, s.Users.Guests, s.Safeguard.MaxRemoved.String(), s.Safeguard.MaxRemoved.Of(1000)}
	for _, a := range s.Assert {
		got = append(got, fmt.Sprintf("%v %v users=%v groups=%v group=%q members=%v max=%v", a.Line, a.MustExist, a.Users, a.Groups, a.Group, a.Members, a.MaxRemoved))
	}
	want := []any{90 * time.Second, config.GuestsExclude, "2.5%", 25,
		`12 [a@contoso.com b@contoso.com] users=<nil> groups=<nil> group="" members=<nil> max=<nil>`,
		`13 [] users=9000..13000 groups=<nil> group="" members=<nil> max=<nil>`,
		`14 [] users=<nil> groups=>= 4 group="" members=<nil> max=<nil>`,
		`15 [] users=<nil> groups=<nil> group="Admins" members=<= 7 max=3`,
		`16 [] users=<= 5 groups=<nil> group="" members=<nil> max=<nil>`,
		`17 [] users=>= 5 groups=<nil> group="" members=<nil> max=<nil>`,
		`18 [] users=7 groups=<nil> group="" members=<nil> max=<nil>`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRangesAndLimitsKeepTheirEnds(t *testing.T) {
	r := config.Range{Min: 3, Max: 5}
	for n, want := range map[int]bool{2: false, 3: true, 5: true, 6: false} {
		if r.Contains(n) != want {
			t.Errorf("%v contains %d: got %v", r, n, !want)
		}
	}
	for _, c := range []struct {
		limit       config.Limit
		total, want int
	}{
		{config.Limit{Percent: 10, Relative: true}, 1000, 100},
		{config.Limit{Percent: 10, Relative: true}, 19, 1},
		{config.Limit{Percent: 10, Relative: true}, 0, 0},
		{config.Limit{Percent: 100, Relative: true}, 7, 7},
		{config.Limit{Count: 12}, 5, 12},
	} {
		if got := c.limit.Of(c.total); got != c.want {
			t.Errorf("%v of %d: got %d, want %d", c.limit, c.total, got, c.want)
		}
	}
}

func TestAddressesAllowThemselvesAndNetworks(t *testing.T) {
	cfg := load(t, with(t, "client: {allow: [203.0.113.0/24, 203.0.113.7, '2001:db8::/32', '::ffff:192.0.2.1']}"))
	var want []netip.Prefix
	for _, p := range []string{"203.0.113.0/24", "203.0.113.7/32", "2001:db8::/32", "192.0.2.1/32"} {
		want = append(want, netip.MustParsePrefix(p))
	}
	if proxies := load(t, with(t, "scim: {trusted_proxies: [203.0.113.0/24, 203.0.113.7, '2001:db8::/32', '::ffff:192.0.2.1']}")).SCIM.TrustedProxies; !slices.Equal(proxies, want) {
		t.Errorf("trusted proxies are %v, want %v", proxies, want)
	}
	if !slices.Equal(cfg.SCIM.Clients[0].Allow, want) {
		t.Errorf("got %v, want %v", cfg.SCIM.Clients[0].Allow, want)
	}
}

func TestListenersKnowWhetherOthersReachThem(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.8.8:1": true, "'[::1]:1'": true, "LocalHost:1": true, "unix:/run/x.sock": true,
		"0.0.0.0:1": false, "':1'": false, "192.0.2.1:1": false, "host.example:1": false, "systemd": false,
	} {
		cfg := load(t, with(t, "scim: {public_url: 'https://a.example', listen: "+text+"}"))
		if got := cfg.SCIM.Listen.Local(); got != want {
			t.Errorf("%s: local is %v, want %v", text, got, want)
		}
	}
}

func TestPathsAreRelativeToTheFileAndTakeVariables(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "okta.token", "token-of-okta-0123456789")
	credentials := t.TempDir()
	write(t, credentials, "contoso.secret", "from the credentials")
	env := map[string]string{"CREDENTIALS_DIRECTORY": credentials, "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	text := strings.Replace(minimal, "contoso.secret", "${CREDENTIALS_DIRECTORY}/contoso.secret", 1)
	cfg, err := config.LoadBytes(filepath.Join(dir, "config.yaml"), []byte(text+"state: {directory: ../state}\n"), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sources[0].ClientSecretFile.Secret.Reveal(); got != "from the credentials" {
		t.Errorf("secret: got %q", got)
	}
	if want := filepath.Join(filepath.Dir(dir), "state"); string(cfg.State.Directory) != want {
		t.Errorf("state.directory: got %q, want %q", cfg.State.Directory, want)
	}
	text = strings.Replace(text, "CREDENTIALS_DIRECTORY", "EMPTY", 1)
	if _, err = config.LoadBytes(filepath.Join(dir, "config.yaml"), []byte(text), lookup); err == nil {
		t.Error("an empty variable was taken for a path")
	}
}

func TestAnchorsAndMergedSectionsWork(t *testing.T) {
	cfg := load(t, minimal+`    users: &u {guests: false}
    groups: &g {enabled: false, nested: members}
  - name: fabrikam
    client_id: &id 7d2e0000-1111-4222-8333-444455557777
    client_secret_file: contoso.secret
    users: *u
    groups:
      enabled: true
      <<: *g
`)
	f := cfg.Sources[1]
	if f.Users.Guests != config.GuestsExclude || !f.Groups.Enabled || f.Groups.Nested != config.NestedMembers {
		t.Errorf("got users %+v, groups %+v", f.Users, f.Groups)
	}
}

func TestAliasesThatMultiplyAreRefused(t *testing.T) {
	item, list := strings.Repeat("x,", 3000), strings.Repeat("*a,", 3000)
	text := minimal + "    assert:\n      - must_exist: &a [" + item + "]\n      - must_exist: [" + list + "]\n"
	for range 300 {
		text += "      - must_exist: *a\n"
	}
	_, err := config.Load(writeMinimal(t, text))
	if err == nil || !strings.Contains(err.Error(), "the file comes to more than 50000 values; use fewer aliases") {
		t.Errorf("got %.200v", err)
	}
}

func TestAByteOrderMarkIsIgnored(t *testing.T) {
	load(t, "\uFEFF"+minimal)
}

func TestALargeFileIsRefused(t *testing.T) {
	_, err := config.Load(writeMinimal(t, minimal+strings.Repeat("#", config.MaxSize)))
	if err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("got %.200v", err)
	}
}

func TestAFileOfOthersIsAFault(t *testing.T) {
	path := writeMinimal(t, minimal)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(path); err == nil {
		f.Close()
		t.Skip("SKIPPED: an unreadable file: root reads every file")
	}
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "permission denied; run this as root") {
		t.Errorf("got %v", err)
	}
}

// A named pipe that nobody writes to is no configuration, and no reason to hang.
func TestAPipeAsConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "the file is empty") {
		t.Errorf("nobody writes: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("unknown: 1\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := config.Load(fmt.Sprintf("/proc/self/fd/%d", r.Fd())); err == nil || !strings.Contains(err.Error(), "unknown: the key is unknown") {
		t.Errorf("from a pipe: %v", err)
	}
}

func TestAMissingFileIsAFault(t *testing.T) {
	_, err := config.Load(filepath.Join("testdata", "nowhere.yaml"))
	want := "testdata/nowhere.yaml: the file can't be read: no such file or directory; write it (scim-bridge setup does so by questions), or name another with --config"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAllFaultsAreToldAtOnceInTheOrderOfTheFile(t *testing.T) {
	dir := t.TempDir()
	const text = `scim:
  listen: nowhere
  clients:
    - name: Okta
      token_file: missing.token
sources:
  - name: contoso
    client_id: x
    client_secret: hunter2
    interval: 5
    users:
      guest: true
log:
  level: loud
  level: quiet
`
	path := write(t, dir, "config.yaml", text)
	_, err := config.Load(path)
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatalf("got %T %v", err, err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Path))
	}
	want := []string{"2:3 scim.listen", "4:7 scim.clients[0].name", "5:7 scim.clients[0].token_file",
		"8:5 sources[0].client_id", "9:5 sources[0].client_secret", "10:5 sources[0].interval", "12:7 sources[0].users.guest",
		"14:3 log.level", "15:3 log.level"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]config.Input{{Path: path, Sum: sha256.Sum256([]byte(text))}, {Path: filepath.Join(dir, "missing.token")}}, faults.Inputs()); diff != "" {
		t.Errorf("inputs at fault (-want +got):\n%s", diff)
	}
}

func TestFaultsFoundLaterHaveTheirPlace(t *testing.T) {
	cfg := load(t, minimal)
	for path, line := range map[string]int{"sources[0].client_id": 6, "sources[0].users.guests": 5, "log.level": 1} {
		f := cfg.Fault(path, "what", "mend")
		if want := fmt.Sprintf("%s:%d: %s: what; mend", cfg.File, line, path); f.Error() != want {
			t.Errorf("got %s, want %s", f.Error(), want)
		}
	}
}

func TestWarningsDoNotKeepTheFileFromLoading(t *testing.T) {
	now := time.Now()
	pair := func(end time.Time) map[string]string {
		cert, key := certificate(t, end)
		return map[string]string{"a.crt": cert, "a.key": key}
	}
	for _, c := range []struct {
		name, text string
		files      map[string]string
		mode       os.FileMode
		want       string
	}{
		{"everyone may read a secret", "", nil, 0o644, "config.yaml:N: sources[0].client_secret_file: everyone on this machine has access to contoso.secret (mode 0644); chmod o= contoso.secret"},
		{"the group may read a secret", "", nil, 0o640, ""},
		{"a short token", "", map[string]string{"okta.token": "short"}, 0o600, "config.yaml:N: scim.clients[0].token_file: the token has 5 characters only, which can be guessed; make one with `scim-bridge token`"},
		{"the id of a secret", "", map[string]string{"contoso.secret": "7d2e0000-1111-4222-8333-444455556666"}, 0o600, "config.yaml:N: sources[0].client_secret_file: contoso.secret looks like the id of a secret; write the secret's value into it, which Microsoft shows once"},
		{"tokens in the clear", "scim: {listen: '0.0.0.0:80'}", nil, 0o600, "config.yaml:N: scim.listen: tokens and personal data cross the network in the clear; set scim.tls, or listen on 127.0.0.1 behind a proxy"},
		{"a proxy in front", "scim: {listen: '0.0.0.0:80', public_url: 'https://a.example'}", nil, 0o600, ""},
		{"a redirect URI that Microsoft refuses", "admin: {public_url: 'http://a.example'}", nil, 0o600, "config.yaml:N: admin.public_url: Microsoft takes redirect URIs with http for the host localhost only; write an https URL, or http://localhost:PORT"},
		{"Graph in the clear", "source: {graph_url: 'http://a.example'}", nil, 0o600, "config.yaml:N: sources[0].graph_url: credentials cross the network in the clear; write an https URL"},
		{"a source that is off without its secret", "source: {enabled: false, client_secret_file: gone}", nil, 0o600, "config.yaml:N: sources[0].client_secret_file: gone can't be read: no such file or directory; write the secret into it, alone, and let the daemon's user read it"},
		{"a certificate that has expired", "scim: {tls: {certificate_file: a.crt, private_key_file: a.key}}", pair(now.Add(-48 * time.Hour)), 0o600,
			"config.yaml:N: scim.tls.certificate_file: the certificate has expired on " + now.UTC().Add(-48*time.Hour).Format(time.DateOnly) + "; renew it"},
		{"a certificate in force", "scim: {tls: {certificate_file: a.crt, private_key_file: a.key, client_ca_file: a.crt}}", pair(now.Add(time.Hour)), 0o600, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeMinimal(t, with(t, c.text))
			dir := filepath.Dir(path)
			for name, content := range c.files {
				write(t, dir, name, content)
			}
			if err := os.Chmod(filepath.Join(dir, "contoso.secret"), c.mode); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if len(cfg.Warnings) > 0 {
				w := cfg.Warnings[0]
				got = strings.ReplaceAll(strings.Replace(w.Error(), fmt.Sprintf(":%d:", w.Line), ":N:", 1), dir+"/", "")
			}
			if got != c.want || len(cfg.Warnings) > 1 {
				t.Errorf("got %s\nwant %s\nof %d", got, c.want, len(cfg.Warnings))
			}
		})
	}
}

// certificate makes a self-signed certificate that ends at a time, and its key.
func certificate(t *testing.T, end time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: end.Add(-time.Hour), NotAfter: end, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestKeyPairsAreGivenReady(t *testing.T) {
	path := writeMinimal(t, with(t, "scim: {tls: {certificate_file: a.crt, private_key_file: a.key}}"))
	cert, key := certificate(t, time.Now().Add(time.Hour))
	write(t, filepath.Dir(path), "a.crt", cert)
	write(t, filepath.Dir(path), "a.key", key)
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.SCIM.TLS.KeyPair(); err != nil {
		t.Error(err)
	}
}
