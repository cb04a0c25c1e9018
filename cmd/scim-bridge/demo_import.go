package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"scimbridge/cmd/internal/words"
)

// What an identity platform reads of the resources.
type (
	demoUser struct {
		ID       string
		UserName string
		Title    string
		Active   bool
		Emails   []struct {
			Value   string
			Primary bool
		}
		Groups []struct{ Value, Display, Type string }
		Meta   struct{ LastModified time.Time }
	}
	demoGroup struct {
		ID          string
		DisplayName string
		Members     []struct{ Value, Type string }
	}
	demoPage struct {
		TotalResults, ItemsPerPage, StartIndex int
		Resources                              []json.RawMessage
	}
)

// An imported is what one import received.
type imported struct {
	users   map[string]demoUser
	groups  map[string]demoGroup
	pages   int
	bytes   int64
	elapsed time.Duration
}

// showImport imports the endpoint once as a platform would, prints what that
// received, and fails unless it is exactly the company.
func (d *demo) showImport(ctx context.Context) error {
	d.say("Importing it as an identity platform does, 100 at a time …")
	got, err := d.importAll(ctx)
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	active, memberships := 0, 0
	for _, u := range got.users {
		if u.Active {
			active++
		}
	}
	for _, g := range got.groups {
		memberships += len(g.Members)
	}
	d.say("The platform received %s (%s active) and %s with %s,\nin %s of %.1f MB together, in %s.",
		words.CountOf(len(got.users), "person", "people"), words.Thousands(active), words.Count(len(got.groups), "group"), words.Count(memberships, "membership"),
		words.Count(got.pages, "page"), float64(got.bytes)/1e6, got.elapsed.Round(time.Millisecond))
	if err := d.verify(got); err != nil {
		return fmt.Errorf("the import is not what the company is: %w", err)
	}
	d.say("That is everybody in the company, each exactly once, and every membership.")
	return nil
}

// importAll walks both lists by startIndex, as most platforms do.
func (d *demo) importAll(ctx context.Context) (*imported, error) {
	got := &imported{users: make(map[string]demoUser), groups: make(map[string]demoGroup)}
	started := time.Now()
	err := d.walk(ctx, got, "/Users", func(raw []byte) error {
		var u demoUser
		if err := json.Unmarshal(raw, &u); err != nil {
			return err
		}
		if _, twice := got.users[u.ID]; twice {
			return fmt.Errorf("user %s came twice", u.ID)
		}
		got.users[u.ID] = u
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = d.walk(ctx, got, "/Groups", func(raw []byte) error {
		var g demoGroup
		if err := json.Unmarshal(raw, &g); err != nil {
			return err
		}
		if _, twice := got.groups[g.ID]; twice {
			return fmt.Errorf("group %s came twice", g.ID)
		}
		got.groups[g.ID] = g
		return nil
	})
	got.elapsed = time.Since(started)
	return got, err
}

func (d *demo) walk(ctx context.Context, got *imported, path string, take func([]byte) error) error {
	for start, total := 1, 1; start <= total; {
		var page demoPage
		n, err := d.get(ctx, fmt.Sprintf("%s?startIndex=%d&count=100", path, start), &page)
		if err != nil {
			return err
		}
		got.pages++
		got.bytes += n
		total = page.TotalResults
		if len(page.Resources) == 0 && start <= total {
			return fmt.Errorf("%s ended at %d of %d", path, start-1, total)
		}
		for _, raw := range page.Resources {
			if err := take(raw); err != nil {
				return err
			}
		}
		start += len(page.Resources)
	}
	return nil
}

// errNotFound: the endpoint has no such resource.
var errNotFound = errors.New("not found")

// get reads something from the endpoint and says how many bytes it was.
func (d *demo) get(ctx context.Context, path string, into any) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Accept", "application/scim+json")
	req.Header.Set("User-Agent", "scim-bridge demo")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return 0, err
	case res.StatusCode == http.StatusNotFound:
		return 0, errNotFound
	case res.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("the endpoint answered %s: %s", res.Status, body)
	}
	return int64(len(body)), json.Unmarshal(body, into)
}

// verify compares an import with the simulated tenant itself.
func (d *demo) verify(got *imported) error {
	if len(got.users) != d.tenant.UserCount() || len(got.groups) != d.tenant.GroupCount() {
		return fmt.Errorf("%d users and %d groups, where the company has %d and %d",
			len(got.users), len(got.groups), d.tenant.UserCount(), d.tenant.GroupCount())
	}
	for u := range d.tenant.Users() {
		if g, ok := got.users[u.ID]; !ok || g.UserName != u.Text("userPrincipalName") {
			return fmt.Errorf("user %s is missing, or has another name", u.ID)
		}
	}
	for g := range d.tenant.Groups() {
		want := 0
		for _, m := range d.tenant.Members(g.ID) {
			if m.Type == "user" || m.Type == "group" {
				want++
			}
		}
		if n := len(got.groups[g.ID].Members); n != want {
			return fmt.Errorf("group %s has %d members, where the company has %d", g.ID, n, want)
		}
	}
	return nil
}
