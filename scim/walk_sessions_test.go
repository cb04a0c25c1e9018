package scim_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim"
)

// audited gives a tenant whose imports are told to the log that it gives, too.
func audited(t *testing.T, users int) (*tenant, *strings.Builder) {
	w := newTenant(t, users, 2)
	log := new(strings.Builder)
	w.sessions = scim.OpenSessions(filepath.Join(t.TempDir(), "imports.json"), slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "time" || a.Key == "started" || a.Key == "view" {
				return slog.Attr{}
			}
			return a
		},
	})))
	w.cfg.Sessions = w.sessions
	w.reload()
	t.Cleanup(func() { w.sessions.Close() })
	return w, log
}

// walks are the imports of the client okta, in short.
func (w *tenant) walks() (all []string) {
	w.t.Helper()
	for _, walk := range w.sessions.Status()[0].Walks {
		state := "under way"
		switch {
		case walk.Done:
			state = "finished"
		case walk.BrokenOff:
			state = "broken off"
		}
		line := fmt.Sprintf("%s %s %s: %d of %d in %d", walk.Endpoint, walk.Kind(), state, walk.Resources, walk.Total, walk.Pages)
		if walk.Cursor {
			line += " by cursor"
		}
		if walk.DeltaReads > 0 {
			line += fmt.Sprintf(", %d delta reads of %d", walk.DeltaReads, walk.DeltaResources)
		}
		all = append(all, line)
	}
	return all
}

func TestImportSessions(t *testing.T) {
	delta := "/Users?filter=" + url.QueryEscape(`meta.lastModified gt "2026-11-24T12:01:00Z"`)
	cursors := func(w *tenant, pages int) {
		path := "/Users?count=40&cursor="
		for range pages {
			cursor := w.list(path).NextCursor
			if cursor == nil {
				return
			}
			path = "/Users?count=40&cursor=" + *cursor
		}
	}
	for _, tt := range []struct {
		name string
		run  func(w *tenant)
		want []string // the imports, after run and two hours more
		log  []string
	}{
		{"a full import of both types", func(w *tenant) {
			w.readAll("/Users?", []int{40}, nil)
			w.list("/Groups?count=100")
		}, []string{"/Groups full finished: 2 of 2 in 1", "/Users full finished: 100 of 100 in 3"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=3 elapsed=0s agent=""`,
			`level=INFO msg="import finished" client=okta endpoint=/Groups kind=full resources=2 total=2 pages=1 elapsed=0s agent=""`,
		}},
		{"broken off on its way", func(w *tenant) {
			w.list("/Users?startIndex=1&count=40", "User-Agent", "Okta")
			time.Sleep(time.Second)
			w.list("/Users?startIndex=41&count=40", "User-Agent", "Okta")
		}, []string{"/Users full broken off: 80 of 100 in 2"}, []string{
			`level=WARN msg="import broken off" client=okta endpoint=/Users kind=full resources=80 total=100 pages=2 elapsed=1s agent=Okta`,
		}},
		{"broken off after its first page", func(w *tenant) { w.list("/Users?startIndex=1&count=40") },
			[]string{"/Users full broken off: 40 of 100 in 1"}, []string{
				`level=WARN msg="import broken off" client=okta endpoint=/Users kind=full resources=40 total=100 pages=1 elapsed=0s agent=""`,
			}},
		{"a test of the credentials is none", func(w *tenant) { w.list("/Users?startIndex=1&count=2") }, nil, nil},
		{"nor are looks again and again", func(w *tenant) {
			for range 5 {
				w.list("/Users?startIndex=1&count=40")
			}
			w.readAll("/Users?", []int{40}, nil)
		}, []string{"/Users full finished: 100 of 100 in 3"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=3 elapsed=0s agent=""`,
		}},
		{"nor is a look-up", func(w *tenant) { w.list("/Users?filter=" + url.QueryEscape(`userName eq "u1@contoso.com"`)) }, nil, nil},
		{"nor HEAD, nor a count of 0", func(w *tenant) {
			w.request("HEAD", "/scim/v2/Users?cursor=&count=40", "")
			w.request("HEAD", "/scim/v2/Users?count=100", "")
			w.list("/Users?count=0")
			w.list("/Users?count=0&cursor=")
		}, nil, nil},
		{"a part by a filter", func(w *tenant) {
			w.readAll("/Users?filter="+url.QueryEscape(`userName sw "u1"`)+"&", []int{5}, nil)
		}, []string{"/Users filtered finished: 11 of 11 in 3"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=filtered resources=11 total=11 pages=3 elapsed=0s agent=""`,
		}},
		{"by cursor", func(w *tenant) { cursors(w, 3) }, []string{"/Users full finished: 100 of 100 in 3 by cursor"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=3 elapsed=0s agent=""`,
		}},
		{"by cursor, broken off", func(w *tenant) { cursors(w, 2) }, []string{"/Users full broken off: 80 of 100 in 2 by cursor"}, []string{
			`level=WARN msg="import broken off" client=okta endpoint=/Users kind=full resources=80 total=100 pages=2 elapsed=0s agent=""`,
		}},
		{"by cursor, a page twice", func(w *tenant) {
			next := w.list("/Users?count=60&cursor=").NextCursor
			w.list("/Users?count=60&cursor=" + *next)
			w.list("/Users?count=60&cursor=" + *next)
		}, []string{"/Users full finished: 100 of 100 in 2 by cursor"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=2 elapsed=0s agent=""`,
		}},
		{"delta reads count for the full one", func(w *tenant) {
			w.readAll("/Users?", []int{40}, nil)
			w.list(delta + "&count=100")
			w.putUser(3, "new")
			w.publish()
			w.list(delta + "&count=100")
			w.list("/Groups?filter=" + url.QueryEscape(`meta.lastModified ge "2026-11-24T12:01:00Z" and displayName pr`))
		}, []string{"/Users full finished: 100 of 100 in 3, 2 delta reads of 1"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=3 elapsed=0s agent=""`,
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=delta resources=0 total=0 pages=1 elapsed=0s agent=""`,
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=delta resources=1 total=1 pages=1 elapsed=0s agent=""`,
			`level=INFO msg="import finished" client=okta endpoint=/Groups kind=delta resources=2 total=2 pages=1 elapsed=0s agent=""`,
		}},
		{"a delta read of many pages, and one that breaks off", func(w *tenant) {
			w.readAll("/Users?", []int{40}, nil)
			all := "/Users?filter=" + url.QueryEscape(`meta.lastModified ge "2020-01-01T00:00:00Z"`) + "&"
			w.readAll(all, []int{30}, nil)
			w.list(all + "startIndex=1&count=30")
			w.list(all + "startIndex=31&count=30")
		}, []string{"/Users delta broken off: 60 of 100 in 2", "/Users full finished: 100 of 100 in 3, 1 delta reads of 100"}, []string{
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=3 elapsed=0s agent=""`,
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=delta resources=100 total=100 pages=4 elapsed=0s agent=""`,
			`level=WARN msg="import broken off" client=okta endpoint=/Users kind=delta resources=60 total=100 pages=2 elapsed=0s agent=""`,
		}},
		{"one that goes on after all did not break off", func(w *tenant) {
			w.list("/Users?startIndex=1&count=60")
			time.Sleep(2 * time.Hour)
			w.sessions.Status()
			w.list("/Users?startIndex=61&count=60")
		}, []string{"/Users full finished: 100 of 100 in 2"}, []string{
			`level=WARN msg="import broken off" client=okta endpoint=/Users kind=full resources=60 total=100 pages=1 elapsed=0s agent=""`,
			`level=INFO msg="import finished" client=okta endpoint=/Users kind=full resources=100 total=100 pages=2 elapsed=2h0m0s agent=""`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, log := audited(t, 100)
				tt.run(w)
				time.Sleep(2 * time.Hour)
				got := w.walks()
				if diff := cmp.Diff(sorted(tt.want), sorted(got)); diff != "" {
					t.Errorf("imports: -want +got\n%s", diff)
				}
				if want := strings.Join(append(tt.log, ""), "\n"); log.String() != want {
					t.Errorf("the log: -want +got\n%s", cmp.Diff(want, log.String()))
				}
			})
		})
	}
}

// sorted gives a sorted copy, never nil.
func sorted(all []string) []string { return append([]string{}, slices.Sorted(slices.Values(all))...) }

// While an import is under way it is shown as such.
func TestImportUnderWay(t *testing.T) {
	w, _ := audited(t, 100)
	w.list("/Users?startIndex=1&count=30")
	if diff := cmp.Diff([]string{"/Users full under way: 30 of 100 in 1"}, w.walks()); diff != "" {
		t.Error(diff)
	}
	w.list("/Users?startIndex=31&count=30")
	w.list("/Groups?count=1&cursor=") // a look
	if diff := cmp.Diff([]string{"/Users full under way: 60 of 100 in 2"}, w.walks()); diff != "" {
		t.Error(diff)
	}
}

// The file is written without anybody waiting for it, soon after an import
// began, and not again where nothing happens.
func TestFileOfImportsIsWrittenBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTenant(t, 100, 0)
		file := filepath.Join(t.TempDir(), "imports.json")
		s := scim.OpenSessions(file, nil)
		w.cfg.Sessions = s
		w.reload()
		w.list("/Users?filter=" + url.QueryEscape(`userName eq "u1@contoso.com"`))
		time.Sleep(time.Minute)
		if _, err := os.Stat(file); err == nil {
			t.Error("written for a look-up")
		}
		w.list("/Users?startIndex=1&count=40")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		w.putUser(100, "") // who would be on the last page
		w.publish()
		// The program is killed here.
		w.cfg.Sessions = scim.OpenSessions(file, nil)
		w.reload()
		if l := w.list("/Users?startIndex=41&count=40"); l.TotalResults != 100 {
			t.Errorf("after the restart the import has %d users", l.TotalResults)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		again := scim.OpenSessions(file, nil)
		if walks := again.Status()[0].Walks; len(walks) != 1 || walks[0].Resources != 80 {
			t.Errorf("%+v", walks)
		}
		if err := w.cfg.Sessions.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		w.list("/Users?startIndex=81&count=40")
		time.Sleep(time.Minute)
		if _, err := os.Stat(file); err == nil {
			t.Error("written after Close")
		}
	})
}
