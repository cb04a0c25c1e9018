package mirror_test

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// BenchmarkAnotherMapping renders 100,000 people anew, from the database to the
// published picture, because the mapping is another one. Graph is not asked.
func BenchmarkAnotherMapping(b *testing.B) {
	const people = 100_000
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 1}, people, 200)
	plain := benchMapper(b, mapping.Config{})
	client := newClient(b, tenant, plain)
	cfg := benchImport(b, mirror.Config{Tenant: tenant.ID(), Graph: client, Mapper: plain, Scope: mirror.Scope{Groups: true, Guests: true, Disabled: true}})
	requests := client.Status().OK
	for _, one := range []struct {
		name string
		cfg  mapping.Config
	}{
		{"default", mapping.Config{Users: mapping.Rules{Remove: []string{"ims"}}}},
		{"okta", mapping.Config{Preset: "okta"}},
		{"ten rules", mapping.Config{Users: mapping.Rules{Set: []mapping.Rule{
			{Path: "externalId", Expression: "user.employeeId"},
			{Path: "userName", Expression: "lower(coalesce(user.mail, user.userPrincipalName))"},
			{Path: "displayName", Expression: `join([user.givenName, user.surname], " ")`},
			{Path: "nickName", Expression: "first(split(user.displayName, \" \"))"},
			{Path: "title", Expression: `title(user.jobTitle)`},
			{Path: "locale", Expression: `lookup("locales", user.country, "en")`},
			{Path: "profileUrl", Expression: `"https://people.example.com/" + localPart(user.userPrincipalName)`},
			{Path: `emails[type eq "other"].value`, Expression: `user.otherMails.filter(m, routable(m))`},
			{Path: "userType", Expression: `user.userType == "Guest" ? "Contractor" : "Employee"`},
			{Path: "timezone", Expression: `regexReplace(user.officeLocation, "^([A-Z]+).*$", "$1")`},
		}}, Tables: map[string]map[string]string{"locales": {"Germany": "de", "DE": "de"}}}},
	} {
		b.Run(one.name, func(b *testing.B) {
			b.ReportAllocs()
			spent := time.Duration(0) // of the processor: other programs make no difference to it
			for b.Loop() {
				b.StopTimer()
				cfg.Mapper = plain
				if r, err := mirror.New(cfg).Publish(b.Context()); err != nil || r.Outcome == mirror.Held {
					b.Fatal(r.Outcome, err)
				}
				cfg.Mapper = benchMapper(b, one.cfg)
				b.StartTimer()
				before := processorTime(b)
				r, err := mirror.New(cfg).Publish(b.Context())
				if err != nil || r.Outcome != mirror.Published {
					b.Fatal(r.Outcome, err)
				}
				spent += processorTime(b) - before
			}
			b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/op")
		})
	}
	if got := client.Status().OK; got != requests {
		b.Errorf("%d requests to Graph", got-requests)
	}
}

// processorTime is what this process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchImport does a first round into a state and a picture of its own, and gives
// the configuration with both.
func benchImport(b *testing.B, cfg mirror.Config) mirror.Config {
	b.Helper()
	dir := b.TempDir()
	db, err := store.Open(b.Context(), store.Options{Path: filepath.Join(dir, "scim-bridge.db"), Program: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	picture, err := directory.Open(directory.Options{Dir: filepath.Join(dir, "picture"), Source: "contoso", BaseURL: baseURL, Keep: 2, NewDeflater: benchDeflater})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { picture.Close() })
	cfg.Name, cfg.Store, cfg.Picture, cfg.Interval, cfg.Log = "contoso", db, picture, time.Hour, slog.New(slog.DiscardHandler)
	if _, err := mirror.New(cfg).Refresh(b.Context(), mirror.Options{}); err != nil {
		b.Fatal(err)
	}
	return cfg
}

// benchDeflater is what the daemon compresses list pages with.
func benchDeflater() directory.Deflater {
	z, err := flate.NewWriter(nil, 3)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}

func benchMapper(b *testing.B, cfg mapping.Config) *mapping.Mapper {
	b.Helper()
	cfg.BaseURL = baseURL
	m, err := mapping.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return m
}
