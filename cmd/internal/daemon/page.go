package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
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
	return changesOf(diff).Changes, diff.Omitted, nil
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
		f := admin.Found{Source: r.Source(), ID: r.ID(), SCIM: readable(indented(r.AppendJSON(nil))), Name: nameOf(r)}
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
			if f.Values, err = d.values(r, obj); err != nil {
				return fmt.Errorf("mapping the stored object: %w", err)
			}
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

// values says which rule gave each value that is served of a resource.
func (d *Daemon) values(r directory.Resource, obj store.Object) ([]admin.Value, error) {
	s := d.gen.Load().sources[r.Source()]
	if s == nil || s.mapper == nil {
		return nil, nil
	}
	given, _, err := s.mapper.Explain(r.Type(), mapping.Input{
		Object: obj.Properties, Inactive: r.Type() == directory.User && obj.Removed != nil, Now: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	values := make([]admin.Value, len(given))
	for i, g := range given {
		values[i] = admin.Value{
			Path: g.Path, JSON: readable(string(g.Value)), Rule: cmp.Or(g.Row.Expression, g.Row.Property), Origin: g.Row.Origin, Problem: g.Problem,
		}
		if g.Made {
			values[i].Origin += ", made up since Entra has none"
		}
	}
	return values, nil
}

// readable writes letters for the escapes with which JSON is served.
func readable(text string) string {
	return escape.ReplaceAllStringFunc(text, func(run string) string {
		var letters string
		if run[1] != 'u' || json.Unmarshal([]byte(`"`+run+`"`), &letters) != nil {
			return run
		}
		return letters
	})
}

// escape is an escaped backslash, or a run of escapes of what is not ASCII; what
// is must stay escaped.
var escape = regexp.MustCompile(`\\\\|(?:\\u(?:00[89a-f]|0[1-9a-f][0-9a-f]|[1-9a-f][0-9a-f]{2})[0-9a-f])+`)

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
