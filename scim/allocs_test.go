package scim_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"scimbridge/scim/mapping"
)

// Allocations are counted, not timed: they are the same on every machine. A
// change that needs more of them says why when it raises a budget; one that
// needs fewer lowers it.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop at random")
	}
	w := newTenant(t, 3000, 3)
	w.cfg.Shown = func(string, []string) bool { return true }
	w.reload()
	for _, tt := range []struct {
		name, path, encoding string
		budget               float64 // allocations of one request
	}{
		{"100 of a list", "/Users?startIndex=1&count=100", "", 7},
		{"1000 of a list", "/Users?startIndex=1&count=1000", "", 7},
		{"1000 of a list, gzip", "/Users?startIndex=1&count=1000", "gzip", 7},
		{"1000 in the middle of a list, gzip", "/Users?startIndex=1011&count=1000", "gzip", 4},
		{"a page by cursor", "/Users?cursor&count=100", "", 13},
		{"1000 with attributes", "/Users?count=1000&attributes=userName,emails.value", "", 31},
		{"1000 without an attribute", "/Users?count=1000&excludedAttributes=groups", "", 53},
		{"groups without members", "/Groups?excludedAttributes=members", "", 26},
		{"one by id", "/Users/u1234", "", 4},
		{"one by userName", "/Users?filter=userName%20eq%20%22u1234@contoso.com%22", "", 12},
		{"nobody, of all", "/Users?filter=title%20co%20%22zzz%22", "", 9},
		{"sorted", "/Users?sortBy=userName&count=1000", "", 16},
		{"nothing new", "/Users/u1234", "etag", 3},
	} {
		r, err := http.NewRequest(http.MethodGet, base+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer secret")
		switch tt.encoding {
		case "gzip":
			r.Header.Set("Accept-Encoding", tt.encoding)
		case "etag":
			r.Header.Set("If-None-Match", w.get(tt.path).Header().Get("ETag"))
		}
		s := &sink{header: http.Header{}}
		within(t, tt.name, tt.budget, func() { w.handler.ServeHTTP(s, r) })
	}
}

// within checks that f allocates no more than its budget.
func within(t *testing.T, name string, budget float64, f func()) {
	t.Helper()
	got := testing.AllocsPerRun(100, f)
	t.Logf("%-40s %4.0f of %4.0f", name, got, budget)
	if got > budget {
		t.Errorf("%s: %.0f allocations, the budget is %.0f", name, got, budget)
	}
}

// The mapping makes the record, its body and its keys, and nothing more however
// many attributes there are.
func TestAllocationsOfMapping(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop at random")
	}
	mapper, err := mapping.New(mapping.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile("mapping/testdata/user-typical.txtar")
	if err != nil {
		t.Fatal(err)
	}
	object := txtar.Parse(archive).Files[0].Data
	within(t, "mapping a user", 4, func() {
		if _, _, err := mapper.User(object, false); err != nil {
			t.Fatal(err)
		}
	})
}
