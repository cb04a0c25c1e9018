package graph_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

func TestListsOfUsers(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 1})
	client := serve(t, tenant, nil)
	tenant.Grant(clientID, "User.Read.All")
	var eng []string
	for i := range 250 { // three pages
		eng = append(eng, tenant.SetUser(map[string]any{"displayName": fmt.Sprint("é ", i), "department": "R&D + O'Hara", "userType": "Member"}))
		tenant.SetUser(map[string]any{"displayName": fmt.Sprint("guest ", i), "userType": "Guest"})
	}
	old := tenant.SetUser(map[string]any{"displayName": "old"})
	tenant.SetManager(eng[3], eng[4])
	tenant.RemoveUser(eng[5])
	list := func(f graph.Filter) (ids []string, all map[string]string, requests int) {
		t.Helper()
		tenant.ClearJournal()
		all = make(map[string]string)
		err := client.ListUsers(t.Context(), f, func(page *graph.Page) error {
			for _, c := range page.Changes {
				ids = append(ids, c.ID)
				for _, p := range c.Properties {
					all[c.ID] += p.Name + "=" + string(p.Value) + " "
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		for _, r := range tenant.Journal() {
			if strings.HasPrefix(r.Path, "/v1.0/users") {
				requests++
			}
		}
		return ids, all, requests
	}
	want := slices.Sorted(slices.Values(slices.Delete(slices.Clone(eng), 5, 6)))
	ids, all, requests := list(graph.Filter{Text: "department eq 'r&d + o''hara'"})
	if !slices.Equal(ids, want) || requests != 3 {
		t.Errorf("%d users by %d requests", len(ids), requests)
	}
	if s := all[eng[3]]; !strings.Contains(s, `manager={"id":"`+eng[4]+`"}`) || strings.Contains(s, "null") || strings.Contains(s, "[]") {
		t.Errorf("she is %s", s)
	}
	ids, all, requests = list(graph.Filter{Text: "userType eq null", Advanced: true})
	if !slices.Equal(ids, []string{old}) || all[old] != "" || requests != 1 {
		t.Errorf("%v by %d requests: %v", ids, requests, all)
	}
	page, err := client.ReadUsers(t.Context(), []string{eng[3], eng[5], "99999999-2222-4333-8444-555555555555"})
	if err != nil || len(page.Changes) != 1 || page.Changes[0].ID != eng[3] {
		t.Errorf("by id: %+v, %v", page, err)
	}
	if !slices.ContainsFunc(page.Changes[0].Properties, func(p graph.Property) bool { return p.Name == "manager" }) {
		t.Errorf("her manager is not there: %v", page.Changes[0].Properties)
	}
	if _, err := client.ReadUsers(t.Context(), []string{"x' or id ne 'x"}); err == nil {
		t.Error("an id that is none was asked for")
	}
}

// One whom a list of ids does not show is asked for alone.
func TestUsersWhomAListDoesNotShow(t *testing.T) {
	const ada, bob = "00000000-2222-4333-8444-00000000000a", "00000000-2222-4333-8444-00000000000b"
	w := &world{graph: func(n int, req *http.Request) answer {
		switch {
		case req.URL.Query().Get("$filter") == "id eq '"+ada+"' or id eq '"+bob+"'" && req.URL.Query().Get("$expand") == "manager":
			return answer{body: `{"value":[]}`}
		case strings.HasSuffix(req.URL.Path, "/users/"+ada) && req.URL.Query().Get("$expand") == "manager":
			return answer{body: `{"@odata.context":"x","id":"` + ada + `","mail":null,"displayName":"Ada","manager":{"id":"` + bob + `","displayName":"Bob"}}`}
		case strings.HasSuffix(req.URL.Path, "/users/"+bob):
			return answer{status: 404, body: `{"error":{"code":"Request_ResourceNotFound","message":"no"}}`}
		}
		t.Errorf("asked for %s", req.URL)
		return answer{status: 400}
	}}
	client := newClient(t, w, nil)
	page, err := client.ReadUsers(t.Context(), []string{ada, bob})
	if err != nil || len(page.Changes) != 1 || page.Changes[0].ID != ada || len(page.Changes[0].Properties) != 2 {
		t.Errorf("%+v, %v", page, err)
	}
}
