package graph_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

// aside reads all pages.
func aside(t *testing.T, client *graph.Client, names ...string) (all []graph.Aside, err error) {
	t.Helper()
	err = client.ReadAside(t.Context(), names, func(page []graph.Aside) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

func TestReadAside(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 1})
	client := serve(t, tenant, nil)
	if _, err := aside(t, client, "signInActivity"); !errors.Is(err, graph.ErrPermission) || !strings.Contains(err.Error(), "AuditLog.Read.All") {
		t.Fatalf("without the permission: %v", err)
	}
	tenant.Grant(clientID, "User.Read.All", "AuditLog.Read.All", "CustomSecAttributeAssignment.Read.All")
	client.ForgetToken()
	want := map[string]string{}
	for i := range 1200 {
		user := map[string]any{"displayName": fmt.Sprint("u", i)}
		signIn := "null"
		if i%3 == 0 {
			user["signInActivity"], signIn = map[string]any{"lastSignInRequestId": fmt.Sprint(i)}, fmt.Sprintf(`{"lastSignInRequestId":"%d"}`, i)
		}
		want[tenant.SetUser(user)] = "null " + signIn
	}
	tenant.ClearJournal()
	all, err := aside(t, client, "signInActivity", "customSecurityAttributes")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range all {
		got[a.ID] = fmt.Sprintf("%s %s", a.Properties[0].Value, a.Properties[1].Value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(tenant.Journal()); n != 4 {
		t.Errorf("%d requests for 1,200 users and a token", n)
	}
	stop := errors.New("stop")
	if err := client.ReadAside(t.Context(), []string{"signInActivity"}, func([]graph.Aside) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a visitor's error becomes %v", err)
	}
	for _, name := range []string{"", "a&b", "a,b"} {
		if _, err := aside(t, client, name); err == nil {
			t.Errorf("%q is asked for", name)
		}
	}
}

func TestAnswersToReadingAsideThatAreRefused(t *testing.T) {
	for body, want := range map[string]error{
		`{}`: graph.ErrProtocol, `{"value":[{"signInActivity":{}}]}`: graph.ErrProtocol, `{"value":[{"id":7}]}`: graph.ErrProtocol, `{"value":`: graph.ErrProtocol,
		`{"value":[],"@odata.nextLink":"https://elsewhere.example/v1.0/users"}`: graph.ErrProtocol,
		`{"value":[],"@odata.nextLink":"` + graphURL + `/v1.0/users?x"}`:        graph.ErrProtocol, // again and again
	} {
		w := &world{graph: func(int, *http.Request) answer { return answer{body: body} }}
		client := newClient(t, w, func(cfg *graph.Config) {
			cfg.Retry = graph.Retry{Tries: 2, Base: time.Millisecond, Max: time.Millisecond}
		})
		if _, err := aside(t, client, "signInActivity"); !errors.Is(err, want) && !errors.Is(err, graph.ErrUnavailable) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
