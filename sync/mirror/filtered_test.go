package mirror_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// crowd makes a calm tenant of members and many more guests, and a group of the
// first members and the first guests.
func crowd(members, guests int) (tenant *graphtest.Tenant, people, others []string, group string) {
	tenant = graphtest.NewTenant(graphtest.Options{Seed: 1, PageSize: 7, MembersPerPart: 4})
	add := func(kind string, i int) string {
		name := fmt.Sprintf("%s%d", strings.ToLower(kind), i)
		return tenant.SetUser(map[string]any{"userPrincipalName": name + "@contoso.example", "displayName": name, "accountEnabled": true, "userType": kind})
	}
	for i := range members {
		people = append(people, add("Member", i))
	}
	for i := range guests {
		others = append(others, add("Guest", i))
	}
	group = tenant.SetGroup(map[string]any{"displayName": "Some", "securityEnabled": true})
	tenant.AddMember(group, people[0], people[1], others[0], others[1])
	return tenant, people, others, group
}

// membersOnly reads members by filter.
func membersOnly(cfg *mirror.Config) {
	open(cfg)
	cfg.Scope.Guests, cfg.Scope.FilteredRead = false, true
}

// asked counts the requests of a round by what they ask for.
func (w *world) asked() map[string]int {
	all := make(map[string]int)
	for _, r := range w.tenant.Journal() {
		query, _ := url.ParseQuery(r.Query)
		what := strings.TrimPrefix(r.Path, "/v1.0")
		switch filter := query.Get("$filter"); {
		case strings.HasPrefix(filter, "id eq"):
			what += " by id"
		case filter != "":
			what += " by filter"
		case strings.HasPrefix(what, "/users/") && what != "/users/delta":
			what = "one user"
		}
		all[what]++
	}
	w.tenant.ClearJournal()
	return all
}

func (w *world) stored() (users int) {
	w.t.Helper()
	state, err := w.store.Source(w.t.Context(), w.cfg.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	return state.Users
}

func TestFilteredRead(t *testing.T) {
	tenant, people, guests, group := crowd(12, 300)
	old := tenant.SetUser(map[string]any{"userPrincipalName": "old@contoso.example", "accountEnabled": true}) // without a userType
	people = append(people, old)
	tenant.SetManager(people[3], people[4])
	tenant.SetManager(old, people[4])
	tenant.SetManager(people[5], guests[3])
	w := newWorld(t, tenant, membersOnly)
	w.round()
	if got := w.asked(); got["/users/delta"] > 3 || got["/users by filter"] != 2 {
		t.Errorf("the first round asks %v", got)
	}
	w.servesActive("first", people...)
	if n := w.stored(); n != len(people) {
		t.Errorf("%d users are stored", n)
	}
	if u, _ := w.user(old); len(u.Groups) != 0 {
		t.Errorf("groups: %v", u.Groups)
	}
	if content := w.content(); strings.Count(content, `"manager":{"value":"`+people[4]) != 2 {
		t.Errorf("the managers are not served:\n%s", content)
	}
	if g, _ := w.user(group); !slices.Equal(g.members(), sorted(people[0], people[1])) {
		t.Errorf("members: %v", g.members())
	}
	step := func(what string, change func(), want ...string) {
		t.Helper()
		change()
		if report, err := w.mirror.Refresh(t.Context(), mirror.Options{}); err != nil || report.Full() {
			t.Fatalf("%s: %v, full %t", what, err, report.Full())
		}
		w.servesActive(what, want...)
	}
	// A guest who becomes a member comes whole, with groups and manager; others
	// who change are not stored.
	tenant.SetManager(guests[0], people[4])
	step("guests change", func() { tenant.UpdateUser(guests[7], map[string]any{"displayName": "x"}); tenant.RemoveUser(guests[8]) }, people...)
	step("a manager of a guest", func() {}, people...)
	w.asked()
	step("a guest becomes a member", func() { tenant.UpdateUser(guests[0], map[string]any{"userType": "Member"}) }, append(people, guests[0])...)
	if got := w.asked(); got["/users by id"] != 1 || got["/users/delta"] != 1 {
		t.Errorf("it asks %v", got)
	}
	if u, _ := w.user(guests[0]); u.UserName != "guest0@contoso.example" || !slices.Equal(u.groups(), []string{group}) {
		t.Errorf("she is %+v", u)
	}
	if !strings.Contains(w.content(), `"guest0@contoso.example"`) || strings.Count(w.content(), `"manager":{"value":"`+people[4]) != 3 {
		t.Error("her manager is not served")
	}
	step("and a guest again", func() { tenant.UpdateUser(guests[0], map[string]any{"userType": "Guest"}) }, people...)
	people = append(people, tenant.SetUser(map[string]any{"userPrincipalName": "new@contoso.example", "accountEnabled": true, "userType": "Member"}))
	step("somebody new", func() {}, people...)
	step("one removed", func() { tenant.RemoveUser(people[2]) }, slices.Delete(slices.Clone(people), 2, 3)...)
	step("and restored", func() { tenant.RestoreUser(people[2]) }, people...)
	if n := w.stored(); n != len(people)+1 {
		t.Errorf("%d users are stored, want the %d and the one who was a member", n, len(people))
	}
}

// A list that lags says nothing of what came after it, and takes nobody away.
func TestFilteredReadOfListsThatLag(t *testing.T) {
	tenant, people, guests, _ := crowd(12, 40)
	w := newWorld(t, tenant, membersOnly)
	w.round()
	tenant.LagLists(true, true)
	late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "accountEnabled": true, "userType": "Member", "displayName": "Late"})
	tenant.UpdateUser(people[1], map[string]any{"displayName": "Renamed"})
	tenant.UpdateUser(guests[1], map[string]any{"userType": "Member"})
	tenant.UpdateUser(people[2], map[string]any{"userType": "Guest"})
	tenant.RemoveUser(people[3])
	want := slices.Concat(people[:2], people[4:], []string{late, guests[1]})
	for _, opts := range []mirror.Options{{Full: true}, {}, {Full: true}} {
		if _, err := w.mirror.Refresh(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		w.servesActive(fmt.Sprintf("after %+v", opts), want...)
		if u, _ := w.user(people[1]); u.DisplayName != "Renamed" {
			t.Errorf("she is %q", u.DisplayName)
		}
		if u, _ := w.user(people[3]); u.Active {
			t.Error("who was removed is active, for a list still has her")
		}
	}
}

// An edit begins at the cursor that there is, so that nothing is missed; it waits
// for the read, and takes away by way of the guard.
func TestFilteredReadAfterAnEdit(t *testing.T) {
	tenant, people, guests, group := crowd(12, 40)
	all := slices.Concat(people, guests)
	tenant.SetManager(people[5], people[4])
	tenant.SetManager(people[6], people[4])
	w := newWorld(t, tenant, open)
	w.round()
	w.servesActive("all", all...)
	tenant.UpdateUser(people[6], map[string]any{"userType": "Guest"})
	tenant.LagLists(true, true)
	late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "accountEnabled": true, "userType": "Member"})
	tenant.UpdateUser(people[5], map[string]any{"userType": "Guest"})
	w.edit(mirror.Unchanged, func(s *mirror.Scope) { s.Guests, s.FilteredRead = false, true })
	w.servesActive("nothing was read yet", all...)
	w.asked()
	w.round()
	if got := w.asked(); got["/users/delta"] != 1 || got["/users by id"] > 5 {
		t.Errorf("the edit asks %v", got) // 41 guests, of whom pictures know, by id
	}
	want := append(slices.Delete(slices.Clone(people), 5, 7), late)
	w.servesActive("members", want...)
	if u, ok := w.user(guests[3]); !ok || u.Active || u.DisplayName != "guest3" {
		t.Errorf("a guest who left the scope is %+v", u)
	}
	for _, id := range people[5:7] { // one whom the list still has, and one of whom only the delta tells
		if obj, _, err := w.store.Object(t.Context(), w.cfg.Name, store.User, id); err != nil || !strings.Contains(string(obj.Properties), people[4]) {
			t.Errorf("of the new guest there is %s, %v", obj.Properties, err)
		}
	}
	tenant.LagLists(false, false)
	// Whom no picture knows is not kept, but for why; she is neither gone nor lost.
	w.configure(func(cfg *mirror.Config) {
		cfg.Scope.Guests, cfg.Scope.FilteredRead, cfg.Scope.KeepRemoved = false, false, 0
	})
	for range 7 { // until the generations with guests are gone
		tenant.UpdateUser(people[0], map[string]any{"jobTitle": fmt.Sprint(time.Now().UnixNano())})
		w.round()
	}
	w.configure(func(cfg *mirror.Config) { cfg.Scope.FilteredRead = true })
	w.asked()
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if got := w.asked(); got["/users by id"] != 0 {
		t.Errorf("the edit asks %v", got)
	}
	if n := w.stored(); n != len(want) {
		t.Errorf("%d users are stored, want %d", n, len(want))
	}
	explained, err := w.mirror.Explain(t.Context(), guests[0], 1)
	if err != nil || len(explained) != 1 || explained[0].Why != "out of the scope, by users.guests: is a guest" {
		t.Errorf("explained: %+v, %v", explained, err)
	}
	tenant.UpdateUser(guests[0], map[string]any{"userType": "Member"})
	w.round()
	if u, _ := w.user(guests[0]); u.UserName != "guest0@contoso.example" || !slices.Equal(u.groups(), []string{group}) {
		t.Errorf("she is %+v", u)
	}
	w.edit(mirror.Unchanged, func(s *mirror.Scope) { s.Guests = true })
	w.round()
	w.servesActive("all again", append(all, late)...)
}

// A state that was lost is read anew; who is served and in no list is looked for.
func TestFilteredReadOfALostState(t *testing.T) {
	tenant, people, _, _ := crowd(12, 40)
	w := newWorld(t, tenant, membersOnly)
	tenant.LagLists(true, true)
	late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "accountEnabled": true, "userType": "Member"})
	w.cfg.Scope.FilteredRead = false
	w.configure(nil)
	w.round()
	w.servesActive("first", append(people, late)...)
	w.close()
	for _, name := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(w.dir, "scim-bridge.db"+name)); err != nil && name == "" {
			t.Fatal(err)
		}
	}
	w.cfg.Scope.FilteredRead = true
	w.open()
	if _, err := w.mirror.Refresh(t.Context(), mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	w.servesActive("anew", append(people, late)...)
}

// A read from a new cursor is done again, and a cursor that expired is not used.
func TestFilteredReadIsRepeated(t *testing.T) {
	tenant, people, _, _ := crowd(12, 40)
	w := newWorld(t, tenant, membersOnly)
	fingerprint := func() string {
		state, err := w.store.Source(t.Context(), w.cfg.Name)
		if err != nil {
			t.Fatal(err)
		}
		return state.Cursors[store.User].Fingerprint
	}
	w.round()
	if !strings.Contains(fingerprint(), " broken ") {
		t.Errorf("the first read is good for ever: %s", fingerprint())
	}
	w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
	if strings.Contains(fingerprint(), " broken ") {
		t.Errorf("the second read is repeated: %s", fingerprint())
	}
	tenant.Inject(graphtest.Gone(graphtest.GoneSyncStateNotFound).On("users"))
	tenant.RemoveUser(people[0])
	w.round()
	w.servesActive("anew", people[1:]...)
	if !strings.Contains(fingerprint(), " broken ") {
		t.Errorf("the read with a new cursor is good for ever: %s", fingerprint())
	}
}

// A filter that finds nobody is a slip: an importer would take everybody for gone.
func TestFilteredReadThatFindsNobody(t *testing.T) {
	tenant, _, _, _ := crowd(12, 40)
	w := newWorld(t, tenant, func(cfg *mirror.Config) {
		cfg.Scope.FilteredRead, cfg.Scope.Where = true, where(t, `user.department == "Engneering"`)
	})
	report := w.refresh(mirror.Options{}, mirror.Held)
	if !strings.Contains(report.Verdict.Summary(), "finds nobody whom the scope lets in: look at users.guests and users.where") || w.picture.Current() != nil {
		t.Errorf("held: %s", report.Verdict.Summary())
	}
	if report, err := w.mirror.Approve(t.Context(), 0, "a test"); err != nil || report.Outcome != mirror.Approved {
		t.Errorf("approved: %+v, %v", report, err)
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		change func(*mirror.Scope)
		want   []string
	}{
		{func(s *mirror.Scope) {}, nil},
		{func(s *mirror.Scope) { s.Disabled, s.MemberOf = false, []string{"x"} }, nil},
		{func(s *mirror.Scope) { s.GuestsOnly = true }, []string{"userType eq 'Guest'"}},
		{func(s *mirror.Scope) { s.Guests = false }, []string{"userType eq 'Member'", "+(userType eq null or (userType ne 'Member' and userType ne 'Guest'))"}},
		{func(s *mirror.Scope) {
			s.Where = where(t, `user.department in ["R&D", "O'Hara"] && user.onPremisesSyncEnabled && user.city.startsWith("B")`)
		},
			[]string{"(department eq 'R&D' or department eq 'O''Hara') and onPremisesSyncEnabled eq true and startswith(city,'B')"}},
		{func(s *mirror.Scope) { s.Where, s.GuestsOnly = where(t, `user.country == "DE" || false`), true }, []string{"userType eq 'Guest'"}},
		{func(s *mirror.Scope) {
			s.Where = where(t, `user.city in ["1","2","3","4","5","6","7","8"] && user.country in ["1","2","3","4","5","6"]`)
		},
			[]string{"(city eq '1' or city eq '2' or city eq '3' or city eq '4' or city eq '5' or city eq '6' or city eq '7' or city eq '8')"}},
	} {
		s := mirror.Scope{Guests: true, Disabled: true, FilteredRead: true}
		c.change(&s)
		if got := mirror.Filters(&s); !slices.Equal(got, c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
		if s.FilteredRead = false; mirror.Filters(&s) != nil {
			t.Error("a filter that is not wanted")
		}
	}
}
