package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/scim"
	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// shown is which client has been shown users or groups of which sources. A
// platform deprovisions whom it no longer finds, whether they left the tenant or
// the list of sources that its client sees. So a source that a client was shown
// stays in its sight when its list has it no more, until a person approves that;
// who was never shown a source loses nothing.
type shown struct {
	mu    sync.Mutex
	known map[string]map[string]bool // client -> source -> whether the store knows
	retry time.Time                  // no earlier is a failed write tried again
}

const (
	// showTime is how long an answer waits at most for the note that it is given.
	showTime = 5 * time.Second
	// showAgain is how long after a failure the note is tried again.
	showAgain = 15 * time.Second
)

// loadShown reads what the state knows, and says whether it knows anything: one
// of a program that did not note it does not.
func (d *Daemon) loadShown(ctx context.Context) (kept bool, err error) {
	all, kept, err := d.store.Shown(ctx)
	if err != nil {
		return false, err
	}
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	d.shown.known = make(map[string]map[string]bool)
	for client, sources := range all {
		d.shown.note(client, sources, true)
	}
	return kept, nil
}

// assumeShown takes each client to have been shown all that it is served now.
func (d *Daemon) assumeShown(ctx context.Context) error {
	gen := d.gen.Load()
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	for _, c := range gen.clients {
		var served []string
		for _, name := range slices.Sorted(maps.Keys(gen.sources)) {
			if gen.sees(c.Name, name) && gen.sources[name].picture.Current() != nil {
				served = append(served, name)
			}
		}
		if err := d.store.SetShown(ctx, c.Name, served...); err != nil {
			return err
		}
		d.shown.note(c.Name, served, true)
	}
	return nil
}

// note remembers. s.mu is held.
func (s *shown) note(client string, sources []string, stored bool) {
	if s.known[client] == nil {
		s.known[client] = make(map[string]bool)
	}
	for _, source := range sources {
		s.known[client][source] = stored
	}
}

// noteShown is told of what a client is about to get. It implements
// [scim.Config].Shown. A client that goes on with the picture of an import may
// get a source that was taken from it since: that is none it may keep.
func (d *Daemon) noteShown(client string, sources []string) bool {
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	gen := d.gen.Load()
	fresh := slices.DeleteFunc(slices.Clone(sources), func(source string) bool {
		return d.shown.known[client][source] || !gen.sees(client, source)
	})
	if len(fresh) == 0 {
		return true
	}
	d.shown.note(client, fresh, false)
	if time.Now().Before(d.shown.retry) {
		return false
	}
	ctx, cancel := context.WithTimeout(d.ctx, showTime)
	defer cancel()
	if err := d.store.SetShown(ctx, client, fresh...); err != nil {
		d.shown.retry = time.Now().Add(showAgain)
		d.log.Error("it was not noted which sources the client is shown; if it was not by the next restart, a shorter list of sources takes them from it at once",
			"client", client, "sources", fresh, "err", err)
		return false
	}
	d.shown.note(client, fresh, true)
	return true
}

// sees says whether a client is shown a source.
func (g *generation) sees(client, source string) bool {
	i := slices.IndexFunc(g.scim.Clients, func(c scim.Client) bool { return c.Name == client })
	return i >= 0 && g.sources[source] != nil && (g.scim.Clients[i].Sources == nil || slices.Contains(g.scim.Clients[i].Sources, source))
}

// present makes the handler of a generation whose sources are there: each client
// sees what its list has, and what it was shown before. d.shown.mu is held.
func (d *Daemon) present(gen *generation) (err error) {
	gen.kept = make(map[string][]string)
	gen.scim.Clients = slices.Clone(gen.clients)
	for i := range gen.scim.Clients {
		c := &gen.scim.Clients[i]
		if c.Sources == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(d.shown.known[c.Name])) {
			s := gen.sources[name]
			if !slices.Contains(c.Sources, name) && s != nil && (s.imported || s.picture.Current() != nil) {
				gen.kept[c.Name] = append(gen.kept[c.Name], name)
			}
		}
		c.Sources = slices.Concat(c.Sources, gen.kept[c.Name])
	}
	if gen.handler, err = scim.New(gen.scim); err != nil {
		return fmt.Errorf("making the endpoint: %w", err)
	}
	return nil
}

// logKept tells the log what clients are shown beyond their lists, where that
// is new.
func (d *Daemon) logKept(old, gen *generation) {
	for _, client := range slices.Sorted(maps.Keys(gen.kept)) {
		if old != nil && slices.Equal(old.kept[client], gen.kept[client]) {
			continue
		}
		held := gen.heldSources(client)
		d.log.Warn("client's list of sources is shorter; it is shown the others until that is approved", "client", client, "held", admin.HeldText(held),
			"mend", "put them back into its list, or take them from it with: scim-bridge approve --client "+client)
	}
}

// heldSources says what approving a client's shorter list would take from it.
func (g *generation) heldSources(client string) (all []admin.HeldSource) {
	for _, name := range g.kept[client] {
		held := admin.HeldSource{Source: name, Left: g.sources[name].state == stateLeft}
		if cur := g.sources[name].picture.Current(); cur != nil {
			held.Users, held.ActiveUsers, held.Groups = cur.Len(directory.User), cur.Active(directory.User), cur.Len(directory.Group)
		}
		all = append(all, held)
	}
	return all
}

// whyHidden is why somebody would go for a client.
const whyHidden = "the client's list of sources no longer has this one"

// HeldFrom implements admin.Backend.
func (d *Daemon) HeldFrom(client string, list int) ([]*mirror.Diff, error) {
	gen := d.gen.Load()
	if err := gen.knows(client); err != nil {
		return nil, err
	}
	diffs := []*mirror.Diff{}
	for _, name := range gen.kept[client] {
		if cur := gen.sources[name].picture.Current(); cur != nil {
			diffs = append(diffs, mirror.Departure(cur, whyHidden, list))
		}
	}
	return diffs, nil
}

// knows says that there is no such client, or nil.
func (g *generation) knows(client string) error {
	var names []string
	for _, c := range g.clients {
		if c.Name == client {
			return nil
		}
		names = append(names, c.Name)
	}
	return fmt.Errorf("%w %q; there are: %s", admin.ErrNoClient, client, strings.Join(names, ", "))
}

// ApproveClient implements admin.Backend.
func (d *Daemon) ApproveClient(ctx context.Context, client string, only []string, by string) (admin.Narrowing, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	if d.stopped {
		return admin.Narrowing{}, errRetired
	}
	gen := *d.gen.Load()
	if err := gen.knows(client); err != nil {
		return admin.Narrowing{}, err
	}
	held := gen.heldSources(client)
	if len(held) == 0 {
		return admin.Narrowing{}, fmt.Errorf("nothing is held from client %s: it sees what its list of sources has", client)
	}
	for _, name := range only {
		if !slices.Contains(gen.kept[client], name) {
			return admin.Narrowing{}, fmt.Errorf("source %s is not held from client %s; held are: %s; nothing was approved", name, client, strings.Join(gen.kept[client], ", "))
		}
	}
	if len(only) > 0 {
		held = slices.DeleteFunc(held, func(h admin.HeldSource) bool { return !slices.Contains(only, h.Source) })
	}
	if err := d.hide(ctx, &gen, client, held); err != nil {
		return admin.Narrowing{}, err
	}
	d.gen.Store(&gen)
	d.log.Warn("client is no longer shown sources", "client", client, "sources", admin.HeldText(held), "by", by)
	return admin.Narrowing{Client: client, Sources: held}, nil
}

// hide takes sources from a client's sight, in the state first: what is approved
// stays so over a crash. After an error all is as before. d.shown.mu is held.
func (d *Daemon) hide(ctx context.Context, gen *generation, client string, held []admin.HeldSource) error {
	before := maps.Clone(d.shown.known[client])
	var names []string
	for _, h := range held {
		names = append(names, h.Source)
		delete(d.shown.known[client], h.Source)
	}
	err := d.present(gen)
	if err == nil {
		err = d.store.SetHidden(ctx, client, names...)
	}
	if err != nil {
		d.shown.known[client] = before
	}
	return err
}

// sources gives the sources that any client was shown. s.mu is held.
func (s *shown) sources() []string {
	var all []string
	for _, sources := range s.known {
		all = slices.AppendSeq(all, maps.Keys(sources))
	}
	return all
}

// toAny says whether any client was shown a source. s.mu is held.
func (s *shown) toAny(source string) bool { return slices.Contains(s.sources(), source) }

// forgetSource forgets who was shown a source, as the store does by itself.
func (s *shown) forgetSource(name string) {
	for _, sources := range s.known {
		delete(sources, name)
	}
}

// shownStored adds to clients what they were shown, where no daemon runs.
func shownStored(ctx context.Context, db *store.DB, clients []scim.Client, sources []string) error {
	all, _, err := db.Shown(ctx)
	if err != nil {
		return err
	}
	for i := range clients {
		c := &clients[i]
		for _, name := range all[c.Name] {
			if c.Sources != nil && slices.Contains(sources, name) && !slices.Contains(c.Sources, name) {
				c.Sources = append(slices.Clone(c.Sources), name)
			}
		}
	}
	return nil
}
