package tests

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A recorded is a request that a platform makes, and what it must get.
type recorded struct {
	line         int
	method, path string
	body         string
	expect       []string
}

// recording reads a file of testdata/recorded: lines "send NAME: VALUE" are headers
// of every request, a line that begins with a method is a request, with its body
// behind a blank, and the indented ones below it say what must come: "status N",
// "list TOTAL ITEMS START" for a list with status 200, "has TEXT" and "lacks TEXT".
func recording(t *testing.T, file string) (header http.Header, all []recorded) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header = make(http.Header)
	scan := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case word == "send":
			name, value, _ := strings.Cut(rest, ": ")
			header.Set(name, value)
		case word == "":
			last := &all[len(all)-1]
			last.expect = append(last.expect, strings.TrimSpace(line))
		default:
			path, body, _ := strings.Cut(rest, " ")
			all = append(all, recorded{line: n, method: word, path: path, body: body})
		}
	}
	return header, all
}

// The requests of platforms, as they send them, get what the platforms need.
func TestRecordedRequests(t *testing.T) {
	files, err := filepath.Glob("testdata/recorded/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	tenant := startTenant(t, smallCompany(57))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	var first struct {
		Resources []struct{ ID, UserName string }
	}
	b.scimGet("/Users?count=1", &first)
	user := first.Resources[0]
	fill := strings.NewReplacer("{user}", user.ID, "{userName}", user.UserName, "{USERNAME}", strings.ToUpper(user.UserName),
		"{group}", ids(tenant.Groups())[0], "{random}", rand.Text())
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			header, all := recording(t, file)
			for _, r := range all {
				req, err := http.NewRequestWithContext(t.Context(), r.method, b.scim+fill.Replace(r.path), strings.NewReader(fill.Replace(r.body)))
				if err != nil {
					t.Fatal(err)
				}
				req.Header = header.Clone()
				req.Header.Set("Authorization", "Bearer "+bridgeToken)
				res, body := answered(t, req)
				for _, want := range r.expect {
					if fault := missed(res, body, fill.Replace(want)); fault != "" {
						t.Errorf("%s:%d: %s %s: %s: %.300s", file, r.line, r.method, r.path, fault, body)
					}
				}
			}
		})
	}
}

// answered makes a request and reads the answer, which no transport decodes where
// the request asks for a coding itself.
func answered(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	reader := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" {
		if reader, err = gzip.NewReader(res.Body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// missed says what an answer lacks of an expectation; empty: nothing.
func missed(res *http.Response, body, want string) string {
	if got := res.Header.Get("Content-Type"); got != "application/scim+json" {
		return "Content-Type is " + got
	}
	word, rest, _ := strings.Cut(want, " ")
	switch word {
	case "status":
		if fmt.Sprint(res.StatusCode) != rest {
			return "status is " + res.Status
		}
	case "has":
		if !strings.Contains(body, rest) {
			return "without " + rest
		}
	case "lacks":
		if strings.Contains(body, rest) {
			return "with " + rest
		}
	case "list":
		var l listResponse
		if err := json.Unmarshal([]byte(body), &l); err != nil || res.StatusCode != http.StatusOK {
			return fmt.Sprint("no list: ", res.Status, " ", err)
		}
		got := fmt.Sprint(l.TotalResults, l.ItemsPerPage, l.StartIndex)
		if got != rest || l.Resources == nil || len(l.Resources) != l.ItemsPerPage ||
			!slices.Equal(l.Schemas, []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}) {
			return "the list is " + got + ", and " + rest + " is expected"
		}
	default:
		return "what is " + word + "?"
	}
	return ""
}
