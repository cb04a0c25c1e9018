package mirror_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/mirror"
)

// mapped has a mirror map by rules: pairs of path and expression.
func mapped(t *testing.T, pairs ...string) func(*mirror.Config) {
	t.Helper()
	cfg := mapping.Config{BaseURL: baseURL}
	for i := 0; i < len(pairs); i += 2 {
		cfg.Users.Set = append(cfg.Users.Set, mapping.Rule{Path: pairs[i], Expression: pairs[i+1]})
	}
	m, err := mapping.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *mirror.Config) { c.Mapper = m }
}

func TestARuleThatFailsKeepsTheLastGoodValue(t *testing.T) {
	tenant, users, _ := company(10)
	tenant.SetUser(map[string]any{"id": users[1], "jobTitle": "2026-01-02"})
	tenant.SetUser(map[string]any{"id": users[2], "jobTitle": "2026-03-04"})
	w := newWorld(t, tenant, mapped(t, "title", `formatDate(date(user.jobTitle), "dd.MM.yyyy")`))
	w.round()
	w.counts(10, 10, 1)
	if u, _ := w.user(users[1]); u.Title != "02.01.2026" {
		t.Errorf("the title is %q", u.Title)
	}
	if got := w.mirror.Status().Rules; got != nil {
		t.Errorf("rules fail: %v", got)
	}

	tenant.SetUser(map[string]any{"id": users[1], "jobTitle": "soon", "displayName": "Another"})
	tenant.SetUser(map[string]any{"id": users[3], "jobTitle": "later"})
	report := w.round()
	if u, _ := w.user(users[1]); u.Title != "02.01.2026" || u.DisplayName != "Another" {
		t.Errorf("she is served as %+v", u)
	}
	if u, ok := w.user(users[3]); !ok || u.Title != "" {
		t.Errorf("one without a last good value is served as %+v", u)
	}
	want := []mirror.RuleProblem{{Type: directory.User, Path: "title", Reason: "a text is no date of the form 2026-11-26 or of RFC 3339",
		Count: 2, Kept: 1, Example: min(users[1], users[3])}}
	if diff := cmp.Diff(want, w.mirror.Status().Rules); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, report.Failing); diff != "" {
		t.Error(diff)
	}

	// They are there after a restart, too, and after a reload with another rule
	// that fails for the same people.
	w.restart()
	w.refresh(mirror.Options{}, mirror.Unchanged)
	if diff := cmp.Diff(want, w.mirror.Status().Rules); diff != "" {
		t.Error(diff)
	}
	w.configure(mapped(t, "title", `string(date(user.jobTitle).getFullYear())`))
	w.round()
	if u, _ := w.user(users[1]); u.Title != "02.01.2026" {
		t.Errorf("after another rule the title is %q", u.Title)
	}
	if u, _ := w.user(users[2]); u.Title != "2026" {
		t.Errorf("the other's title is %q", u.Title)
	}

	tenant.SetUser(map[string]any{"id": users[1], "jobTitle": "2027-05-06"})
	tenant.RemoveUser(users[3])
	w.round()
	if got := w.mirror.Status().Rules; got != nil {
		t.Errorf("rules fail still: %v", got)
	}
	if u, _ := w.user(users[1]); u.Title != "2027" {
		t.Errorf("mended, the title is %q", u.Title)
	}
}

// A userName that can't be made is the last good one, and for a new person the
// id: nobody is lost, and nobody gets another's name.
func TestAUserNameThatFails(t *testing.T) {
	tenant, users, _ := company(6)
	for i, id := range users {
		tenant.SetUser(map[string]any{"id": id, "mail": string(rune('a'+i)) + "@mail.example"})
	}
	w := newWorld(t, tenant, mapped(t, "userName", `user.mail`))
	w.round()
	tenant.SetUser(map[string]any{"id": users[0], "mail": nil})
	late := tenant.SetUser(map[string]any{"userPrincipalName": "late@contoso.example", "accountEnabled": true})
	w.round()
	w.counts(7, 7, 1)
	if u, _ := w.user(users[0]); u.UserName != "a@mail.example" {
		t.Errorf("her userName is %q", u.UserName)
	}
	if u, _ := w.user(late); u.UserName != late {
		t.Errorf("the new one's userName is %q", u.UserName)
	}
	if got := w.mirror.Status().Rules; len(got) != 1 || got[0].Count != 2 || got[0].Kept != 1 {
		t.Errorf("rules that fail: %+v", got)
	}
}

// A rule that speaks of today is evaluated every day, without anything having
// changed in the tenant.
func TestARuleOfTodayTurnsWithTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(6)
		start := time.Now().Add(36 * time.Hour).UTC()
		tenant.SetUser(map[string]any{"id": users[0], "employeeHireDate": start.Format(time.RFC3339)})
		w := newWorld(t, tenant, mapped(t, "active", `user.accountEnabled && (!has(user.employeeHireDate) || user.employeeHireDate <= today)`))
		w.round()
		w.counts(6, 5, 1)
		w.refresh(mirror.Options{}, mirror.Unchanged)
		time.Sleep(60 * time.Hour)
		w.round()
		w.counts(6, 6, 1)
	})
}

// Another mapping is rendered from what is stored; only one that reads more
// asks, for all of it.
func TestAnotherMappingAsksNothing(t *testing.T) {
	tenant, _, _ := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	requests := w.client.Status().OK
	w.configure(mapped(t, "nickName", `upper(user.displayName)`, "externalId", "user.id"))
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Published {
		t.Fatalf("%v, %v", report.Outcome, err)
	}
	if got := w.client.Status().OK; got != requests {
		t.Errorf("%d requests were made", got-requests)
	}
	w.counts(20, 20, 1)
}
