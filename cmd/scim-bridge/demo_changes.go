package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// A demoChange is something that happens in the company, and how the endpoint
// shows it.
type demoChange struct {
	what string
	path string // of the resource that shows it
	// shown says whether the endpoint has it. A resource that is not there is
	// the zero user.
	shown func(demoUser) bool
}

// demoPatience is how long a change may take to arrive before the demo says so.
const demoPatience = 30 * time.Second

// follow makes a change every few seconds and prints it when it has arrived.
func (d *demo) follow(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(d.seed, 1))
	happen := []func(*rand.Rand) (demoChange, bool){d.hire, d.promote, d.join, d.leave, d.disable, d.move}
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.every):
		}
		change, ok := happen[n%len(happen)](rnd)
		if !ok {
			continue
		}
		since := time.Now()
		if err := d.await(ctx, change, since); err != nil {
			return err
		}
		d.say("%s  %-64s in the endpoint after %.1f s", time.Now().Format(time.TimeOnly), change.what, time.Since(since).Seconds())
	}
}

// await asks the endpoint until it shows a change.
func (d *demo) await(ctx context.Context, change demoChange, since time.Time) error {
	for {
		var u demoUser
		if _, err := d.get(ctx, change.path, &u); err != nil && !errors.Is(err, errNotFound) {
			return err
		}
		if change.shown(u) {
			return nil
		}
		if time.Since(since) > demoPatience {
			return fmt.Errorf("%q did not arrive in %s; status: %+v", change.what, demoPatience, d.daemon.Status().Sources[0])
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// someone picks an active employee.
func (d *demo) someone(rnd *rand.Rand) (graphtest.Object, bool) {
	users := slices.Collect(d.tenant.Users())
	for range 100 {
		u := users[rnd.IntN(len(users))]
		if u.Bool("accountEnabled") && u.Text("userType") != "Guest" && u.Text("department") != "" {
			return u, true
		}
	}
	return graphtest.Object{}, false
}

func (d *demo) hire(rnd *rand.Rand) (demoChange, bool) {
	colleague, ok := d.someone(rnd)
	if !ok {
		return demoChange{}, false
	}
	given := []string{"Ngozi", "Mateus", "Aiko", "Siobhán", "Emre", "Ines", "Tomáš", "Priya"}[rnd.IntN(8)]
	family := []string{"Okafor", "Ribeiro", "Tanaka", "Byrne", "Yıldız", "Lindqvist", "Novák", "Raman"}[rnd.IntN(8)]
	name := fmt.Sprintf("new.hire%d@%s", rnd.IntN(1e6), d.tenant.Domain())
	department := colleague.Text("department")
	id := d.tenant.SetUser(map[string]any{
		"displayName": given + " " + family, "givenName": given, "surname": family, "userPrincipalName": name, "mail": name,
		"department": department, "jobTitle": colleague.Text("jobTitle"), "accountEnabled": true, "userType": "Member",
	})
	return demoChange{
		what: fmt.Sprintf("%s %s was hired into %s", given, family, department), path: "/Users/" + id,
		shown: func(u demoUser) bool { return u.Active },
	}, true
}

func (d *demo) promote(rnd *rand.Rand) (demoChange, bool) {
	u, ok := d.someone(rnd)
	title := "Senior " + strings.TrimPrefix(u.Text("jobTitle"), "Senior ")
	if !ok || title == u.Text("jobTitle") || u.Text("jobTitle") == "" {
		return demoChange{}, false
	}
	d.tenant.UpdateUser(u.ID, map[string]any{"jobTitle": title})
	return demoChange{
		what: u.Text("displayName") + " is now " + title, path: "/Users/" + u.ID,
		shown: func(u demoUser) bool { return u.Title == title },
	}, true
}

// join puts somebody into a group that she is not in.
func (d *demo) join(rnd *rand.Rand) (demoChange, bool) {
	u, ok := d.someone(rnd)
	groups := slices.Collect(d.tenant.Groups())
	if !ok || len(groups) == 0 {
		return demoChange{}, false
	}
	g := groups[rnd.IntN(len(groups))]
	if slices.ContainsFunc(d.tenant.Members(g.ID), func(m graphtest.Member) bool { return m.ID == u.ID }) {
		return demoChange{}, false
	}
	d.tenant.AddMember(g.ID, u.ID)
	return demoChange{
		what: fmt.Sprintf("%s joined %s", u.Text("displayName"), g.Text("displayName")), path: "/Users/" + u.ID,
		shown: func(u demoUser) bool {
			return slices.ContainsFunc(u.Groups, func(m struct{ Value, Display, Type string }) bool {
				return m.Value == g.ID && m.Type == "direct"
			})
		},
	}, true
}

func (d *demo) leave(rnd *rand.Rand) (demoChange, bool) {
	u, ok := d.someone(rnd)
	if !ok {
		return demoChange{}, false
	}
	d.tenant.RemoveUser(u.ID)
	return demoChange{
		what: u.Text("displayName") + " was deleted: inactive for a while, then gone", path: "/Users/" + u.ID,
		shown: func(u demoUser) bool { return u.ID != "" && !u.Active && len(u.Groups) == 0 },
	}, true
}

func (d *demo) disable(rnd *rand.Rand) (demoChange, bool) {
	u, ok := d.someone(rnd)
	if !ok {
		return demoChange{}, false
	}
	d.tenant.UpdateUser(u.ID, map[string]any{"accountEnabled": false})
	return demoChange{
		what: u.Text("displayName") + "'s account was turned off", path: "/Users/" + u.ID,
		shown: func(u demoUser) bool { return u.ID != "" && !u.Active },
	}, true
}

func (d *demo) move(rnd *rand.Rand) (demoChange, bool) {
	u, ok := d.someone(rnd)
	if !ok {
		return demoChange{}, false
	}
	name := fmt.Sprintf("renamed%d@%s", rnd.IntN(1e6), d.tenant.Domain())
	d.tenant.UpdateUser(u.ID, map[string]any{"userPrincipalName": name})
	return demoChange{
		what: u.Text("displayName") + " got a new user name; the id stays", path: "/Users/" + u.ID,
		shown: func(u demoUser) bool { return u.UserName == name },
	}, true
}
