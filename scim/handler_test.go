package scim_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"scimbridge/scim/directory"
)

func TestRoutes(t *testing.T) {
	w := newTenant(t, 3, 1)
	for _, tt := range []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"users", "GET", "/scim/v2/Users", 200, ""},
		{"a user", "GET", "/scim/v2/Users/u1", 200, ""},
		{"groups", "GET", "/scim/v2/Groups", 200, ""},
		{"a group", "GET", "/scim/v2/Groups/g0", 200, ""},
		{"both types at the root", "GET", "/scim/v2/", 200, ""},
		{"the root without slash", "GET", "/scim/v2", 200, ""},
		{"a trailing slash", "GET", "/scim/v2/Users/", 200, ""},
		{"a doubled slash", "GET", "/scim/v2//Users", 200, ""},
		{"a lower-case endpoint", "GET", "/scim/v2/users/u1", 200, ""},
		{"a slash after an id", "GET", "/scim/v2/Users/u1/", 200, ""},
		{"an id is case-exact", "GET", "/scim/v2/Users/U1", 404, ""},
		{"an id is decoded once", "GET", "/scim/v2/Users/%75%31", 200, ""},
		{"an id is not decoded twice", "GET", "/scim/v2/Users/%2575%2531", 404, ""},
		{"an id may hold a slash", "GET", "/scim/v2/Users/u1%2Fx", 404, ""},
		{"a group is no user", "GET", "/scim/v2/Users/g0", 404, ""},
		{"a user is no group", "GET", "/scim/v2/Groups/u1", 404, ""},
		{"HEAD of a list", "HEAD", "/scim/v2/Users", 200, ""},
		{"HEAD of a resource", "HEAD", "/scim/v2/Users/u1", 200, ""},
		{"HEAD of discovery", "HEAD", "/scim/v2/Schemas", 200, ""},
		{"OPTIONS of a list", "OPTIONS", "/scim/v2/Users", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS of a resource", "OPTIONS", "/scim/v2/Users/u1", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS of a search", "OPTIONS", "/scim/v2/Users/.search", 204, "OPTIONS, POST"},
		{"creating a user", "POST", "/scim/v2/Users", 501, ""},
		{"creating a group", "POST", "/scim/v2/Groups", 501, ""},
		{"replacing a user", "PUT", "/scim/v2/Users/u1", 501, ""},
		{"changing a user", "PATCH", "/scim/v2/Users/u1", 501, ""},
		{"deleting a user", "DELETE", "/scim/v2/Users/u1", 501, ""},
		{"deleting a group", "DELETE", "/scim/v2/Groups/g0", 501, ""},
		{"deleting all users", "DELETE", "/scim/v2/Users", 405, "GET, HEAD, OPTIONS"},
		{"replacing all users", "PUT", "/scim/v2/Users", 405, "GET, HEAD, OPTIONS"},
		{"posting to a user", "POST", "/scim/v2/Users/u1", 405, "GET, HEAD, OPTIONS"},
		{"a method nobody knows", "BREW", "/scim/v2/Users", 405, "GET, HEAD, OPTIONS"},
		{"getting a search", "GET", "/scim/v2/Users/.search", 405, "OPTIONS, POST"},
		{"posting to discovery", "POST", "/scim/v2/ServiceProviderConfig", 405, "GET, HEAD, OPTIONS"},
		{"patching a schema", "PATCH", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", 405, "GET, HEAD, OPTIONS"},
		{"deleting a resource type", "DELETE", "/scim/v2/ResourceTypes/User", 405, "GET, HEAD, OPTIONS"},
		{"me", "GET", "/scim/v2/Me", 501, ""},
		{"changing me", "PATCH", "/scim/v2/Me", 501, ""},
		{"bulk", "POST", "/scim/v2/Bulk", 501, ""},
		{"an endpoint with a slash in its name", "GET", "/scim/v2/Users%2F%7Bid%7D", 404, ""},
		{"an unknown endpoint", "GET", "/scim/v2/Devices", 404, ""},
		{"below a resource", "GET", "/scim/v2/Users/u1/emails", 404, ""},
		{"another version", "GET", "/scim/v1/Users", 404, ""},
		{"a longer prefix", "GET", "/scim/v2x/Users", 404, ""},
		{"outside", "GET", "/", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := w.request(tt.method, tt.path, "")
			if rec.Code != tt.status {
				t.Errorf("%s %s: %d, want %d: %s", tt.method, tt.path, rec.Code, tt.status, rec.Body)
			}
			if got := rec.Header().Get("Allow"); got != tt.allow {
				t.Errorf("Allow is %q, want %q", got, tt.allow)
			}
			if tt.status >= 400 {
				if scimType, _ := fault(t, rec); scimType != "" {
					t.Errorf("scimType is %q", scimType)
				}
			}
			if tt.method == "HEAD" && rec.Body.Len() > 0 {
				t.Errorf("HEAD has a body: %s", rec.Body)
			}
		})
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	w := newTenant(t, 30, 2)
	for _, path := range []string{"/Users?count=10", "/Users/u3", "/Groups/g1", "/Schemas", "/ServiceProviderConfig", "/?filter=id%20pr"} {
		get, head := w.get(path), w.request("HEAD", "/scim/v2"+path, "")
		for _, name := range []string{"Content-Length", "Content-Type", "ETag", "Last-Modified", "Cache-Control", "Vary", "Content-Location", "Location"} {
			if g, h := get.Header().Get(name), head.Header().Get(name); g != h {
				t.Errorf("%s: %s is %q for GET and %q for HEAD", path, name, g, h)
			}
		}
	}
}

func TestServedUnderBothPaths(t *testing.T) {
	w := newTenant(t, 1, 0)
	for _, baseURL := range []string{"https://host", "https://host/a", "https://host/identity/scim", "https://host/scim/v2/x"} {
		w.cfg.BaseURL = baseURL
		w.reload()
		path := strings.TrimPrefix(baseURL, "https://host")
		for _, p := range []string{path + "/Users", "/scim/v2/Users"} {
			if rec := w.request("GET", p, ""); rec.Code != 200 {
				t.Errorf("base %s: GET %s: %d", baseURL, p, rec.Code)
			}
		}
	}
}

func TestNotReady(t *testing.T) {
	w := newTenant(t, 1, 1)
	w.cfg.View = func() (*directory.View, error) { return nil, errors.New("the first round is under way") }
	w.reload()
	for _, path := range []string{"/Users", "/Users/u0", "/Groups", "/", "/Users?filter=userName%20eq%20%22x%22", "/Users?cursor", "/Users?startIndex=5"} {
		rec := w.get(path)
		if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "30" {
			t.Errorf("GET %s: %d, Retry-After %q", path, rec.Code, rec.Header().Get("Retry-After"))
		}
		if _, detail := fault(t, rec); !strings.Contains(detail, "the first round is under way") {
			t.Errorf("detail does not say why: %s", detail)
		}
	}
	if rec := w.get("/ServiceProviderConfig"); rec.Code != 200 {
		t.Errorf("discovery needs no picture, and gets %d", rec.Code)
	}
}

func TestPanicIsAnError(t *testing.T) {
	w := newTenant(t, 1, 0)
	var log bytes.Buffer
	w.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.cfg.View = func() (*directory.View, error) { panic("boom") }
	w.reload()
	rec := w.get("/Users")
	if rec.Code != http.StatusInternalServerError {
		t.Fatalf("status %d", rec.Code)
	}
	if _, detail := fault(t, rec); strings.Contains(detail, "boom") {
		t.Errorf("the client is told %q", detail)
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "status=500") {
		t.Errorf("log: %s", &log)
	}
}

// A fault after the first byte must not look like a whole answer.
func TestPanicAfterFirstByteBreaksOff(t *testing.T) {
	w := newTenant(t, 2000, 0)
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("panic is %v, want ErrAbortHandler", err)
		}
	}()
	r, _ := http.NewRequest("GET", "https://scim.example.com/scim/v2/Users", nil)
	r.Header.Set("Authorization", "Bearer secret")
	w.handler.ServeHTTP(&brittle{header: http.Header{}}, r)
	t.Error("the answer looks whole")
}

// A brittle writer panics at the second write.
type brittle struct {
	header http.Header
	writes int
}

func (b *brittle) Header() http.Header { return b.header }
func (b *brittle) WriteHeader(int)     {}
func (b *brittle) Write(p []byte) (int, error) {
	if b.writes++; b.writes > 1 {
		panic("gone")
	}
	return len(p), nil
}

func TestAccessLog(t *testing.T) {
	w := newTenant(t, 5, 0)
	const path = "/Users?filter=userName%20eq%20%22u1@contoso.com%22&count=3&api_key=abc"
	for _, tt := range []struct {
		level   slog.Level
		want    []string
		wantNot []string
	}{
		{slog.LevelInfo,
			[]string{"client=okta", "method=GET", "path=/Users", "query=filter,count,other", "status=200", "count=1", "bytes=", "elapsed="},
			[]string{"secret", "u1@contoso.com", "abc", "api_key"}},
		{slog.LevelDebug, []string{`userName eq \"u1@contoso.com\"`}, []string{"secret"}},
	} {
		var log bytes.Buffer
		w.cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: tt.level}))
		w.reload()
		w.get(path)
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d lines: %s", n, &log)
		}
		for _, s := range tt.want {
			if !strings.Contains(log.String(), s) {
				t.Errorf("at %v: no %s in %s", tt.level, s, &log)
			}
		}
		for _, s := range tt.wantNot {
			if strings.Contains(log.String(), s) {
				t.Errorf("at %v: %s in %s", tt.level, s, &log)
			}
		}
	}
	var log bytes.Buffer
	w.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.reload()
	w.get("/Users/anna@contoso.com")
	w.get("/anna@contoso.com/x")
	if strings.Contains(log.String(), "anna") {
		t.Errorf("a path with personal data is logged: %s", &log)
	}
}
