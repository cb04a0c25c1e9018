package daemon_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source that left the file and whose picture is lost is missed loudly: its
// people do not vanish from what clients see, until it is put back or dropped.
func TestLostPictureOfSourceThatLeft(t *testing.T) {
	for name, lose := range map[string]func(pictures string) error{
		"the picture of the source": func(pictures string) error { return os.RemoveAll(filepath.Join(pictures, "second")) },
		"all pictures":              os.RemoveAll,
		"a segment": func(pictures string) error {
			segments, err := filepath.Glob(filepath.Join(pictures, "second", "*.segment"))
			for _, path := range segments {
				err = os.Truncate(path, 100)
			}
			if len(segments) == 0 {
				t.Error("there is no segment")
			}
			return err
		},
		"the manifest": func(pictures string) error {
			return os.WriteFile(filepath.Join(pictures, "second", "manifest.json"), []byte("{"), 0o600)
		},
	} {
		for _, mend := range []string{"put back", "dropped"} {
			t.Run(name+", "+mend, func(t *testing.T) {
				w := newWorld(t)
				w.write("second.secret", "second-secret")
				second := w.second("second.secret")
				w.configure(second)
				w.start()
				before := w.served()
				w.stop()
				if err := lose(filepath.Join(w.dir, "state", "pictures")); err != nil {
					t.Fatal(err)
				}
				w.configure("")
				w.boot()
				w.eventually("the other source is served", func() bool {
					return w.daemon.Status().Sources[0].State == "up to date"
				})
				status, body := w.get("/Users")
				if status != http.StatusServiceUnavailable || !strings.Contains(body, "source second") || !strings.Contains(body, "approve --source second") {
					t.Fatalf("while the picture is lost: %d %.300s", status, body)
				}
				if st := w.daemon.Status().Sources; len(st) != 2 || !strings.Contains(st[1].Error, "can't be read") {
					t.Errorf("the sources are %+v", st)
				}
				if _, err := w.daemon.Held(t.Context(), "second", 0); err == nil || !strings.Contains(err.Error(), "can't be read") {
					t.Errorf("who would go: %v", err)
				}
				if mend == "put back" {
					w.configure(second)
					if err := w.daemon.Reload(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else if _, err := w.daemon.Approve(t.Context(), "second", 0, "a test"); err != nil {
					t.Fatal(err)
				}
				w.eventually("everybody is served", func() bool { return w.daemon.Ready() == nil })
				users := func(body string) int { return strings.Count(body, `"resourceType":"User"`) }
				want := users(before)
				if mend == "dropped" {
					want = len(w.users)
				}
				if got := users(w.served()); got != want {
					t.Errorf("%d users are served, want %d", got, want)
				}
			})
		}
	}
}

// A source that left the file before anybody was served of it keeps nobody
// waiting.
func TestSourceThatLeftUnseen(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.write("second.secret", "second-secret")
	w.server.Close()
	w.configure(w.second("second.secret"))
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.configure("")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.daemon.Status().Sources; len(st) != 1 || w.daemon.Ready() != nil {
		t.Errorf("the sources are %+v, ready: %v", st, w.daemon.Ready())
	}
}
