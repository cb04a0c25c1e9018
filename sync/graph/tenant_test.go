package graph_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

var selection = map[graph.Kind][]string{
	graph.Users:  {"displayName", "userPrincipalName", "mail", "accountEnabled", "department", "businessPhones", "proxyAddresses", "employeeOrgData"},
	graph.Groups: {"displayName", "description", "groupTypes", "securityEnabled", "mailEnabled"},
}

// serve starts the tenant and gives a client of it.
func serve(t *testing.T, tenant *graphtest.Tenant, change func(*graph.Config)) *graph.Client {
	t.Helper()
	t.Logf("tenant of seed %d", tenant.Seed())
	tenant.AddApp(graphtest.App{
		ClientID: "11111111-2222-4333-8444-555555555555", Secret: secret, Consented: true,
		Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Organization.Read.All"},
	})
	server := graphtest.NewServer(tenant)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return newClient(t, nil, func(cfg *graph.Config) {
		cfg.GraphURL, cfg.LoginURL, cfg.HTTPClient = server.GraphURL(), server.LoginURL(), nil
		cfg.TenantID, cfg.ClientID, cfg.Select = tenant.ID(), "11111111-2222-4333-8444-555555555555", selection
		cfg.Retry = graph.Retry{Tries: 4, Base: time.Millisecond, Max: 10 * time.Millisecond}
		if change != nil {
			change(cfg)
		}
	})
}

// picture is what a client knows after some rounds: the naive merge.
type picture struct {
	props   map[string]map[string]string // id -> property -> value; null ones absent
	members map[string]map[string]bool   // group id -> member ids
}

func newPicture() *picture {
	return &picture{map[string]map[string]string{}, map[string]map[string]bool{}}
}

func (p *picture) apply(pages iter.Seq2[*graph.Page, error]) (cursor string, err error) {
	for page, err := range pages {
		if err != nil {
			return "", err
		}
		for _, c := range page.Changes {
			p.change(c)
		}
		cursor = page.DeltaLink
	}
	return cursor, nil
}

func (p *picture) change(c graph.Change) {
	if c.Removed != "" {
		delete(p.props, c.ID)
		delete(p.members, c.ID)
		return
	}
	if p.props[c.ID] == nil {
		p.props[c.ID], p.members[c.ID] = map[string]string{}, map[string]bool{}
	}
	for _, prop := range c.Properties {
		if p.props[c.ID][prop.Name] = string(prop.Value); string(prop.Value) == "null" {
			delete(p.props[c.ID], prop.Name)
		}
	}
	for _, m := range c.Members {
		if p.members[c.ID][m.ID] = true; m.Removed {
			delete(p.members[c.ID], m.ID)
		}
	}
}

// truth is the picture of the tenant's own model.
func truth(tenant *graphtest.Tenant, kind graph.Kind) *picture {
	p := newPicture()
	objects := tenant.Users()
	if kind == graph.Groups {
		objects = tenant.Groups()
	}
	for o := range objects {
		props := map[string]string{}
		for name, value := range o.Properties {
			if slices.Contains(selection[kind], name) && string(value) != "null" {
				props[name] = string(graph.CompactJSON(value))
			}
		}
		p.props[o.ID], p.members[o.ID] = props, map[string]bool{}
		if kind == graph.Users {
			if m := tenant.Manager(o.ID); m != "" {
				props["manager"] = `{"id":"` + m + `"}`
			}
			continue
		}
		for _, m := range tenant.Members(o.ID) {
			p.members[o.ID][m.ID] = true
		}
	}
	return p
}

func (p *picture) compare(t *testing.T, want *picture) {
	t.Helper()
	if diff := cmp.Diff(want.props, p.props); diff != "" {
		t.Errorf("objects (-tenant +client):\n%s", diff)
	}
	if diff := cmp.Diff(want.members, p.members); diff != "" {
		t.Errorf("members (-tenant +client):\n%s", diff)
	}
}

func TestFullReadOfACompany(t *testing.T) {
	for _, calm := range []bool{true, false} {
		for _, kind := range []graph.Kind{graph.Users, graph.Groups} {
			t.Run(fmt.Sprint(kind, " calm ", calm), func(t *testing.T) {
				tenant := graphtest.NewCompany(graphtest.Options{Seed: 7, Calm: calm, MembersPerPart: 40}, 1000, 60)
				c := serve(t, tenant, nil)
				got := newPicture()
				cursor, err := got.apply(c.Changes(t.Context(), kind, ""))
				if err != nil || cursor == "" {
					t.Fatalf("cursor %q, error %v", cursor, err)
				}
				got.compare(t, truth(tenant, kind))
				s := c.Status()
				if calm && int(s.OK) != tenant.Pages(kind.String()) {
					t.Errorf("%d requests for %d pages", s.OK, tenant.Pages(kind.String()))
				}
				if s.Broken != 0 || s.Retries != 0 || s.ResourceUnits == 0 {
					t.Errorf("status %+v", s)
				}
			})
		}
	}
}

func TestDeltaRoundsFollowACompany(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			tenant := graphtest.NewCompany(graphtest.Options{Seed: seed, PageSize: 10, MembersPerPart: 5}, 80, 12)
			c := serve(t, tenant, nil)
			pictures := [2]*picture{newPicture(), newPicture()}
			var cursors [2]string
			for round, change := range changesOf(tenant) {
				change()
				for _, kind := range []graph.Kind{graph.Users, graph.Groups} {
					var err error
					if cursors[kind], err = pictures[kind].apply(c.Changes(t.Context(), kind, cursors[kind])); err != nil {
						t.Fatalf("round %d of %v: %v", round, kind, err)
					}
				}
				withoutRemoved(tenant, pictures[graph.Users]).compare(t, truth(tenant, graph.Users))
				withoutRemoved(tenant, pictures[graph.Groups]).compare(t, truth(tenant, graph.Groups))
			}
		})
	}
}

// withoutRemoved leaves out members and managers that are removed themselves:
// Graph may go on naming them.
func withoutRemoved(tenant *graphtest.Tenant, p *picture) *picture {
	gone := func(id string) bool {
		u, user := tenant.User(id)
		g, group := tenant.Group(id)
		return user && u.Removed != "" || group && g.Removed != ""
	}
	out := newPicture()
	for id, props := range p.props {
		out.props[id] = maps.Clone(props)
		if m := props["manager"]; m != "" && gone(m[len(`{"id":"`):len(m)-len(`"}`)]) {
			delete(out.props[id], "manager")
		}
		out.members[id] = maps.Clone(p.members[id])
		maps.DeleteFunc(out.members[id], func(id string, _ bool) bool { return gone(id) })
	}
	return out
}

// changesOf gives what happens to the tenant before each round.
func changesOf(tenant *graphtest.Tenant) []func() {
	users, groups := ids(tenant.Users()), ids(tenant.Groups())
	return []func(){
		func() {},
		func() {}, // nothing changed
		func() {
			tenant.UpdateUser(users[3], map[string]any{"department": "Moon", "mail": nil})
			tenant.SwapUserPrincipalNames(users[4], users[5])
			tenant.SetManager(users[6], users[7])
			tenant.SetManager(users[8], "")
			tenant.AddMember(groups[1], users[9], users[10])
			tenant.RemoveUser(users[11])
			tenant.PurgeUser(users[12])
			tenant.RemoveGroup(groups[2])
			tenant.UpdateGroup(groups[3], map[string]any{"description": "New"})
		},
		func() {
			tenant.RestoreUser(users[11])
			tenant.RemoveMember(groups[1], users[9])
			tenant.AddMember(groups[1], groups[4], tenant.AddObject("device", map[string]any{"displayName": "Lift"}))
			tenant.SetManager(users[6], users[5])
			tenant.SetUser(map[string]any{"displayName": "New One", "userPrincipalName": "new@fernwood.example"})
		},
	}
}

func ids(objects iter.Seq[graphtest.Object]) (ids []string) {
	for o := range objects {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestRoundHealsFromTheTenantsFaults(t *testing.T) {
	tests := []struct {
		name  string
		fault graphtest.Fault
	}{
		{"429 in seconds", graphtest.Throttled(graphtest.RetrySeconds, time.Second)},
		{"429 in fractions", graphtest.Throttled(graphtest.RetryFraction, 128*time.Millisecond)},
		{"429 with a date", graphtest.Throttled(graphtest.RetryDate, time.Second)},
		{"429 without Retry-After", graphtest.Throttled(graphtest.RetryNone, 0)},
		{"a storm of 429", graphtest.ThrottleStorm(10, 0)},
		{"503 with Retry-After", graphtest.Unavailable(time.Second)},
		{"500", graphtest.Status(500, false)},
		{"502 with HTML", graphtest.Status(502, true)},
		{"504 with HTML", graphtest.Status(504, true)},
		{"509", graphtest.Status(509, false)},
		{"a reset before the body", graphtest.Reset(graphtest.BeforeBody)},
		{"a reset in the body", graphtest.Reset(graphtest.WithinBody)},
		{"a reset after the body", graphtest.Reset(graphtest.AfterBody)},
		{"a slow drip", graphtest.Slow(5 * time.Millisecond)},
		{"a cut body", graphtest.Truncated()},
		{"cut gzip", graphtest.TruncatedGzip()},
		{"no links", graphtest.NoLinks()},
		{"both links", graphtest.BothLinks()},
		{"a token that expired in mid-round", graphtest.AccessTokenExpired()},
		{"a claims challenge that a new token answers", graphtest.InsufficientClaims()},
		{"objects twice with different values", graphtest.StaleDuplicate()},
		{"a removal of somebody unknown", graphtest.UnknownRemoval()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tenant := graphtest.NewCompany(graphtest.Options{Seed: 3, PageSize: 20}, 100, 5)
			c := serve(t, tenant, nil)
			tenant.Inject(tt.fault.On("users").At(graphtest.MiddlePage))
			got := newPicture()
			if _, err := got.apply(c.Changes(t.Context(), graph.Users, "")); err != nil {
				t.Fatal(err)
			}
			got.compare(t, truth(tenant, graph.Users))
			checkStruck(t, tenant)
		})
	}
}

// checkStruck makes sure that the fault of a test was made at all.
func checkStruck(t *testing.T, tenant *graphtest.Tenant) {
	t.Helper()
	if !slices.ContainsFunc(tenant.Journal(), func(r graphtest.Request) bool { return len(r.Faults) > 0 }) {
		t.Error("the fault did not strike")
	}
}

func TestRoundFailsWithItsSentinel(t *testing.T) {
	type place struct {
		page  graphtest.Position
		later bool
	}
	everywhere := []place{{graphtest.FirstPage, false}, {graphtest.MiddlePage, false}, {graphtest.LastPage, false}, {graphtest.FirstPage, true}, {graphtest.MiddlePage, true}, {graphtest.LastPage, true}}
	within := []place{{graphtest.MiddlePage, false}, {graphtest.LastPage, false}, {graphtest.MiddlePage, true}, {graphtest.LastPage, true}}
	tests := []struct {
		name   string
		fault  graphtest.Fault
		want   error
		places []place
	}{
		{"410 syncStateNotFound", graphtest.Gone(graphtest.GoneSyncStateNotFound), graph.ErrResync, everywhere},
		{"410 SyncStateNotFound", graphtest.Gone(graphtest.GoneUpperCase), graph.ErrResync, everywhere},
		{"410 with Location", graphtest.Gone(graphtest.GoneLocation), graph.ErrResync, everywhere},
		{"410 resyncRequired", graphtest.Gone(graphtest.GoneResyncRequired), graph.ErrResync, everywhere},
		{"410 with a nested code", graphtest.Gone(graphtest.GoneNested), graph.ErrResync, everywhere},
		{"400 resyncChangesUploadDifferences", graphtest.Gone(graphtest.GoneBadRequest), graph.ErrResync, everywhere},
		{"400 naming the token", graphtest.DeltaTokenRefused(), graph.ErrResync, within},
		{"an expired page", graphtest.PageExpired(), graph.ErrRestartRound, within},
		{"403", graphtest.Denied(), graph.ErrPermission, everywhere},
		{"403 without service principal", graphtest.IdentityNotFound(), graph.ErrPermission, everywhere},
		{"401 that stays", graphtest.AccessTokenExpired().Forever(), graph.ErrCredentials, everywhere},
		{"500 that stays", graphtest.Status(500, false).Forever(), graph.ErrUnavailable, everywhere},
		{"a body that stays cut", graphtest.Truncated().Forever(), graph.ErrUnavailable, everywhere},
		{"a link to another host", graphtest.ForeignLink("https://graph.example.net"), graph.ErrProtocol, everywhere[:2]},
		{"a link that loops", graphtest.LoopingLink(), graph.ErrProtocol, []place{{graphtest.MiddlePage, false}}},
		{"a redirect", graphtest.Redirect("https://graph.example.net"), graph.ErrProtocol, everywhere},
	}
	for _, tt := range tests {
		for _, at := range tt.places {
			t.Run(fmt.Sprintf("%s, page %d, later %v", tt.name, at.page, at.later), func(t *testing.T) {
				t.Parallel()
				tenant := graphtest.NewCompany(graphtest.Options{Seed: 5, PageSize: 20, Calm: true}, 100, 5)
				c := serve(t, tenant, nil)
				cursor := ""
				if at.later {
					var err error
					if _, cursor, err = read(c.Changes(t.Context(), graph.Users, "")); err != nil {
						t.Fatal(err)
					}
					for _, id := range ids(tenant.Users()) {
						tenant.UpdateUser(id, map[string]any{"department": "Moon"})
					}
				}
				tenant.Inject(tt.fault.On("users").At(at.page))
				_, got, err := read(c.Changes(t.Context(), graph.Users, cursor))
				checkStruck(t, tenant)
				if err == nil || got != "" {
					t.Fatalf("cursor %q, error %v", got, err)
				}
				checkSentinel(t, err, tt.want)
				if strings.Contains(err.Error(), "token=") {
					t.Errorf("the error shows a link: %v", err)
				}
			})
		}
	}
}

func TestBrokenObjectsOfATenant(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 5, PageSize: 20, Calm: true}, 100, 5)
	c := serve(t, tenant, nil)
	tenant.Inject(graphtest.BrokenObject().On("users").At(graphtest.MiddlePage))
	got := newPicture()
	if _, err := got.apply(c.Changes(t.Context(), graph.Users, "")); err != nil {
		t.Fatal(err)
	}
	got.compare(t, truth(tenant, graph.Users))
	if n := c.Status().Broken; n != 3 {
		t.Errorf("%d broken objects", n)
	}
}

func TestCursorOfATenantExpires(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 5, Calm: true}, 10, 1)
	c := serve(t, tenant, nil)
	_, cursor, err := read(c.Changes(t.Context(), graph.Users, ""))
	if err != nil {
		t.Fatal(err)
	}
	tenant.ExpireDeltaLinks()
	_, _, err = read(c.Changes(t.Context(), graph.Users, cursor))
	checkSentinel(t, err, graph.ErrResync)
}

func TestUnknownPropertyIsNamed(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 1})
	c := serve(t, tenant, func(cfg *graph.Config) { cfg.Select = map[graph.Kind][]string{graph.Users: {"shoeSize"}} })
	_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
	checkSentinel(t, err, nil)
	if err == nil || !strings.Contains(err.Error(), "shoeSize") {
		t.Errorf("error %v", err)
	}
}

func TestTenantAnswersQueries(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 5}, 100, 5)
	c := serve(t, tenant, nil)
	users, userErr := c.Count(t.Context(), graph.Users)
	groups, groupErr := c.Count(t.Context(), graph.Groups)
	org, orgErr := c.Organization(t.Context())
	claims, roleErr := c.Claims(t.Context())
	if err := errors.Join(userErr, groupErr, orgErr, roleErr); err != nil {
		t.Fatal(err)
	}
	if users != tenant.UserCount() || groups != tenant.GroupCount() || org.ID != tenant.ID() || org.DisplayName != tenant.Name() || len(org.Domains) == 0 {
		t.Errorf("%d users, %d groups, organization %+v", users, groups, org)
	}
	slices.Sort(claims.Roles)
	if diff := cmp.Diff([]string{"GroupMember.Read.All", "Organization.Read.All", "User.Read.All"}, claims.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

func TestTenantRefusesTheLogin(t *testing.T) {
	for _, number := range graphtest.LoginErrors() {
		t.Run(fmt.Sprint("AADSTS", number), func(t *testing.T) {
			t.Parallel()
			tenant := graphtest.NewTenant(graphtest.Options{Seed: 1})
			c := serve(t, tenant, nil)
			tenant.Inject(graphtest.LoginRefuses(number).Forever())
			_, err := c.Claims(t.Context())
			var refused *graph.LoginError
			if !errors.As(err, &refused) || !slices.Contains(refused.Numbers, number) || refused.TraceID == "" || refused.CorrelationID == "" || refused.Timestamp == "" {
				t.Fatalf("error %+v", err)
			}
			if want := map[bool]error{true: graph.ErrUnavailable, false: graph.ErrCredentials}[slices.Contains([]int{90033, 90090, 50196}, number)]; !errors.Is(err, want) {
				t.Errorf("not %q: %v", want, err)
			}
		})
	}
}

func TestTenantAcceptsOurAssertions(t *testing.T) {
	certPEM, keyPEM, leaf := testCertificate(t)
	cert, err := graph.NewCertificate(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 5}, 10, 1)
	c := serve(t, tenant, func(cfg *graph.Config) { cfg.Credential = cert })
	_, err = c.Claims(t.Context())
	checkSentinel(t, err, graph.ErrCredentials)
	tenant.UpdateApp("11111111-2222-4333-8444-555555555555", func(a *graphtest.App) { a.Certificates = append(a.Certificates, leaf) })
	for range 2 {
		if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
			t.Fatal(err)
		}
		c.ForgetToken()
	}
}

func TestWithdrawnConsent(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 5}, 10, 1)
	c := serve(t, tenant, nil)
	if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
		t.Fatal(err)
	}
	tenant.Revoke("11111111-2222-4333-8444-555555555555")
	_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
	if !errors.Is(err, graph.ErrPermission) && !errors.Is(err, graph.ErrCredentials) || !strings.Contains(err.Error(), "consent") {
		t.Errorf("with the old token: %v", err)
	}
	c.ForgetToken()
	_, _, err = read(c.Changes(t.Context(), graph.Users, ""))
	checkSentinel(t, err, graph.ErrCredentials)
}

func BenchmarkFullRead(b *testing.B) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 1, Calm: true}, 20_000, 100)
	const app = "11111111-2222-4333-8444-555555555555"
	tenant.AddApp(graphtest.App{ClientID: app, Secret: secret, Consented: true, Permissions: []string{"User.Read.All"}})
	server := graphtest.NewServer(tenant)
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	c := newClient(b, nil, func(cfg *graph.Config) {
		cfg.GraphURL, cfg.LoginURL, cfg.HTTPClient = server.GraphURL(), server.LoginURL(), &http.Client{}
		cfg.TenantID, cfg.ClientID, cfg.Select, cfg.Log = tenant.ID(), app, selection, nil
	})
	for b.Loop() {
		n := 0
		for page, err := range c.Changes(b.Context(), graph.Users, "") {
			if err != nil {
				b.Fatal(err)
			}
			n += len(page.Changes)
		}
		if n != tenant.UserCount() {
			b.Fatalf("%d users", n)
		}
	}
}
