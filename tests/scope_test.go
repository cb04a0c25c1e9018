package tests

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// served gives the ids of the active users that a client sees, sorted.
func (b *bridge) servedActive() (ids []string) {
	b.t.Helper()
	for id, raw := range b.list("/Users", 100) {
		var u struct{ Active bool }
		if err := json.Unmarshal(raw, &u); err != nil {
			b.t.Fatal(err)
		}
		if u.Active {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (b *bridge) servesActive(what string, want ...string) {
	b.t.Helper()
	want = slices.Sorted(slices.Values(want))
	b.eventually(what, func() error {
		if got := b.servedActive(); !slices.Equal(got, want) {
			return fmt.Errorf("%d users are active, want %d: %v, want %v", len(got), len(want), got, want)
		}
		return nil
	})
}

func (b *bridge) members(group string) (ids []string) {
	b.t.Helper()
	var g struct {
		Members []struct{ Value, Type string }
	}
	b.scimGet("/Groups/"+group, &g)
	for _, m := range g.Members {
		ids = append(ids, m.Value)
	}
	slices.Sort(ids)
	return ids
}

// The scope is edited while the program runs: whoever leaves it turns inactive,
// by way of the guard, and what is stored suffices to decide.
func TestScopeEditsAtRunTime(t *testing.T) {
	tenant := startTenant(t, graphtest.NewTenant(graphtest.Options{Seed: 61, PageSize: 7}))
	var users []string
	for i := range 20 {
		props := map[string]any{"displayName": fmt.Sprint("User ", i), "userPrincipalName": fmt.Sprintf("u%d@contoso.example", i),
			"accountEnabled": true, "userType": "Member", "department": []string{"Eng", "Sales"}[i%2]}
		if i >= 18 {
			props["userType"] = "Guest"
		}
		users = append(users, tenant.SetUser(props))
	}
	eng := tenant.SetGroup(map[string]any{"displayName": "Eng", "securityEnabled": true, "mailEnabled": false})
	eu := tenant.SetGroup(map[string]any{"displayName": "Eng-EU", "securityEnabled": true, "mailEnabled": false})
	tenant.AddMember(eng, append(slices.Clone(users[:8]), eu)...)
	tenant.AddMember(eu, users[8], users[9], eng)
	b := newBridge(t)
	edit := func(lines ...string) {
		t.Helper()
		before, _ := b.reloads()
		b.configure(tenant.source("contoso", append([]string{"interval: 1h", "safeguard: {max_removed: 90%}"}, lines...)...))
		b.eventually("the edit", func() error {
			if taken, refused := b.reloads(); taken == before || refused > 0 {
				return fmt.Errorf("%d reloads were taken, %d refused", taken, refused)
			}
			return nil
		})
	}
	b.configure(tenant.source("contoso", "interval: 1h", "safeguard: {max_removed: 90%}"))
	b.start()
	b.ready()
	b.servesActive("everybody", users...)

	// A reload starts a round of its own; the counting is done in the package.
	edit("users: {member_of: [" + eng + "]}")
	b.servesActive("the members of Eng and Eng-EU", users[:10]...)
	tenant.RemoveMember(eu, users[9])
	tenant.AddMember(eu, users[12])
	b.sync("contoso")
	b.servesActive("after a change far below", append(slices.Clone(users[:9]), users[12])...)
	tenant.RemoveMember(eng, eu)
	b.sync("contoso")
	b.servesActive("after a group left", users[:8]...)
	tenant.AddMember(eng, eu)
	b.sync("contoso")
	b.servesActive("after it came back", append(slices.Clone(users[:9]), users[12])...)

	edit("users: {member_of: ["+eng+"]}", "groups: {nested: flatten}")
	b.eventually("flattened groups", func() error {
		want := slices.Sorted(slices.Values(append(slices.Clone(users[:9]), users[12])))
		if got := b.members(eng); !slices.Equal(got, want) {
			return fmt.Errorf("members are %v, want %v", got, want)
		}
		return nil
	})
	edit("users: {where: user.department == 'Sales', exclude: [U3@contoso.example], guests: exclude}", "groups: {exclude: ["+eu+"]}")
	sales := []string{users[1], users[5], users[7], users[9], users[11], users[13], users[15], users[17]}
	b.servesActive("Sales, without guests and one", sales...)
	if n := b.groups(); n != 1 {
		t.Errorf("%d groups are served", n)
	}

	b.eventually("the count of those left out", func() error {
		if _, out, _ := b.runDaemon("status"); !strings.Contains(out, "left out by the scope: 1 user by users.exclude, 2 users by users.guests, 9 users by users.where, 1 group by groups.exclude") {
			return fmt.Errorf("status says:\n%s", out)
		}
		return nil
	})
	status, _, stderr := b.run("check-config")
	if status != 0 {
		t.Errorf("check-config: %d %s", status, stderr)
	}
	b.configure(tenant.source("contoso", "interval: 1h", "safeguard: {max_removed: 10%, floor: 0}", "users: {where: user.department == 'Legal'}"))
	b.eventually("the guard", func() error {
		if _, out, _ := b.runDaemon("held"); !strings.Contains(out, `left the scope: does not meet user.department == 'Legal' (users.where)`) {
			return fmt.Errorf("held says:\n%s", out)
		}
		return nil
	})
	b.servesActive("as before, for the round is held", sales...)

	const nowhere = "5b1e0000-1111-4222-8333-444455550001"
	b.configure(tenant.source("contoso", "interval: 1h", "users: {member_of: ["+nowhere+"]}"))
	b.eventually("the group that is not there", func() error {
		_, out, _ := b.runDaemon("status")
		_, held, _ := b.runDaemon("held")
		if !strings.Contains(out, "NO SUCH GROUP of users.member_of: the tenant does not have "+nowhere) || !strings.Contains(held, "of which the tenant does not have "+nowhere) {
			return fmt.Errorf("status says:\n%s\nheld says:\n%s", out, held)
		}
		return nil
	})
}

// With users.read: filtered a tenant of many guests costs what its members do, and
// serves the same.
func TestScopeReadByFilter(t *testing.T) {
	tenant := startTenant(t, graphtest.NewTenant(graphtest.Options{Seed: 63}))
	var members, guests []string
	for i := range 40 {
		members = append(members, tenant.SetUser(map[string]any{"displayName": fmt.Sprint("Member ", i), "userPrincipalName": fmt.Sprintf("m%d@contoso.example", i),
			"accountEnabled": true, "userType": "Member"}))
	}
	for i := range 4000 {
		guests = append(guests, tenant.SetUser(map[string]any{"displayName": fmt.Sprint("Guest ", i), "userPrincipalName": fmt.Sprintf("g%d@contoso.example", i),
			"accountEnabled": true, "userType": "Guest"}))
	}
	b := newBridge(t)
	asked := func() (users int) {
		for _, r := range tenant.Journal() {
			if strings.HasPrefix(r.Path, "/v1.0/users") {
				users++
			}
		}
		tenant.ClearJournal()
		return users
	}
	more := []string{"interval: 1h", "safeguard: {max_removed: 90%}"}
	b.configure(tenant.source("contoso", append(more, "users: {guests: exclude, read: filtered}")...))
	if status, _, stderr := b.run("check-config"); status != 0 {
		t.Fatalf("check-config: %s", stderr)
	}
	b.start()
	b.ready()
	b.servesActive("members", members...)
	told := "read by filter: userType ne 'Guest'; about 4,000 of the tenant's 4,040 users are not read"
	b.eventually("status tells", func() error {
		_, status, _ := b.runDaemon("status")
		_, inJSON, _ := b.runDaemon("status", "--json")
		_, page := b.get(b.admin+"/", nil)
		if !strings.Contains(status, "contoso: "+told) || !strings.Contains(inJSON, `"unread": 4000`) || !strings.Contains(html.UnescapeString(page), strings.TrimPrefix(told, "read by filter: ")) {
			return fmt.Errorf("it says:\n%s", status)
		}
		return nil
	})
	if n := asked(); n > 8 {
		t.Errorf("the first round takes %d requests for users", n)
	}
	tenant.UpdateUser(guests[7], map[string]any{"userType": "Member"})
	tenant.UpdateUser(guests[8], map[string]any{"displayName": "Nobody of ours"})
	tenant.UpdateUser(members[0], map[string]any{"userType": "Guest"})
	b.sync("contoso")
	b.servesActive("one comes and one goes", append(slices.Clone(members[1:]), guests[7])...)
	b.stop()
	b.start()
	b.ready()
	b.sync("contoso")
	b.servesActive("after a restart", append(slices.Clone(members[1:]), guests[7])...)
	// A change of the rule reads anew, and everybody stays until it has.
	b.configure(tenant.source("contoso", append(more, "users: {guests: include, read: filtered, where: 'user.displayName.startsWith(\"Member 1\")'}")...))
	b.servesActive("by another rule", append(slices.Clone(members[10:20]), members[1])...)
	b.configure(tenant.source("contoso", more...))
	b.servesActive("everybody", slices.Concat(members, guests)...)
	b.configure(tenant.source("contoso", append(more, "users: {read: filtered}")...))
	if status, _, stderr := b.run("check-config"); status != 2 || !strings.Contains(stderr, "users.read: Microsoft Graph can't tell by any of the rules whom to leave out") {
		t.Errorf("check-config: %d %s", status, stderr)
	}
}

// Only whom the administrator has assigned to the Enterprise application.
func TestScopeAssigned(t *testing.T) {
	tenant := startTenant(t, graphtest.NewTenant(graphtest.Options{Seed: 62}))
	var users []string
	for i := range 8 {
		users = append(users, tenant.SetUser(map[string]any{"displayName": fmt.Sprint("User ", i), "userPrincipalName": fmt.Sprintf("u%d@contoso.example", i), "accountEnabled": true}))
	}
	team := tenant.SetGroup(map[string]any{"displayName": "Team", "securityEnabled": true, "mailEnabled": false})
	inner := tenant.SetGroup(map[string]any{"displayName": "Inner", "securityEnabled": true, "mailEnabled": false})
	tenant.AddMember(team, users[0], users[1], inner)
	tenant.AddMember(inner, users[2])
	tenant.Assign(tenant.clientID, team, users[4])
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h", "scope: assigned"))
	b.start()
	b.eventually("the permission to be missed", func() error {
		if _, out, _ := b.runDaemon("status"); !strings.Contains(out, "Application.Read.All") {
			return fmt.Errorf("status says:\n%s", out)
		}
		return nil
	})
	if status, out, _ := b.run("test"); status != 1 || !strings.Contains(out, "Application.Read.All") {
		t.Errorf("test: %d\n%s", status, out)
	}
	tenant.Grant(tenant.clientID, "User.Read.All", "GroupMember.Read.All", "Application.Read.All")
	b.eventually("the first round", func() error {
		if got := b.sync("contoso"); got != "published" && got != "unchanged" {
			return fmt.Errorf("it ends %s", got)
		}
		return nil
	})
	b.servesActive("who is assigned", users[0], users[1], users[4])
	if n := b.groups(); n != 1 {
		t.Errorf("%d groups are served", n)
	}
	tenant.Unassign(tenant.clientID, users[4])
	tenant.Assign(tenant.clientID, inner)
	b.sync("contoso")
	b.servesActive("after changes", users[0], users[1], users[2])
}

// Why is she, or is she not, in the endpoint?
func TestExplain(t *testing.T) {
	tenant := startTenant(t, graphtest.NewTenant(graphtest.Options{Seed: 63}))
	ada := tenant.SetUser(map[string]any{"displayName": "Ada", "jobTitle": "Countess", "userPrincipalName": "ada@contoso.example", "mail": "a.l@mail.example", "accountEnabled": true})
	bob := tenant.SetUser(map[string]any{"displayName": "Bob", "userPrincipalName": "bob@contoso.example", "accountEnabled": true})
	eng := tenant.SetGroup(map[string]any{"displayName": "Eng", "securityEnabled": true, "mailEnabled": false})
	eu := tenant.SetGroup(map[string]any{"displayName": "Eng-EU", "securityEnabled": true, "mailEnabled": false})
	tenant.AddMember(eng, eu)
	tenant.AddMember(eu, ada)
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h", "users: {member_of: ["+eng+"]}"))
	b.start()
	b.ready()
	explain := func(want int, args ...string) string {
		t.Helper()
		status, out, stderr := b.runDaemon(append([]string{"explain"}, args...)...)
		if status != want {
			t.Errorf("explain %v: %d %s\n%s", args, status, stderr, out)
		}
		return out + stderr
	}
	says := func(out string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("%q is not said in:\n%s", text, out)
			}
		}
	}
	says(explain(0, "A.L@mail.example"), "user ada@contoso.example ("+ada+") of source contoso: SERVED",
		"✓  users.member_of  is in one of the groups: Eng > Eng-EU > ada@contoso.example", `"userPrincipalName": "ada@contoso.example"`,
		`"userName": "ada@contoso.example"`, "in generation 1", "userName ", "importer has asked for nothing")
	if !regexp.MustCompile(`(?m)^  title +"Countess" +jobTitle$`).MatchString(explain(0, "Ada")) {
		t.Error("it is not said that the title comes from the jobTitle")
	}
	b.list("/Users", 1)
	says(explain(0, ada), "importer has read it since it last changed, at ")
	tenant.UpdateUser(ada, map[string]any{"jobTitle": "Lady"})
	b.sync("contoso")
	says(explain(0, ada), "importer has not imported it since it last changed; its last import was at", "in generation 2", "Lady")
	says(explain(0, "bob@contoso.example"), "ABSENT", "out of the scope, by users.member_of: is in none of the groups")
	says(explain(0, "Eng-EU"), "group Eng-EU ("+eu+") of source contoso: SERVED")
	says(explain(1, "nobody"), `nothing is called "nobody"`)
	says(explain(2), "explain takes one user or group")

	var found []struct{ ID, State, Rule string }
	if err := json.Unmarshal([]byte(explain(0, bob, "--json")), &found); err != nil || len(found) != 1 || found[0].State != "absent" || found[0].Rule != "users.member_of" {
		t.Errorf("as JSON: %+v, %v", found, err)
	}
	b.expectLog(`msg="personal data was looked up" by=".+" found="?\[` + bob)
	if log := b.logged(); strings.Contains(log, "a.l@mail.example") || strings.Contains(log, "Eng-EU") {
		t.Error("the log names whom was asked for")
	}
	res, err := http.Get(b.admin + "/api/v1/explain?name=" + ada)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a GET: %d", res.StatusCode)
	}

	// The page tells the same, of those who are not served, too.
	res, err = http.PostForm(b.admin+"/lookup", url.Values{"q": {"bob@contoso.example"}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	b.expectLog(`msg="personal data was looked up" by="administrator at .+" found=.*` + bob)
	says(string(page), "left out by", "is in none of the groups", bob, "It is not served.")

	b.write("sample.json", `{"@odata.type": "#microsoft.graph.user", "id": "`+bob+`", "userPrincipalName": "bob@contoso.example", "memberOf": ["`+eng+`"]}`)
	file := b.dir + "/sample.json"
	says(explain(0, "--file", file), "SERVED", "✓  users.member_of  is in one of the groups: "+eng)
	b.write("sample.json", `{"id": "`+bob+`", "memberOf": []}`)
	says(explain(1, "--file", file), "ABSENT", "would be out of the scope, by users.member_of")
	says(explain(2, "x", "--file", file), "not both")
	b.write("sample.json", `{"value": [{"id": "`+bob+`"}]}`)
	says(explain(2, "--file", file), "it holds a list: keep one object of its value")
	says(explain(2, "--file", file+".missing"), "no such file")
}
