package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/sync/graph/graphtest"
)

func (w *world) open() (*daemon.Daemon, error) {
	return daemon.New(w.t.Context(), daemon.Options{ConfigFile: w.configFile(), Version: "1", Log: slog.New(slog.DiscardHandler)})
}

func TestStopIsIdempotentAndLetsGo(t *testing.T) {
	w := newWorld(t)
	w.start()
	scim, admin := w.daemon.SCIMAddr(), w.daemon.AdminAddr()
	w.stop()
	w.stop()
	if err := w.daemon.Reload(t.Context()); err == nil {
		t.Error("a stopped daemon reloads")
	}
	if _, err := w.daemon.Sync(t.Context(), "contoso", false); err == nil {
		t.Error("a stopped daemon does a round")
	}
	for _, addr := range []net.Addr{scim, admin} {
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			t.Errorf("%v is still taken: %v", addr, err)
			continue
		}
		l.Close()
	}
	// The state can be opened by the next one, which serves at once.
	w.server.Close()
	d, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	w.daemon = d
	d.Start()
	defer d.Stop()
	if status, body := w.get("/Users?count=0"); status != http.StatusOK || !strings.Contains(body, `"totalResults":30`) {
		t.Errorf("after a restart without Microsoft: %d %s", status, body)
	}
}

func TestStopBeforeStart(t *testing.T) {
	w := newWorld(t)
	d, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

// Stop does not wait for Microsoft.
func TestStopCutsRoundsOff(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.tenant.Inject(graphtest.Slow(1 << 40).On("users").Forever())
	ended := make(chan error, 1)
	go func() {
		_, err := w.daemon.Sync(context.Background(), "contoso", true)
		ended <- err
	}()
	w.eventually("the round is under way", func() bool { return w.daemon.Status().Sources[0].State == "importing" })
	w.stop()
	if err := <-ended; err == nil {
		t.Error("the round ended well")
	}
}

// A start that fails lets go of everything it had.
func TestNewRollsBack(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(w *world)
		faults bool
	}{
		"a fault in the file": {func(w *world) { w.write("client.token", "") }, true},
		// It may come up later: a unit is started again for what is no fault of the file.
		"the admin address is not here": {func(w *world) {
			w.configure("", "admin:\n  listen: 127.0.0.1:0", "admin:\n  listen: 192.0.2.1:1\n  token_file: client.token")
		}, false},
		"systemd was to pass a socket": {func(w *world) {
			w.configure("", "scim:\n  listen: 127.0.0.1:0", "scim:\n  listen: systemd\n  public_url: https://scim.example.com/scim/v2")
		}, true},
		"the state can't be opened": {func(w *world) { w.write("state", "a file") }, false},
		"a picture is foreign": {func(w *world) {
			dir := filepath.Join(w.dir, "state", "pictures", "contoso")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"format":1,"source":"other"}`), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w)
			_, err := w.open()
			var faults config.Faults
			var fault config.Fault
			if err == nil || (errors.As(err, &faults) || errors.As(err, &fault)) != c.faults {
				t.Fatalf("got %v", err)
			}
			os.RemoveAll(filepath.Join(w.dir, "state"))
			w.write("client.token", clientToken)
			w.configure("")
			w.start()
		})
	}
}

// A port that is taken is told with the setting and the way to find out by whom.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld(t)
	w.configure("", "scim:\n  listen: 127.0.0.1:0", "scim:\n  listen: "+l.Addr().String())
	_, err = w.open()
	var fault config.Fault
	if err == nil || errors.As(err, &fault) || !strings.Contains(err.Error(), "scim.listen: ") || !strings.Contains(err.Error(), "ss -ltnp") {
		t.Errorf("got %v", err)
	}
}

func TestTwoDaemonsDoNotShareAState(t *testing.T) {
	w := newWorld(t)
	w.start()
	if d, err := w.open(); err == nil {
		d.Stop()
		t.Error("a second daemon opened the state of the first")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	d, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	w.daemon = d
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, nil) }()
	w.eventually("everybody is served", func() bool { return d.Ready() == nil })

	// It takes an edit by itself.
	w.write("client.token", "the-next-token-of-the-importer")
	w.eventually("the edit is taken", func() bool { return d.Status().Reloads == 2 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestUnixSockets(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.dir, "scim.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	w.configure("", "  listen: 127.0.0.1:0\n  clients", "  listen: unix:"+path+"\n  public_url: http://localhost/scim/v2\n  clients")
	w.start()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
	if _, err := w.open(); err == nil {
		t.Error("a second daemon took the socket")
	}
}

// A source that fails since an edit, or since the start, has not failed for ever:
// when a round last ended well is still told.
func TestLastSuccessOutlivesEditsAndRestarts(t *testing.T) {
	w := newWorld(t)
	url := []string{"scim:\n", "scim:\n  public_url: http://scim.example.com/scim/v2\n"} // the same after the restart
	w.configure("", url...)
	w.start()
	before := w.daemon.Status().Sources[0].LastSuccess
	if before.IsZero() {
		t.Fatal("no round ended well")
	}
	w.tenant.Inject(graphtest.Denied().Forever())
	told := func(when string) {
		t.Helper()
		w.eventually("a round fails", func() bool { return w.daemon.Status().Sources[0].Failures > 0 })
		if got := w.daemon.Status().Sources[0].LastSuccess; got.Before(before) {
			t.Errorf("%s the last success was at %s, before %s", when, got, before)
		}
	}
	w.configure("", append(url, "1h", "2h")...)
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	told("after an edit")
	w.stop()
	w.boot()
	told("after a restart")
}
