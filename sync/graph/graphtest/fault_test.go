package graphtest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

func faultWorld(t *testing.T) *world {
	return newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true, PageSize: 10}, 45, 4))
}

func TestFaultsThatRefuse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  graphtest.Fault
		status int
		code   string
		header string // "Name: value"
	}{
		{"an expired access token", graphtest.AccessTokenExpired(), 401, "InvalidAuthenticationToken", ""},
		{"a claims challenge", graphtest.InsufficientClaims(), 401, "InvalidAuthenticationToken", ""},
		{"a missing permission", graphtest.Denied(), 403, "Authorization_RequestDenied", ""},
		{"an unknown identity", graphtest.IdentityNotFound(), 403, "Authorization_IdentityNotFound", ""},
		{"429 in seconds", graphtest.Throttled(graphtest.RetrySeconds, 2*time.Second), 429, "TooManyRequests", "Retry-After: 2"},
		{"429 in fractions", graphtest.Throttled(graphtest.RetryFraction, 2128*time.Millisecond), 429, "TooManyRequests", "Retry-After: 2.128"},
		{"429 without Retry-After", graphtest.Throttled(graphtest.RetryNone, 0), 429, "TooManyRequests", "Retry-After: "},
		{"503 with Retry-After", graphtest.Unavailable(5 * time.Second), 503, "ServiceNotAvailable", "Retry-After: 5"},
		{"504", graphtest.Status(504, false), 504, "UnknownError", ""},
		{"410 syncStateNotFound", graphtest.Gone(graphtest.GoneSyncStateNotFound), 410, "syncStateNotFound", ""},
		{"410 SyncStateNotFound", graphtest.Gone(graphtest.GoneUpperCase), 410, "SyncStateNotFound", ""},
		{"410 resyncRequired", graphtest.Gone(graphtest.GoneResyncRequired), 410, "resyncRequired", ""},
		{"410 with the code within", graphtest.Gone(graphtest.GoneNested), 410, "itemNotFound", ""},
		{"400 that means resync", graphtest.Gone(graphtest.GoneBadRequest), 400, "resyncChangesUploadDifferences", ""},
		{"an expired page token", graphtest.PageExpired(), 400, "Directory_ExpiredPageToken", ""},
		{"a refused delta token", graphtest.DeltaTokenRefused(), 400, "Request_BadRequest", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := faultWorld(t)
			w.tenant.Inject(tc.fault.On("users").At(graphtest.MiddlePage))
			p := w.page(userQuery)
			res, body := w.get(p.Next)
			var e struct {
				Error struct {
					Code       string
					InnerError map[string]string
				}
			}
			mustDecode(t, body, &e)
			if res.StatusCode != tc.status || e.Error.Code != tc.code || e.Error.InnerError["request-id"] == "" {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if name, want, ok := strings.Cut(tc.header, ": "); ok && res.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, res.Header.Get(name), want)
			}
			if again := w.page(p.Next); len(again.Value) != 10 {
				t.Errorf("struck once, the page must come now: %d objects", len(again.Value))
			}
		})
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	w := faultWorld(t)
	w.tenant.Inject(graphtest.Throttled(graphtest.RetryDate, time.Minute))
	res, _ := w.get(userQuery)
	if at, err := http.ParseTime(res.Header.Get("Retry-After")); err != nil || time.Until(at) > time.Minute || time.Until(at) < 50*time.Second {
		t.Errorf("Retry-After: %q", res.Header.Get("Retry-After"))
	}
}

func TestGoneNamesTheInitialRequest(t *testing.T) {
	w := faultWorld(t)
	_, delta, _ := w.round(userQuery)
	w.tenant.Inject(graphtest.Gone(graphtest.GoneLocation))
	res, _ := w.get(delta)
	if got, want := res.Header.Get("Location"), w.url+"/v1.0/users/delta?$deltatoken="; res.StatusCode != 410 || got != want {
		t.Fatalf("%d, Location %q, want %q", res.StatusCode, got, want)
	}
	if objects, _, _ := w.round(res.Header.Get("Location")); len(objects) != 45 {
		t.Errorf("the initial request gives %d objects", len(objects))
	}
}

func TestFaultsAreNarrowed(t *testing.T) {
	w := faultWorld(t)
	w.tenant.Inject(graphtest.Denied().On("groups"), graphtest.Status(500, true).On("users").In(graphtest.LaterRound).Nth(2))
	_, delta, _ := w.round(userQuery)
	if status, _ := w.refused(groupQuery); status != 403 {
		t.Errorf("groups: %d", status)
	}
	if res, _ := w.get(delta); res.StatusCode != 200 {
		t.Errorf("first matching request: %d", res.StatusCode)
	}
	if res, body := w.get(delta); res.StatusCode != 500 || !strings.HasPrefix(string(body), "<!DOCTYPE") {
		t.Errorf("second matching request: %d %.40s", res.StatusCode, body)
	}
	w.tenant.Inject(graphtest.ThrottleStorm(3, time.Second))
	for i := range 4 {
		if res, _ := w.get(delta); (res.StatusCode == 429) != (i < 3) {
			t.Errorf("storm of three, request %d: %d", i+1, res.StatusCode)
		}
	}
	w.tenant.Inject(graphtest.Status(502, false).Forever())
	w.refused(delta)
	w.tenant.ClearFaults()
	w.page(delta)
	w.tenant.Inject(graphtest.Status(503, false).Chance(0.5).Forever())
	hit := 0
	for range 60 {
		res, _ := w.get(delta)
		if res.StatusCode == 503 {
			hit++
		}
	}
	if hit < 15 || hit > 45 {
		t.Errorf("a chance of one in two struck %d of 60", hit)
	}
}

func TestFaultsOfTheLine(t *testing.T) {
	w := faultWorld(t)
	for name, moment := range map[string]graphtest.Moment{"before": graphtest.BeforeBody, "within": graphtest.WithinBody, "after": graphtest.AfterBody} {
		w.tenant.Inject(graphtest.Reset(moment))
		if _, _, err := w.try(userQuery); err == nil {
			t.Errorf("reset %s the body: no error", name)
		}
	}
	w.tenant.Inject(graphtest.Truncated())
	if res, body := w.get(userQuery); res.StatusCode != 200 || json.Valid(body) {
		t.Errorf("truncated: %d, %.60s", res.StatusCode, body)
	}
	w.tenant.Inject(graphtest.TruncatedGzip())
	_, body := w.get(userQuery, "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(z); err == nil {
		t.Error("truncated gzip can be read to its end")
	}
	w.tenant.Inject(graphtest.Slow(time.Millisecond))
	if p := w.page(userQuery); len(p.Value) != 10 {
		t.Errorf("slow: %d objects", len(p.Value))
	}
}

func TestFaultsOfTheLinks(t *testing.T) {
	w := faultWorld(t)
	get := func(f graphtest.Fault) (p page) {
		w.tenant.Inject(f)
		_, body := w.get(userQuery)
		mustDecode(t, body, &p)
		return p
	}
	if p := get(graphtest.NoLinks()); p.Next != "" || p.Delta != "" {
		t.Errorf("no links: %+v", p)
	}
	if p := get(graphtest.BothLinks()); p.Next == "" || p.Delta == "" {
		t.Errorf("both links: %q, %q", p.Next, p.Delta)
	}
	if p := get(graphtest.ForeignLink("https://graph.evil.example")); !strings.HasPrefix(p.Next, "https://graph.evil.example/v1.0/users/delta?") {
		t.Errorf("foreign link: %q", p.Next)
	}
	if p := get(graphtest.LoopingLink()); p.Next != w.url+"/v1.0"+userQuery {
		t.Errorf("looping link: %q", p.Next)
	}
	w.tenant.Inject(graphtest.Redirect("https://elsewhere.example"))
	if res, _ := w.get(userQuery); res.StatusCode != 302 || !strings.HasPrefix(res.Header.Get("Location"), "https://elsewhere.example/v1.0/users") {
		t.Errorf("redirect: %d %q", res.StatusCode, res.Header.Get("Location"))
	}
}

func TestFaultsOfTheData(t *testing.T) {
	w := faultWorld(t)
	ids := func(objects []map[string]any) map[any]int {
		n := map[any]int{}
		for _, o := range objects {
			n[o["id"]]++
		}
		return n
	}
	w.tenant.Inject(graphtest.Empty().On("users"))
	if objects, delta, pages := w.round(userQuery); len(objects) != 0 || delta == "" || pages != 1 {
		t.Errorf("empty: %d objects on %d pages", len(objects), pages)
	}
	w.tenant.Inject(graphtest.Half())
	if objects, _, _ := w.round(userQuery); len(objects) != 23 {
		t.Errorf("half: %d of 45", len(objects))
	}
	w.tenant.Inject(graphtest.UnknownRemoval())
	if objects, _, _ := w.round(userQuery); objects[45]["@removed"] == nil {
		t.Errorf("unknown removal: %v", objects[45])
	}
	w.tenant.Inject(graphtest.StaleDuplicate())
	objects, delta, _ := w.round(userQuery)
	if ids(objects)[objects[0]["id"]] != 2 || objects[0]["displayName"] != "An older name" {
		t.Errorf("stale duplicate: %v", objects[0])
	}
	w.tenant.Inject(graphtest.CaseTwin())
	if objects, _, _ := w.round(userQuery); objects[1]["id"] != strings.ToUpper(objects[0]["id"].(string)) {
		t.Errorf("case twin: %v, %v", objects[0]["id"], objects[1]["id"])
	}
	w.tenant.UpdateUser(objects[5]["id"].(string), map[string]any{"mail": "new@x.example"})
	_, delta, _ = w.round(delta)
	w.tenant.Inject(graphtest.Replay())
	if objects, _, _ := w.round(delta); len(objects) != 1 {
		t.Errorf("replay: %d objects, want the one changed before", len(objects))
	}
	w.tenant.Inject(graphtest.BrokenObject())
	_, body := w.get(userQuery)
	if !json.Valid(body) || !strings.Contains(string(body), `"id":42`) {
		t.Errorf("broken objects: %.100s", body)
	}
	for name, tc := range map[string]struct {
		fault graphtest.Fault
		want  string
	}{
		"dangling member":   {graphtest.DanglingMember(), "dead0000-"},
		"removed and added": {graphtest.RemovedAndAdded(), `"@removed":{"reason":"deleted"}},{"@odata.type"`},
	} {
		w.tenant.Inject(tc.fault)
		if _, body := w.get(groupQuery); !json.Valid(body) || !strings.Contains(string(body), tc.want) {
			t.Errorf("%s: %.300s", name, body)
		}
	}
}

func TestSwapLeavesTheOtherPropertiesAlone(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: seed})
	a := tenant.SetUser(map[string]any{"userPrincipalName": "a@x.example", "displayName": "A"})
	b := tenant.SetUser(map[string]any{"userPrincipalName": "b@x.example", "displayName": "B"})
	tenant.SwapUserPrincipalNames(a, b)
	one, _ := tenant.User(a)
	two, _ := tenant.User(b)
	if one.Text("userPrincipalName") != "b@x.example" || two.Text("userPrincipalName") != "a@x.example" || one.Text("displayName") != "A" {
		t.Errorf("got %v, %v", one.Properties, two.Properties)
	}
}
