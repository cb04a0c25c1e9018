package graph_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

const clientID = "11111111-2222-4333-8444-555555555555"

func TestWhoIsAssigned(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 1})
	client := serve(t, tenant, nil)
	if _, err := client.Assigned(t.Context(), clientID); !errors.Is(err, graph.ErrPermission) || !strings.Contains(err.Error(), "Application.Read.All") {
		t.Fatalf("without the permission: %v", err)
	}
	tenant.Grant(clientID, "User.Read.All", "Application.Read.All")
	client.ForgetToken()
	if all, err := client.Assigned(t.Context(), clientID); err != nil || len(all) != 0 {
		t.Fatalf("of an application without assignments: %v, %v", all, err)
	}
	var want []graph.Member
	for i := range 2500 { // three pages
		id := tenant.SetUser(map[string]any{"displayName": fmt.Sprint("u", i)})
		want = append(want, graph.Member{ID: id, Type: "user"})
		tenant.Assign(clientID, id)
	}
	group := tenant.SetGroup(map[string]any{"displayName": "g"})
	want = append(want, graph.Member{ID: group, Type: "group"})
	tenant.Assign(clientID, group)
	tenant.AssignRole(clientID, "22222222-2222-4333-8444-555555555555", want[0].ID, group)
	tenant.RemoveUser(want[7].ID)
	want = slices.Delete(want, 7, 8)
	tenant.ClearJournal()
	got, err := client.Assigned(t.Context(), strings.ToUpper(clientID))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(tenant.Journal()); n != 3 {
		t.Errorf("%d requests", n)
	}
	_, err = client.Assigned(t.Context(), "99999999-2222-4333-8444-555555555555")
	if err == nil || !strings.Contains(err.Error(), "no Enterprise application") || !strings.Contains(err.Error(), "assigned_to") {
		t.Errorf("of an unknown application: %v", err)
	}
	if _, err := client.Assigned(t.Context(), "x')/evil?"); err == nil {
		t.Error("an id that is none was asked for")
	}
}

func TestAnswersAboutAssignmentsThatAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"no value":       `{}`,
		"no JSON":        `<html>`,
		"no principal":   `{"value":[{"principalType":"User"}]}`,
		"no type":        `{"value":[{"principalId":"11111111-2222-4333-8444-555555555555"}]}`,
		"foreign link":   `{"value":[],"@odata.nextLink":"https://evil.test/v1.0/x"}`,
		"link in circle": `{"value":[],"@odata.nextLink":"https://graph.test/v1.0/servicePrincipals(appId='11111111-2222-4333-8444-555555555555')/appRoleAssignedTo?$top=999"}`,
	} {
		w := &world{graph: func(int, *http.Request) answer { return answer{body: body} }}
		client := newClient(t, w, func(cfg *graph.Config) {
			cfg.Retry = graph.Retry{Tries: 2, Base: time.Millisecond, Max: time.Millisecond}
		})
		if all, err := client.Assigned(t.Context(), clientID); err == nil {
			t.Errorf("%s: gives %v", name, all)
		}
	}
}
