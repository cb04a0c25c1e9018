package tests

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"scimbridge/sync/graph/graphtest"
)

// Many clients read at once in every way that there is, while one round after
// the other publishes. No answer is anything but whole, and under the race
// detector nothing is found in the program.
func TestLoadWhileRoundsPublish(t *testing.T) {
	people, rounds := 3000, 25
	if testing.Short() {
		people, rounds = 600, 10
	}
	ts := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 10, Calm: true}, people, 40))
	b := newBridge(t)
	b.configure(ts.source("contoso", "interval: 1h"))
	b.start()
	b.ready()

	var ids []string
	for u := range ts.Users() {
		ids = append(ids, u.ID)
	}
	working, stop := context.WithCancel(t.Context())
	defer stop()
	var requests atomic.Int64
	clients, ctx := errgroup.WithContext(working)
	for i := range 8 {
		clients.Go(func() error {
			// Connections of its own, as every importer has: they are what tells
			// one walk from another of the same client.
			connections := &http.Transport{}
			defer connections.CloseIdleConnections()
			l := &loader{bridge: b, ctx: ctx, http: http.Client{Transport: connections}, requests: &requests, gzip: i%2 == 1, people: people}
			for n := i; ctx.Err() == nil; n++ {
				if err := l.ask(n, ids[n*7%len(ids)]); err != nil && working.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	for round := range rounds {
		for i := range 20 {
			ts.UpdateUser(ids[(round*20+i)%len(ids)], map[string]any{"jobTitle": fmt.Sprint("Engineer ", round)})
		}
		if outcome := b.sync("contoso"); outcome != "published" {
			t.Fatalf("round %d: %s", round, outcome)
		}
	}
	stop()
	if err := clients.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests during %d rounds", requests.Load(), rounds)
	if log := b.logged(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log of scim-bridge:\n%s", log)
	}
}

// A loader is one of the clients.
type loader struct {
	*bridge
	ctx      context.Context
	http     http.Client
	requests *atomic.Int64
	gzip     bool
	people   int
}

// ask does one of the things that clients do.
func (l *loader) ask(n int, id string) error {
	switch n % 8 {
	case 0:
		return l.walk("/Users?count=250", "startIndex")
	case 1:
		return l.walk("/Users?count=250&cursor=", "cursor")
	case 2:
		_, err := l.list("/Users?filter=" + url.QueryEscape(`title co "Engineer 3" and active eq true`))
		return err
	case 3:
		_, err := l.list("/Users?count=100&sortBy=name.familyName&attributes=userName,emails.value")
		return err
	case 4:
		_, err := l.list("/Groups?excludedAttributes=members")
		return err
	case 5:
		_, err := l.list("/Groups?count=1000")
		return err
	}
	var user struct{ ID string }
	if err := l.read("/Users/"+id, &user); err != nil {
		return err
	}
	if user.ID != id {
		return fmt.Errorf("asked for %s and got %s", id, user.ID)
	}
	return nil
}

type loadedPage struct {
	TotalResults, ItemsPerPage int
	NextCursor                 string
	Resources                  []struct{ ID string }
}

// walk reads a whole list and checks that everybody comes once.
func (l *loader) walk(path, by string) error {
	seen := make(map[string]bool, l.people)
	next := strings.TrimSuffix(path, "&cursor=") + "&startIndex=1"
	if by == "cursor" {
		next = path
	}
	for {
		p, err := l.list(next)
		if err != nil {
			return err
		}
		for _, r := range p.Resources {
			if seen[r.ID] {
				return fmt.Errorf("%s: %s came twice", path, r.ID)
			}
			seen[r.ID] = true
		}
		if p.TotalResults != l.people {
			return fmt.Errorf("%s: %d people, want %d", next, p.TotalResults, l.people)
		}
		if len(seen) == l.people {
			return nil
		}
		if len(p.Resources) == 0 {
			return fmt.Errorf("%s: only %d people came", path, len(seen))
		}
		next = fmt.Sprintf("%s&startIndex=%d", path, len(seen)+1)
		if by == "cursor" {
			next = path + url.QueryEscape(p.NextCursor)
		}
	}
}

func (l *loader) list(path string) (p loadedPage, err error) {
	if err := l.read(path, &p); err != nil {
		return p, err
	}
	if p.ItemsPerPage != len(p.Resources) {
		return p, fmt.Errorf("%s: itemsPerPage is %d of %d resources", path, p.ItemsPerPage, len(p.Resources))
	}
	return p, nil
}

func (l *loader) read(path string, into any) error {
	r, err := http.NewRequestWithContext(l.ctx, http.MethodGet, l.scim+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+bridgeToken)
	r.Header.Set("Accept-Encoding", "identity")
	if l.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	res, err := l.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	l.requests.Add(1)
	body, err := io.ReadAll(res.Body)
	if err == nil && res.Header.Get("Content-Encoding") == "gzip" {
		body, err = gunzip(body)
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", res.Status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

func gunzip(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
