package scim_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/directory"
)

// readCursors walks a list by cursor and calls between before each page but the
// first.
func (w *tenant) readCursors(path string, between func()) (ids []string, totals []int) {
	w.t.Helper()
	for cursor := ""; ; {
		l := w.list(path + "&cursor=" + cursor)
		ids, totals = append(ids, l.ids()...), append(totals, l.TotalResults)
		if l.NextCursor == nil {
			return ids, totals
		}
		if cursor = *l.NextCursor; !regexp.MustCompile(`^[A-Za-z0-9._~-]+$`).MatchString(cursor) {
			w.t.Fatalf("cursor %q has reserved characters", cursor)
		}
		between()
	}
}

func TestCursorImportIsOfOnePicture(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		w := newTenant(t, 90, 2)
		for _, query := range []string{"?count=7", "?count=40&filter=title%20pr", "?count=9&sortBy=title&sortOrder=descending", "?count=30&attributes=userName"} {
			want := w.list("/Users" + strings.Replace(query, "count=", "count=5000&x=", 1)).ids()
			got, totals := w.readCursors("/Users"+query, func() {
				if ids := w.all(directory.User); rnd.IntN(2) == 0 {
					w.draft.Remove(ids[rnd.IntN(len(ids))])
				}
				w.putUser(rnd.IntN(200), fmt.Sprint("title ", rnd.IntN(5)))
				w.publish()
				if rnd.IntN(2) == 0 {
					w.reload()
				}
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d, %s: -want +got\n%s", seed, query, diff)
			}
			for _, n := range totals {
				if n != len(want) {
					t.Errorf("seed %d, %s: totals are %v, want always %d", seed, query, totals, len(want))
					break
				}
			}
		}
	}
}

func TestCursorAnswers(t *testing.T) {
	w := newTenant(t, 5, 0)
	first := w.list("/Users?cursor&count=2")
	second := w.list("/Users?count=2&cursor=" + *first.NextCursor)
	third := w.list("/Users?count=2&cursor=" + *second.NextCursor)
	back := w.list("/Users?count=2&cursor=" + *third.PreviousCursor)
	if first.PreviousCursor != nil || third.NextCursor != nil {
		t.Error("the first page has a previous one, or the last a next")
	}
	if diff := cmp.Diff([][]string{{"u0", "u1"}, {"u2", "u3"}, {"u4"}, {"u2", "u3"}},
		[][]string{first.ids(), second.ids(), third.ids(), back.ids()}); diff != "" {
		t.Error(diff)
	}
	var members map[string]json.RawMessage
	decode(t, w.get("/Users?cursor=&count=2"), &members)
	if _, ok := members["startIndex"]; ok {
		t.Error("a cursor page has a startIndex")
	}
	if l := w.list("/Users?cursor&count=0"); l.TotalResults != 5 || l.NextCursor != nil || l.PreviousCursor != nil {
		t.Errorf("count=0: %+v", l)
	}
	if l := w.list("/Users?count=2"); l.NextCursor != nil {
		t.Error("a page by index, which is the default, has a cursor")
	}
	if l := w.list("/Users?cursor"); len(l.ids()) != 5 || l.NextCursor != nil {
		t.Errorf("without count: %+v", l)
	}
	l := listed{}
	decode(t, w.request("POST", "/scim/v2/Users/.search", `{"cursor":"","count":2}`), &l)
	if diff := cmp.Diff([]string{"u2", "u3"}, w.list("/Users?count=2&cursor="+*l.NextCursor).ids()); diff != "" {
		t.Errorf("a search's cursor: %s", diff)
	}
}

func TestCursorFaults(t *testing.T) {
	w := newTenant(t, 30, 3)
	cursor := *w.list("/Users?cursor&count=10").NextCursor
	bare := *w.list("/?cursor&count=10").NextCursor
	flip := func(i int) string {
		c := []byte(cursor)
		c[i] ^= 1
		return string(c)
	}
	for _, tt := range []struct {
		name, path string
		header     []string
		scimType   string
	}{
		{"nonsense", "/Users?count=10&cursor=x", nil, "invalidCursor"},
		{"reserved characters", "/Users?count=10&cursor=%22%00", nil, "invalidCursor"},
		{"its first character changed", "/Users?count=10&cursor=" + flip(0), nil, "invalidCursor"},
		{"a character in the middle changed", "/Users?count=10&cursor=" + flip(len(cursor)/2), nil, "invalidCursor"},
		{"its last character changed", "/Users?count=10&cursor=" + flip(len(cursor)-1), nil, "invalidCursor"},
		{"cut short", "/Users?count=10&cursor=" + cursor[:len(cursor)-4], nil, "invalidCursor"},
		{"another client's", "/Users?count=10&cursor=" + cursor, []string{"Authorization", "Bearer other"}, "invalidCursor"},
		{"another endpoint's", "/Groups?count=10&cursor=" + cursor, nil, "invalidCursor"},
		{"the root's", "/Users?count=10&cursor=" + bare, nil, "invalidCursor"},
		{"with a filter", "/Users?count=10&filter=id%20pr&cursor=" + cursor, nil, "invalidCursor"},
		{"with an order", "/Users?count=10&sortBy=id&cursor=" + cursor, nil, "invalidCursor"},
		{"with a projection", "/Users?count=10&attributes=id&cursor=" + cursor, nil, "invalidCursor"},
		{"with another count", "/Users?count=11&cursor=" + cursor, nil, "invalidCount"},
		{"without count", "/Users?cursor=" + cursor, nil, "invalidCount"},
		{"with a count that is no number", "/Users?count=abc&cursor=" + cursor, nil, "invalidCount"},
		{"with a count that is empty, on the first page", "/Users?cursor&count=", nil, "invalidCount"},
		{"a count that is no number, by index", "/Users?count=abc", nil, "invalidValue"},
		{"with startIndex", "/Users?count=10&startIndex=11&cursor=" + cursor, nil, "invalidValue"},
		{"as it was", "/users?COUNT=10&cursor=" + cursor, nil, ""},
	} {
		rec := w.get(tt.path, tt.header...)
		if tt.scimType == "" {
			if rec.Code != 200 {
				t.Errorf("%s: %d %s", tt.name, rec.Code, rec.Body)
			}
			continue
		}
		if got, _ := fault(t, rec); rec.Code != 400 || got != tt.scimType {
			t.Errorf("%s: %d %s, want %s", tt.name, rec.Code, got, tt.scimType)
		}
	}
	w.cfg.Key = []byte("another key, 32 characters long.")
	w.reload()
	if got, _ := fault(t, w.get("/Users?count=10&cursor="+cursor)); got != "invalidCursor" {
		t.Errorf("with another key: %s", got)
	}
}

func TestCursorsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTenant(t, 30, 0)
		first := *w.list("/Users?cursor&count=10").NextCursor
		time.Sleep(time.Hour)
		second := w.list("/Users?count=10&cursor=" + first)
		time.Sleep(time.Millisecond)
		if got, _ := fault(t, w.get("/Users?count=10&cursor="+first)); got != "expiredCursor" {
			t.Errorf("after an hour: %s", got)
		}
		time.Sleep(time.Hour - time.Millisecond)
		if l := w.list("/Users?count=10&cursor=" + *second.NextCursor); len(l.ids()) != 10 {
			t.Errorf("a cursor lives from page to page: %v", l.ids())
		}
	})
}

// After a restart only what is kept on disk can be gone on with.
func TestCursorsSurviveRestart(t *testing.T) {
	w := newTenant(t, 30, 0)
	cursor := *w.list("/Users?cursor&count=10").NextCursor
	w.draft.Remove("u0")
	w.publish()
	w.cfg.Sessions = nil
	w.reload()
	if got := w.list("/Users?count=10&cursor=" + cursor).ids(); got[0] != "u10" {
		t.Errorf("goes on at %s", got[0])
	}
	w.cfg.ViewByID = func(string) (*directory.View, bool) { return nil, false }
	w.reload()
	if got, _ := fault(t, w.get("/Users?count=10&cursor="+cursor)); got != "expiredCursor" {
		t.Errorf("without its view: %s", got)
	}
}

// Where cursor paging is switched off nothing is said of it, and a request for it
// is refused: passed over, its answer would look like all there is.
func TestIndexOnly(t *testing.T) {
	w := newTenant(t, 5, 0)
	w.cfg.IndexOnly = true
	w.reload()
	if rec := w.get("/ServiceProviderConfig"); rec.Code != 200 || strings.Contains(rec.Body.String(), "pagination") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	for _, rec := range []*httptest.ResponseRecorder{
		w.get("/Users?cursor=&count=2"), w.get("/Users?cursor=abc"),
		w.request("POST", "/scim/v2/Users/.search", `{"cursor":""}`, "Content-Type", "application/scim+json"),
	} {
		if kind, detail := fault(t, rec); rec.Code != 400 || kind != "invalidCursor" || !strings.Contains(detail, "startIndex") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if l := w.list("/Users?count=2"); l.TotalResults != 5 || len(l.Resources) != 2 {
		t.Errorf("%+v", l)
	}
}
