package scim_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"scimbridge/scim"
	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

const base = "https://scim.example.com/scim/v2"

// A tenant is a directory that a test changes, and the endpoint over it.
type tenant struct {
	t        testing.TB
	picture  *directory.Picture
	library  *directory.Library
	draft    *directory.Draft
	now      time.Time
	cfg      scim.Config
	sessions *scim.Sessions
	handler  *scim.Handler
}

// newTenant starts with so many users u0, u1 …, and groups g0, g1 … that each
// have the users whose number ends alike as members.
func newTenant(t testing.TB, users, groups int) *tenant {
	t.Helper()
	w := &tenant{t: t, library: new(directory.Library), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.picture = w.open("contoso")
	w.library.SetPictures([]*directory.Picture{w.picture})
	w.draft = w.picture.Draft()
	for i := range users {
		w.putUser(i, "")
	}
	for g := range groups {
		w.put(directory.Record{Type: directory.Group, ID: fmt.Sprintf("g%d", g), Active: true,
			DisplayName: fmt.Sprintf("Group %d", g),
			Body: fmt.Appendf(nil, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g%d","displayName":"Group %d"`,
				g, g)})
		for i := g; i < users; i += groups {
			w.draft.Join(fmt.Sprintf("g%d", g), fmt.Sprintf("u%d", i))
		}
	}
	w.publish()

	mapper, err := mapping.New(mapping.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	w.sessions = scim.NewSessions()
	w.cfg = scim.Config{
		BaseURL:  base,
		View:     func() (*directory.View, error) { return w.library.View(), nil },
		ViewByID: w.library.ByID,
		Schemas:  mapper.Schemas(),
		Clients:  []scim.Client{{Name: "okta", Tokens: sums("secret")}, {Name: "sap", Tokens: sums("other")}},
		Key:      []byte("0123456789abcdef0123456789abcdef"),
		Sessions: w.sessions,
	}
	w.reload()
	return w
}

func sums(tokens ...string) (all [][sha256.Size]byte) {
	for _, token := range tokens {
		all = append(all, sha256.Sum256([]byte(token)))
	}
	return all
}

func (w *tenant) open(source string) *directory.Picture {
	p, err := directory.Open(directory.Options{Dir: w.t.TempDir(), Source: source, BaseURL: base, Keep: 50})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { p.Close() })
	return p
}

// reload makes a new handler of the config.
func (w *tenant) reload() {
	w.t.Helper()
	h, err := scim.New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.handler = h
}

func (w *tenant) put(r directory.Record) {
	w.t.Helper()
	if err := w.draft.Put(r); err != nil {
		w.t.Fatal(err)
	}
}

// putUser adds user number i, or changes her title.
func (w *tenant) putUser(i int, title string) {
	w.t.Helper()
	id := fmt.Sprintf("u%d", i)
	body := fmt.Sprintf(`"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"%s","userName":"%s@contoso.com","displayName":"User %d"`, id, id, i)
	if title != "" {
		body += fmt.Sprintf(`,"title":"%s"`, title)
	}
	body += fmt.Sprintf(`,"emails":[{"value":"%s+work@contoso.com","type":"work","primary":true}],"active":true`, id)
	w.put(directory.Record{Type: directory.User, ID: id, Active: true, UserName: id + "@contoso.com",
		DisplayName: fmt.Sprintf("User %d", i), Emails: []string{id + "+work@contoso.com"}, Body: []byte(body)})
}

// publish makes the draft's changes visible.
func (w *tenant) publish() {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	publish(w.t, w.picture, w.draft, w.now)
	w.draft = w.picture.Draft()
}

func publish(t testing.TB, p *directory.Picture, d *directory.Draft, now time.Time) {
	t.Helper()
	s, err := d.Seal(t.Context(), now, directory.Tag{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(s); err != nil {
		t.Fatal(err)
	}
}

// request asks as client okta, unless the header says otherwise. header is a
// list of names and values.
func (w *tenant) request(method, path, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, "https://scim.example.com"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	for i := 0; i < len(header); i += 2 {
		switch {
		case header[i] == "from":
			r.RemoteAddr = header[i+1]
		case header[i+1] == "":
			r.Header.Del(header[i])
		default:
			r.Header.Add(header[i], header[i+1])
			if header[i] == "Authorization" {
				r.Header.Set(header[i], header[i+1])
			}
		}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// get asks for a path below the base.
func (w *tenant) get(path string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.request("GET", "/scim/v2"+path, "", header...)
}

// A listed is a list as a client reads it.
type listed struct {
	Schemas        []string
	TotalResults   int
	ItemsPerPage   int
	StartIndex     int
	NextCursor     *string
	PreviousCursor *string
	Resources      []struct {
		ID    string
		Title string
		Meta  struct{ ResourceType, Location, LastModified, Version string }
	}
}

// ids of what is in the list.
func (l listed) ids() (ids []string) {
	for _, r := range l.Resources {
		ids = append(ids, r.ID)
	}
	return ids
}

// list asks for a list that must be one.
func (w *tenant) list(path string, header ...string) (l listed) {
	w.t.Helper()
	rec := w.get(path, header...)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s", path, rec.Code, rec.Body)
	}
	decode(w.t, rec, &l)
	if l.ItemsPerPage != len(l.Resources) {
		w.t.Fatalf("GET %s: itemsPerPage is %d for %d resources", path, l.ItemsPerPage, len(l.Resources))
	}
	return l
}

// decode reads a body that must be JSON, ASCII, of the right type and length.
func decode(t testing.TB, rec *httptest.ResponseRecorder, into any) {
	t.Helper()
	if got := rec.Header().Get("Content-Type"); got != "application/scim+json" {
		t.Errorf("Content-Type is %q", got)
	}
	raw := rec.Body.Bytes()
	if got := rec.Header().Get("Content-Length"); rec.Header().Get("Content-Encoding") == "" && got != strconv.Itoa(len(raw)) {
		t.Errorf("Content-Length is %s for %d bytes", got, len(raw))
	}
	if rec.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range raw {
		if c >= 0x80 {
			t.Errorf("body is not ASCII: %q", raw)
			break
		}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("body is not JSON: %v: %s", err, raw)
	}
}

// fault reads an error that must be one, and gives its scimType.
func fault(t testing.TB, rec *httptest.ResponseRecorder) (scimType, detail string) {
	t.Helper()
	var e struct {
		Schemas  []string
		Status   string
		ScimType string
		Detail   string
	}
	decode(t, rec, &e)
	if len(e.Schemas) != 1 || e.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" {
		t.Errorf("schemas are %q", e.Schemas)
	}
	if e.Status != strconv.Itoa(rec.Code) {
		t.Errorf("status is %q in an answer with %d", e.Status, rec.Code)
	}
	if e.Detail == "" {
		t.Error("detail is empty")
	}
	return e.ScimType, e.Detail
}
