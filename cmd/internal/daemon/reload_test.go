package daemon_test

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// Whatever is wrong with a new configuration, and however late it is found out,
// the daemon goes on as if nobody had touched the file: the same bytes served,
// the same rounds.
func TestReloadErrorKeepsOld(t *testing.T) {
	// foreign makes a picture that can't be opened: it is found out last, after
	// sources have been stopped for the opening of their own.
	foreign := func(w *world) {
		dir := filepath.Join(w.dir, "state", "pictures", "zz")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"format":1,"source":"other"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(w *world)
		want  string
	}{
		"the file is no YAML":  {func(w *world) { w.write("config.yaml", "scim: [") }, "config.yaml:"},
		"the file is gone":     {func(w *world) { os.Remove(w.configFile()) }, "can't be read"},
		"a key is unknown":     {func(w *world) { w.configure("    intervall: 5m\n") }, "intervall"},
		"a secret is gone":     {func(w *world) { os.Remove(filepath.Join(w.dir, "tenant.secret")) }, "tenant.secret"},
		"a secret is empty":    {func(w *world) { w.write("client.token", "") }, "client.token"},
		"a secret is refused":  {func(w *world) { w.write("tenant.secret", "another-secret-that-is-wrong") }, "Microsoft refuses the credential"},
		"a tenant is not ours": {func(w *world) { w.configure("", w.tenant.ID(), "0f3c0000-1111-4222-8333-444455556666") }, "Microsoft refuses the credential"},
		"the state moves":      {func(w *world) { w.configure("", "directory: state", "directory: other") }, "state.directory: it was"},
		"a listener moves": {func(w *world) {
			w.configure("", "  listen: 127.0.0.1:0\n  clients", "  listen: 127.0.0.1:1\n  clients")
		}, "scim.listen: it was"},
		"plain HTTP becomes HTTPS": {func(w *world) {
			keyPair(t, w.dir, "tls", time.Now())
			w.configure("", "  clients:", tlsSection+"  clients:")
		}, "scim.tls"},
		"a picture can't be opened": {func(w *world) {
			foreign(w)
			w.configure("", "directory: state", "directory: state\n  keep_generations: 3")
		}, "belongs to source"},
		"a picture, and the URL changes": {func(w *world) {
			foreign(w)
			w.configure("", "  clients:", "  public_url: https://x.example/scim/v2\n  clients:")
		}, "belongs to source"},
		"a new source has a wrong secret": {func(w *world) { w.write("wrong", "wrong-secret"); w.configure(w.second("wrong")) }, "sources[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			before, generation := w.served(), w.daemon.Status().Sources[0].Generation
			c.spoil(w)
			err := w.daemon.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("reload gave %v, want an error with %q", err, c.want)
			}
			if strings.Contains(err.Error(), tenantSecret) || strings.Contains(err.Error(), "another-secret") {
				t.Errorf("the error has a secret in it: %v", err)
			}
			if after := w.served(); after != before {
				t.Errorf("another picture is served")
			}
			w.tenant.UpdateUser(w.users[0], map[string]any{"jobTitle": "Reloader"})
			// A source that had to stop for the attempt goes on with a round of its
			// own, which may have brought the change; then this one has none.
			if round := w.sync(); round.Outcome != "published" && round.Outcome != "unchanged" {
				t.Errorf("the next round is %s, want published: %+v", round.Outcome, round)
			}
			if got := w.daemon.Status().Sources[0].Generation; got != generation+1 {
				t.Errorf("generation is %d, want %d", got, generation+1)
			}
			st := w.daemon.Status()
			if st.FailedReloads != 1 || !strings.Contains(st.ConfigError, c.want) || st.ConfigFailed.IsZero() {
				t.Errorf("status has %d failed reloads, %q at %v", st.FailedReloads, st.ConfigError, st.ConfigFailed)
			}

			// Mended, it is taken.
			os.RemoveAll(filepath.Join(w.dir, "state", "pictures", "zz"))
			w.write("tenant.secret", tenantSecret)
			w.write("client.token", clientToken)
			w.configure("", "1h", "2h")
			if err := w.daemon.Reload(t.Context()); err != nil {
				t.Fatalf("the mended file: %v", err)
			}
			if st := w.daemon.Status(); st.ConfigError != "" || st.Reloads != 2 {
				t.Errorf("after mending, status has %d reloads and %q", st.Reloads, st.ConfigError)
			}
			w.sync()
		})
	}
}

// second gives lines of a second source, of the same tenant by another
// application, whose secret is in a file.
func (w *world) second(secretFile string) string {
	app := w.other.AddApp(graphtest.App{Secret: "second-secret", Consented: true, Permissions: []string{"User.Read.All", "GroupMember.Read.All"}})
	return "  - name: second\n    tenant_id: " + w.other.Domain() + "\n    client_id: " + app + "\n    client_secret_file: " + secretFile +
		"\n    login_url: " + w.server.LoginURL() + "\n    graph_url: " + w.server.GraphURL() + "\n"
}

func TestReloadTakesWhatChanges(t *testing.T) {
	w := newWorld(t)
	w.start()

	t.Run("a client's token", func(t *testing.T) {
		w.write("client.token", "the-next-token-of-the-importer")
		if err := w.daemon.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, _ := w.get("/Users?count=1"); status != http.StatusUnauthorized {
			t.Errorf("the old token gets %d", status)
		}
		w.write("client.token", clientToken)
		if err := w.daemon.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, body := w.get("/Users?count=1"); status != http.StatusOK {
			t.Errorf("the token that is back gets %d %s", status, body)
		}
	})
	t.Run("the public URL, in every resource", func(t *testing.T) {
		w.configure("", "  clients:", "  public_url: https://elsewhere.example/scim/v2\n  clients:")
		if err := w.daemon.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.eventually("everything has the new URL", func() bool {
			return strings.Count(w.served(), `"location":"https://elsewhere.example/scim/v2/Users/`) == len(w.users)
		})
	})
	t.Run("how many generations are kept, without a change of what is served", func(t *testing.T) {
		before := w.served()
		w.configure("", "  clients:", "  public_url: https://elsewhere.example/scim/v2\n  clients:", "directory: state", "directory: state\n  keep_generations: 2")
		if err := w.daemon.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.served() != before {
			t.Error("what is served has changed")
		}
		for i := range 4 {
			w.tenant.UpdateUser(w.users[0], map[string]any{"jobTitle": strings.Repeat("x", i+1)})
			w.sync()
		}
		if _, body := w.get("/Users/" + w.users[0]); !strings.Contains(body, `"title":"xxxx"`) {
			t.Errorf("rounds after the change are not served: %s", body)
		}
	})
}

// A source that is taken out of the file stays served as it was; only an
// approval drops it, and one that is back in the file is not dropped by a late
// approval.
func TestSourceLeavesTheFile(t *testing.T) {
	w := newWorld(t)
	w.write("second.secret", "second-secret")
	second := w.second("second.secret")
	w.configure(second)
	w.start()
	both := w.served()
	w.configure("")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.served() != both {
		t.Error("what is served changed when the source left the file")
	}
	w.configure(second)
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.daemon.Approve(t.Context(), "second", 0, "test"); err == nil {
		t.Error("a source in the file was approved, with nothing held")
	}
	w.configure("")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if round, err := w.daemon.Approve(t.Context(), "second", 0, "test"); err != nil || round.Outcome != "dropped" {
		t.Fatalf("dropping gives %+v, %v", round, err)
	}
	if got := w.served(); !strings.Contains(got, `"totalResults":31,`) {
		t.Errorf("after dropping, everything is %.200s", got)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "state", "pictures", "second")); !os.IsNotExist(err) {
		t.Errorf("its picture is still there: %v", err)
	}
}

// A walk that is under way reads the picture it began with, also through the
// handler of the next configuration.
func TestReloadKeepsWalks(t *testing.T) {
	w := newWorld(t)
	w.start()
	_, first := w.get("/Users?startIndex=1&count=10")
	w.tenant.RemoveUser(w.users[0])
	for range 2 {
		w.tenant.SetUser(map[string]any{"userPrincipalName": "new@contoso.example", "displayName": "New", "accountEnabled": true})
		w.sync()
		w.configure("", "1h", "2h")
		if err := w.daemon.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, rest := w.get("/Users?startIndex=11&count=20")
	for i, id := range w.users {
		if !strings.Contains(first+rest, `"id":"`+id+`"`) {
			t.Errorf("user %d is in no page", i)
		}
	}
	if strings.Contains(rest, `"displayName":"New"`) || !strings.Contains(rest, `"totalResults":30,`) {
		t.Errorf("the walk read another picture: %.200s", rest)
	}
}

// An order of the administrator ends with the mirror it was given to, and says
// so; it never writes beside the one that follows.
func TestReloadEndsOrders(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.tenant.Inject(graphtest.Slow(time.Hour).On("users").Forever())
	ended := make(chan error, 1)
	go func() {
		_, err := w.daemon.Sync(context.Background(), "contoso", true)
		ended <- err
	}()
	w.eventually("the round is under way", func() bool { return w.daemon.Status().Sources[0].State == "importing" })
	w.tenant.ClearFaults()
	w.configure("", "1h", "2h")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "try again") {
			t.Errorf("the order gave %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the order goes on")
	}
	w.sync()
}

// A state of a program that did not note what clients are shown takes them to have
// been shown what they may see; a note that can't be written is written later.
func TestShownIsAssumedAndNotedLater(t *testing.T) {
	w := newWorld(t)
	w.write("second.secret", "second-secret")
	second := w.second("second.secret")
	listed := func(sources string) {
		w.configure(second, "token_file: client.token}", "token_file: client.token, sources: ["+sources+"]}")
	}
	sql := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "state", "scim-bridge.db")+"?_pragma=busy_timeout(60000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	sees := func(want int) {
		t.Helper()
		if got := w.served(); strings.Count(got, `"resourceType":"User"`) != want {
			t.Errorf("%d users are served, want %d", strings.Count(got, `"resourceType":"User"`), want)
		}
	}
	n := len(w.users)
	listed("contoso, second")
	w.start()
	w.stop()
	sql("DELETE FROM shown; DELETE FROM meta WHERE key = 'shown'")
	w.start()
	listed("contoso")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	sees(2 * n)
	if _, err := w.daemon.ApproveClient(t.Context(), "importer", nil, "test"); err != nil {
		t.Fatal(err)
	}
	sees(n)

	// While the note fails everybody is served, and it is remembered.
	sql("ALTER TABLE shown RENAME TO hidden")
	listed("contoso, second")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	sees(2 * n)
	listed("contoso")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	sees(2 * n)
	if _, err := w.daemon.ApproveClient(t.Context(), "importer", nil, "test"); err == nil {
		t.Error("an approval that was not noted is given")
	}
	sees(2 * n)
	sql("ALTER TABLE hidden RENAME TO shown")
	if _, err := w.daemon.ApproveClient(t.Context(), "importer", []string{"second"}, "test"); err != nil {
		t.Fatal(err)
	}
	sees(n)
}
