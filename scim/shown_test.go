package scim

import (
	"crypto/sha256"
	"net/http/httptest"
	"strings"
	"testing"

	"scimbridge/scim/directory"
)

// What is returned on request only stays out of an answer whose request names
// no attributes, alone or in a list.
func TestReturnedOnRequestIsNotShownUnasked(t *testing.T) {
	v := newWorld(t)
	h, err := New(Config{
		BaseURL: "https://scim.example.com/scim/v2", View: func() (*directory.View, error) { return v, nil },
		Schemas: richSchemas(t), Clients: []Client{{Name: "okta", Tokens: [][sha256.Size]byte{sha256.Sum256([]byte("secret"))}}},
	})
	if err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name, path string
		notes      bool
	}{
		{"one resource", "/Users/u-ann", false},
		{"a list", "/Users?count=1", false},
		{"a list of both types", "/?count=1", false},
		{"an empty list of attributes", "/Users?count=1&attributes=", false},
		{"other attributes left out", "/Users/u-ann?excludedAttributes=title", false},
		{"the attribute asked for", "/Users/u-ann?attributes=" + testUser + ":notes", true},
		{"the attribute asked for in a list", "/Users?count=1&attributes=notes", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "https://scim.example.com/scim/v2"+tt.path, nil)
			r.Header.Set("Authorization", "Bearer secret")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			body := rec.Body.String()
			if !strings.Contains(body, `"id":"u-ann"`) {
				t.Fatalf("%d %s", rec.Code, body)
			}
			if got := strings.Contains(body, `"notes":"n1"`); got != tt.notes {
				t.Errorf("notes are there: %t in %s", got, body)
			}
			if strings.Contains(body, `"region":"eu"`) {
				t.Errorf("a sub-attribute returned on request is in %s", body)
			}
		})
	}
}
