package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
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

// Lookup finds users and groups by whatever names them, as [Daemon.Explain] does.
func (d *Daemon) Lookup(ctx context.Context, text string) ([]admin.Found, error) {
	all, err := d.explain(ctx, "", text)
	if err != nil {
		return nil, err
	}
	var found []admin.Found
	for i := range all[:min(len(all), maxFound)] {
		found = append(found, foundOf(&all[i]))
	}
	return found, nil
}

// foundOf gives an explanation as the page shows it.
func foundOf(e *mirror.Explanation) admin.Found {
	f := admin.Found{
		Source: e.Source, ID: e.ID, Name: cmp.Or(textIn(e.Graph, "displayName"), e.Name), State: e.State, Why: e.Why,
		Changed: e.Changed, Generation: e.Generation, Graph: indented(e.Graph),
	}
	if e.SCIM != nil {
		f.SCIM = Readable(indented(e.SCIM))
	}
	for _, r := range e.Rules {
		text := r.Text
		if len(r.Path) > 0 {
			text += ": " + strings.Join(append(r.Path, e.Name), " > ")
		}
		f.Rules = append(f.Rules, admin.ScopeRule{Rule: r.Rule, In: r.In, Text: text})
	}
	for _, r := range e.Readers {
		text := r.Text
		if !r.At.IsZero() {
			text += ", at " + r.At.UTC().Format(time.DateTime) + " UTC"
		}
		f.Readers = append(f.Readers, r.Client+" "+text)
	}
	for _, v := range e.Values {
		value := admin.Value{Path: v.Path, JSON: Readable(string(v.JSON)), Rule: v.Rule, Origin: v.Origin, Problem: v.Problem}
		if v.Made {
			value.Origin += ", made up since Entra has none"
		}
		f.Values = append(f.Values, value)
	}
	return f
}

// textIn gives a text of a JSON object, "" where there is none.
func textIn(object []byte, name string) string {
	var all map[string]any
	if json.Unmarshal(object, &all) != nil {
		return ""
	}
	text, _ := all[name].(string)
	return text
}

// Readable writes letters for the escapes with which JSON is served.
func Readable(text string) string {
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
