package config_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/cmd/internal/config"
)

// A recorder is a slog.Handler that passes messages on, with their attributes
// "file" and "changed".
type recorder chan string

func (r recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r recorder) WithGroup(string) slog.Handler            { return r }
func (r recorder) Handle(_ context.Context, rec slog.Record) error {
	s := rec.Level.String() + " " + rec.Message
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "file" || a.Key == "changed" {
			s += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		return true
	})
	select {
	case r <- s:
	default: // no test looks so far back
	}
	return nil
}

const deadline = 20 * time.Second

// watch starts a watcher that ends with the test.
func watch(t *testing.T, path string) (*config.Watcher, recorder) {
	t.Helper()
	log := make(recorder, 1000)
	w, err := config.NewWatcher(path, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, log
}

func notice(t *testing.T, w *config.Watcher) config.Notice {
	t.Helper()
	select {
	case n := <-w.Notices():
		return n
	case <-time.After(deadline):
		t.Fatal("no notice")
		panic("unreachable")
	}
}

// logged waits for a line of the log, and fails on a notice before it.
func logged(t *testing.T, w *config.Watcher, log recorder, want string) {
	t.Helper()
	late := time.After(deadline)
	for {
		select {
		case got := <-log:
			if got == want {
				return
			}
		case n := <-w.Notices():
			t.Fatalf("notice %v before %q", n, want)
		case <-late:
			t.Fatalf("not logged: %q", want)
		}
	}
}

func input(path, content string) config.Input {
	return config.Input{Path: path, Sum: sha256.Sum256([]byte(content))}
}

// disk makes changes to files the ways that people and programs do.
type disk struct {
	t   *testing.T
	dir string
}

func (d disk) at(name string) string { return filepath.Join(d.dir, name) }

func (d disk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d disk) mkdir(name string)          { d.t.Helper(); d.ok(os.MkdirAll(d.at(name), 0o755)) }
func (d disk) link(to, name string)       { d.t.Helper(); d.ok(os.Symlink(to, d.at(name))) }
func (d disk) rename(from, to string)     { d.t.Helper(); d.ok(os.Rename(d.at(from), d.at(to))) }
func (d disk) remove(name string)         { d.t.Helper(); d.ok(os.RemoveAll(d.at(name))) }
func (d disk) write(name, content string) { d.t.Helper(); write(d.t, d.dir, name, content) }

// replace writes beside the file and renames, as editors do.
func (d disk) replace(name, content string) {
	d.t.Helper()
	d.write(name+".tmp", content)
	d.rename(name+".tmp", name)
}

// swap makes a link point elsewhere in one step, as ln -sfn and Kubernetes do.
func (d disk) swap(to, name string) {
	d.t.Helper()
	d.link(to, name+"_tmp")
	d.rename(name+"_tmp", name)
}

// TestChangesAreSeenHoweverTheyAreMade has the ways in which files change; each
// is tried on the configuration file and on a file that it names.
func TestChangesAreSeenHoweverTheyAreMade(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(disk) // makes "etc/file", with the content "0"
		steps []func(disk)
	}{
		{"written in place", func(d disk) { d.mkdir("etc"); d.write("etc/file", "0") }, []func(disk){
			func(d disk) { d.write("etc/file", "1") },
			func(d disk) { d.write("etc/file", "2") },
		}},
		{"replaced by rename", func(d disk) { d.mkdir("etc"); d.write("etc/file", "0") }, []func(disk){
			func(d disk) { d.replace("etc/file", "1") },
			func(d disk) { d.replace("etc/file", "2") },
			func(d disk) { d.write("etc/file", "3") },
		}},
		{"moved away and written anew", func(d disk) { d.mkdir("etc"); d.write("etc/file", "0") }, []func(disk){
			func(d disk) { d.rename("etc/file", "etc/file~"); d.write("etc/file", "1") },
			func(d disk) { d.rename("etc/file", "etc/file~"); d.write("etc/file", "2") },
		}},
		{"deleted, then created", func(d disk) { d.mkdir("etc"); d.write("etc/file", "0") }, []func(disk){
			func(d disk) { d.remove("etc/file"); d.write("etc/file", "1") },
			func(d disk) { d.remove("etc/file"); d.replace("etc/file", "2") },
		}},
		{"a ConfigMap", func(d disk) {
			d.mkdir("etc/..1")
			d.write("etc/..1/file", "0")
			d.link("..1", "etc/..data")
			d.link("..data/file", "etc/file")
		}, []func(disk){
			func(d disk) {
				d.mkdir("etc/..2")
				d.write("etc/..2/file", "1")
				d.swap("..2", "etc/..data")
				d.remove("etc/..1")
			},
			func(d disk) {
				d.mkdir("etc/..3")
				d.write("etc/..3/file", "2")
				d.swap("..3", "etc/..data")
				d.remove("etc/..2")
			},
		}},
		{"a link into another directory", func(d disk) {
			d.mkdir("etc")
			d.mkdir("srv")
			d.write("srv/target", "0")
			d.link("../srv/target", "etc/file")
		}, []func(disk){
			func(d disk) { d.write("srv/target", "1") },
			func(d disk) { d.replace("srv/target", "2") },
			func(d disk) { d.replace("srv/target", "3") },
			func(d disk) { d.write("srv/other", "4"); d.swap("../srv/other", "etc/file") },
			func(d disk) { d.write("srv/other", "5") },
		}},
		{"an absolute link to a link", func(d disk) {
			d.mkdir("etc")
			d.mkdir("a")
			d.mkdir("b")
			d.write("b/one", "0")
			d.link(d.at("b/one"), "a/link")
			d.link(d.at("a/link"), "etc/file")
		}, []func(disk){
			func(d disk) { d.write("b/one", "1") },
			func(d disk) { d.write("b/two", "2"); d.swap(d.at("b/two"), "a/link") },
			func(d disk) { d.replace("b/two", "3") },
		}},
		{"a directory that is a link", func(d disk) {
			d.mkdir("v1")
			d.write("v1/file", "0")
			d.link("v1", "etc")
		}, []func(disk){
			func(d disk) { d.mkdir("v2"); d.write("v2/file", "1"); d.swap("v2", "etc") },
			func(d disk) { d.write("v2/file", "2") },
			func(d disk) { d.mkdir("v3"); d.write("v3/file", "3"); d.swap("v3", "etc") },
		}},
		{"the directory replaced", func(d disk) { d.mkdir("etc"); d.write("etc/file", "0") }, []func(disk){
			func(d disk) { d.rename("etc", "old"); d.mkdir("etc"); d.write("etc/file", "1") },
			func(d disk) { d.remove("etc"); d.mkdir("etc"); d.write("etc/file", "2") },
			func(d disk) { d.replace("etc/file", "3") },
			func(d disk) {
				d.mkdir("new")
				d.write("new/file", "4")
				d.rename("etc", "older")
				d.rename("new", "etc")
			},
			func(d disk) { d.write("etc/file", "5") },
		}},
		{"the directory of a link's target replaced", func(d disk) {
			d.mkdir("etc")
			d.mkdir("srv/app/conf")
			d.write("srv/app/conf/target", "0")
			d.link("../srv/app/conf/target", "etc/file")
		}, []func(disk){
			func(d disk) { d.remove("srv/app/conf"); d.mkdir("srv/app/conf"); d.write("srv/app/conf/target", "1") },
			func(d disk) {
				d.mkdir("srv/new/conf")
				d.write("srv/new/conf/target", "2")
				d.rename("srv/app", "srv/old")
				d.rename("srv/new", "srv/app")
			},
			func(d disk) { d.write("srv/app/conf/target", "3") },
		}},
	} {
		for _, role := range []string{"the configuration", "a named file"} {
			t.Run(c.name+": "+role, func(t *testing.T) {
				t.Parallel()
				d := disk{t, t.TempDir()}
				c.setup(d)
				file := d.at("etc/file")
				path := file
				inputs := []config.Input{input(file, "0")}
				if role == "a named file" {
					d.mkdir("main")
					d.write("main/config.yaml", "x")
					path = d.at("main/config.yaml")
					inputs = append(inputs, input(path, "x"))
				}
				w, log := watch(t, path)
				w.SetFiles(inputs)
				logged(t, w, log, "DEBUG looked at watched files changed=0")
				for i, step := range c.steps {
					step(d)
					// An unquiet machine may split a step into two notices.
					for {
						n := notice(t, w)
						if diff := cmp.Diff(config.Notice{Files: []string{file}}, n); diff != "" {
							t.Fatalf("step %d (-want +got):\n%s", i+1, diff)
						}
						if data, err := os.ReadFile(file); err == nil && string(data) == fmt.Sprint(i+1) {
							break
						}
					}
				}
			})
		}
	}
}

func TestAFileThatIsTouchedIsNoChange(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	w, log := watch(t, d.at("file"))
	d.replace("file", "0")
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.write("other", "x")
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.replace("file", "1")
	notice(t, w)
}

func TestAnUnreadableFileKeepsItsContent(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	w, log := watch(t, d.at("file"))
	d.remove("file")
	logged(t, w, log, "WARN watched file is unreadable, keeping what was read before file="+d.at("file"))
	d.mkdir("file")
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.remove("file")
	d.write("file", "0")
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.write("file", "1")
	notice(t, w)
}

func TestAFileThatALoadMissedIsAwaited(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	w, log := watch(t, d.at("file"))
	secret := d.at("run/credentials/secret")
	w.AddFiles([]config.Input{{Path: secret}})
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.mkdir("run")
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.mkdir("run/credentials")
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.write("run/credentials/secret", "x")
	if diff := cmp.Diff(config.Notice{Files: []string{secret}}, notice(t, w)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file that was refused, and changed back within the wait for quiet, is as it was
// when it was last in force: but no longer as it was refused.
func TestARefusedFileThatIsChangedBackIsSeen(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "good")
	w, _ := watch(t, d.at("file"))
	w.AddFiles([]config.Input{input(d.at("file"), "bad")})
	if diff := cmp.Diff(config.Notice{Files: []string{d.at("file")}}, notice(t, w)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAChangeBetweenLoadAndSetFilesIsSeen(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	d.write("secret", "new")
	w, _ := watch(t, d.at("file"))
	w.SetFiles([]config.Input{input(d.at("file"), "old"), input(d.at("secret"), "old")})
	if diff := cmp.Diff(config.Notice{Files: []string{d.at("file"), d.at("secret")}}, notice(t, w)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFileThatIsNamedNoMoreIsLeftAlone(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	d.mkdir("secrets")
	d.write("secrets/a", "0")
	w, log := watch(t, d.at("file"))
	w.SetFiles([]config.Input{input(d.at("file"), "0"), input(d.at("secrets/a"), "0")})
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	w.SetFiles([]config.Input{input(d.at("file"), "0")})
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	d.write("secrets/a", "1")
	d.write("file", "1")
	if diff := cmp.Diff(config.Notice{Files: []string{d.at("file")}}, notice(t, w)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckGivesANoticeWithoutAChange(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	w, _ := watch(t, d.at("file"))
	for range 2 {
		w.Check()
		if diff := cmp.Diff(config.Notice{Forced: true}, notice(t, w)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestNoticesThatNobodyTakesAreMerged(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	d.write("secret", "0")
	w, log := watch(t, d.at("file"))
	w.SetFiles([]config.Input{input(d.at("file"), "0"), input(d.at("secret"), "0")})
	logged(t, w, log, "DEBUG looked at watched files changed=0")
	for _, name := range []string{"file", "secret"} {
		d.write(name, "1")
		for got := ""; got != "DEBUG looked at watched files changed=1"; {
			select {
			case got = <-log:
			case <-time.After(deadline):
				t.Fatal("the files were not looked at")
			}
		}
	}
	if diff := cmp.Diff(config.Notice{Files: []string{d.at("file"), d.at("secret")}}, notice(t, w)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnrestDoesNotPutOffANoticeForEver(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	w, _ := watch(t, d.at("file"))
	d.write("file", "1")
	unrest := time.NewTicker(20 * time.Millisecond)
	defer unrest.Stop()
	late := time.After(deadline)
	for {
		select {
		case <-unrest.C:
			d.write("log", "never quiet")
		case <-w.Notices():
			return
		case <-late:
			t.Fatal("no notice")
		}
	}
}

func TestAClosedWatcherIsSilent(t *testing.T) {
	d := disk{t, t.TempDir()}
	d.write("file", "0")
	w, err := config.NewWatcher(d.at("file"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.SetFiles(nil)
	w.AddFiles([]config.Input{{Path: "x"}})
	w.Check()
	select {
	case n := <-w.Notices():
		t.Errorf("got %v", n)
	default:
	}
}
