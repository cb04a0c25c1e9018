package scim_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim"
	"scimbridge/scim/directory"
)

// readAll walks a list by startIndex with the given counts, each as often as it
// takes, and calls between before each page but the first.
func (w *tenant) readAll(path string, counts []int, between func()) (ids []string, totals []int) {
	w.t.Helper()
	for start, page := 1, 0; ; page++ {
		if page > 0 && between != nil {
			between()
		}
		l := w.list(fmt.Sprintf("%sstartIndex=%d&count=%d", path, start, counts[page%len(counts)]))
		ids, totals = append(ids, l.ids()...), append(totals, l.TotalResults)
		if start += l.ItemsPerPage; start > l.TotalResults || l.ItemsPerPage == 0 {
			return ids, totals
		}
	}
}

// all gives the ids of the current picture, in list order.
func (w *tenant) all(t directory.Type) (ids []string) {
	v := w.library.View()
	for i := range v.Len(t) {
		ids = append(ids, v.At(t, i).ID())
	}
	return ids
}

// Whatever the counts, and whatever happens to the directory meanwhile, an
// import by index gets each resource of the picture it began with exactly once.
func TestImportIsOfOnePicture(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			w := newTenant(t, 120, 3)
			next := 120
			change := func() {
				switch rnd.IntN(3) {
				case 0:
					w.putUser(next, "new")
					next++
				case 1:
					if ids := w.all(directory.User); len(ids) > 0 {
						w.draft.Remove(ids[rnd.IntN(len(ids))])
					}
				case 2:
					w.putUser(rnd.IntN(120), fmt.Sprint("title ", rnd.IntN(9)))
				}
				w.publish()
			}
			for _, query := range []string{"?", "?filter=title%20pr&", "?sortBy=title&", "?attributes=userName&"} {
				change()
				want := w.list("/Users" + query + "count=5000").ids()
				var counts []int
				for range 1 + rnd.IntN(4) {
					counts = append(counts, 2+rnd.IntN(30))
				}
				got, totals := w.readAll("/Users"+query, counts, func() {
					if rnd.IntN(2) == 0 {
						change()
					}
					if rnd.IntN(2) == 0 { // a health probe
						w.list("/Users" + query + "startIndex=1&count=1")
					}
					if rnd.IntN(3) == 0 { // another client's import
						w.list("/Users"+query+fmt.Sprintf("count=%d", counts[0]), "Authorization", "Bearer other")
					}
				})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s by %v: -want +got\n%s", query, counts, diff)
				}
				if slices.Max(totals) != len(want) || slices.Min(totals) != len(want) {
					t.Errorf("%s: totals are %v, want always %d", query, totals, len(want))
				}
			}
		})
	}
}

func TestWalkRules(t *testing.T) {
	remove := func(w *tenant, ids ...string) {
		for _, id := range ids {
			w.draft.Remove(id)
		}
		w.publish()
	}
	page := func(w *tenant, start int, header ...string) []string {
		return w.list(fmt.Sprintf("/Users?startIndex=%d&count=2", start), header...).ids()
	}
	for _, tt := range []struct {
		name string
		run  func(w *tenant) []string
		want []string
	}{
		{"the first page is of the current picture", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return page(w, 1)
		}, []string{"u1", "u2"}},
		{"the next page is of the first one's picture", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return page(w, 3)
		}, []string{"u2", "u3"}},
		{"a page asked for again is the same", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			page(w, 3)
			remove(w, "u3")
			return page(w, 3)
		}, []string{"u2", "u3"}},
		{"a page in between comes from the walk too", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return page(w, 2)
		}, []string{"u1", "u2"}},
		{"a page far ahead comes from the walk too", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return page(w, 6)
		}, []string{"u5", "u6"}},
		{"a page far ahead leaves the walk's place alone", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			page(w, 6)
			return page(w, 3)
		}, []string{"u2", "u3"}},
		{"without a walk the current picture is read", func(w *tenant) []string {
			remove(w, "u0")
			return page(w, 3)
		}, []string{"u3", "u4"}},
		{"without a walk one begins there", func(w *tenant) []string {
			page(w, 3)
			remove(w, "u0")
			return page(w, 5)
		}, []string{"u4", "u5"}},
		{"another client has its own walks", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return page(w, 3, "Authorization", "Bearer other")
		}, []string{"u3", "u4"}},
		{"another query has its own walks", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return w.list("/Users?startIndex=3&count=2&filter=id%20pr").ids()
		}, []string{"u3", "u4"}},
		{"the same query in other words is the same walk", func(w *tenant) []string {
			w.list("/Users?count=2&filter=USERNAME%20Sw%20%22u%22&attributes=userName,id")
			remove(w, "u0")
			return w.list("/users/?startindex=3&COUNT=2&attributes=id,%20username&filter=userName%20sw%20%22u%22").ids()
		}, []string{"u2", "u3"}},
		{"a search continues a list", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			var l listed
			decode(w.t, w.request("POST", "/scim/v2/Users/.search", `{"startIndex":3,"count":2}`), &l)
			return l.ids()
		}, []string{"u2", "u3"}},
		{"HEAD neither begins nor moves a walk", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			w.request("HEAD", "/scim/v2/Users?startIndex=1&count=2", "")
			w.request("HEAD", "/scim/v2/Users?startIndex=3&count=2", "")
			return page(w, 3)
		}, []string{"u2", "u3"}},
		{"a probe with another count does not disturb", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			w.list("/Users?startIndex=1&count=1")
			return page(w, 3)
		}, []string{"u2", "u3"}},
		{"an import with another count at the same place does not disturb", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			w.list("/Users?startIndex=1&count=1")
			w.list("/Users?startIndex=2&count=1")
			return page(w, 3)
		}, []string{"u2", "u3"}},
		{"a probe of another program does not disturb", func(w *tenant) []string {
			page(w, 1, "User-Agent", "importer")
			remove(w, "u0")
			page(w, 1, "User-Agent", "probe")
			return page(w, 3, "User-Agent", "importer")
		}, []string{"u2", "u3"}},
		{"a second import over another connection does not disturb", func(w *tenant) []string {
			page(w, 1, "from", "192.0.2.7:1000")
			remove(w, "u0")
			page(w, 1, "from", "192.0.2.7:1001")
			return page(w, 3, "from", "192.0.2.7:1000")
		}, []string{"u2", "u3"}},
		{"behind a proxy connections say nothing, and the latest import counts", func(w *tenant) []string {
			page(w, 1, "from", "192.0.2.7:1000", "X-Forwarded-For", "203.0.113.9")
			remove(w, "u0")
			page(w, 1, "from", "192.0.2.7:1001", "X-Forwarded-For", "203.0.113.9")
			return page(w, 3, "from", "192.0.2.7:1000", "X-Forwarded-For", "203.0.113.9")
		}, []string{"u3", "u4"}},
		{"an import begun anew is not mixed with the one broken off", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			return append(page(w, 1), page(w, 3)...)
		}, []string{"u1", "u2", "u3", "u4"}},
		{"beyond the end of a finished walk there is nothing", func(w *tenant) []string {
			w.readAll("/Users?", []int{2}, nil)
			w.putUser(100, "")
			w.publish()
			return page(w, 11)
		}, nil},
		{"the last page of a finished walk can be had again", func(w *tenant) []string {
			w.readAll("/Users?", []int{2}, nil)
			remove(w, "u0")
			return page(w, 9)
		}, []string{"u8", "u9"}},
		{"a reload does not end walks", func(w *tenant) []string {
			page(w, 1)
			remove(w, "u0")
			w.reload()
			return page(w, 3)
		}, []string{"u2", "u3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.run(newTenant(t, 10, 0))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A change of what a client sees ends its imports: the same places of another view
// could leave somebody out. It may begin anew, and is told so until it does, after
// a restart too.
func TestChangeOfSourcesEndsWalks(t *testing.T) {
	w := newTenant(t, 10, 0)
	file := filepath.Join(t.TempDir(), "imports.json")
	w.cfg.Sessions = scim.OpenSessions(file, nil)
	t.Cleanup(func() {
		if err := w.cfg.Sessions.Close(); err != nil {
			t.Error(err)
		}
	})
	w.reload()
	limit := func(sources ...string) {
		w.cfg.Clients = []scim.Client{{Name: "okta", Tokens: sums("secret"), Sources: sources}}
		w.reload()
	}
	refused := func(path string) {
		t.Helper()
		if rec := w.get(path); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "start again with startIndex=1") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	w.list("/Users?count=2")
	w.list("/Users?attributes=userName&count=2")
	w.draft.Remove("u0")
	w.publish()
	limit("contoso")
	for range 2 {
		refused("/Users?startIndex=3&count=2")
		refused("/Users?startIndex=3&count=2&attributes=userName")
		if err := w.cfg.Sessions.Close(); err != nil {
			t.Fatal(err)
		}
		w.cfg.Sessions = scim.OpenSessions(file, nil)
		w.reload()
	}
	if got := w.list("/Users?startIndex=3&count=2&sortBy=userName").ids(); !slices.Equal(got, []string{"u3", "u4"}) {
		t.Errorf("what is asked for the first time gives %v", got)
	}
	want := []string{"u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9"}
	if got, _ := w.readAll("/Users?", []int{2}, nil); !slices.Equal(got, want) {
		t.Errorf("the import that began anew has %v", got)
	}
	refused("/Users?startIndex=3&count=2&attributes=userName")
	if walks := w.cfg.Sessions.Status()[0].Walks; len(walks) != 1 || !walks[0].Done {
		t.Errorf("the imports are %+v", walks)
	}
}

// The daemon is told, once for each handler, what a client is about to get of which
// sources; of what it gets nothing it is not.
func TestShownIsTold(t *testing.T) {
	w := newTenant(t, 3, 1)
	second := w.open("fabrikam")
	d := second.Draft()
	d.Put(directory.Record{Type: directory.User, ID: "f1", Active: true, UserName: "f1",
		Body: []byte(`"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"f1","userName":"f1"`)})
	publish(t, second, d, time.Now())
	w.library.SetPictures([]*directory.Picture{w.picture})
	var told []string
	good := false
	w.cfg.Shown = func(client string, sources []string) bool {
		told = append(told, fmt.Sprint(client, sources))
		return good
	}
	w.cfg.Clients = append(w.cfg.Clients, scim.Client{Name: "one", Tokens: sums("one"), Sources: []string{"contoso"}})
	w.reload()
	expect := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told: %s", diff)
		}
		told = nil
	}
	w.get("/Users?filter=userName%20eq%20%22nobody%22")
	w.get("/Users?count=0")
	w.get("/Users/nobody")
	w.get("/Schemas")
	expect()
	w.get("/Users/u1")
	w.get("/Users?count=1")
	expect("okta[contoso]", "okta[contoso]") // it could not be noted
	good = true
	w.get("/Users?cursor&count=1")
	w.get("/Users?startIndex=2&count=1")
	w.get("/Users", "Authorization", "Bearer one")
	expect("okta[contoso]", "one[contoso]")
	w.library.SetPictures([]*directory.Picture{w.picture, second})
	w.get("/Users?startIndex=3&count=1") // of the import that goes on
	expect()
	w.get("/Users/f1")
	w.get("/Users")
	w.get("/Users", "Authorization", "Bearer one")
	expect("okta[contoso fabrikam]")
}

func TestWalksEndWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTenant(t, 10, 0)
		w.list("/Users?count=2")
		w.draft.Remove("u0")
		w.publish()
		for start := 3; start < 9; start += 2 {
			time.Sleep(59 * time.Minute)
			want := []string{fmt.Sprint("u", start-1), fmt.Sprint("u", start)}
			if diff := cmp.Diff(want, w.list(fmt.Sprintf("/Users?startIndex=%d&count=2", start)).ids()); diff != "" {
				t.Fatalf("page at %d after 59 minutes: %s", start, diff)
			}
		}
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{"u8", "u9"}, w.list("/Users?startIndex=8&count=2").ids()); diff != "" {
			t.Errorf("another page after an hour is of the current picture: %s", diff)
		}
		if diff := cmp.Diff([]string{"u8", "u9"}, w.list("/Users?startIndex=9&count=2").ids()); diff != "" {
			t.Errorf("the page expected is not, as long as there is the picture: %s", diff)
		}
		w.cfg.ViewByID = nil
		w.reload()
		time.Sleep(25 * time.Hour)
		if diff := cmp.Diff([]string{"u9"}, w.list("/Users?startIndex=9&count=2").ids()); diff != "" {
			t.Errorf("a day later: %s", diff)
		}
	})
}

func TestWalksAreBounded(t *testing.T) {
	w := newTenant(t, 10, 0)
	w.list("/Users?count=2")
	w.draft.Remove("u0")
	w.publish()
	for i := range 31 {
		w.list(fmt.Sprintf("/Users?count=2&filter=id%%20ne%%20%%22x%d%%22", i))
	}
	if diff := cmp.Diff([]string{"u2", "u3"}, w.list("/Users?startIndex=3&count=2").ids()); diff != "" {
		t.Errorf("32 walks: the first is gone: %s", diff)
	}
	for i := range 33 {
		w.list(fmt.Sprintf("/Users?count=2&filter=id%%20ne%%20%%22y%d%%22", i))
	}
	if diff := cmp.Diff([]string{"u4", "u5"}, w.list("/Users?startIndex=5&count=2").ids()); diff != "" {
		t.Errorf("33 walks later the first does not find its picture again: %s", diff)
	}
}

// restart is what becomes of an import when the program ends after its first
// page, of ten people of whom u0 then goes.
func restart(t *testing.T, change func(w *tenant)) *tenant {
	w := newTenant(t, 10, 0)
	file := filepath.Join(t.TempDir(), "imports.json")
	before := scim.OpenSessions(file, nil)
	w.cfg.Sessions = before
	w.reload()
	w.list("/Users?count=2")
	w.list("/Users?count=3&filter=id%20pr&sortBy=displayName&sortOrder=descending")
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	w.draft.Remove("u0")
	w.publish()
	if change != nil {
		change(w)
	}
	w.cfg.Sessions = scim.OpenSessions(file, nil)
	w.reload()
	return w
}

func TestWalksSurviveRestart(t *testing.T) {
	page := func(w *tenant, query string) []string { return w.list("/Users?" + query).ids() }
	for _, tt := range []struct {
		name, query string
		want        []string
	}{
		{"the next page", "startIndex=3&count=2", []string{"u2", "u3"}},
		{"the first page is of the current picture", "startIndex=1&count=2", []string{"u1", "u2"}},
		{"a page far ahead", "startIndex=6&count=2", []string{"u5", "u6"}},
		{"a filtered and sorted list", "startIndex=4&count=3&filter=id%20pr&sortBy=displayName&sortOrder=descending", []string{"u6", "u5", "u4"}},
		{"another query", "startIndex=3&count=2&filter=id%20pr", []string{"u3", "u4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, page(restart(t, nil), tt.query)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// An import whose picture is gone fails, however often it is tried, until it
// begins anew.
func TestImportOfLostPictureFails(t *testing.T) {
	w := restart(t, nil)
	w.cfg.ViewByID = nil
	w.reload()
	for range 2 {
		rec := w.get("/Users?startIndex=3&count=2")
		if _, detail := fault(t, rec); rec.Code != http.StatusServiceUnavailable || !strings.Contains(detail, "startIndex=1") {
			t.Fatalf("%d %s", rec.Code, detail)
		}
	}
	if diff := cmp.Diff([]string{"u1", "u2"}, w.list("/Users?count=2").ids()); diff != "" {
		t.Errorf("from the start: %s", diff)
	}
	if diff := cmp.Diff([]string{"u3", "u4"}, w.list("/Users?startIndex=3&count=2").ids()); diff != "" {
		t.Errorf("and on: %s", diff)
	}
}

func TestFileOfImports(t *testing.T) {
	for _, tt := range []struct{ name, content string }{
		{"that is no JSON", "{"},
		{"of another shape", `{"okta":{"walks":7}}`},
		{"with a broken query", `{"okta":{"walks":[{"query":"zz"}]}}`},
		{"with a short query", `{"okta":{"walks":[{"query":"00"}]}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "imports.json")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			var log strings.Builder
			s := scim.OpenSessions(file, slog.New(slog.NewTextHandler(&log, nil)))
			if !strings.Contains(log.String(), "imports under way are not known") {
				t.Errorf("the log says %q", log.String())
			}
			w := newTenant(t, 3, 0)
			w.cfg.Sessions = s
			w.reload()
			w.list("/Users?count=2")
			if diff := cmp.Diff([]string{"u2"}, w.list("/Users?startIndex=3&count=2").ids()); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("keeps what clients have done", func(t *testing.T) {
		w := newTenant(t, 5, 0)
		file := filepath.Join(t.TempDir(), "imports.json")
		s := scim.OpenSessions(file, nil)
		w.cfg.Sessions = s
		w.reload()
		w.readAll("/Users?", []int{2}, nil)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode() != 0o600 {
			t.Fatal(info.Mode(), err)
		}
		before, after := s.Status()[0].Walks, scim.OpenSessions(file, nil).Status()[0].Walks
		if diff := cmp.Diff(before, after); diff != "" || len(before) != 1 {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTenant(t, 10, 0)
		start := time.Now()
		w.list("/Users?count=1", "User-Agent", "probe")
		w.readAll("/Users?", []int{4}, func() { time.Sleep(time.Second) })
		w.list("/Users?startIndex=1&count=5")
		w.list("/Users?startIndex=6&count=2")
		w.list("/Users?startIndex=6&count=2")
		w.get("/Users/nobody")
		w.get("/Users", "Authorization", "Bearer wrong")
		view := w.library.View().ID()
		now := start.Add(2 * time.Second)
		want := []scim.ClientStatus{
			{Client: "okta", Requests: 8, Failures: 1, LastRequest: now, Walks: []scim.WalkStatus{
				{Endpoint: "/Users", View: view, Started: start, LastRequest: now, Total: 10, Pages: 3, Resources: 10, Done: true},
				{Endpoint: "/Users", View: view, Started: now, LastRequest: now, Total: 10, Pages: 2, Resources: 7},
			}},
			{Client: "sap"},
		}
		if diff := cmp.Diff(want, w.sessions.Status()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		time.Sleep(2 * time.Hour)
		want[0].Walks[1].BrokenOff = true
		if diff := cmp.Diff(want, w.sessions.Status()); diff != "" {
			t.Errorf("two hours later: -want +got:\n%s", diff)
		}
	})
}
