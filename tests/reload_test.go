package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// reloads counts the configurations that were taken and those that were refused.
func (b *bridge) reloads() (taken, refused int) {
	b.t.Helper()
	var st struct{ Reloads, FailedReloads int }
	b.adminGet("/api/v1/status", &st)
	return st.Reloads, st.FailedReloads
}

// adminGet reads JSON from the administrator's listener.
func (b *bridge) adminGet(path string, into any) {
	b.t.Helper()
	status, body := b.get(b.admin+path, nil)
	if status != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
}

// token says what the endpoint answers to a bearer token.
func (b *bridge) token(token string) int {
	status, _ := b.get(b.scim+"/Users?count=0", map[string]string{"Authorization": "Bearer " + token})
	return status
}

// Every way in which people and programs change a file is noticed, again and
// again, for the configuration as for what it names.
func TestEveryWayOfEditing(t *testing.T) {
	wholeRun(t)
	inPlace := func(t *testing.T, path, content string) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for part := range strings.SplitAfterSeq(content, "-") { // as slow editors do
			if _, err := io.WriteString(f, part); err != nil {
				t.Fatal(err)
			}
		}
	}
	rename := func(t *testing.T, path, content string) {
		if err := os.WriteFile(path+".swp", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".swp", path); err != nil {
			t.Fatal(err)
		}
	}
	ways := map[string]func(t *testing.T, path, content string){
		"in place":  inPlace,
		"by rename": rename,
		"deleted and made again": func(t *testing.T, path, content string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // so that there is a moment without it
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"with a backup first, as vim does": func(t *testing.T, path, content string) {
			if err := os.Rename(path, path+"~"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"through a link to another directory": func(t *testing.T, path, content string) {
			target := filepath.Join(filepath.Dir(path), "elsewhere", filepath.Base(path))
			if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
				t.Fatal(err)
			}
			rename(t, target, content)
			if link, err := os.Readlink(path); err == nil && link == target {
				return
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		},
		"by a volume that swaps its directory": func(t *testing.T, path, content string) {
			dir := filepath.Dir(path)
			version, err := os.MkdirTemp(dir, "..")
			if err != nil {
				t.Fatal(err)
			}
			now, err := os.ReadDir(filepath.Join(dir, "..data"))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			for _, f := range now { // a version has all files
				data, err := os.ReadFile(filepath.Join(dir, "..data", f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(version, f.Name()), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(version, filepath.Base(path)), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
			if link, err := os.Readlink(path); err == nil && link == "..data/"+filepath.Base(path) {
				return
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("..data/"+filepath.Base(path), path); err != nil {
				t.Fatal(err)
			}
		},
	}
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 20, 2))
	for name, edit := range ways {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t)
			b.configure(tenant.source("contoso"))
			b.start()
			b.ready()
			for i := range 3 {
				token := fmt.Sprintf("token-no-%d-of-the-importer", i)
				edit(t, filepath.Join(b.dir, "client.token"), token)
				b.eventually("the new token is good", func() error {
					if got := b.token(token); got != http.StatusOK {
						return fmt.Errorf("it gets %d", got)
					}
					return nil
				})
				page := 7 + i
				edit(t, b.configFile(), config(fmt.Sprintf("  page_size: {default: %d, max: 50}\n", page), tenant.source("contoso")))
				b.eventually("the new page size is in force", func() error {
					_, body := b.get(b.scim+"/Users", map[string]string{"Authorization": "Bearer " + token})
					if want := fmt.Sprintf(`"itemsPerPage":%d,`, page); !strings.Contains(body, want) {
						return fmt.Errorf("no %s in %.200s", want, body)
					}
					return nil
				})
			}
		})
	}
}

// What is wrong with a file is said at once and changes nothing; SIGHUP and the
// command reload have the same verdict.
func TestReloadOnDemand(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 20, 2))
	b := newBridge(t)
	admin := freeAddress(t)
	good := strings.Replace(config("", tenant.source("contoso")), "admin:\n  listen: 127.0.0.1:0", "admin:\n  listen: "+admin, 1)
	b.write("config.yaml", good)
	b.start()
	b.ready()
	want := len(b.list("/Users", 10))

	taken, _ := b.reloads()
	if status, stdout, stderr := b.run("reload"); status != 0 || !strings.Contains(stdout, "in force") {
		t.Errorf("reload of a good file: %d %s%s", status, stdout, stderr)
	}
	b.signal(syscall.SIGHUP)
	b.eventually("SIGHUP has led to a reload, though nothing had changed", func() error {
		if n, _ := b.reloads(); n != taken+2 {
			return fmt.Errorf("%d were taken", n)
		}
		return nil
	})
	// A fault in the file, and one that only the daemon can find.
	for name, bad := range map[string]string{
		"an unknown key":        good + "unknown: 1\n",
		"a listener that moves": strings.Replace(good, "  listen: 127.0.0.1:0\n  clients", "  listen: 127.0.0.1:9\n  clients", 1),
	} {
		_, before := b.reloads()
		b.write("config.yaml", bad)
		if status, _, stderr := b.run("reload"); status == 0 || !strings.Contains(stderr, "config.yaml:") {
			t.Errorf("%s: reload ended with %d: %s", name, status, stderr)
		}
		b.eventually("the daemon has refused it", func() error {
			if _, n := b.reloads(); n <= before {
				return fmt.Errorf("%d were refused", n)
			}
			return nil
		})
		if got := len(b.list("/Users", 10)); got != want {
			t.Errorf("%s: %d are served, before it were %d", name, got, want)
		}
		// The faulty file does not keep the commands from the daemon, least of all
		// the one that tells of the fault.
		if status, stdout, stderr := b.run("status"); status != 0 || !strings.Contains(stdout, "CONFIGURATION NOT TAKEN") {
			t.Errorf("%s: status ended with %d: %s%s", name, status, stdout, stderr)
		}
	}
	b.write("config.yaml", good)
	b.eventually("the good file is in force again", func() error {
		var st struct{ ConfigError string }
		b.adminGet("/api/v1/status", &st)
		if st.ConfigError != "" {
			return fmt.Errorf("still: %s", st.ConfigError)
		}
		return nil
	})
}

// An answer that is being read slowly is not cut by reloads, nor by SIGTERM, which
// waits for it.
func TestReloadAndStopLetAnswersEnd(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 5000, 5))
	b := newBridge(t)
	b.configure(tenant.source("contoso"))
	b.start()
	b.ready()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(b.scim, "http://"), "/scim/v2"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /scim/v2/Users?count=5000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", bridgeToken)
	start := make([]byte, 1000)
	if _, err := io.ReadFull(conn, start); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		taken, _ := b.reloads()
		b.write("config.yaml", config(fmt.Sprintf("  page_size: {default: %d}\n", 100+i), tenant.source("contoso")))
		b.eventually("the edit is taken", func() error {
			if n, _ := b.reloads(); n == taken {
				return fmt.Errorf("%d were taken", n)
			}
			return nil
		})
	}
	b.signal(syscall.SIGTERM)
	b.expectLog(`configuration is in force`)
	rest, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("the answer was cut after %d bytes: %v", len(rest), err)
	}
	if answer := string(start) + string(rest); !strings.HasSuffix(answer, "]}") || strings.Count(answer, `"resourceType":"User"`) != 5000 {
		t.Errorf("the answer ends with %q and has %d users", answer[len(answer)-20:], strings.Count(answer, `"resourceType":"User"`))
	}
	if err := <-b.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// No secret is in anything that the program says: its log at debug, pages,
// metrics, status, errors, files of state.
func TestNoSecretIsTold(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 20, 2))
	b := newBridge(t)
	secrets := map[string]string{"basic.password": "the-password-of-a-client", "oauth.secret": "the-secret-of-a-client", "wrong.secret": "the-wrong-secret-of-a-tenant"}
	for name, content := range secrets {
		b.write(name, content)
	}
	cfg := strings.Replace(config("    - {name: plain, basic: {username: plain, password_file: basic.password}}\n    - {name: granted, oauth2: {client_id: granted, client_secret_file: oauth.secret}}\n",
		tenant.source("contoso")), "level: info", "level: debug", 1)
	b.write("config.yaml", cfg)
	b.start()
	b.ready()
	said := new(strings.Builder)
	ask := func(url string, header map[string]string) {
		_, body := b.get(url, header)
		said.WriteString(body + "\n")
	}
	for _, credentials := range []string{"Bearer " + bridgeToken + "x", "Bearer the-password-of-a-client", "Basic the-password-of-a-client", "Nonsense the-secret-of-a-client"} {
		ask(b.scim+"/Users?count=1", map[string]string{"Authorization": credentials})
	}
	ask(b.scim+"/Users?count=1", nil)
	b.write("config.yaml", strings.ReplaceAll(cfg, "client_secret_file: tenant.secret", "client_secret_file: wrong.secret"))
	b.expectLog(`Microsoft refuses the credential`)
	b.write("config.yaml", cfg+"the-secret-of-a-client-in-a-wrong-place: 1\n")
	b.expectLog(`wrong-place`)
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/readyz", "/lookup?q=x"} {
		ask(b.admin+path, map[string]string{"Accept": "text/html"})
	}
	for _, command := range []string{"status", "check-config"} {
		_, stdout, stderr := b.run(command)
		said.WriteString(stdout + stderr)
	}
	said.WriteString(strings.ReplaceAll(b.logged(), "the-secret-of-a-client-in-a-wrong-place", ""))
	if status := b.stop(); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	err := filepath.WalkDir(filepath.Join(b.dir, "state"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		said.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	secrets["client.token"], secrets["tenant.secret"] = bridgeToken, clientSecret
	all := strings.ReplaceAll(said.String(), "the-secret-of-a-client-in-a-wrong-place", "")
	for name, secret := range secrets {
		if at := strings.Index(all, secret); at >= 0 {
			t.Errorf("the secret of %s is told: …%s…", name, all[max(0, at-200):min(len(all), at+100)])
		}
	}
}
