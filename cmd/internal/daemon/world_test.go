package daemon_test

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/sync/graph/graphtest"
)

const (
	tenantSecret = "the-client-secret-of-the-tenant"
	clientToken  = "the-bearer-token-of-the-importer"
)

// A world is a daemon with a simulated tenant behind it and a directory of its
// own.
type world struct {
	t      *testing.T
	dir    string
	tenant *graphtest.Tenant
	other  *graphtest.Tenant // with as many people and groups
	server *graphtest.Server
	app    string
	users  []string
	daemon *daemon.Daemon
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.tenant, w.users = newTenant(graphtest.Options{Seed: 1, PageSize: 7})
	w.other, _ = newTenant(graphtest.Options{Seed: 2, PageSize: 7, Domain: "second.example"})
	w.app = w.tenant.AddApp(graphtest.App{Secret: tenantSecret, Consented: true, Permissions: []string{"User.Read.All", "GroupMember.Read.All"}})
	w.server = graphtest.NewServer(w.tenant, w.other)
	if err := w.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Close() })
	w.write("tenant.secret", tenantSecret)
	w.write("client.token", clientToken)
	w.configure("")
	return w
}

// newTenant makes a tenant of thirty users and one group of them all.
func newTenant(opts graphtest.Options) (tenant *graphtest.Tenant, users []string) {
	tenant = graphtest.NewTenant(opts)
	for i := range 30 {
		users = append(users, tenant.SetUser(map[string]any{
			"userPrincipalName": fmt.Sprintf("u%d@%s", i, cmp.Or(opts.Domain, "contoso.example")), "displayName": fmt.Sprint("User ", i), "accountEnabled": true, "userType": "Member",
		}))
	}
	tenant.AddMember(tenant.SetGroup(map[string]any{"displayName": "All", "securityEnabled": true, "mailEnabled": false}), users...)
	return tenant, users
}

// write puts a file into the world's directory as editors do.
func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path+"~", []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) configFile() string { return filepath.Join(w.dir, "config.yaml") }

// configure writes a configuration: that of source, with changes (old, new, …).
func (w *world) configure(more string, changes ...string) {
	w.t.Helper()
	w.write("config.yaml", strings.NewReplacer(changes...).Replace(fmt.Sprintf(`scim:
  listen: 127.0.0.1:0
  clients:
    - {name: importer, token_file: client.token}
admin:
  listen: 127.0.0.1:0
state:
  directory: state
sources:
  - name: contoso
    tenant_id: %s
    client_id: %s
    client_secret_file: tenant.secret
    login_url: %s
    graph_url: %s
    interval: 1h
`, w.tenant.ID(), w.app, w.server.LoginURL(), w.server.GraphURL())+more))
}

// start starts the daemon and waits until everybody is served.
func (w *world) start() {
	w.t.Helper()
	w.boot()
	w.eventually("everybody is served", func() bool { return w.daemon.Ready() == nil })
	w.sync() // the round that Run began with is over, whatever it was
}

// boot starts the daemon.
func (w *world) boot() {
	w.t.Helper()
	d, err := daemon.New(w.t.Context(), daemon.Options{
		ConfigFile: w.configFile(), Version: "1.2.3", Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.daemon = d
	w.t.Cleanup(func() { w.stop() })
	d.Start()
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.daemon.Stop(); err != nil {
		w.t.Errorf("stopping: %v", err)
	}
}

// sync does a round.
func (w *world) sync() admin.Round {
	w.t.Helper()
	round, err := w.daemon.Sync(w.t.Context(), "contoso", false)
	if err != nil {
		w.t.Fatalf("round: %v", err)
	}
	return round
}

// get asks the endpoint.
func (w *world) get(path string) (int, string) {
	w.t.Helper()
	return w.ask("http://"+w.daemon.SCIMAddr().String()+"/scim/v2"+path, clientToken)
}

func (w *world) ask(url, token string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// served is everything that is served.
func (w *world) served() string {
	w.t.Helper()
	status, body := w.get("/")
	if status != http.StatusOK {
		w.t.Fatalf("reading everything: %d %s", status, body)
	}
	return body
}

// eventually waits for something that has to happen.
func (w *world) eventually(what string, check func() bool) {
	w.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-deadline:
			w.t.Fatalf("waiting in vain until %s", what)
		case <-tick.C:
		}
	}
}
