package tests

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// A managed user is what an importer sees of somebody with a manager.
type managed struct {
	Enterprise struct {
		Manager struct {
			Value string
			Ref   string `json:"$ref"`
		}
	} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	Meta struct{ Version string }
}

// Whoever follows a manager finds somebody, or there is none to follow; of the
// reports of one who goes or comes the tenant tells nothing.
func TestManagersLeadToSomebody(t *testing.T) {
	tenant := startTenant(t, graphtest.NewTenant(graphtest.Options{Seed: 71}))
	var users []string
	for i := range 10 {
		users = append(users, tenant.SetUser(map[string]any{"displayName": fmt.Sprint("User ", i), "userPrincipalName": fmt.Sprintf("u%d@contoso.example", i), "accountEnabled": true}))
	}
	boss, ada := users[0], users[1]
	for _, report := range users[1:4] {
		tenant.SetManager(report, boss)
	}
	b := newBridge(t)
	file := func(exclude string) {
		b.configure(tenant.source("contoso", "interval: 1h", "users: {keep_removed: 0s, exclude: ["+exclude+"]}"))
	}
	file("")
	b.start()
	b.ready()
	shows := func(what, want string, reports float64) managed {
		t.Helper()
		var u managed
		b.eventually(what, func() error {
			u = managed{}
			if b.scimGet("/Users/"+ada, &u); u.Enterprise.Manager.Value != want {
				return fmt.Errorf("her manager is %q, want %q", u.Enterprise.Manager.Value, want)
			}
			return nil
		})
		if ref := u.Enterprise.Manager.Ref; want != "" && !strings.HasSuffix(ref, "/scim/v2/Users/"+want) {
			t.Errorf("%s: her manager's $ref is %q", what, ref)
		}
		if want != "" {
			b.scimGet("/Users/"+want, &managed{})
		}
		var list struct{ TotalResults float64 }
		b.scimGet("/Users?filter="+url.QueryEscape(`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "`+boss+`"`), &list)
		if list.TotalResults != reports {
			t.Errorf("%s: %g users name him, want %g", what, list.TotalResults, reports)
		}
		return u
	}
	first := shows("the first picture", boss, 3)
	file(boss)
	if left := shows("a manager out of the scope", "", 0); left.Meta.Version == first.Meta.Version {
		t.Error("she is another and has the version that she had")
	}
	file("")
	if back := shows("a manager in it again", boss, 3); back.Meta.Version != first.Meta.Version {
		t.Error("she is as she was and has another version")
	}
	b.kill()
	b.start()
	b.ready()
	shows("after a crash", boss, 3)
	tenant.RemoveUser(boss)
	b.sync("contoso")
	shows("a removed manager", "", 0)
	if n := len(b.list("/Users", 100)); n != 9 {
		t.Errorf("%d users are served, want 9", n)
	}
}
