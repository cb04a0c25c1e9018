package graphtest_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph/graphtest"
)

func TestCompanyIsBelievable(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: seed}, 3000, 240)
	if tenant.UserCount() != 3000 || tenant.GroupCount() != 240 {
		t.Fatalf("%d users, %d groups", tenant.UserCount(), tenant.GroupCount())
	}
	count := map[string]int{}
	names, upns := map[string]int{}, map[string]bool{}
	for u := range tenant.Users() {
		upn := u.Text("userPrincipalName")
		if upns[strings.ToLower(upn)] || upn == "" {
			t.Fatalf("userPrincipalName %q is empty or not unique", upn)
		}
		if strings.IndexFunc(upn, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
			t.Errorf("userPrincipalName %q is not ASCII", upn)
		}
		upns[strings.ToLower(upn)] = true
		names[u.Text("displayName")]++
		mark(count, "guests", u.Text("userType") == "Guest" && strings.Contains(upn, "#EXT#"))
		mark(count, "off", !u.Bool("accountEnabled"))
		mark(count, "nameless", u.Properties["givenName"] == nil)
		mark(count, "without mail", u.Properties["mail"] == nil)
		mark(count, "not ASCII", strings.IndexFunc(u.Text("displayName"), func(r rune) bool { return r > unicode.MaxASCII }) >= 0)
		mark(count, "managed", tenant.Manager(u.ID) != "")
		mark(count, "cost centre", strings.Contains(string(u.Properties["employeeOrgData"]), "costCenter"))
		mark(count, "hired", u.Properties["employeeHireDate"] != nil)
	}
	for name, least := range map[string]int{"guests": 200, "off": 150, "nameless": 80, "without mail": 40, "not ASCII": 400, "managed": 2000, "cost centre": 2000, "hired": 2000} {
		if count[name] < least {
			t.Errorf("%s: %d of 3000, want at least %d", name, count[name], least)
		}
	}
	if len(names) < 2600 {
		t.Errorf("only %d different names among 3000 people", len(names))
	}
}

func mark(count map[string]int, name string, is bool) {
	if is {
		count[name]++
	}
}

func TestCompanyGroupsAreOfAllKinds(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: seed}, 1000, 240)
	count := map[string]int{}
	for g := range tenant.Groups() {
		types, nested := string(g.Properties["groupTypes"]), false
		for _, m := range tenant.Members(g.ID) {
			nested = nested || m.Type == "group"
			mark(count, m.Type, true)
		}
		mark(count, "nested", nested)
		mark(count, "All staff", g.Text("displayName") == "All staff")
		mark(count, "security", g.Bool("securityEnabled") && !g.Bool("mailEnabled"))
		mark(count, "M365", strings.Contains(types, "Unified"))
		mark(count, "dynamic", strings.Contains(types, "DynamicMembership"))
		mark(count, "mail-enabled security", g.Bool("securityEnabled") && g.Bool("mailEnabled"))
		mark(count, "distribution", !g.Bool("securityEnabled") && g.Bool("mailEnabled") && types == "[]")
		mark(count, "hidden", g.Text("visibility") == "HiddenMembership")
		mark(count, "empty", len(tenant.Members(g.ID)) == 0)
	}
	for _, name := range []string{"All staff", "security", "M365", "dynamic", "mail-enabled security", "distribution", "hidden", "empty", "device", "servicePrincipal", "orgContact"} {
		if count[name] == 0 {
			t.Errorf("no %s", name)
		}
	}
	if n := count["nested"]; n < 10 || n > 30 {
		t.Errorf("%d of 240 groups have groups as members, want about 20", n)
	}
	if count["All staff"] != 1 {
		t.Errorf("%d groups named All staff", count["All staff"])
	}
}

func TestManagersFormOneTree(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: seed}, 800, 0)
	for u := range tenant.Users() {
		steps := 0
		for id := u.ID; id != ""; id = tenant.Manager(id) {
			if steps++; steps > 12 {
				t.Fatalf("%s has more than 12 levels of managers above", u.Text("displayName"))
			}
		}
	}
}

func TestTheSameSeedMakesTheSameCompany(t *testing.T) {
	export := func(s uint64) (all []graphtest.Object) {
		tenant := graphtest.NewCompany(graphtest.Options{Seed: s}, 200, 30)
		for o := range tenant.Users() {
			all = append(all, o)
		}
		for o := range tenant.Groups() {
			all = append(all, o)
		}
		return all
	}
	if diff := cmp.Diff(export(seed), export(seed)); diff != "" {
		t.Errorf("two tenants of one seed differ:\n%.1000s", diff)
	}
	if cmp.Equal(export(seed), export(seed+1)) {
		t.Error("two seeds made the same tenant")
	}
}

func TestSmallCompaniesHaveNoSurprises(t *testing.T) {
	for users := range 16 {
		tenant := graphtest.NewCompany(graphtest.Options{Seed: seed}, users, users)
		if tenant.UserCount() != users || tenant.GroupCount() != users {
			t.Errorf("asked for %d, got %d users and %d groups", users, tenant.UserCount(), tenant.GroupCount())
		}
	}
}

func BenchmarkNewCompany(b *testing.B) {
	for b.Loop() {
		graphtest.NewCompany(graphtest.Options{Seed: seed}, 100_000, 5000)
	}
}
