package graph_test

import (
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

func TestRequestsSlowDownBeforeALimit(t *testing.T) {
	tests := []struct {
		name   string
		header map[string]string
		want   time.Duration
	}{
		{"far from it", map[string]string{"RateLimit-Limit": "100", "RateLimit-Remaining": "21", "RateLimit-Reset": "10"}, 0},
		{"a fifth is left", map[string]string{"RateLimit-Limit": "100", "RateLimit-Remaining": "19", "RateLimit-Reset": "10"}, 500 * time.Millisecond},
		{"one is left", map[string]string{"RateLimit-Limit": "100", "RateLimit-Remaining": "1", "RateLimit-Reset": "10"}, 5 * time.Second},
		{"one is left of no known limit", map[string]string{"RateLimit-Remaining": "1", "RateLimit-Reset": "10"}, 0},
		{"none is left for an hour", map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "3600"}, time.Minute},
		{"no time", map[string]string{"RateLimit-Remaining": "0"}, 0},
		{"nonsense", map[string]string{"RateLimit-Remaining": "-1", "RateLimit-Reset": "soon", "x-ms-throttle-limit-percentage": "NaN"}, 0},
		{"80 per cent", map[string]string{"x-ms-throttle-limit-percentage": "0.8"}, 0},
		{"half the window too much", map[string]string{"x-ms-throttle-limit-percentage": "1.3"}, 5 * time.Second},
		{"the most that Graph says", map[string]string{"x-ms-throttle-limit-percentage": "1.8"}, 10 * time.Second},
		{"more than Graph says", map[string]string{"x-ms-throttle-limit-percentage": "1e9"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near := pageTo("1")
				near.header = tt.header
				w := &world{graph: inTurn(near, lastPage())}
				c := newClient(t, w, nil)
				if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
					t.Fatal(err)
				}
				if gap := w.gaps()[0].Round(time.Millisecond); gap != tt.want {
					t.Errorf("waited %v, want %v", gap, tt.want)
				}
				if s := c.Status(); (s.Slowed > 0) != (tt.want > 0) || s.ThrottledWaits != 0 {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// newBusyClient makes a client of a tenant in which little is allowed.
func newBusyClient(t *testing.T, budget float64) *graph.Client {
	t.Helper()
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 7, PageSize: 5, Throttle: true, ResourceUnits: 20}, 300, 20)
	app := tenant.AddApp(graphtest.App{Secret: secret, Consented: true, Permissions: []string{"User.Read.All", "GroupMember.Read.All"}})
	return newClient(t, graphtest.NewServer(tenant).Transport(), func(cfg *graph.Config) {
		cfg.GraphURL, cfg.LoginURL = "https://graph.microsoft.com", "https://login.microsoftonline.com"
		cfg.TenantID, cfg.ClientID, cfg.Select = tenant.ID(), app, selection
		cfg.RequestsPerSecond = budget
	})
}

// A tenant with Graph's bucket of resource units never has to refuse a client
// that heeds what is said before it is empty.
func TestALimitThatIsAnnouncedIsNotMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusyClient(t, 0)
		changes, _, err := read(c.Changes(t.Context(), graph.Users, ""))
		if err != nil || len(changes) < 300 {
			t.Fatalf("%d changes, %v", len(changes), err)
		}
		s := c.Status()
		if s.Throttled != 0 || s.Slowed == 0 {
			t.Errorf("%d requests, %d refused for load, %d slowed down", s.OK, s.Throttled, s.Slowed)
		}
	})
}

// Who has a budget is never near the limit.
func TestABudgetKeepsAwayFromTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusyClient(t, 1.5)
		begun := time.Now()
		if _, _, err := read(c.Changes(t.Context(), graph.Users, "")); err != nil {
			t.Fatal(err)
		}
		s := c.Status()
		if took := time.Since(begun); s.Throttled+s.Slowed != 0 || s.OK < 60 || took < time.Duration(float64(s.OK-1)/1.5*float64(time.Second)) {
			t.Errorf("%d requests in %s, %d refused for load, %d slowed down", s.OK, took, s.Throttled, s.Slowed)
		}
	})
}
