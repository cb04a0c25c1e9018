package graphtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// seed of all tests here: a failure names it by the test's name alone.
const seed = 20261124

var everything = []string{"User.Read.All", "GroupMember.Read.All", "Organization.Read.All", "Member.Read.Hidden", "Application.Read.All"}

// world is a tenant on a server, and a client of it that knows nothing but
// HTTP.
type world struct {
	t      *testing.T
	tenant *graphtest.Tenant
	url    string
	app    string
	token  string
}

func newWorld(t *testing.T, tenant *graphtest.Tenant, permissions ...string) *world {
	t.Helper()
	if permissions == nil {
		permissions = everything
	}
	app := tenant.AddApp(graphtest.App{Secret: "s3cret", Permissions: permissions, Consented: true})
	srv := httptest.NewServer(graphtest.NewServer(tenant))
	t.Cleanup(srv.Close)
	w := &world{t: t, tenant: tenant, url: srv.URL, app: app}
	w.login()
	return w
}

func (w *world) login() {
	w.t.Helper()
	status, body := w.post(w.url+"/"+w.tenant.ID()+"/oauth2/v2.0/token", url.Values{
		"client_id": {w.app}, "client_secret": {"s3cret"}, "grant_type": {"client_credentials"}, "scope": {w.url + "/.default"}})
	if status != http.StatusOK {
		w.t.Fatalf("login: status %d: %s", status, body)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	mustDecode(w.t, body, &answer)
	w.token = answer.Token
}

func (w *world) post(to string, form url.Values) (int, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, body
}

// get asks Graph. header holds names and values in turn.
func (w *world) get(link string, header ...string) (*http.Response, []byte) {
	w.t.Helper()
	res, body, err := w.try(link, header...)
	if err != nil {
		w.t.Fatalf("GET %s: %v", link, err)
	}
	return res, body
}

func (w *world) try(link string, header ...string) (*http.Response, []byte, error) {
	w.t.Helper()
	if strings.HasPrefix(link, "/") {
		link = w.url + "/v1.0" + strings.ReplaceAll(link, " ", "%20")
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, link, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, body, err
}

// page is the outside of a delta answer.
type page struct {
	Context string           `json:"@odata.context"`
	Next    string           `json:"@odata.nextLink"`
	Delta   string           `json:"@odata.deltaLink"`
	Value   []map[string]any `json:"value"`
}

func (w *world) page(link string, header ...string) page {
	w.t.Helper()
	res, body := w.get(link, header...)
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: status %d: %s", link, res.StatusCode, body)
	}
	var p page
	mustDecode(w.t, body, &p)
	if (p.Next == "") == (p.Delta == "") {
		w.t.Fatalf("GET %s: want one of nextLink and deltaLink, got %.300s", link, body)
	}
	return p
}

// round reads to the deltaLink.
func (w *world) round(link string, header ...string) (objects []map[string]any, delta string, pages int) {
	w.t.Helper()
	for {
		p := w.page(link, header...)
		pages++
		objects = append(objects, p.Value...)
		if p.Delta != "" {
			return objects, p.Delta, pages
		}
		link = p.Next
	}
}

// refused asks for an error and gives status and code.
func (w *world) refused(link string, header ...string) (int, string) {
	w.t.Helper()
	res, body := w.get(link, header...)
	var e struct {
		Error struct{ Code string }
	}
	mustDecode(w.t, body, &e)
	return res.StatusCode, e.Error.Code
}

func mustDecode(t *testing.T, body []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(body, v); err != nil {
		t.Fatalf("decoding %.200s: %v", body, err)
	}
}

// mirror is the naive client: it merges whatever comes.
type mirror struct {
	users   map[string]map[string]any
	groups  map[string]map[string]any
	members map[string]map[string]string // group -> member -> type
}

func newMirror() *mirror {
	return &mirror{map[string]map[string]any{}, map[string]map[string]any{}, map[string]map[string]string{}}
}

func (m *mirror) take(into map[string]map[string]any, objects []map[string]any) {
	for _, o := range objects {
		id := o["id"].(string)
		if o["@removed"] != nil {
			delete(into, id)
			delete(m.members, id)
			continue
		}
		if into[id] == nil {
			into[id] = map[string]any{}
		}
		for k, v := range o {
			switch {
			case k == "members@delta":
				m.link(id, v.([]any))
			case k == "manager@delta":
				for _, e := range v.([]any) {
					into[id]["manager"] = e.(map[string]any)["id"]
					if e.(map[string]any)["@removed"] != nil {
						delete(into[id], "manager")
					}
				}
			case k != "id" && v == nil:
				delete(into[id], k)
			case k != "id":
				into[id][k] = v
			}
		}
	}
}

func (m *mirror) link(group string, entries []any) {
	if m.members[group] == nil {
		m.members[group] = map[string]string{}
	}
	for _, e := range entries {
		e := e.(map[string]any)
		if e["@removed"] != nil {
			delete(m.members[group], e["id"].(string))
			continue
		}
		m.members[group][e["id"].(string)] = strings.TrimPrefix(e["@odata.type"].(string), "#microsoft.graph.")
	}
}
