package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/sync/store"
)

func (w *world) renameTo(name, more string) {
	w.t.Helper()
	w.configure(more, "- name: contoso", "- name: "+name, "  clients:", "  public_url: https://scim.example.com/scim/v2\n  clients:")
}

// A renaming that can't be carried out with the rest of the file is undone.
func TestRenamingIsUndone(t *testing.T) {
	w := newWorld(t)
	w.renameTo("contoso", "")
	w.start()
	before := w.served()
	w.write("second.secret", "second-secret")
	w.write("state/pictures/second", "no directory")
	w.renameTo("acme", w.second("second.secret"))
	if err := w.daemon.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "picture of source second") {
		t.Fatalf("the reload gives %v", err)
	}
	if w.served() != before {
		t.Error("what is served has changed")
	}
	w.sync()
	w.tenant.UpdateUser(w.users[0], map[string]any{"jobTitle": "new"})
	w.sync()
	if _, body := w.get("/Users/" + w.users[0]); !strings.Contains(body, `"title":"new"`) {
		t.Errorf("a change after that is not served: %s", body)
	}
	if err := os.Remove(filepath.Join(w.dir, "state", "pictures", "second")); err != nil {
		t.Fatal(err)
	}
	w.renameTo("acme", "")
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.served(); strings.Count(got, `"resourceType":"User"`) != len(w.users) || !strings.Contains(got, `"title":"new"`) {
		t.Errorf("under the new name everything is %.300s", got)
	}
	if round, err := w.daemon.Sync(t.Context(), "acme", false); err != nil || round.Outcome != "unchanged" || round.Round < 3 {
		t.Errorf("a round under the new name is %+v, %v", round, err)
	}
}

// A crash between the steps of a renaming is made good at the next start, under
// either name.
func TestRenamingOverACrash(t *testing.T) {
	for _, name := range []string{"acme", "contoso"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.renameTo("contoso", "")
			w.start()
			before := w.served()
			w.stop()
			db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(w.dir, "state", "scim-bridge.db")})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.RenameSource(t.Context(), "contoso", "acme"); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			w.renameTo(name, "")
			w.boot()
			if w.served() != before {
				t.Error("after the start something else is served")
			}
			w.eventually("it is up to date", func() bool { return w.daemon.Status().Sources[0].State == "up to date" })
			if st := w.daemon.Status(); len(st.Sources) != 1 || st.Sources[0].Name != name || st.Sources[0].Generation != 1 {
				t.Errorf("the sources are %+v", st.Sources)
			}
		})
	}
}
