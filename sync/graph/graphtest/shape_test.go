package graphtest_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// examples is where the payloads printed in Microsoft's documentation are,
// when they are: they are not part of the project.
const examples = "../../../../shared/graph-examples"

// kindsOf flattens a JSON value into member path -> JSON kind.
func kindsOf(into map[string]map[string]bool, path string, v any) {
	add := func(kind string) {
		if into[path] == nil {
			into[path] = map[string]bool{}
		}
		into[path][kind] = true
	}
	switch v := v.(type) {
	case map[string]any:
		add("object")
		for k, e := range v {
			kindsOf(into, path+"/"+k, e)
		}
	case []any:
		add("array")
		for _, e := range v {
			kindsOf(into, path+"[]", e)
		}
	case nil:
		add("null")
	default:
		add(fmt.Sprintf("%T", v))
	}
}

// TestAnswersHaveThePublishedShape gathers what the simulated tenant answers,
// and checks that every member of the published delta and error payloads
// occurs there, as the same kind of JSON.
func TestAnswersHaveThePublishedShape(t *testing.T) {
	if _, err := os.Stat(examples); err != nil {
		t.Skipf("THE PUBLISHED PAYLOADS ARE MISSING: no folder %s; the shape of simulated answers was not checked", examples)
	}
	for _, tc := range []struct {
		pattern string
		answers func(w *world) [][]byte
	}{
		{"delta-query-users-*", userAnswers}, {"user-delta-*", userAnswers},
		{"delta-query-groups-*", groupAnswers}, {"group-delta-*", groupAnswers},
		{"delta-query-overview-01*", func(w *world) [][]byte { return w.bodies("/users/delta?$select=skills") }},
		{"throttling-01*", throttled}, {"auth-v2-service-01*", tokenAnswer},
		{"serviceprincipal-list-approleassignedto-01*", assigned},
	} {
		t.Run(tc.pattern, func(t *testing.T) {
			w := newWorld(t, shapely())
			ours := map[string]map[string]bool{}
			for _, body := range tc.answers(w) {
				var v any
				mustDecode(t, body, &v)
				kindsOf(ours, "", v)
			}
			files, err := filepath.Glob(filepath.Join(examples, tc.pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("no payloads %s: %v", tc.pattern, err)
			}
			for _, file := range files {
				checkShape(t, file, ours)
			}
		})
	}
}

func checkShape(t *testing.T, file string, ours map[string]map[string]bool) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	mustDecode(t, raw, &v)
	published := map[string]map[string]bool{}
	kindsOf(published, "", v)
	for path, kinds := range published {
		for kind := range kinds {
			if !ours[path][kind] {
				t.Errorf("%s: %s is %s there; here it is %v", filepath.Base(file), path, kind, ours[path])
			}
		}
	}
}

// shapely is a tenant that has one of everything.
func shapely() *graphtest.Tenant {
	t := graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true, PageSize: 2})
	full := map[string]any{"displayName": "Adele Vance", "givenName": "Adele", "surname": "Vance", "jobTitle": "Retail Manager",
		"mail": "a@x.example", "mobilePhone": "1", "officeLocation": "18", "preferredLanguage": "en-US",
		"userPrincipalName": "a@x.example", "businessPhones": []string{"1"}}
	ada := t.SetUser(full)
	t.SetUser(full)
	group := t.SetGroup(map[string]any{"displayName": "G", "description": "d", "mailNickname": "g", "mail": "g@x.example",
		"classification": "c", "createdDateTime": "2020-01-01T00:00:00Z", "groupTypes": []string{"Unified"}})
	t.AddMember(group, ada, t.SetUser(full))
	return t
}

func (w *world) bodies(links ...string) (all [][]byte) {
	for _, link := range links {
		_, body := w.get(link)
		all = append(all, body)
	}
	return all
}

func userAnswers(w *world) [][]byte {
	all := w.bodies("/users/delta", "/users/delta?$select=displayName,givenName,surname")
	_, delta, _ := w.round("/users/delta?$select=displayName")
	i := 0
	for u := range w.tenant.Users() {
		if i++; i == 1 {
			w.tenant.UpdateUser(u.ID, map[string]any{"displayName": "N"})
		} else {
			w.tenant.RemoveUser(u.ID)
			break
		}
	}
	return append(all, w.bodies(delta)...)
}

func groupAnswers(w *world) [][]byte {
	all := w.bodies("/groups/delta", "/groups/delta?$select=displayName,description,mailNickname")
	_, delta, _ := w.round("/groups/delta?$select=displayName,description,mailNickname,members")
	for g := range w.tenant.Groups() {
		w.tenant.UpdateGroup(g.ID, map[string]any{"description": nil})
		w.tenant.RemoveMember(g.ID, w.tenant.Members(g.ID)[0].ID)
	}
	all = append(all, w.bodies(delta)...)
	for range 2 { // a first page needs more groups than one to have a nextLink
		w.tenant.SetGroup(map[string]any{"displayName": "More"})
	}
	return append(all, w.bodies("/groups/delta")...)
}

func throttled(w *world) [][]byte {
	w.tenant.Inject(graphtest.Throttled(graphtest.RetrySeconds, 10))
	return w.bodies("/users/delta")
}

func tokenAnswer(w *world) [][]byte {
	_, body := w.post(w.url+"/"+w.tenant.ID()+"/oauth2/v2.0/token", url.Values{
		"client_id": {w.app}, "client_secret": {"s3cret"}, "grant_type": {"client_credentials"}, "scope": {w.url + "/.default"}})
	return [][]byte{body}
}

func assigned(w *world) [][]byte {
	_, body := w.get("/servicePrincipals?$filter=appId eq '00000003-0000-0000-c000-000000000000'")
	var p page
	mustDecode(w.t, body, &p)
	return w.bodies("/servicePrincipals/" + p.Value[0]["id"].(string) + "/appRoleAssignedTo")
}
