package scim_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"scimbridge/scim/directory"
)

func TestConditionalRequests(t *testing.T) {
	w := newTenant(t, 30, 2)
	for _, path := range []string{"/Users", "/Users?count=5", "/Users/u3", "/Users/u3?attributes=userName", "/Groups?excludedAttributes=members", "/", "/Schemas", "/ResourceTypes/User"} {
		rec := w.get(path)
		tag := rec.Header().Get("ETag")
		if !strings.HasPrefix(tag, `W/"`) {
			t.Fatalf("%s: ETag is %q", path, tag)
		}
		for match, status := range map[string]int{
			tag: 304, strings.TrimPrefix(tag, "W/"): 304, "*": 304, ` W/"x", ` + tag + `, "y"`: 304, `"x,",` + tag: 304,
			`W/"x"`: 200, "": 200, strings.Trim(tag, `W/"`): 200, tag[:len(tag)-1]: 200, `"`: 200,
		} {
			again := w.get(path, "If-None-Match", match)
			if again.Code != status {
				t.Errorf("%s with If-None-Match: %s: %d, want %d", path, match, again.Code, status)
			}
			if again.Code == 304 {
				if again.Body.Len() > 0 || again.Header().Get("ETag") != tag || again.Header().Get("Content-Type") != "" ||
					again.Header().Get("Vary") != rec.Header().Get("Vary") || again.Header().Get("Cache-Control") != "private, no-cache" {
					t.Errorf("%s: 304 with %v %s", path, again.Header(), again.Body)
				}
			}
		}
		if again := w.get(path, "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"); again.Code != 200 {
			t.Errorf("%s with If-Modified-Since: %d", path, again.Code)
		}
	}
	if rec := w.request("POST", "/scim/v2/Users/.search", `{}`, "If-None-Match", "*"); rec.Code != 200 {
		t.Errorf("a search with If-None-Match: %d", rec.Code)
	}
}

// A tag changes with everything that the answer depends on, and with nothing
// else.
func TestTags(t *testing.T) {
	w := newTenant(t, 30, 2)
	seen := map[string]string{}
	for _, path := range []string{"/Users", "/Users?count=5", "/Users?count=6", "/Users?startIndex=2", "/Groups", "/",
		"/Users?filter=id%20pr", "/Users?sortBy=id", "/Users?attributes=id", "/Users?excludedAttributes=id,groups"} {
		tag := w.get(path).Header().Get("ETag")
		if other, twice := seen[tag]; twice {
			t.Errorf("%s and %s have the same tag", path, other)
		}
		seen[tag] = path
		if again := w.get(path).Header().Get("ETag"); again != tag {
			t.Errorf("%s: two tags of one list", path)
		}
		if foreign := w.get(path, "Authorization", "Bearer other").Header().Get("ETag"); foreign == tag {
			t.Errorf("%s: two clients share a tag", path)
		}
	}
	list, user, other := w.get("/Users").Header(), w.get("/Users/u1").Header(), w.get("/Users/u2").Header()
	w.putUser(1, "changed")
	w.publish()
	for path, before := range map[string]http.Header{"/Users": list, "/Users/u1": user} {
		after := w.get(path).Header()
		if after.Get("ETag") == before.Get("ETag") || after.Get("Last-Modified") == before.Get("Last-Modified") {
			t.Errorf("%s: the same version after a change", path)
		}
	}
	if after := w.get("/Users/u2").Header(); after.Get("ETag") != other.Get("ETag") {
		t.Error("another user's change is a new version")
	}
}

func TestCompression(t *testing.T) {
	w := newTenant(t, 800, 2)
	plain := map[string]string{}
	paths := []string{"/Users", "/Users?count=20", "/Users?attributes=userName", "/Schemas", "/Groups/g1", "/Users/u1", "/Users?count=0"}
	for _, path := range paths {
		plain[path] = w.get(path).Body.String()
	}
	for _, tt := range []struct{ accept, want string }{
		{"gzip,deflate", "gzip"},
		{"gzip", "gzip"},
		{"GZIP;q=1.0", "gzip"},
		{"x-gzip", "gzip"},
		{"gzip;q=0.5, zstd;q=0.4", "gzip"},
		{"gzip, deflate, br, zstd", "gzip"},
		{"gzip;q=0.9, zstd", "zstd"},
		{"br, zstd", "zstd"},
		{"identity;q=0, gzip", "gzip"},
		{"identity, gzip;q=0.5", ""},
		{"gzip;q=0", ""},
		{"gzip;q=0.0", ""},
		{"gzip;q=x", ""},
		{"gzip;q=2", ""},
		{"deflate, br", ""},
		{"*", ""},
		{"identity", ""},
		{"", ""},
	} {
		for _, path := range paths {
			rec := w.get(path, "Accept-Encoding", tt.accept)
			want := tt.want
			if len(plain[path]) < 1400 {
				want = ""
			}
			if got := rec.Header().Get("Content-Encoding"); got != want {
				t.Fatalf("%s, Accept-Encoding %q: %q, want %q", path, tt.accept, got, want)
			}
			var r io.Reader = rec.Body
			var err error
			switch want {
			case "gzip":
				r, err = gzip.NewReader(r)
			case "zstd":
				r, err = zstd.NewReader(r)
			}
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(r); err != nil || string(body) != plain[path] {
				t.Errorf("%s, Accept-Encoding %q: another body: %v", path, tt.accept, err)
			}
			if got := rec.Header().Get("Vary"); got != "Accept-Encoding, Authorization" {
				t.Errorf("Vary is %q", got)
			}
		}
	}
	if rec := w.request("HEAD", "/scim/v2/Users", "", "Accept-Encoding", "gzip"); rec.Body.Len() > 0 || rec.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("HEAD: %v", rec.Header())
	}
}

// A sink takes an answer and keeps nothing.
type sink struct {
	header        http.Header
	status, bytes int
	largest       int
}

func (s *sink) Header() http.Header    { return s.header }
func (s *sink) WriteHeader(status int) { s.status = status }
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	s.largest = max(s.largest, len(p))
	return len(p), nil
}

func (w *tenant) discard(path string) *sink {
	r, err := http.NewRequest("GET", "https://scim.example.com/scim/v2"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret")
	s := &sink{header: http.Header{}}
	w.handler.ServeHTTP(s, r)
	if s.status != 200 {
		w.t.Fatalf("%s: %d", path, s.status)
	}
	return s
}

func TestListAllocationsDoNotGrow(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop at random")
	}
	w := newTenant(t, 3000, 0)
	perRun := func(path string) float64 {
		r, err := http.NewRequest("GET", "https://scim.example.com/scim/v2"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer secret")
		s := &sink{header: http.Header{}}
		return testing.AllocsPerRun(200, func() { w.handler.ServeHTTP(s, r) })
	}
	perRun("/Users?count=1000")
	few, many := perRun("/Users?count=10"), perRun("/Users?count=1000")
	t.Logf("count=10: %.0f allocations, count=1000: %.0f", few, many)
	if few != many || many > 30 {
		t.Errorf("%.0f allocations for 10 resources, %.0f for 1000", few, many)
	}
	for _, projection := range []string{"attributes=userName,emails.value", "excludedAttributes=groups,title"} {
		perRun("/Users?count=1000&" + projection)
		few, many := perRun("/Users?count=10&"+projection), perRun("/Users?count=1000&"+projection)
		if many > few+3 { // the answer's memory may grow
			t.Errorf("%s: %.0f allocations for 10 resources, %.0f for 1000", projection, few, many)
		}
	}
}

func TestListIsWrittenInFewPieces(t *testing.T) {
	w := newTenant(t, 3000, 0)
	s := w.discard("/Users?count=1000")
	if s.largest < s.bytes/2 {
		t.Errorf("the largest of the writes has %d of %d bytes", s.largest, s.bytes)
	}
}

// A big group is sent from where it lies.
func TestBigGroupIsNotCopied(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop at random")
	}
	w := newTenant(t, 20000, 1)
	for _, path := range []string{"/Groups/g0", "/Groups", "/Groups/g0?excludedAttributes=displayName", "/Groups?attributes=members",
		"/Groups/g0?excludedAttributes=members", "/Groups?filter=members%5Bvalue%20eq%20%22u77%22%5D"} {
		w.discard(path)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := w.discard(path)
		runtime.ReadMemStats(&after)
		if !strings.Contains(path, "excludedAttributes=members") && s.bytes < 20000*50 {
			t.Errorf("%s: only %d bytes", path, s.bytes)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 300<<10 {
			t.Errorf("%s: %d bytes of memory for %d bytes of answer", path, grown, s.bytes)
		}
	}
}

func TestMultipleSourcesInOnePage(t *testing.T) {
	w := newTenant(t, 3, 0)
	second := w.open("fabrikam")
	d := second.Draft()
	for i := range 3 {
		id := fmt.Sprintf("f%d", i)
		d.Put(directory.Record{Type: directory.User, ID: id, Active: true, UserName: id,
			Body: fmt.Appendf(nil, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"%s","userName":"%s"`, id, id)})
	}
	publish(t, second, d, w.now)
	w.library.SetPictures([]*directory.Picture{w.picture, second})
	var whole bytes.Buffer
	for start := 1; start <= 6; start++ {
		for _, id := range w.list(fmt.Sprintf("/Users?count=1&startIndex=%d", start)).ids() {
			whole.WriteString(id + " ")
		}
	}
	if got := whole.String(); got != "u0 u1 u2 f0 f1 f2 " {
		t.Errorf("one by one: %s", got)
	}
	if got := w.list("/Users?count=3&startIndex=2").ids(); fmt.Sprint(got) != "[u1 u2 f0]" {
		t.Errorf("over the border: %v", got)
	}
}

// A client that hangs up is noted, and harms nobody who asks after it.
func TestClientHangsUp(t *testing.T) {
	w := newTenant(t, 2000, 0)
	want := w.get("/Users").Body.String()
	for _, encoding := range []string{"", "gzip", "zstd"} {
		var log bytes.Buffer
		w.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		w.reload()
		r, err := http.NewRequest("GET", "https://scim.example.com/scim/v2/Users", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Accept-Encoding", encoding)
		w.handler.ServeHTTP(&closed{sink{header: http.Header{}}}, r)
		if !strings.Contains(log.String(), `err="connection reset"`) {
			t.Errorf("%s: log says %s", encoding, &log)
		}
		if got := w.get("/Users").Body.String(); got != want {
			t.Errorf("%s: the next answer is another", encoding)
		}
	}
}

// A closed connection takes nothing.
type closed struct{ sink }

func (*closed) Write([]byte) (int, error) { return 0, errors.New("connection reset") }
