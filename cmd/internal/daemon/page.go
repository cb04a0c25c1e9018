package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"scimbridge/cmd/internal/admin"
	"scimbridge/scim/directory"
	"scimbridge/sync/store"
)

// What the status page shows besides the status.

// History gives a source's last rounds, the latest first.
func (d *Daemon) History(ctx context.Context, name string, limit int) ([]admin.PastRound, error) {
	records, err := d.store.Rounds(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	past := make([]admin.PastRound, len(records))
	for i, r := range records {
		past[i] = admin.PastRound{
			Round: r.Round, Started: r.Started, Elapsed: r.Elapsed, Outcome: r.Outcome, Full: r.Full,
			Users: r.Users.Present, Groups: r.Groups.Present, Pages: r.Pages, Error: r.Error, By: r.By,
			Changed: moved(r.Users) + moved(r.Groups) + moved(r.Edges),
		}
	}
	return past, nil
}

func moved(t store.Tally) int { return t.Added + t.Changed + t.Removed }

// HeldChanges says what approving the held round of a source would change.
func (d *Daemon) HeldChanges(ctx context.Context, name string, limit int) ([]admin.Change, int, error) {
	s := d.gen.Load().sources[name]
	if s == nil || s.mirror == nil {
		return nil, 0, nil
	}
	diff, err := s.mirror.HeldDiff(ctx, limit)
	if err != nil || diff == nil {
		return nil, 0, err
	}
	changes := make([]admin.Change, len(diff.Changes))
	for i, c := range diff.Changes {
		changes[i] = admin.Change{Kind: c.Kind, Type: c.Type, ID: c.ID, Name: c.Name, Why: c.Why}
	}
	return changes, diff.Omitted, nil
}

// maxFound bounds what a look-up shows.
const maxFound = 10

// Lookup finds users and groups by id, user name, e-mail or display name.
func (d *Daemon) Lookup(ctx context.Context, text string) ([]admin.Found, error) {
	v := d.library.View()
	seen := make(map[string]bool)
	var found []admin.Found
	add := func(r directory.Resource) error {
		key := r.Source() + " " + r.ID()
		if seen[key] || len(found) == maxFound {
			return nil
		}
		seen[key] = true
		f := admin.Found{Source: r.Source(), ID: r.ID(), SCIM: indented(r.AppendJSON(nil)), Name: nameOf(r)}
		kind := store.User
		if r.Type() == directory.Group {
			kind = store.Group
		}
		obj, known, err := d.store.Object(ctx, r.Source(), kind, r.ID())
		if err != nil {
			return fmt.Errorf("reading the stored object: %w", err)
		}
		if known {
			f.Graph = indented(obj.Properties)
		}
		found = append(found, f)
		return nil
	}
	if r, ok := v.ByID(text); ok {
		err := add(r)
		return found, err
	}
	for t := range directory.Type(directory.NumTypes) {
		for _, ix := range []directory.Index{directory.ByUserName, directory.ByEmail, directory.ByDisplayName, directory.ByExternalID} {
			for _, i := range v.Find(t, ix, text) {
				if err := add(v.At(t, i)); err != nil {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

// nameOf is what a person calls a resource.
func nameOf(r directory.Resource) string {
	for _, attribute := range []string{"displayName", "userName"} {
		var name string
		if json.Unmarshal(r.Attribute(attribute), &name) == nil && name != "" {
			return name
		}
	}
	return r.ID()
}

func indented(data []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, data, "", "  ") != nil {
		return string(data)
	}
	return b.String()
}

// ConfigYAML is the configuration in force, without secrets.
func (d *Daemon) ConfigYAML() string {
	text, err := d.gen.Load().cfg.YAML()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// PublicHost is the host of admin.public_url.
func (d *Daemon) PublicHost() string {
	u, err := url.Parse(d.gen.Load().cfg.Admin.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
