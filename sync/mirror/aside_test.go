package mirror_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// lastSeen maps what delta queries don't bring.
const lastSeen = `formatDate(user.signInActivity.lastSignInDateTime, "yyyy-MM-dd")`

func signIn(day string) map[string]any {
	return map[string]any{"lastSignInDateTime": day + "T08:00:00Z"}
}

// What is read aside is merged onto the people, kept over full reads, and read
// again every hour.
func TestPropertiesAreReadAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(20)
		tenant.SetUser(map[string]any{"id": users[1], "signInActivity": signIn("2026-01-02"),
			"customSecurityAttributes": map[string]any{"Access": map[string]any{"@odata.type": "#microsoft.graph.customSecurityAttributeValue", "Level": "high"}}})
		w := newWorld(t, tenant, mapped(t, "title", lastSeen, "nickName", "user.customSecurityAttributes.Access.Level"))
		w.client = newClient(t, tenant, w.cfg.Mapper, "AuditLog.Read.All", "CustomSecAttributeAssignment.Read.All")
		w.configure(func(c *mirror.Config) { c.Graph = w.client })
		w.round()
		w.counts(20, 20, 1)
		if u, _ := w.user(users[1]); u.Title != "2026-01-02" {
			t.Errorf("she was last seen on %q", u.Title)
		}
		if !strings.Contains(w.content(), `"nickName":"high"`) {
			t.Error("no custom security attribute is served")
		}
		if u, _ := w.user(users[2]); u.Title != "" {
			t.Errorf("the other was last seen on %q", u.Title)
		}
		requests := w.client.Status().OK
		w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
		if u, _ := w.user(users[1]); u.Title != "2026-01-02" {
			t.Errorf("after a full read she was last seen on %q", u.Title)
		}
		tenant.SetUser(map[string]any{"id": users[1], "signInActivity": signIn("2026-02-03")})
		tenant.SetUser(map[string]any{"id": users[3], "signInActivity": signIn("2026-02-04")})
		w.refresh(mirror.Options{}, mirror.Unchanged)
		if got := w.client.Status().OK - requests; got > 20 {
			t.Errorf("%d requests within the hour", got)
		}
		time.Sleep(time.Hour)
		w.round()
		for i, want := range map[int]string{1: "2026-02-03", 3: "2026-02-04"} {
			if u, _ := w.user(users[i]); u.Title != want {
				t.Errorf("%d was last seen on %q, want %s", i, u.Title, want)
			}
		}
		tenant.SetUser(map[string]any{"id": users[1], "signInActivity": nil})
		time.Sleep(time.Hour)
		w.round()
		if u, _ := w.user(users[1]); u.Title != "" {
			t.Errorf("what was cleared is %q", u.Title)
		}
	})
}

// Where they can't be read nobody is lost, and the last values stay.
func TestAReadingAsideThatFailsCostsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(12)
		tenant.SetUser(map[string]any{"id": users[1], "signInActivity": signIn("2026-01-02")})
		w := newWorld(t, tenant, mapped(t, "title", lastSeen))
		report := w.round() // without the permission
		w.counts(12, 12, 1)
		if report.Aside == nil || !strings.Contains(report.Aside.Error(), "AuditLog.Read.All") {
			t.Errorf("the report tells %v", report.Aside)
		}
		granted := newClient(t, tenant, w.cfg.Mapper, "AuditLog.Read.All")
		w.configure(func(c *mirror.Config) { c.Graph = granted })
		w.round()
		if u, _ := w.user(users[1]); u.Title != "2026-01-02" {
			t.Errorf("she was last seen on %q", u.Title)
		}
		time.Sleep(2 * time.Hour)
		tenant.Inject(graphtest.Status(403, false).On("users").Nth(2)) // the delta, then the list
		tenant.SetUser(map[string]any{"id": users[2], "displayName": "Another"})
		if report := w.round(); report.Aside == nil {
			t.Error("the report tells nothing")
		}
		tenant.ClearFaults()
		w.counts(12, 12, 1)
		if u, _ := w.user(users[1]); u.Title != "2026-01-02" {
			t.Errorf("after a failure she was last seen on %q", u.Title)
		}
		time.Sleep(11 * time.Minute)
		if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Aside != nil {
			t.Errorf("ten minutes later it is %v", report.Aside)
		}
	})
}

// A condition over what was not read yet judges nobody.
func TestNothingIsPublishedBeforeAReadingAside(t *testing.T) {
	tenant, users, _ := company(12)
	for _, id := range users {
		tenant.SetUser(map[string]any{"id": id, "signInActivity": signIn("2026-01-02")})
	}
	w := newWorld(t, tenant, nil)
	w.round()
	client := newClient(t, tenant, w.cfg.Mapper, "AuditLog.Read.All")
	w.configure(mapped(t, "active", `user.signInActivity.lastSignInDateTime > date("2026-01-01")`))
	w.configure(func(c *mirror.Config) { c.Graph = client })
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Unchanged {
		t.Fatalf("%v, %v", report.Outcome, err)
	}
	w.counts(12, 12, 1)
	w.refresh(mirror.Options{}, mirror.Unchanged)
	w.counts(12, 12, 1)
}

// Who is active is not decided by what was never read, or not for long.
func TestWhatDecidesWhoIsServedHasToBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, users, _ := company(40)
		for _, id := range users {
			tenant.SetUser(map[string]any{"id": id, "jobTitle": "stays"})
		}
		// The guard would let her go.
		tenant.SetUser(map[string]any{"id": users[1], "jobTitle": "", "signInActivity": signIn(time.Now().Format("2006-01-02"))})
		w := newWorld(t, tenant, nil)
		w.round()
		w.configure(mapped(t, "active", `user.jobTitle == "stays" || user.signInActivity.lastSignInDateTime > today - duration("2160h")`))
		if report := w.refresh(mirror.Options{}, mirror.Failed); !strings.Contains(report.Err.Error(), "AuditLog.Read.All") {
			t.Errorf("the round fails with %v", report.Err)
		}
		w.counts(40, 40, 1)
		w.restart()
		if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Unchanged {
			t.Fatalf("%v, %v", report.Outcome, err)
		}
		granted := newClient(t, tenant, w.cfg.Mapper, "AuditLog.Read.All")
		w.configure(func(c *mirror.Config) { c.Graph = granted })
		w.refresh(mirror.Options{}, mirror.Unchanged)
		w.counts(40, 40, 1)
		denied := newClient(t, tenant, w.cfg.Mapper)
		w.configure(func(c *mirror.Config) { c.Graph = denied })
		time.Sleep(12 * time.Hour)
		if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Aside == nil {
			t.Error("the report tells nothing")
		}
		// In time she would go, and has signed in since for all we know.
		time.Sleep(100 * 24 * time.Hour)
		w.refresh(mirror.Options{}, mirror.Failed)
		w.counts(40, 40, 1)
	})
}
