package scim

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// A naiveEndpoint answers list requests the plainest way: it decodes everybody,
// filters, sorts and projects maps, and puts the page together from text.
type naiveEndpoint struct {
	naives [directory.NumTypes]*naive
	bodies map[string][]byte // id -> resource as it is served whole
	maps   map[string]map[string]any
	lists  [directory.NumTypes][]string // ids in list order
}

func (e *naiveEndpoint) read(t *testing.T, v *directory.View) {
	e.bodies, e.maps = make(map[string][]byte), make(map[string]map[string]any)
	for typ := range directory.Type(directory.NumTypes) {
		e.lists[typ] = nil
		for i := range v.Len(typ) {
			body := v.At(typ, i).AppendJSON(nil)
			m := decoded(t, body)
			id := m["id"].(string)
			e.bodies[id], e.maps[id] = body, m
			e.lists[typ] = append(e.lists[typ], id)
		}
	}
}

func (e *naiveEndpoint) of(m map[string]any) *naive {
	return e.naives[slices.Index([]string{"User", "Group"}, m["meta"].(map[string]any)["resourceType"].(string))]
}

// A naiveQuery is a list request.
type naiveQuery struct {
	types                    []directory.Type
	filter, sortBy           string
	descending               bool
	attributes, excluded     []string
	start, count             int
	endpoint, contentCodings string
}

func (q *naiveQuery) path() string {
	v := url.Values{"startIndex": {strconv.Itoa(q.start)}, "count": {strconv.Itoa(q.count)}}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("filter", q.filter)
	set("sortBy", q.sortBy)
	if q.descending {
		set("sortOrder", "descending")
	}
	set("attributes", strings.Join(q.attributes, ","))
	set("excludedAttributes", strings.Join(q.excluded, ","))
	return q.endpoint + "?" + v.Encode()
}

// page gives the answer.
func (e *naiveEndpoint) page(t *testing.T, q *naiveQuery) string {
	var found []string
	for _, typ := range q.types {
		for _, id := range e.lists[typ] {
			if q.filter != "" {
				node, err := naiveParse(q.filter)
				if err != nil {
					t.Fatalf("%s: %v", q.filter, err)
				}
				if !(&naiveFilter{node: node}).holds(e.naives[typ], e.maps[id]) {
					continue
				}
			}
			found = append(found, id)
		}
	}
	if q.sortBy != "" {
		var maps []map[string]any
		for _, id := range found {
			maps = append(maps, e.maps[id])
		}
		found = naiveOrder(maps, e.of, q.sortBy, q.descending)
	}
	start := max(1, q.start)
	from := min(start-1, len(found))
	page := found[from:min(from+max(0, q.count), len(found))]
	var resources []string
	for _, id := range page {
		m := e.maps[id]
		resources = append(resources, string(renderAs(t, e.bodies[id], e.of(m).project(m, q.attributes, q.excluded))))
	}
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"itemsPerPage":%d,"startIndex":%d,"Resources":[%s]}`,
		len(found), len(page), start, strings.Join(resources, ","))
}

// renderAs gives what want keeps of a JSON text, in the order and the spelling of
// the text.
func renderAs(t *testing.T, text []byte, want any) []byte {
	switch want := want.(type) {
	case map[string]any:
		var members []string
		for _, m := range split(t, text) {
			var name string
			if err := json.Unmarshal(m[0], &name); err != nil {
				t.Fatal(err)
			}
			if w, ok := want[name]; ok {
				members = append(members, string(m[0])+":"+string(renderAs(t, m[1], w)))
			}
		}
		return []byte("{" + strings.Join(members, ",") + "}")
	case []any:
		var elements []string
		for _, m := range split(t, text) {
			if len(want) > 0 && keptOf(decodedAny(t, m[0]), want[0]) {
				elements = append(elements, string(renderAs(t, m[0], want[0])))
				want = want[1:]
			}
		}
		return []byte("[" + strings.Join(elements, ",") + "]")
	}
	return text
}

// split gives the members of an object as name and value, or the elements of an
// array.
func split(t *testing.T, text []byte) (parts [][]json.RawMessage) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	n := 1
	if text[0] == '{' {
		n = 2
	}
	for dec.More() {
		part := make([]json.RawMessage, n)
		for i := range part {
			if n == 2 && i == 0 {
				name, err := dec.Token()
				if err != nil {
					t.Fatal(err)
				}
				part[0], _ = json.Marshal(name)
				continue
			}
			if err := dec.Decode(&part[i]); err != nil {
				t.Fatal(err)
			}
		}
		parts = append(parts, part)
	}
	return parts
}

func decodedAny(t *testing.T, text []byte) (v any) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// keptOf says whether part can be what is kept of whole.
func keptOf(whole, part any) bool {
	w, ok := whole.(map[string]any)
	p, ok2 := part.(map[string]any)
	if !ok || !ok2 {
		return reflect.DeepEqual(whole, part)
	}
	for name, value := range p {
		if !keptOf(w[name], value) {
			return false
		}
	}
	return true
}

// What is asked for at random.
var (
	naiveAttributes = []string{"userName", "id", "name", "name.givenName", "emails", "emails.value", "emails.type", "displayName", "groups", "groups.value",
		"groups.display", "members", "members.value", "members.$ref", "meta", "meta.lastModified", "schemas", "externalId", "title", "active", "addresses.country",
		enterprise, enterprise + ":department", enterprise + ":manager.value", entraUser, entraGroup, "department", "mailNickname", "pager", "pager.value",
		"notes", "secret", "nicknames", "level", "bogus", "urn:x:y"}
	naiveOrders = []string{"displayName", "externalId", "id", "meta.lastModified", // of groups, too
		"userName", "name.familyName", "title", "emails.value", "department", "level"}
)

func randomQuery(r *rand.Rand, people int) *naiveQuery {
	q := &naiveQuery{start: r.IntN(people+6) - 1, count: []int{0, 1, 2, 7, 25, 50, 1000}[r.IntN(7)], contentCodings: []string{"", "gzip"}[r.IntN(2)]}
	q.endpoint, q.types = "/Users", onUsers
	switch r.IntN(4) {
	case 0:
		q.endpoint, q.types = "/Groups", onGroups
	case 1:
		q.endpoint, q.types = "/", onBoth
	}
	terms := r.IntN(3)
	for i := range terms {
		c := filterCases[r.IntN(len(filterCases))]
		for !reflect.DeepEqual(c.types, q.types) {
			c = filterCases[r.IntN(len(filterCases))]
		}
		if i > 0 {
			q.filter += []string{" and ", " or ", " and not "}[r.IntN(3)]
		}
		q.filter += "(" + c.filter + ")"
	}
	if r.IntN(3) == 0 {
		orders := naiveOrders
		if q.endpoint == "/Groups" {
			orders = orders[:4]
		}
		q.sortBy, q.descending = orders[r.IntN(len(orders))], r.IntN(2) == 0
	}
	list := &q.attributes
	switch r.IntN(3) {
	case 0:
		return q
	case 1:
		list = &q.excluded
	}
	for range 1 + r.IntN(4) {
		*list = append(*list, naiveAttributes[r.IntN(len(naiveAttributes))])
	}
	return q
}

// A randomTenant changes by chance.
type randomTenant struct {
	t       *testing.T
	r       *rand.Rand
	picture *directory.Picture
	now     time.Time
	next    int
	people  []string
	groups  []string
}

// step publishes some random changes, and merges now and then.
func (w *randomTenant) step(changes int) *directory.View {
	d := w.picture.Draft()
	for range changes {
		switch w.r.IntN(12) {
		case 0:
			if len(w.people) > 0 {
				i := w.r.IntN(len(w.people))
				d.Remove(w.people[i])
				w.people = slices.Delete(w.people, i, i+1)
			}
		case 1:
			id := fmt.Sprintf("g-%d", w.next)
			if w.next++; w.r.IntN(2) == 0 && len(w.groups) > 0 {
				id = w.groups[w.r.IntN(len(w.groups))]
			} else {
				w.groups = append(w.groups, id)
			}
			put(w.t, d, directory.Group, id, worldGroups[w.r.IntN(len(worldGroups))].attributes)
		case 2, 3, 4:
			if len(w.groups) > 0 && len(w.people) > 0 {
				link := d.Join
				if w.r.IntN(3) == 0 {
					link = d.Leave
				}
				member := w.people[w.r.IntN(len(w.people))]
				if w.r.IntN(6) == 0 {
					member = w.groups[w.r.IntN(len(w.groups))]
				}
				link(w.groups[w.r.IntN(len(w.groups))], member)
			}
		default:
			id := fmt.Sprintf("u-%d", w.next)
			if w.next++; w.r.IntN(3) == 0 && len(w.people) > 0 {
				id = w.people[w.r.IntN(len(w.people))]
			} else {
				w.people = append(w.people, id)
			}
			put(w.t, d, directory.User, id, worldUsers[w.r.IntN(len(worldUsers))].attributes)
		}
	}
	w.now = w.now.Add(time.Duration(1+w.r.IntN(1e6)) * time.Millisecond)
	publish(w.t, w.picture, d, w.now)
	if w.r.IntN(2) == 0 {
		if err := w.picture.Tidy(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	return directory.NewView(w.picture.Current())
}

// Whatever is asked of whatever tenant, the answer is byte for byte the naive
// one, plain and compressed.
func TestPagesAreTheNaiveOnes(t *testing.T) {
	tenants, queries := 8, 60
	if testing.Short() {
		tenants = 3
	}
	for seed := range uint64(tenants) {
		p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: "test", BaseURL: "https://scim.example.com/scim/v2", Keep: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		w := &randomTenant{t: t, r: rand.New(rand.NewPCG(seed, 10)), picture: p, now: worldBegin}
		endpoint := &naiveEndpoint{}
		for typ := range directory.Type(directory.NumTypes) {
			endpoint.naives[typ] = newNaive(richSchemas(t), typ)
		}
		for step := range 4 {
			view := w.step(200 >> step)
			endpoint.read(t, view)
			// Anew, so that no request goes on with a walk on an earlier view.
			h, err := New(Config{
				BaseURL: "https://scim.example.com/scim/v2", View: func() (*directory.View, error) { return view, nil }, Schemas: richSchemas(t),
				Clients: []Client{{Name: "okta", Tokens: [][sha256.Size]byte{sha256.Sum256([]byte("secret"))}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for range queries {
				q := randomQuery(w.r, view.Len(directory.User))
				got, want := ask(t, h, q), endpoint.page(t, q)
				if got != want {
					t.Fatalf("tenant %d, step %d: %s (%s)\ngot  %s\nwant %s", seed, step, q.path(), q.contentCodings, got, want)
				}
			}
		}
	}
}

// ask makes a request and gives the body, decompressed.
func ask(t *testing.T, h http.Handler, q *naiveQuery) string {
	r := httptest.NewRequest(http.MethodGet, "https://scim.example.com/scim/v2"+q.path(), nil)
	r.Header.Set("Authorization", "Bearer secret")
	if q.contentCodings != "" {
		r.Header.Set("Accept-Encoding", q.contentCodings)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", q.path(), rec.Code, rec.Body)
	}
	body := io.Reader(rec.Body)
	if rec.Header().Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	all, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}
