package graph_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"scimbridge/sync/graph"
)

func FuzzDecodePage(f *testing.F) {
	f.Add(syntheticPage(2, 2))
	f.Add([]byte(pageOf()))
	f.Add([]byte(pageOf(`{"id":"a","@removed":{"reason":"changed"}}`, `{"id":1}`, `null`)))
	f.Add([]byte(pageOf(`{"id":"a","x":1,"x":[1, 2 ,{"y":-0.5E-7}],"manager@delta":[{"id":"m","@removed":{}}]}`)))
	f.Add([]byte(pageOf(`{"id":"\ud800","members@delta":[{"id":"u"},{"id":"u","@removed":{"reason":"deleted"}}]}`)))
	f.Add([]byte(`{"value":[],"@odata.deltaLink":"d"} `))
	f.Add([]byte("{\"value\":[{\"id\":\"\xff\"}],\"@odata.deltaLink\":\"d\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, next, err := graph.DecodePage(body, map[string]string{"x": "x"})
		mended := bytes.ToValidUTF8(body, []byte("\uFFFD"))
		if err != nil {
			if page != nil {
				t.Fatal("a page and an error")
			}
			return
		}
		if !json.Valid(mended) {
			t.Fatal("accepted what encoding/json does not")
		}
		if (next == "") == (page.DeltaLink == "") {
			t.Fatalf("links %q and %q", next, page.DeltaLink)
		}
		checkAgainst(t, mended, page)
	})
}

// checkAgainst checks the page's invariants, and that it has as many objects as
// encoding/json finds.
func checkAgainst(t *testing.T, body []byte, page *graph.Page) {
	t.Helper()
	var plain map[string]json.RawMessage
	var objects []json.RawMessage
	if json.Unmarshal(body, &plain) != nil || json.Unmarshal(plain["value"], &objects) != nil {
		t.Fatal("encoding/json finds no objects")
	}
	if got := len(page.Changes) + len(page.Broken); got != len(objects) {
		t.Fatalf("%d objects instead of %d", got, len(objects))
	}
	for _, c := range page.Changes {
		if c.ID == "" || !utf8.ValidString(c.ID) || !slices.Contains([]string{"", "changed", "deleted"}, c.Removed) {
			t.Fatalf("change %+v", c)
		}
		for i, p := range c.Properties {
			if i > 0 && c.Properties[i-1].Name >= p.Name {
				t.Fatalf("%q comes after %q", p.Name, c.Properties[i-1].Name)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, p.Value); err != nil || !bytes.Equal(compact.Bytes(), p.Value) {
				t.Fatalf("value %q: %v", p.Value, err)
			}
			if p.Name == "id" || strings.Contains(p.Name, "@") {
				t.Fatalf("property %q", p.Name)
			}
		}
		for _, m := range c.Members {
			if m.ID == "" {
				t.Fatal("a member without id")
			}
		}
	}
}

func FuzzCheckLink(f *testing.F) {
	const base = "https://graph.test/proxy"
	for _, link := range []string{
		base + "/v1.0/users/delta?$skiptoken=x", "https://graph.test:443/proxy/v1.0", "https://graph.test@evil/proxy/",
		`https://graph.test\@evil/proxy/`, base + "/../x", base + "/%2e%2E/x", base + "/a%2f..", "//graph.test/proxy/", "https:graph.test/proxy/",
		"https://GRAPH.test/proxy/x#f", "http://graph.test/proxy/x", "https://graph.test./proxy/x",
	} {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, link string) {
		if graph.CheckLink(base, link) != nil {
			return
		}
		// Where would a request go? Nowhere else, after any resolving of dots.
		req, err := http.NewRequest(http.MethodGet, link, nil)
		if err != nil {
			return // it is not sent at all
		}
		clean := (&url.URL{}).ResolveReference(req.URL)
		port := req.URL.Port()
		if req.URL.Scheme != "https" || !strings.EqualFold(req.URL.Hostname(), "graph.test") || port != "" && port != "443" ||
			!strings.HasPrefix(clean.Path, "/proxy/") || req.URL.User != nil {
			t.Fatalf("%q leads to %v", link, req.URL)
		}
	})
}

func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for _, value := range []string{"2.128", "120", "0", "-1", "1e99", "NaN", "Inf", "0x10", "Tue, 24 Nov 2026 10:01:00 GMT", "later", " 5 "} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := graph.ParseRetryAfter(value, now); d < 0 || d > time.Hour {
			t.Fatalf("%q: %v", value, d)
		}
	})
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"a","message":"b","innerError":{"code":"c","innererror":{"code":429,"request-id":"r"}}}}`))
	f.Add([]byte(`{"error":"invalid_client","error_description":"AADSTS7000215: no.\r\nTrace ID: t","error_codes":[7000215,"x",1e400]}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := graph.ParseError(body)
		login := graph.ParseLoginError(http.StatusBadRequest, http.Header{}, string(body))
		for _, text := range []string{e.Error(), login.Error()} {
			if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n") || len(text) > 5000 {
				t.Fatalf("error %q", text)
			}
		}
	})
}
