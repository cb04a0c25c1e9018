package tests

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph/graphtest"
)

// A tenant of 2,500 people and 120 groups is served whole: each exactly once,
// every attribute and every membership as the tenant has it, and after a kill
// the same bytes again, although there is no Graph any more.
func TestWholeTenant(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 7}, 2500, 120))
	b := newBridge(t)
	// The address is part of every resource, so it must be the same again.
	b.write("config.yaml", strings.Replace(config("", tenant.source("contoso", "interval: 1h")), "127.0.0.1:0", freeAddress(t), 1))
	b.start()
	b.ready()
	users, groups := b.list("/Users", 173), b.list("/Groups", 50)
	compareTenant(t, tenant.Tenant, users, groups)

	// Killed, and restarted without Graph: the same picture at once.
	b.kill()
	tenant.server.Close()
	b.start()
	b.ready()
	for path, before := range map[string]map[string]json.RawMessage{"/Users": users, "/Groups": groups} {
		after := b.list(path, 1000)
		if len(after) != len(before) {
			t.Errorf("%s has %d resources after the restart, and had %d", path, len(after), len(before))
		}
		for id, raw := range before {
			if string(after[id]) != string(raw) {
				t.Errorf("%s/%s is not what it was:\n%s\n%s", path, id, raw, after[id])
				break
			}
		}
	}
	if code := b.stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// compareTenant compares everything served with the tenant itself, by the
// mapping table as docs/mapping.md has it, evaluated here on its own.
func compareTenant(t *testing.T, tenant *graphtest.Tenant, users, groups map[string]json.RawMessage) {
	t.Helper()
	if len(users) != tenant.UserCount() || len(groups) != tenant.GroupCount() {
		t.Fatalf("%d users and %d groups are served, the tenant has %d and %d", len(users), len(groups), tenant.UserCount(), tenant.GroupCount())
	}
	direct := make(map[string]map[string]bool) // member -> groups
	for g := range tenant.Groups() {
		for _, m := range tenant.Members(g.ID) {
			if direct[m.ID] == nil {
				direct[m.ID] = make(map[string]bool)
			}
			direct[m.ID][g.ID] = true
		}
	}
	failures := 0
	differ := func(what, id string, want, got any) {
		if diff := cmp.Diff(want, got); diff != "" {
			if failures++; failures < 10 {
				t.Errorf("%s %s (-tenant +served):\n%s", what, id, diff)
			}
		}
	}
	for u := range tenant.Users() {
		got := decode(t, users[u.ID])
		differ("user", u.ID, expectUser(tenant.Manager(u.ID), u), stripUser(got))
		differ("e-mails of user", u.ID, expectEmails(u), emails(got["emails"]))
		differ("groups of user", u.ID, expectGroups(direct, u.ID), links(got["groups"], "type"))
	}
	for id, raw := range users {
		checkFrame(t, "User", id, decode(t, raw))
	}
	for id, raw := range groups {
		checkFrame(t, "Group", id, decode(t, raw))
	}
	for g := range tenant.Groups() {
		got := decode(t, groups[g.ID])
		want := make(map[string]string)
		for _, m := range tenant.Members(g.ID) {
			switch m.Type {
			case "user":
				want[m.ID] = "User"
			case "group":
				want[m.ID] = "Group"
			}
		}
		differ("members of group", g.ID, want, links(got["members"], "type"))
		differ("displayName of group", g.ID, any(g.Text("displayName")), got["displayName"])
		differ("extension of group", g.ID, extension(g, groupExtension), got[entra+":Group"])
	}
}

// checkFrame checks what every resource has: schemas in use and no others, meta,
// and references that name what they refer to.
func checkFrame(t *testing.T, kind, id string, got map[string]any) {
	t.Helper()
	want := []any{"urn:ietf:params:scim:schemas:core:2.0:" + kind}
	for _, urn := range slices.Sorted(maps.Keys(got)) {
		if strings.HasPrefix(urn, "urn:") {
			want = append(want, urn)
		}
	}
	schemas, _ := got["schemas"].([]any)
	slices.SortFunc(schemas[1:], func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	if diff := cmp.Diff(want, schemas); diff != "" {
		t.Errorf("schemas of %s %s (-want +got):\n%s", kind, id, diff)
	}
	meta, _ := got["meta"].(map[string]any)
	location, _ := meta["location"].(string)
	if meta["resourceType"] != kind || !strings.HasSuffix(location, "/scim/v2/"+kind+"s/"+id) {
		t.Errorf("meta of %s %s is %v", kind, id, meta)
	}
	for _, name := range []string{"created", "lastModified"} {
		if _, err := time.Parse(time.RFC3339, fmt.Sprint(meta[name])); err != nil {
			t.Errorf("meta.%s of %s %s: %v", name, kind, id, err)
		}
	}
	for _, list := range []any{got["groups"], got["members"]} {
		elements, _ := list.([]any)
		for _, e := range elements {
			link := e.(map[string]any)
			if ref, _ := link["$ref"].(string); !strings.HasSuffix(ref, "s/"+link["value"].(string)) || link["display"] == "" {
				t.Errorf("%s %s has the membership %v", kind, id, link)
			}
		}
	}
}

func decode(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return v
}

// links gives value -> type of an array of memberships.
func links(v any, key string) map[string]string {
	all := make(map[string]string)
	list, _ := v.([]any)
	for _, e := range list {
		link := e.(map[string]any)
		all[link["value"].(string)] = link[key].(string)
	}
	return all
}

func expectGroups(direct map[string]map[string]bool, id string) map[string]string {
	want := make(map[string]string)
	var climb func(string)
	climb = func(id string) {
		for g := range direct[id] {
			if want[g] == "" {
				want[g] = "indirect"
				climb(g)
			}
		}
	}
	climb(id)
	for g := range direct[id] {
		want[g] = "direct"
	}
	return want
}

// value gives a property as JSON decodes it, nil where there is none.
func value(o graphtest.Object, name string) any {
	var v any
	if raw, ok := o.Properties[name]; ok {
		_ = json.Unmarshal(raw, &v)
	}
	if s, ok := v.(string); ok && s == "" {
		return nil
	}
	return v
}

// stripUser takes out what is compared elsewhere.
func stripUser(got map[string]any) map[string]any {
	got = maps.Clone(got)
	for _, name := range []string{"groups", "meta", "emails", "schemas"} {
		delete(got, name)
	}
	// Where the manager is found is checked with the references.
	if ext, ok := got["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"].(map[string]any); ok {
		if manager, ok := ext["manager"].(map[string]any); ok {
			delete(manager, "$ref")
		}
	}
	return got
}

// expectUser gives a user as she should be served.
func expectUser(manager string, u graphtest.Object) map[string]any {
	want := map[string]any{"id": u.ID, "active": value(u, "accountEnabled") != false}
	set(want, u.ID, "userName") // where there is no other
	set(want, value(u, "userPrincipalName"), "userName")
	set(want, value(u, "displayName"), "displayName")
	set(want, value(u, "givenName"), "name", "givenName")
	set(want, value(u, "surname"), "name", "familyName")
	set(want, value(u, "jobTitle"), "title")
	set(want, value(u, "preferredLanguage"), "preferredLanguage")
	set(want, value(u, "employeeType"), "userType")
	var phones []any
	if list, ok := value(u, "businessPhones").([]any); ok {
		for _, p := range list {
			phones = append(phones, map[string]any{"value": p, "type": "work"})
		}
	}
	for property, kind := range map[string]string{"mobilePhone": "mobile", "faxNumber": "fax"} {
		if p := value(u, property); p != nil {
			phones = append(phones, map[string]any{"value": p, "type": kind})
		}
	}
	if phones != nil {
		slices.SortStableFunc(phones, func(a, b any) int {
			order := []string{"work", "mobile", "fax"}
			kind := func(v any) int { return slices.Index(order, v.(map[string]any)["type"].(string)) }
			return kind(a) - kind(b)
		})
		want["phoneNumbers"] = phones
	}
	address := map[string]any{}
	for property, name := range map[string]string{
		"streetAddress": "streetAddress", "city": "locality", "state": "region", "postalCode": "postalCode", "country": "country",
	} {
		set(address, value(u, property), name)
	}
	if len(address) > 0 {
		address["type"] = "work"
		want["addresses"] = []any{address}
	}
	if list, ok := value(u, "imAddresses").([]any); ok && len(list) > 0 {
		var ims []any
		for _, im := range list {
			ims = append(ims, map[string]any{"value": im, "type": "work"})
		}
		want["ims"] = ims
	}
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	set(want, value(u, "employeeId"), enterprise, "employeeNumber")
	set(want, value(u, "department"), enterprise, "department")
	set(want, value(u, "companyName"), enterprise, "organization")
	if org, ok := value(u, "employeeOrgData").(map[string]any); ok {
		set(want, org["costCenter"], enterprise, "costCenter")
		set(want, org["division"], enterprise, "division")
	}
	if manager != "" {
		set(want, manager, enterprise, "manager", "value")
	}
	if ext := extension(u, userExtension); ext != nil {
		want[entra+":User"] = ext
	}
	return want
}

const entra = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0"

// The attributes of the extensions, by their names in Graph; but for one they
// are the same in SCIM.
var (
	userExtension = strings.Fields(`creationType employeeHireDate mailNickname officeLocation onPremisesDistinguishedName
		onPremisesDomainName onPremisesExtensionAttributes onPremisesImmutableId onPremisesSamAccountName
		onPremisesSecurityIdentifier onPremisesSyncEnabled onPremisesUserPrincipalName preferredDataLocation
		proxyAddresses usageLocation userType`)
	groupExtension = strings.Fields(`description expirationDateTime groupTypes mailEnabled mailNickname onPremisesSamAccountName
		onPremisesSecurityIdentifier onPremisesSyncEnabled proxyAddresses securityEnabled securityIdentifier`)
)

func extension(o graphtest.Object, names []string) any {
	ext := make(map[string]any)
	for _, name := range names {
		v := value(o, name)
		switch x := v.(type) {
		case []any:
			if len(x) == 0 {
				continue
			}
		case map[string]any:
			maps.DeleteFunc(x, func(_ string, v any) bool { return v == nil || v == "" })
			if len(x) == 0 {
				continue
			}
		}
		set(ext, v, strings.Replace(name, "onPremisesSam", "onPremisesSAM", 1))
	}
	if len(ext) == 0 {
		return nil
	}
	return ext
}

// emails gives the addresses served, the primary one marked.
func emails(v any) []string {
	var all []string
	list, _ := v.([]any)
	for _, e := range list {
		email := e.(map[string]any)
		text := fmt.Sprintf("%s %s", email["type"], email["value"])
		if primary, ok := email["primary"]; ok {
			text += fmt.Sprintf(" primary=%v", primary)
		}
		all = append(all, text)
	}
	return all
}

// expectEmails gives the addresses by the rules of docs/mapping.md.
func expectEmails(u graphtest.Object) []string {
	type email struct {
		value, kind string
		capitals    bool
	}
	var all []email
	add := func(v any, kind string, capitals bool) {
		s, _ := v.(string)
		if s != "" && !slices.ContainsFunc(all, func(e email) bool { return strings.EqualFold(e.value, s) }) {
			all = append(all, email{s, kind, capitals})
		}
	}
	add(value(u, "mail"), "work", false)
	upn := u.Text("userPrincipalName")
	primary := len(all) == 1
	if !primary && !strings.Contains(upn, "#EXT#") && !strings.HasSuffix(strings.ToLower(upn), ".onmicrosoft.com") && strings.Contains(upn, "@") {
		add(upn, "work", false)
		primary = true
	}
	others, _ := value(u, "otherMails").([]any)
	for _, o := range others {
		add(o, "other", false)
	}
	proxies, _ := value(u, "proxyAddresses").([]any)
	for _, p := range proxies {
		if scheme, rest, _ := strings.Cut(p.(string), ":"); strings.EqualFold(scheme, "smtp") {
			add(rest, "work", scheme == "SMTP")
		}
	}
	if i := slices.IndexFunc(all, func(e email) bool { return e.capitals }); !primary && i > 0 {
		first := all[i]
		all = slices.Insert(slices.Delete(all, i, i+1), 0, first)
	}
	var texts []string
	for i, e := range all {
		text := e.kind + " " + e.value
		if i == 0 {
			text += " primary=true"
		}
		texts = append(texts, text)
	}
	return texts
}

// set puts a value at a path, unless it is nil.
func set(m map[string]any, v any, path ...string) {
	if v == nil {
		return
	}
	for _, name := range path[:len(path)-1] {
		next, ok := m[name].(map[string]any)
		if !ok {
			next = make(map[string]any)
			m[name] = next
		}
		m = next
	}
	m[path[len(path)-1]] = v
}

// A first round asks for no more than the pages that the tenant has: no request
// for a group or for a user, one token.
func TestFirstRoundAsksForPagesOnly(t *testing.T) {
	users, groups := 100_000, 2_000
	if testing.Short() {
		users, groups = 2_000, 100
	}
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3, Calm: true}, users, groups))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	pages := map[string]int{}
	for _, r := range tenant.Journal() {
		switch {
		case r.Status != http.StatusOK:
			t.Errorf("%s %s was answered %d", r.Method, r.Path, r.Status)
		case strings.HasSuffix(r.Path, "/token"):
			pages["token"]++
		default:
			pages[r.Path]++
		}
	}
	want := map[string]int{"token": 1, "/v1.0/users/delta": tenant.Pages("users"), "/v1.0/groups/delta": tenant.Pages("groups")}
	if diff := cmp.Diff(want, pages); diff != "" {
		t.Errorf("requests (-pages +made):\n%s", diff)
	}
	var page struct{ TotalResults int }
	b.scimGet("/Users?count=0", &page)
	if page.TotalResults != users {
		t.Errorf("%d users are served, want %d", page.TotalResults, users)
	}
}

// What changes in the file takes effect while the program runs, or is refused
// with its place named.
func TestWatchedFile(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 60, 6))
	b := newBridge(t)
	good := config("", tenant.source("contoso", "interval: 1h", "groups: {enabled: false}"))
	b.write("config.yaml", good)
	b.start()
	b.ready()
	if n := len(b.list("/Groups", 10)); n != 0 {
		t.Fatalf("%d groups are served although they are off", n)
	}
	path := b.configFile()

	t.Run("groups are turned on, in an editor that renames", func(t *testing.T) {
		good = strings.Replace(good, "groups: {enabled: false}", "groups: {enabled: true}", 1)
		b.write("config.yaml", good)
		b.eventually("the groups are served", func() error {
			var page struct{ TotalResults int }
			b.scimGet("/Groups?count=0", &page)
			if page.TotalResults != tenant.GroupCount() {
				return fmt.Errorf("%d groups", page.TotalResults)
			}
			return nil
		})
	})
	t.Run("a faulty file is refused with its place, and nothing changes", func(t *testing.T) {
		bad := strings.Replace(good, "interval: 1h", "interval: often", 1)
		line := 1 + strings.Count(bad[:strings.Index(bad, "often")], "\n")
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		b.expectLog(fmt.Sprintf(`configuration was not taken.*config\.yaml:%d: sources\[0\]\.interval`, line))
		b.ready()
		if n := len(b.list("/Users", 100)); n != tenant.UserCount() {
			t.Errorf("%d users are served", n)
		}
	})
	t.Run("the interval is shortened, in place", func(t *testing.T) {
		good = strings.Replace(good, "interval: 1h", "interval: 1s", 1)
		if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
		id := tenant.SetUser(map[string]any{"displayName": "New", "userPrincipalName": "new@" + tenant.Domain(), "accountEnabled": true})
		b.eventually("a new user comes by herself", func() error {
			if status, body := b.get(b.scim+"/Users/"+id, nil); status != http.StatusOK {
				return fmt.Errorf("%d %s", status, body)
			}
			return nil
		})
	})
	t.Run("a secret file is replaced: the old token is refused, the new one taken", func(t *testing.T) {
		b.write("client.token", "another-bearer-token")
		b.eventually("the new token is taken", func() error {
			if status, _ := b.get(b.scim+"/Users?count=1", map[string]string{"Authorization": "Bearer another-bearer-token"}); status != http.StatusOK {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
		if status, _ := b.get(b.scim+"/Users?count=1", nil); status != http.StatusUnauthorized {
			t.Errorf("the old token is answered %d", status)
		}
		b.write("client.token", bridgeToken)
		b.eventually("the first token is taken again", func() error {
			if status, _ := b.get(b.scim+"/Users?count=1", nil); status != http.StatusOK {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	})
	t.Run("a client is added by a symlink that is swapped", func(t *testing.T) {
		volume := filepath.Join(b.dir, "volume")
		for i, content := range []string{good, strings.Replace(good, "admin:", "    - {name: second, token_sha256: "+strings.Repeat("ab", 32)+"}\nadmin:", 1)} {
			dir := fmt.Sprintf("%s-%d", volume, i)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			swap(t, dir, volume)
			if i == 0 {
				swap(t, filepath.Join(volume, "config.yaml"), path)
			}
		}
		b.expectLog(`configuration is in force.*second`)
	})
	t.Run("SIGHUP reads it again", func(t *testing.T) {
		before := strings.Count(b.logged(), "configuration changed")
		b.signal(syscall.SIGHUP)
		b.eventually("the log tells of it", func() error {
			if strings.Count(b.logged(), "configuration changed") == before {
				return fmt.Errorf("no line")
			}
			return nil
		})
	})
	t.Run("a key that needs a restart is named", func(t *testing.T) {
		moved := strings.Replace(good, "directory: state", "directory: elsewhere", 1)
		b.write("config.yaml", moved)
		b.expectLog(`configuration was not taken.*state\.directory`)
		if _, err := os.Stat(filepath.Join(b.dir, "elsewhere")); err == nil {
			t.Error("the other state directory was made")
		}
	})
	b.ready()
}

// swap points a symbolic link elsewhere, in one step.
func swap(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

// Before the first complete picture the endpoint says so; it never shows an
// empty or a partial list.
func TestNeverPartial(t *testing.T) {
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 9, PageSize: 20}, 300, 10))
	tenant.Inject(graphtest.Status(503, false).On("groups").Forever())
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1s"))
	b.start()
	b.eventually("users were read", func() error {
		for _, r := range tenant.Journal() {
			if strings.HasPrefix(r.Path, "/v1.0/groups") {
				return nil
			}
		}
		return fmt.Errorf("no request for groups yet")
	})
	for _, path := range []string{"/Users", "/Users?filter=userName%20eq%20%22x%22", "/Groups", "/Users/some-id", "/"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.scim+path, nil)
		req.Header.Set("Authorization", "Bearer "+bridgeToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s is answered %s, Retry-After %q", path, res.Status, res.Header.Get("Retry-After"))
		}
	}
	tenant.ClearFaults()
	b.ready()
	if n := len(b.list("/Users", 100)); n != 300 {
		t.Errorf("%d users are served, want 300", n)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		path := "/Users/some-id"
		if method == http.MethodPost {
			path = "/Users"
		}
		req, _ := http.NewRequestWithContext(t.Context(), method, b.scim+path, strings.NewReader("{}"))
		req.Header.Set("Authorization", "Bearer "+bridgeToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotImplemented {
			t.Errorf("%s %s is answered %s", method, path, res.Status)
		}
	}
}

// The exit statuses that systemd and scripts go by.
func TestExitStatus(t *testing.T) {
	b := newBridge(t)
	for file, commands := range map[string][]string{
		"scim: {}\n":            {"check-config", "serve"},
		"admin: {listen: 12}\n": {"check-config", "serve", "status"},
		"scim: [\n":             {"check-config", "serve", "status"},
	} {
		b.write("config.yaml", file)
		for _, command := range commands {
			if status, _, stderr := b.run(command); status != 2 || !strings.Contains(stderr, "config.yaml") {
				t.Errorf("%s with a faulty file has status %d and says %s", command, status, stderr)
			}
		}
	}
	// A daemon that goes on with what it had can be asked while the file has a
	// fault: only what leads to it is read.
	b.write("config.yaml", "admin: {listen: 127.0.0.1:1}\nscim: {}\n")
	if status, _, stderr := b.run("status"); status != 1 || !strings.Contains(stderr, "does not answer") {
		t.Errorf("status without a daemon has status %d: %s", status, stderr)
	}
	b.configure("  - {name: contoso, client_id: 5b4f1a3c-0000-4000-8000-000000000002, client_secret_file: tenant.secret}\n")
	if status, stdout, stderr := b.run("check-config"); status != 0 {
		t.Errorf("check-config with a good file has status %d: %s%s", status, stdout, stderr)
	}
	if status, _, stderr := b.run("status"); status != 1 {
		t.Errorf("status without a daemon has status %d: %s", status, stderr)
	}
}
