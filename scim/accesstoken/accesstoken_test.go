package accesstoken_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/scim/accesstoken"
	"scimbridge/scim/accesstoken/accesstokentest"
)

const issuerURL = "https://id.example.com/tenant/"

// world is an issuer and a verifier of what it signs.
func world(more ...accesstoken.Claim) (*accesstokentest.Issuer, *accesstoken.Issuers, *accesstoken.Verifier) {
	issuer := accesstokentest.New(issuerURL)
	issuers := accesstoken.NewIssuers(issuer, nil)
	return issuer, issuers, issuers.Verifier(accesstoken.Config{Issuer: issuerURL, Audience: "scim", Subject: "okta", Claims: more})
}

// outcome puts an error of Verify into a word or two.
func outcome(err error) string {
	fault, ok := errors.AsType[accesstoken.Fault](err)
	switch {
	case err == nil:
		return "good"
	case errors.Is(err, accesstoken.ErrForeign):
		return "foreign"
	case errors.Is(err, accesstoken.ErrUnavailable):
		return "unavailable"
	case ok:
		return fault.Error()
	}
	return "? " + err.Error()
}

func TestVerify(t *testing.T) {
	type m = map[string]any
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, c := range map[string]struct {
		claims, header m
		want           string
	}{
		"a good token":               {nil, nil, "good"},
		"of several audiences":       {m{"aud": []string{"other", "scim"}}, nil, "good"},
		"typed as any JWT":           {nil, m{"typ": "JWT"}, "good"},
		"typed in full":              {nil, m{"typ": "application/at+jwt"}, "good"},
		"without type":               {nil, m{"typ": nil}, "good"},
		"without key id":             {nil, m{"kid": nil}, "good"},
		"ended, but within leeway":   {m{"exp": in(-50 * time.Second)}, nil, "good"},
		"begins within leeway":       {m{"nbf": in(50 * time.Second), "iat": in(50 * time.Second)}, nil, "good"},
		"ended":                      {m{"exp": in(-61 * time.Second)}, nil, "the token has expired"},
		"never ends":                 {m{"exp": nil}, nil, "the token has no end (claim exp)"},
		"not yet":                    {m{"nbf": in(2 * time.Minute)}, nil, "the token is not valid yet; compare the clocks"},
		"issued in the future":       {m{"iat": in(2 * time.Minute)}, nil, "the token is not valid yet; compare the clocks"},
		"for another":                {m{"aud": "graph"}, nil, "the token is meant for another audience"},
		"for nobody":                 {m{"aud": nil}, nil, "the token is meant for another audience"},
		"of another subject":         {m{"sub": "sap"}, nil, "the token is that of another subject"},
		"of no subject":              {m{"sub": nil}, nil, "the token is that of another subject"},
		"bound to a certificate":     {m{"cnf": m{"x5t#S256": "x"}}, nil, "the token is bound to a key (claim cnf), which a bearer token is not"},
		"of another issuer":          {m{"iss": "https://id.example.com/tenant"}, nil, "foreign"},
		"of no issuer":               {m{"iss": nil}, nil, "foreign"},
		"an ID token by its type":    {nil, m{"typ": "id+jwt"}, "the token is no access token (header typ)"},
		"a type that is no text":     {nil, m{"typ": 1}, "the token is no access token (header typ)"},
		"unsigned":                   {nil, m{"alg": "none"}, "foreign"},
		"an algorithm that it isn't": {nil, m{"alg": "RS256"}, "the token's signature is not that of a key of the issuer"},
		"a key that there is not":    {nil, m{"kid": "key-99"}, "the token's signature is not that of a key of the issuer"},
		"a critical extension":       {nil, m{"crit": []string{"x"}, "x": 1}, "the token's signature is not that of a key of the issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, _, v := world()
			token := issuer.Token(issuer.Claims("scim", "okta", c.claims), c.header)
			if got := outcome(v.Verify(t.Context(), token)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestVerifyClaims(t *testing.T) {
	for _, c := range []struct {
		name  string
		value any
		want  string
		good  bool
	}{
		{"azp", "ping", "ping", true},
		{"azp", "pingo", "ping", false},
		{"azp", "ping okta", "ping", false},
		{"azp", nil, "ping", false},
		{"roles", []string{"Other", "Scim.Read"}, "Scim.Read", true},
		{"roles", []string{"Scim.Read.All"}, "Scim.Read", false},
		{"roles", []string{}, "Scim.Read", false},
		{"scope", "openid scim", "scim", true},
		{"scope", "openid scimmer", "scim", false},
		{"scp", "scim", "scim", true},
		{"level", 3, "3", true},
		{"level", 33, "3", false},
		{"trusted", true, "true", true},
		{"trusted", "true", "true", true},
		{"trusted", false, "true", false},
		{"odd", map[string]any{"a": 1}, `{"a":1}`, false},
		{"odd", []any{nil}, "null", false},
	} {
		t.Run(fmt.Sprint(c.name, " ", c.value, " for ", c.want), func(t *testing.T) {
			issuer, _, v := world(accesstoken.Claim{Name: c.name, Value: c.want})
			err := v.Verify(t.Context(), issuer.Token(issuer.Claims("scim", "okta", map[string]any{c.name: c.value}), nil))
			if got := outcome(err); (got == "good") != c.good || !c.good && got != "the token lacks a claim that is asked for" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestVerifyKeys(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*accesstokentest.Issuer)
		want    string
	}{
		"RSA":                          {func(i *accesstokentest.Issuer) { i.AddRSA(false) }, "good"},
		"EdDSA":                        {(*accesstokentest.Issuer).AddEd25519, "good"},
		"an RSA key that is too small": {func(i *accesstokentest.Issuer) { i.AddRSA(true) }, "the token's signature is not that of a key of the issuer"},
		"entries that are not understood, secret or for encryption": {func(i *accesstokentest.Issuer) {
			i.Publish(map[string]any{"kty": "new", "kid": "key-1"})
			i.Publish(map[string]any{"kty": "oct", "kid": "key-1", "k": "c2VjcmV0"})
			i.Publish(map[string]any{"kty": 5})
		}, "good"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, _, v := world()
			c.prepare(issuer)
			if got := outcome(v.Verify(t.Context(), issuer.Token(issuer.Claims("scim", "okta", nil), nil))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What is no token, or a forged one.
func TestForgeries(t *testing.T) {
	issuer, _, v := world()
	claims := issuer.Claims("scim", "okta", nil)
	good := issuer.Token(claims, nil)
	other := accesstokentest.New(issuerURL)
	parts := strings.Split(good, ".")
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + issuerURL + `","aud":"scim","sub":"okta","exp":99999999999}`))
	twice := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"x","iss":"` + issuerURL + `"}`))
	const signature = "the token's signature is not that of a key of the issuer"
	for name, c := range map[string]struct{ token, want string }{
		"nothing":                      {"", "foreign"},
		"dots":                         {"..", "foreign"},
		"two parts":                    {parts[0] + "." + parts[1], "foreign"},
		"no signature":                 {parts[0] + "." + parts[1] + ".", signature},
		"other claims":                 {parts[0] + "." + payload + "." + parts[2], signature},
		"a claim twice":                {parts[0] + "." + twice + "." + parts[2], "foreign"},
		"the key of another":           {other.Token(claims, nil), signature},
		"a secret made of the key":     {issuer.Forge(claims), "foreign"},
		"very long":                    {good + strings.Repeat("A", 20_000), "foreign"},
		"with the key in its header":   {other.Token(claims, map[string]any{"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}), "foreign"},
		"with a place of keys":         {other.Token(claims, map[string]any{"jku": "https://evil.example.com/keys"}), signature},
		"good after all, for contrast": {good, "good"},
	} {
		if got := outcome(v.Verify(t.Context(), c.token)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// Keys change, the issuer goes down and comes back; nobody is let in who should
// not be, and the issuer is not asked for every bad token.
func TestKeysOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, issuers, v := world()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { issuers.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		check := func(when, token, want string) {
			t.Helper()
			if got := outcome(v.Verify(t.Context(), token)); got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		token := func() string {
			return issuer.Token(issuer.Claims("scim", "okta", map[string]any{"exp": time.Now().Add(48 * time.Hour).Unix()}), nil)
		}
		const signature = "the token's signature is not that of a key of the issuer"
		synctest.Wait()
		if st := issuers.Status(); len(st) != 1 || st[0].Keys != 1 || st[0].Error != "" {
			t.Fatalf("before any token: %+v", st)
		}
		old := token()
		check("at the start", old, "good")

		time.Sleep(minute)
		asked := issuer.Requests(accesstokentest.Keys)
		issuer.Rotate()
		check("after a rotation, the new key", token(), "good")
		check("after a rotation, the old key", old, signature)
		if n := issuer.Requests(accesstokentest.Keys) - asked; n != 1 {
			t.Errorf("the rotation cost %d requests", n)
		}
		for range 1000 {
			check("a key that there is not", issuer.Token(issuer.Claims("scim", "okta", nil), map[string]any{"kid": "guess"}), signature)
		}
		if n := issuer.Requests(accesstokentest.Keys) - asked; n != 1 {
			t.Errorf("tokens with unknown keys cost %d requests", n-1)
		}

		time.Sleep(2 * time.Hour) // refreshed meanwhile
		issuer.SetDown(true)
		time.Sleep(3 * time.Hour)
		check("while the issuer is down", token(), "good")
		if st := issuers.Status()[0]; st.Keys != 1 || st.Error == "" {
			t.Errorf("while it is down: %+v", st)
		}
		issuer.Rotate()
		unknown := token()
		check("a new key while the issuer is down", unknown, "unavailable")
		time.Sleep(24 * time.Hour)
		check("a day later", token(), "unavailable")
		if st := issuers.Status()[0]; st.Keys != 0 {
			t.Errorf("a day later: %+v", st)
		}
		issuer.SetDown(false)
		time.Sleep(2 * minute)
		check("when it is back", unknown, "good")
	})
}

const minute = time.Minute

// The issuer's Cache-Control is obeyed within bounds.
func TestFreshness(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": time.Hour, "no-store": time.Hour, "public, max-age=7200": 2 * time.Hour, `max-age="7200"`: 2 * time.Hour,
		"max-age=0": 5 * minute, "max-age=-1": 5 * minute, "max-age=99999999999": 24 * time.Hour, "max-age=x": time.Hour,
	} {
		if got := accesstoken.Freshness(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

// One fetch serves all who wait for it, and goes on when the first of them leaves.
func TestFetchIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := accesstokentest.New(issuerURL)
		issuers := accesstoken.NewIssuers(slow{issuer}, nil)
		v := issuers.Verifier(accesstoken.Config{Issuer: issuerURL, Audience: "scim", Subject: "okta", JWKSURL: issuerURL + "keys"})
		token := issuer.Token(issuer.Claims("scim", "okta", nil), nil)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results := make(chan string, 20)
		go func() { results <- outcome(v.Verify(impatient, token)) }()
		for range 19 {
			go func() { results <- outcome(v.Verify(t.Context(), token)) }()
		}
		got := map[string]int{}
		for range 20 {
			got[<-results]++
		}
		if got["good"] != 19 || got["unavailable"] != 1 || issuer.Requests(accesstokentest.Keys) != 1 {
			t.Errorf("%v with %d requests", got, issuer.Requests(accesstokentest.Keys))
		}
	})
}

// slow takes its time.
type slow struct{ http.RoundTripper }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(5 * time.Second)
	return s.RoundTripper.RoundTrip(r)
}

// Documents that are not what they should be make no key good.
func TestBadDocuments(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (int, string){
		"another issuer": func(*http.Request) (int, string) {
			return 200, `{"issuer":"https://evil.example.com","jwks_uri":"https://evil.example.com/keys"}`
		},
		"no place of keys": func(*http.Request) (int, string) { return 200, `{"issuer":"` + issuerURL + `"}` },
		"keys in the clear": func(*http.Request) (int, string) {
			return 200, `{"issuer":"` + issuerURL + `","jwks_uri":"http://id.example.com/keys","keys":[]}`
		},
		"keys of this machine": func(r *http.Request) (int, string) {
			if r.URL.Hostname() == "127.0.0.1" {
				t.Error("a service of this machine is asked")
			}
			return 200, `{"issuer":"` + issuerURL + `","jwks_uri":"http://127.0.0.1:9/keys","keys":[]}`
		},
		"no keys": func(*http.Request) (int, string) {
			return 200, `{"issuer":"` + issuerURL + `","jwks_uri":"https://id.example.com/keys","keys":[]}`
		},
		"no JSON":  func(*http.Request) (int, string) { return 200, `<html>` },
		"endless":  func(*http.Request) (int, string) { return 200, strings.Repeat(" ", 2<<20) },
		"an error": func(*http.Request) (int, string) { return 500, `{}` },
	} {
		t.Run(name, func(t *testing.T) {
			issuers := accesstoken.NewIssuers(answers(answer), nil)
			v := issuers.Verifier(accesstoken.Config{Issuer: issuerURL, Audience: "scim", Subject: "okta"})
			issuer := accesstokentest.New(issuerURL)
			if got := outcome(v.Verify(t.Context(), issuer.Token(issuer.Claims("scim", "okta", nil), nil))); got != "unavailable" {
				t.Errorf("got %q", got)
			}
		})
	}
}

type answers func(*http.Request) (int, string)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := a(r)
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

func TestKeepForgets(t *testing.T) {
	_, issuers, v := world()
	second := issuers.Verifier(accesstoken.Config{Issuer: "https://other.example.com", Audience: "scim"})
	issuers.Keep([]*accesstoken.Verifier{second})
	if st := issuers.Status(); len(st) != 1 || st[0].Issuer != "https://other.example.com" {
		t.Errorf("kept %+v", st)
	}
	issuers.Keep([]*accesstoken.Verifier{v}) // one from before, whose set is forgotten
	if st := issuers.Status(); len(st) != 0 {
		t.Errorf("kept %+v", st)
	}
}

func TestTrustworthy(t *testing.T) {
	for address, want := range map[string]bool{
		"https://id.example.com/x": true, "http://localhost:1/x": true, "http://127.0.0.1/": true, "http://[::1]:5/": true,
		"http://id.example.com/": false, "http://10.0.0.1/": false, "ftp://id.example.com/": false, "https:///x": false, "file:///etc/passwd": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if accesstoken.Trustworthy(u) != want {
			t.Errorf("%s: %v", address, !want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	issuer, _, v := world()
	good := issuer.Token(issuer.Claims("scim", "okta", nil), nil)
	f.Add(good)
	f.Add("a.b.c")
	f.Add(issuer.Forge(issuer.Claims("scim", "okta", nil)))
	f.Fuzz(func(t *testing.T, token string) {
		if v.Verify(t.Context(), token) == nil && token != good && !strings.HasPrefix(token, good[:strings.LastIndex(good, ".")]) {
			t.Errorf("%q is let in", token)
		}
	})
}

// FuzzDocuments has an issuer answer anything: nothing but a key that can sign
// tokens comes of it, and nobody who has none is let in.
func FuzzDocuments(f *testing.F) {
	signer := accesstokentest.New(issuerURL)
	token := signer.Token(signer.Claims("scim", "okta", nil), nil)
	f.Add([]byte(`{"issuer":"` + issuerURL + `","jwks_uri":"https://id.example.com/keys","keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"key-1"}]}`))
	f.Add([]byte(`{"issuer":"` + issuerURL + `","jwks_uri":"https://id.example.com/keys","keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"oct","k":"AA"},null,5]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		issuers := accesstoken.NewIssuers(answers(func(*http.Request) (int, string) { return http.StatusOK, string(document) }), nil)
		v := issuers.Verifier(accesstoken.Config{Issuer: issuerURL, Audience: "scim", Subject: "okta"})
		if err := v.Verify(t.Context(), token); err == nil {
			t.Errorf("let in by %q", document)
		}
	})
}
