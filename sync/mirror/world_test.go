package mirror_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

const baseURL = "https://scim.example.com/scim/v2"

// clientID is the application that reads the tenant.
const clientID = "11111111-2222-4333-8444-555555555555"

// everything needs all properties that a scope may need.
var everything = mirror.Scope{LicensedOnly: true}

// A world is a simulated tenant and a mirror of it, with everything between
// them real but the sockets.
type world struct {
	t      *testing.T
	tenant *graphtest.Tenant
	dir    string

	cfg     mirror.Config
	client  *graph.Client
	store   *store.DB
	picture *directory.Picture
	mirror  *mirror.Mirror
}

// newWorld makes a mirror of a tenant; change may alter its configuration.
func newWorld(t *testing.T, tenant *graphtest.Tenant, change func(*mirror.Config)) *world {
	t.Helper()
	w := &world{t: t, tenant: tenant, dir: t.TempDir()}
	w.cfg = mirror.Config{
		Name: "contoso", Tenant: tenant.ID(), Interval: 5 * time.Minute,
		Scope: mirror.Scope{Groups: true, Guests: true, Disabled: true, KeepRemoved: 720 * time.Hour},
		Guard: mirror.Guard{MaxRemoved: mirror.Limit{Percent: 10, IsPercent: true}, Floor: 5},
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	var err error
	if w.cfg.Mapper, err = mapping.New(mapping.Config{BaseURL: baseURL}); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&w.cfg)
	}
	w.client = newClient(t, tenant, w.cfg.Mapper)
	w.cfg.Graph = w.client
	w.open()
	t.Cleanup(w.close)
	return w
}

// newClient makes a client of a tenant that needs no sockets.
func newClient(t testing.TB, tenant *graphtest.Tenant, mapper *mapping.Mapper, more ...string) *graph.Client {
	t.Helper()
	app := tenant.AddApp(graphtest.App{Secret: "s3cret", Consented: true,
		ClientID:    clientID,
		Permissions: append([]string{"User.Read.All", "GroupMember.Read.All", "Application.Read.All"}, more...)})
	client, err := graph.New(graph.Config{
		GraphURL: "https://graph.microsoft.com", LoginURL: "https://login.microsoftonline.com", TenantID: tenant.ID(), ClientID: app,
		Credential: graph.ClientSecret("s3cret"),
		Select:     mirror.Select(mapper, &everything),
		HTTPClient: &http.Client{Transport: graphtest.NewServer(tenant).Transport()},
		Retry:      graph.Retry{Tries: 3, Base: time.Millisecond, Max: 4 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// open opens what is on disk, as a start of the program does.
func (w *world) open() {
	w.t.Helper()
	var err error
	w.store, err = store.Open(w.t.Context(), store.Options{Path: filepath.Join(w.dir, "scim-bridge.db"), Program: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.picture, err = directory.Open(directory.Options{
		Dir: filepath.Join(w.dir, "picture"), Source: w.cfg.Name, BaseURL: baseURL, Keep: 5, Log: w.cfg.Log,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.configure(nil)
}

func (w *world) close() {
	w.picture.Close()
	w.store.Close()
}

// restart drops everything in memory.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

// configure makes a new mirror over the same state, as a reload does.
func (w *world) configure(change func(*mirror.Config)) {
	if change != nil {
		change(&w.cfg)
	}
	w.cfg.Store, w.cfg.Picture = w.store, w.picture
	w.mirror = mirror.New(w.cfg)
}

// refresh does a round that ends as wanted.
func (w *world) refresh(opts mirror.Options, want mirror.Outcome) mirror.Report {
	w.t.Helper()
	report, err := w.mirror.Refresh(w.t.Context(), opts)
	if (err != nil) != (want == mirror.Failed) || report.Outcome != want {
		w.t.Fatalf("round is %s (%v): %s; want %s", report.Outcome, err, report.Verdict.Summary(), want)
	}
	return report
}

// round is refresh for an ordinary round that publishes something.
func (w *world) round() mirror.Report {
	w.t.Helper()
	return w.refresh(mirror.Options{}, mirror.Published)
}

// user gives a user as she is served.
func (w *world) user(id string) (served served, ok bool) {
	w.t.Helper()
	current := w.picture.Current()
	if current == nil {
		return served, false
	}
	r, ok := current.ByID(id)
	if !ok {
		return served, false
	}
	if err := json.Unmarshal(r.AppendJSON(nil), &served); err != nil {
		w.t.Fatal(err)
	}
	return served, true
}

// served is what tests look at of a resource.
type served struct {
	ID, UserName, DisplayName, Title string
	Active                           bool
	Groups, Members                  []struct{ Value, Type string }
}

func (s served) groups() (ids []string) {
	for _, g := range s.Groups {
		ids = append(ids, g.Value)
	}
	slices.Sort(ids)
	return ids
}

func (s served) members() (ids []string) {
	for _, m := range s.Members {
		ids = append(ids, m.Value)
	}
	slices.Sort(ids)
	return ids
}

func (w *world) counts(users, active, groups int) {
	w.t.Helper()
	s := w.picture.Current()
	if s == nil {
		w.t.Fatal("nothing is served")
	}
	if got := [3]int{s.Len(directory.User), s.Active(directory.User), s.Len(directory.Group)}; got != [3]int{users, active, groups} {
		w.t.Fatalf("users, active, groups are %v, want %d, %d, %d", got, users, active, groups)
	}
}

// content is everything served, without meta.
func (w *world) content() string { return contentOf(w.picture.Current()) }

func contentOf(s *directory.Snapshot) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	v := directory.NewView(s)
	for t := range directory.Type(directory.NumTypes) {
		for i := range v.Len(t) {
			body, _, _ := strings.Cut(string(v.At(t, i).AppendJSON(nil)), `,"meta":`)
			b.WriteString(body + "\n")
		}
	}
	return b.String()
}

// company makes a calm tenant of n users (u1@…) and one group of them all.
func company(n int) (tenant *graphtest.Tenant, users []string, group string) { return companyOf(1, n) }

// companyOf makes one with ids of its own.
func companyOf(seed uint64, n int) (tenant *graphtest.Tenant, users []string, group string) {
	tenant = graphtest.NewTenant(graphtest.Options{Seed: seed, PageSize: 7, MembersPerPart: 4})
	for i := range n {
		name := "u" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		users = append(users, tenant.SetUser(map[string]any{
			"userPrincipalName": name + "@contoso.example", "displayName": name, "accountEnabled": true, "userType": "Member",
		}))
	}
	group = tenant.SetGroup(map[string]any{"displayName": "All", "securityEnabled": true, "mailEnabled": false})
	tenant.AddMember(group, users...)
	return tenant, users, group
}
