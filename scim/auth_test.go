package scim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim"
)

func TestAuthentication(t *testing.T) {
	w := newTenant(t, 1, 0)
	w.cfg.Clients = []scim.Client{
		{Name: "okta", Tokens: sums("secret", "next secret")},
		{Name: "ping", Basic: &scim.Basic{Username: "ping", Password: sha256.Sum256([]byte("pass:word"))}},
		{Name: "sap", Tokens: sums("from here"), Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}},
	}
	w.reload()
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	missing := []string{`Bearer realm="SCIM"`, `Basic realm="SCIM", charset="UTF-8"`}
	wrong := []string{`Bearer realm="SCIM", error="invalid_token"`, `Basic realm="SCIM", charset="UTF-8"`}
	for _, tt := range []struct {
		name, credentials, from string
		status                  int
		challenge               []string
	}{
		{"a token", "Bearer secret", "", 200, nil},
		{"its successor", "Bearer next secret", "", 200, nil},
		{"the scheme in small letters", "bearer secret", "", 200, nil},
		{"more blanks", "Bearer   secret ", "", 200, nil},
		{"nothing", "", "", 401, missing},
		{"a wrong token", "Bearer secreT", "", 401, wrong},
		{"a part of a token", "Bearer secre", "", 401, wrong},
		{"no token", "Bearer ", "", 401, wrong},
		{"the sum of a token", "Bearer " + string(sums("secret")[0][:]), "", 401, wrong},
		{"a token without scheme", "secret", "", 401, wrong},
		{"another scheme", "Digest secret", "", 401, wrong},
		{"a password with a colon", basic("ping:pass:word"), "", 200, nil},
		{"a wrong password", basic("ping:password"), "", 401, wrong},
		{"a wrong user", basic("pong:pass:word"), "", 401, wrong},
		{"a token as a password", basic("okta:secret"), "", 401, wrong},
		{"a password as a token", "Bearer pass:word", "", 401, wrong},
		{"no colon", basic("ping"), "", 401, wrong},
		{"not base64", "Basic %%%", "", 401, wrong},
		{"from a listed address", "Bearer from here", "203.0.113.9:4711", 200, nil},
		{"from a listed address, mapped", "Bearer from here", "[::ffff:203.0.113.9]:4711", 200, nil},
		{"from a listed IPv6 address", "Bearer from here", "[2001:db8::1%eth0]:4711", 200, nil},
		{"from elsewhere", "Bearer from here", "198.51.100.1:4711", 403, nil},
		{"from a socket", "Bearer from here", "@", 403, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{"Authorization", tt.credentials}
			if tt.from != "" {
				header = append(header, "from", tt.from)
			}
			for _, path := range []string{"/Users", "/Schemas", "/Users/u0"} {
				rec := w.get(path, header...)
				if rec.Code != tt.status {
					t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
				}
				if diff := cmp.Diff(tt.challenge, rec.Header()["Www-Authenticate"]); diff != "" {
					t.Errorf("challenge: %s", diff)
				}
				if tt.status >= 400 {
					fault(t, rec)
				}
			}
		})
	}
	for _, path := range []string{"/Devices", "/Me", "/Bulk"} {
		if rec := w.get(path, "Authorization", ""); rec.Code != 401 {
			t.Errorf("%s without credentials: %d", path, rec.Code)
		}
	}
	if rec := w.request("DELETE", "/scim/v2/Users/u0", "", "Authorization", ""); rec.Code != 401 {
		t.Errorf("a write without credentials: %d", rec.Code)
	}
}

func TestBasicIsOfferedOnlyWhereConfigured(t *testing.T) {
	w := newTenant(t, 0, 0)
	if got := w.get("/Users", "Authorization", "").Header()["Www-Authenticate"]; len(got) != 1 {
		t.Errorf("challenges are %q", got)
	}
}

func TestPublicDiscovery(t *testing.T) {
	w := newTenant(t, 1, 0)
	w.cfg.PublicDiscovery = true
	w.reload()
	for path, status := range map[string]int{
		"/ServiceProviderConfig": 200, "/ResourceTypes": 200, "/ResourceTypes/User": 200, "/Schemas": 200,
		"/Users": 401, "/": 401, "/Me": 401, "/Devices": 401,
	} {
		if rec := w.get(path, "Authorization", ""); rec.Code != status {
			t.Errorf("%s without credentials: %d, want %d", path, rec.Code, status)
		}
	}
	if rec := w.get("/Schemas", "Authorization", "Bearer wrong"); rec.Code != 401 {
		t.Errorf("wrong credentials: %d", rec.Code)
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTenant(t, 1, 0)
		w.cfg.Clients[0].RequestsPerSecond = 0.5
		w.reload()
		number := func(h http.Header, name string) int64 {
			n, err := strconv.ParseInt(h.Get(name), 10, 64)
			if err != nil {
				t.Errorf("%s is %q", name, h.Get(name))
			}
			return n
		}
		for left := int64(1); left >= 0; left-- {
			rec := w.get("/Users")
			if h := rec.Header(); rec.Code != 200 || number(h, "X-Rate-Limit-Limit") != 2 || number(h, "X-Rate-Limit-Remaining") != left {
				t.Fatalf("%d %v", rec.Code, h)
			}
			if reset := number(rec.Header(), "X-Rate-Limit-Reset"); reset <= time.Now().Unix() || reset > time.Now().Unix()+5 {
				t.Errorf("reset is %d at %d", reset, time.Now().Unix())
			}
		}
		rec := w.get("/Users")
		if h := rec.Header(); rec.Code != 429 || h.Get("Retry-After") != "2" || h.Get("X-Rate-Limit-Retry-After-Seconds") != "2" || number(h, "X-Rate-Limit-Remaining") != 0 {
			t.Errorf("%d %v", rec.Code, h)
		}
		fault(t, rec)
		w.reload()
		if rec := w.get("/Users"); rec.Code != 429 {
			t.Errorf("a reload gives a fresh allowance: %d", rec.Code)
		}
		if rec := w.get("/Users", "Authorization", "Bearer other"); rec.Code != 200 || rec.Header().Get("X-Rate-Limit-Limit") != "" {
			t.Errorf("another client: %d %v", rec.Code, rec.Header())
		}
		time.Sleep(2 * time.Second)
		if rec := w.get("/Users"); rec.Code != 200 {
			t.Errorf("after the time told: %d", rec.Code)
		}
	})
}
