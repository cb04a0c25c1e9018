package graphtest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph/graphtest"
)

const (
	userQuery  = "/users/delta?$select=displayName,userPrincipalName,mail,department,accountEnabled,manager"
	groupQuery = "/groups/delta?$select=displayName,description,groupTypes,members"
)

func TestCalmFirstRoundTakesExactlyThePagesOfTheSize(t *testing.T) {
	for _, tc := range []struct{ users, size, want int }{{0, 10, 1}, {1, 10, 1}, {10, 10, 1}, {11, 10, 2}, {95, 10, 10}} {
		w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: tc.size}, tc.users, 0))
		objects, _, pages := w.round(userQuery)
		if pages != tc.want || len(objects) != tc.users || w.tenant.Pages("users") != tc.want {
			t.Errorf("%d users by %d: %d pages with %d objects, Pages says %d; want %d pages", tc.users, tc.size, pages, len(objects), w.tenant.Pages("users"), tc.want)
		}
	}
}

func TestCalmGroupsComeInPartsAndTakeThePagesThatPagesSays(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 7, MembersPerPart: 20}, 300, 40))
	objects, _, pages := w.round(groupQuery)
	if pages != w.tenant.Pages("groups") {
		t.Errorf("took %d pages, Pages says %d", pages, w.tenant.Pages("groups"))
	}
	staff := 0
	for i, o := range objects {
		if o["displayName"] == "All staff" {
			staff++
			if i > 0 && objects[i-1]["displayName"] == "All staff" && staff == 2 {
				t.Error("the second part of a group follows the first with nothing between")
			}
		}
	}
	if want := (len(w.tenant.Members(objects[0]["id"].(string))) + 19) / 20; staff != want {
		t.Errorf("All staff came in %d parts, want %d", staff, want)
	}
}

// checkMirror compares a mirror with the tenant.
func checkMirror(t *testing.T, w *world, m *mirror) {
	t.Helper()
	users, groups := map[string]map[string]any{}, map[string]map[string]any{}
	for o := range w.tenant.Users() {
		users[o.ID] = selected(t, o, "displayName", "userPrincipalName", "mail", "department", "accountEnabled")
		if m := w.tenant.Manager(o.ID); m != "" {
			users[o.ID]["manager"] = m
		}
	}
	for o := range w.tenant.Groups() {
		groups[o.ID] = selected(t, o, "displayName", "description", "groupTypes")
	}
	for _, u := range m.users { // a manager who went is hidden, not told
		if id, ok := u["manager"].(string); ok && m.users[id] == nil {
			delete(u, "manager")
		}
	}
	if diff := cmp.Diff(users, m.users); diff != "" {
		t.Fatalf("users differ from the tenant (-want +got):\n%.3000s", diff)
	}
	if diff := cmp.Diff(groups, m.groups); diff != "" {
		t.Fatalf("groups differ from the tenant (-want +got):\n%.3000s", diff)
	}
	for id := range groups {
		var got []graphtest.Member
		for member, typ := range m.members[id] {
			if typ == "user" && m.users[member] == nil || typ == "group" && m.groups[member] == nil {
				continue // served only while it is there itself
			}
			got = append(got, graphtest.Member{ID: member, Type: typ})
		}
		slices.SortFunc(got, func(a, b graphtest.Member) int { return strings.Compare(a.ID, b.ID) })
		if diff := cmp.Diff(w.tenant.Members(id), append([]graphtest.Member{}, got...)); diff != "" {
			t.Fatalf("members of %s differ (-want +got):\n%.2000s", id, diff)
		}
	}
}

func selected(t *testing.T, o graphtest.Object, names ...string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, name := range names {
		if raw := o.Properties[name]; raw != nil && string(raw) != "null" {
			var v any
			mustDecode(t, raw, &v)
			out[name] = v
		}
	}
	return out
}

func TestRoundsOfARestlessTenantLeadToItsState(t *testing.T) {
	for s := range uint64(8) {
		calm := s%2 == 0
		t.Run(fmt.Sprintf("seed %d, calm %v", seed+s, calm), func(t *testing.T) {
			opts := graphtest.Options{Seed: seed + s, Calm: calm, PageSize: 3 + int(s), MembersPerPart: 2 + int(s)}
			w := newWorld(t, graphtest.NewCompany(opts, 40, 15))
			r := rand.New(rand.NewPCG(seed+s, 1))
			m := newMirror()
			users, groups := userQuery, groupQuery
			for range 15 {
				objects, link, _ := w.round(users)
				m.take(m.users, objects)
				users = link
				objects, link, _ = w.round(groups)
				m.take(m.groups, objects)
				groups = link
				checkMirror(t, w, m)
				for range r.IntN(12) {
					disturb(w.tenant, r)
				}
			}
		})
	}
}

func TestTheWorldMayChangeWhileSeveralClientsRead(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, PageSize: 10, MembersPerPart: 4}, 60, 20))
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			_, users, _ := w.round(userQuery)
			_, groups, _ := w.round(groupQuery)
			for range 3 {
				_, users, _ = w.round(users)
				_, groups, _ = w.round(groups)
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for range 100 {
		disturb(w.tenant, r)
	}
	clients.Wait()
	m := newMirror()
	objects, _, _ := w.round(userQuery)
	m.take(m.users, objects)
	objects, _, _ = w.round(groupQuery)
	m.take(m.groups, objects)
	checkMirror(t, w, m)
}

// disturb makes one random change.
func disturb(t *graphtest.Tenant, r *rand.Rand) {
	var users, groups []string
	for o := range t.Users() {
		users = append(users, o.ID)
	}
	for o := range t.Groups() {
		groups = append(groups, o.ID)
	}
	u, v := users[r.IntN(len(users))], users[r.IntN(len(users))]
	g, h := groups[r.IntN(len(groups))], groups[r.IntN(len(groups))]
	switch r.IntN(12) {
	case 0:
		t.SetUser(map[string]any{"displayName": fmt.Sprint("New ", r.IntN(1000)), "userPrincipalName": fmt.Sprint("n", r.IntN(1e6), "@x.example")})
	case 1:
		t.UpdateUser(u, map[string]any{"department": []any{"Sales", "IT", nil}[r.IntN(3)]})
	case 2:
		t.UpdateUser(u, map[string]any{"jobTitle": fmt.Sprint("Not selected ", r.IntN(1000))})
	case 3:
		t.RemoveUser(u)
		if r.IntN(2) == 0 {
			t.RestoreUser(u)
		}
	case 4:
		t.PurgeUser(u)
	case 5:
		t.SetManager(u, []string{v, ""}[r.IntN(2)])
	case 6, 7:
		t.AddMember(g, u, v)
	case 8, 9:
		if members := t.Members(g); len(members) > 0 {
			t.RemoveMember(g, members[0].ID)
			if r.IntN(2) == 0 {
				t.AddMember(g, members[0].ID)
			}
		}
	case 10:
		t.AddMember(g, h)
	case 11:
		if r.IntN(4) == 0 {
			t.RemoveGroup(g)
		} else {
			t.SetGroup(map[string]any{"displayName": "G", "groupTypes": []string{"Unified"}})
		}
	}
}

func TestSelectIsHonouredExactly(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true}))
	id := w.tenant.SetUser(map[string]any{"displayName": "Ada", "mail": "ada@x.example", "department": "IT",
		"extension_0123456789abcdef0123456789abcdef_badge": "B7"})
	for _, tc := range []struct {
		name, query string
		want        []string
	}{
		{"only what was asked for, and id", "?$select=displayName", []string{"displayName", "id"}},
		{"never set is absent", "?$select=displayName,surname,mail", []string{"displayName", "id", "mail"}},
		{"id alone", "?$select=id", []string{"id"}},
		{"an extension by its name", "?$select=extension_0123456789abcdef0123456789abcdef_badge", []string{"extension_0123456789abcdef0123456789abcdef_badge", "id"}},
		{"the default set without $select", "", []string{"displayName", "id", "mail"}},
		{"$top is ignored", "?$select=displayName&$top=1", []string{"displayName", "id"}},
	} {
		objects, link, _ := w.round("/users/delta" + tc.query)
		if got := keys(objects[0]); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
		if !strings.Contains(tc.query, "department") {
			w.tenant.UpdateUser(id, map[string]any{"department": tc.name})
			if objects, _, _ := w.round(link); len(objects) != 0 {
				t.Errorf("%s: a change of an unselected property woke %v", tc.name, objects)
			}
		}
	}
}

func keys(m map[string]any) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func TestDeltaRefusesWhatGraphRefuses(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 5}, 20, 3))
	first := w.page("/users/delta?$select=displayName")
	_, delta, _ := w.round("/users/delta?$select=displayName")
	ids := "id eq '0'" + strings.Repeat(" or id eq '0'", 50)
	for _, tc := range []struct {
		name, link string
		status     int
		code       string
	}{
		{"an unknown property", "/users/delta?$select=shoeSize", 400, "Request_BadRequest"},
		{"a property in other letters", "/users/delta?$select=DisplayName", 400, "Request_BadRequest"},
		{"a property kept elsewhere", "/users/delta?$select=skills", 501, "NotImplemented"},
		{"a property not tracked", "/users/delta?$select=signInActivity", 400, "Request_BadRequest"},
		{"a relationship not tracked", "/users/delta?$select=memberOf", 400, "Request_BadRequest"},
		{"$expand", "/groups/delta?$expand=members", 400, "Request_UnsupportedQuery"},
		{"$filter by a name", "/users/delta?$filter=displayName eq 'x'", 400, "Request_UnsupportedQuery"},
		{"51 ids", "/users/delta?$filter=" + ids, 400, "Request_UnsupportedQuery"},
		{"an unknown option", "/users/delta?$frobnicate=1", 400, "Request_BadRequest"},
		{"a semicolon in the query", "/users/delta?a=b;c=d", 400, "Request_BadRequest"},
		{"a broken token", "/users/delta?$deltatoken=AAAA", 400, "Request_BadRequest"},
		{"a nextLink as deltaLink", strings.Replace(first.Next, "$skiptoken", "$deltatoken", 1), 400, "Request_BadRequest"},
		{"a users token for groups", strings.Replace(delta, "/users/", "/groups/", 1), 400, "Request_BadRequest"},
		{"another $select on a deltaLink", delta + "&$select=mail", 400, "Request_BadRequest"},
		{"$filter on a nextLink", first.Next + "&$filter=x", 400, "Request_BadRequest"},
		{"a permission that is missing", "/users/delta?$select=employeeLeaveDateTime", 403, "Authorization_RequestDenied"},
		{"an unknown segment", "/planets", 400, "BadRequest"},
	} {
		status, code := w.refused(tc.link)
		if status != tc.status || code != tc.code {
			t.Errorf("%s: got %d %s, want %d %s", tc.name, status, code, tc.status, tc.code)
		}
	}
	if p := w.page(delta + "&$select=displayName"); p.Delta == "" {
		t.Error("the same $select on a deltaLink must do")
	}
}

func TestFilterTracksTheNamedObjectsOnly(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true}, 20, 0))
	var ids []string
	for o := range w.tenant.Users() {
		ids = append(ids, o.ID)
	}
	objects, delta, _ := w.round(fmt.Sprintf("/users/delta?$select=mail&$filter=id eq '%s' or id eq '%s'", ids[3], ids[7]))
	if len(objects) != 2 {
		t.Fatalf("got %d objects, want 2", len(objects))
	}
	w.tenant.UpdateUser(ids[3], map[string]any{"mail": "a@x.example"})
	w.tenant.UpdateUser(ids[4], map[string]any{"mail": "b@x.example"})
	if objects, _, _ = w.round(delta); len(objects) != 1 || objects[0]["id"] != ids[3] {
		t.Fatalf("got %v, want %s only", objects, ids[3])
	}
}

func TestClearedIsNullAndMinimalHasTheChangesOnly(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true}))
	id := w.tenant.SetUser(map[string]any{"displayName": "Ada", "mail": "ada@x.example"})
	_, delta, _ := w.round(userQuery)
	w.tenant.UpdateUser(id, map[string]any{"mail": nil, "department": nil})
	for _, tc := range []struct {
		prefer, want string
	}{
		{"return=representation", `{"displayName":"Ada","id":"` + id + `","mail":null}`},
		{"return=minimal", `{"id":"` + id + `","mail":null}`},
	} {
		objects, _, _ := w.round(delta, "Prefer", tc.prefer)
		if got := compact(objects[0]); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.prefer, got, tc.want)
		}
	}
}

func compact(v any) string { b, _ := json.Marshal(v); return string(b) }

func TestRemovedRestoredAndPurgedUsers(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true}))
	id := w.tenant.SetUser(map[string]any{"displayName": "Ada"})
	group := w.tenant.SetGroup(map[string]any{"displayName": "G"})
	w.tenant.AddMember(group, id)
	_, users, _ := w.round("/users/delta?$select=displayName")
	_, groups, _ := w.round("/groups/delta?$select=members")
	step := func(name, wantUsers, wantGroups string) {
		t.Helper()
		var objects []map[string]any
		objects, users, _ = w.round(users)
		if got := compact(objects); got != wantUsers {
			t.Errorf("%s: users: got %s, want %s", name, got, wantUsers)
		}
		objects, groups, _ = w.round(groups)
		if got := compact(objects); got != wantGroups {
			t.Errorf("%s: groups: got %s, want %s", name, got, wantGroups)
		}
	}
	w.tenant.RemoveUser(id)
	if got := w.tenant.Members(group); len(got) != 0 {
		t.Errorf("a removed user is still among the members to be served: %v", got)
	}
	step("removed", `[{"@removed":{"reason":"changed"},"id":"`+id+`"}]`, "null")
	w.tenant.RestoreUser(id)
	step("restored", `[{"displayName":"Ada","id":"`+id+`"}]`, "null")
	if got := w.tenant.Members(group); len(got) != 1 {
		t.Errorf("a restored user is a member again: %v", got)
	}
	w.tenant.PurgeUser(id)
	step("purged", `[{"@removed":{"reason":"deleted"},"id":"`+id+`"}]`,
		`[{"id":"`+group+`","members@delta":[{"@odata.type":"#microsoft.graph.user","@removed":{"reason":"deleted"},"id":"`+id+`"}]}]`)
}

func TestManagerComesOnceAndGoesAsRemoved(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true}))
	boss := w.tenant.SetUser(map[string]any{"displayName": "Boss"})
	id := w.tenant.SetUser(map[string]any{"displayName": "Ada"})
	w.tenant.SetManager(id, boss)
	objects, delta, _ := w.round("/users/delta?$select=displayName,manager")
	if got, want := compact(objects[1]["manager@delta"]), `[{"@odata.type":"#microsoft.graph.user","id":"`+boss+`"}]`; got != want {
		t.Errorf("first round: got %s, want %s", got, want)
	}
	w.tenant.UpdateUser(id, map[string]any{"displayName": "Ada L."})
	objects, delta, _ = w.round(delta)
	if objects[0]["manager@delta"] != nil {
		t.Error("a manager that did not change must not come in a later round")
	}
	w.tenant.SetManager(id, "")
	objects, _, _ = w.round(delta)
	if got, want := compact(objects[0]["manager@delta"]), `[{"@odata.type":"#microsoft.graph.user","@removed":{"reason":"deleted"},"id":"`+boss+`"}]`; got != want {
		t.Errorf("later round: got %s, want %s", got, want)
	}
}

func TestLagDelaysAChangeByRounds(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true}))
	_, delta, _ := w.round(userQuery)
	w.tenant.SetLag("users", 2)
	w.tenant.SetUser(map[string]any{"displayName": "Late"})
	for i, want := range []int{0, 0, 1} {
		var objects []map[string]any
		if objects, delta, _ = w.round(delta); len(objects) != want {
			t.Errorf("round %d: %d objects, want %d", i+1, len(objects), want)
		}
	}
}

func TestLatestGivesALinkAndNoData(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true}, 30, 0))
	p := w.page("/users/delta?$select=mail&$deltatoken=latest")
	if len(p.Value) != 0 || p.Delta == "" {
		t.Fatalf("got %d objects and deltaLink %q", len(p.Value), p.Delta)
	}
	id := w.tenant.SetUser(map[string]any{"mail": "x@x.example"})
	if objects, _, _ := w.round(p.Delta); len(objects) != 1 || objects[0]["id"] != id {
		t.Fatalf("got %v, want the new user", objects)
	}
}

func TestAChangeWhilePagingComesInTheNextRound(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 5}, 20, 0))
	p := w.page("/users/delta?$select=displayName")
	first, last := p.Value[0]["id"].(string), ""
	for o := range w.tenant.Users() {
		last = o.ID
	}
	w.tenant.UpdateUser(first, map[string]any{"displayName": "Changed behind"})
	w.tenant.UpdateUser(last, map[string]any{"displayName": "Changed ahead"})
	objects, delta, _ := w.round(p.Next)
	if got := objects[len(objects)-1]["displayName"]; got != "Changed ahead" {
		t.Errorf("an object on a page ahead is %q, want its newer value", got)
	}
	if objects, _, _ = w.round(delta); len(objects) != 2 {
		t.Errorf("the next round has %d objects, want both that changed", len(objects))
	}
}

func TestTheSameNextLinkGivesTheSameObjects(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, PageSize: 5}, 60, 0))
	p := w.page("/users/delta?$select=displayName")
	if diff := cmp.Diff(w.page(p.Next).Value, w.page(p.Next).Value); diff != "" {
		t.Error(diff)
	}
}

func TestTokensExpire(t *testing.T) {
	now := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 5, Now: func() time.Time { return now }}, 20, 0))
	p := w.page(userQuery)
	_, delta, _ := w.round(userQuery)
	now = now.Add(21 * time.Minute)
	if status, code := w.refused(p.Next); status != 400 || code != "Directory_ExpiredPageToken" {
		t.Errorf("an old nextLink: %d %s", status, code)
	}
	if got := w.page(delta); got.Delta == "" {
		t.Error("a deltaLink of 21 minutes must do")
	}
	now = now.Add(time.Hour)
	if status, code := w.refused(delta); status != 401 || code != "InvalidAuthenticationToken" {
		t.Errorf("an old access token: %d %s", status, code)
	}
	now = now.Add(7 * 24 * time.Hour)
	w.login()
	if status, code := w.refused(delta); status != 410 || code != "syncStateNotFound" {
		t.Errorf("an old deltaLink: %d %s", status, code)
	}
	_, delta, _ = w.round(userQuery)
	p = w.page(userQuery)
	w.tenant.ExpireDeltaLinks()
	w.tenant.ExpirePageLinks()
	if status, _ := w.refused(delta); status != 410 {
		t.Errorf("a revoked deltaLink: %d", status)
	}
	if status, _ := w.refused(p.Next); status != 400 {
		t.Errorf("a revoked nextLink: %d", status)
	}
	if _, delta, _ = w.round(userQuery); w.page(delta).Delta == "" {
		t.Error("links made at the very moment of the revocation, but after it, must do")
	}
}

func TestHiddenMembershipNeedsItsPermission(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: seed, Calm: true})
	group := tenant.SetGroup(map[string]any{"displayName": "Quiet", "visibility": "HiddenMembership", "groupTypes": []string{"Unified"}})
	tenant.AddMember(group, tenant.SetUser(map[string]any{"displayName": "Ada"}))
	for _, tc := range []struct {
		role string
		want bool
	}{{"Group.Read.All", false}, {"Member.Read.Hidden", true}} {
		w := newWorld(t, tenant, "GroupMember.Read.All", tc.role)
		objects, _, _ := w.round(groupQuery)
		if got := objects[0]["members@delta"] != nil; got != tc.want {
			t.Errorf("with %s members are shown: %v, want %v", tc.role, got, tc.want)
		}
	}
}

func TestNastyRoundsHaveTheirOddities(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, PageSize: 10}, 900, 0))
	var empty, short, full, twice, pages int
	seen := map[any]bool{}
	var order []string
	for link := userQuery; link != ""; {
		p := w.page(link)
		link = p.Next
		pages++
		switch n := len(p.Value); {
		case n == 0:
			empty++
		case n < 10:
			short++
		default:
			full++
		}
		for _, o := range p.Value {
			if seen[o["id"]] {
				twice++
			}
			seen[o["id"]] = true
			order = append(order, o["id"].(string))
		}
	}
	if empty == 0 || short < 2 || full == 0 || twice == 0 {
		t.Errorf("of %d pages %d empty, %d short, %d full; %d objects twice: want some of each", pages, empty, short, full, twice)
	}
	i := 0
	for o := range w.tenant.Users() {
		if order[i] != o.ID {
			return // shuffled
		}
		i++
	}
	t.Error("objects come in the order of their creation")
}

func TestMaxPageSizeMakesSmallerPagesOnly(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 10}, 40, 0))
	for prefer, want := range map[string]int{"odata.maxpagesize=4": 4, "odata.maxpagesize=999": 10, "return=minimal, odata.maxpagesize=3": 3} {
		if p := w.page(userQuery, "Prefer", prefer); len(p.Value) != want {
			t.Errorf("%s: page of %d, want %d", prefer, len(p.Value), want)
		}
	}
}

func TestJournalHasOneEntryForEachPage(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 10}, 45, 0))
	w.tenant.ClearJournal()
	w.round(userQuery, "client-request-id", "c1")
	entries := w.tenant.Journal()
	if len(entries) != 5 {
		t.Fatalf("%d entries, want 5: %+v", len(entries), entries)
	}
	e := entries[0]
	if e.Method != http.MethodGet || e.Path != "/v1.0/users/delta" || e.Status != 200 || !e.AuthOK || e.Objects != 10 ||
		e.ResourceUnits != 1 || e.ClientRequestID != "c1" || e.AppID != w.app || e.Bytes == 0 {
		t.Errorf("first entry: %+v", e)
	}
}
