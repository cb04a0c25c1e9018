package mirror_test

import (
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// BenchmarkMemberOf publishes, of 100,000 people, those in one group and the groups
// in it, because the scope was edited, and everybody again. Graph is not asked.
func BenchmarkMemberOf(b *testing.B) {
	const people = 100_000
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 1}, people, 200)
	var all []string
	for u := range tenant.Users() {
		all = append(all, u.ID)
	}
	root := tenant.SetGroup(map[string]any{"displayName": "Half", "securityEnabled": true})
	tenant.AddMember(root, all[:people/4]...)
	for part := range 10 { // the second quarter is in groups below it, which have it as a member, too
		inner := tenant.SetGroup(map[string]any{"displayName": "Part", "securityEnabled": true})
		tenant.AddMember(inner, all[people/4+part*people/40:people/4+(part+1)*people/40]...)
		tenant.AddMember(root, inner)
		tenant.AddMember(inner, root)
	}
	mapper := benchMapper(b, mapping.Config{})
	client := newClient(b, tenant, mapper)
	everybody := mirror.Scope{Groups: true, Guests: true, Disabled: true, KeepRemoved: time.Hour}
	cfg := benchImport(b, mirror.Config{Tenant: tenant.ID(), Graph: client, Mapper: mapper, Scope: everybody,
		Guard: mirror.Guard{MaxRemoved: mirror.Limit{Percent: 100, IsPercent: true}}})
	requests := client.Status().OK
	publish := func(groups ...string) time.Duration {
		cfg.Scope = everybody
		cfg.Scope.MemberOf = groups
		before := processorTime(b)
		if r, err := mirror.New(cfg).Publish(b.Context()); err != nil || r.Outcome != mirror.Published {
			b.Fatal(r.Outcome, r.Verdict.Summary(), err)
		}
		return processorTime(b) - before
	}
	b.ReportAllocs()
	spent := time.Duration(0)
	for b.Loop() {
		spent += publish(root)
		b.StopTimer()
		if n := cfg.Picture.Current().Active(directory.User); n > people/2 || n < people*2/5 {
			b.Fatalf("%d users are active", n)
		}
		publish()
		b.StartTimer()
	}
	b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/op")
	if got := client.Status().OK; got != requests {
		b.Errorf("%d requests to Graph", got-requests)
	}
}
