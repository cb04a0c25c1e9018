package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/scim"
	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// maxExplained bounds how many users and groups of one name are explained.
const maxExplained = 20

// Explain says why the users and groups that a text names are in the endpoint, or
// are not: those of one source, or with an empty name of all. by is who asks, for
// the record: whom it concerns is personal data, so that each answer leaves a line
// in the log, with ids and without names.
func (d *Daemon) Explain(ctx context.Context, name, text, by string) ([]mirror.Explanation, error) {
	all, err := d.explain(ctx, name, text)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, e := range all {
		ids[i] = e.ID
	}
	d.log.Info("personal data was looked up", "by", by, "found", ids)
	return all, nil
}

func (d *Daemon) explain(ctx context.Context, name, text string) ([]mirror.Explanation, error) {
	sources := d.gen.Load().sources
	names := slices.Sorted(maps.Keys(sources))
	var notPulled error
	if name != "" {
		if _, notPulled = d.pulled(name); errors.Is(notPulled, admin.ErrNoSource) {
			return nil, notPulled
		}
		names = []string{name}
	}
	all := []mirror.Explanation{}
	for _, name := range names {
		s := sources[name]
		if s.mirror == nil {
			continue // it is served as it was, and by no rule
		}
		found, err := s.mirror.Explain(ctx, text, maxExplained-len(all))
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		all = append(all, found...)
	}
	all = append(all, d.explainLeft(name, text, maxExplained-len(all))...)
	for i := range all {
		if all[i].State != mirror.StateAbsent {
			all[i].Readers = d.readers(&all[i])
		}
	}
	if len(all) == 0 && notPulled != nil {
		return nil, notPulled
	}
	return all, nil
}

// explainLeft explains who is served of sources that are not pulled: of the one
// named, or with an empty name of all.
func (d *Daemon) explainLeft(name, text string, limit int) (all []mirror.Explanation) {
	v, sources := d.library.View(), d.gen.Load().sources
	seen := make(map[string]bool)
	add := func(r directory.Resource) {
		s, key := sources[r.Source()], r.Source()+" "+r.ID()
		if s == nil || s.mirror != nil || name != "" && s.name != name || seen[key] || len(all) >= limit {
			return
		}
		seen[key] = true
		e := mirror.ExplainServed(s.name, s.picture, r)
		e.Name, e.Why = nameOf(r), "served as it was: the source is not pulled ("+s.state+")"
		all = append(all, e)
	}
	text = strings.TrimSpace(text)
	if r, ok := v.ByID(strings.ToLower(text)); ok {
		add(r)
	}
	for t := range directory.Type(directory.NumTypes) {
		for _, i := range v.Named(t, text) {
			add(v.At(t, i))
		}
	}
	return all
}

// ExplainSample explains an object as if a source had it, without a daemon.
func ExplainSample(cfg *config.Config, name string, group bool, object []byte) (mirror.Explanation, error) {
	i := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Name == name })
	if i < 0 {
		return mirror.Explanation{}, fmt.Errorf("%w %q", admin.ErrNoSource, name)
	}
	all, err := mappers(cfg, cfg.SCIM.PublicURL)
	if err != nil {
		return mirror.Explanation{}, err
	}
	scope, err := scopeOf(cfg.Sources[i], cfg.Tables)
	if err != nil {
		return mirror.Explanation{}, err
	}
	kind := store.User
	if group {
		kind = store.Group
	}
	return mirror.Sample(mirror.Config{Name: name, Mapper: all[i], Scope: scope}, kind, object)
}

// readers says of every client that sees a source whether it has read a resource
// since that changed, by what is known of its imports.
func (d *Daemon) readers(e *mirror.Explanation) []mirror.Reader {
	known := make(map[string]scim.ClientStatus)
	for _, c := range d.sessions.Status() {
		known[c.Client] = c
	}
	var all []mirror.Reader
	gen := d.gen.Load()
	for _, c := range gen.clients {
		if !gen.sees(c.Name, e.Source) {
			continue
		}
		r := reader(known[c.Name], c.Name, e)
		if slices.Contains(gen.kept[c.Name], e.Source) {
			r.Text += "; its list of sources no longer has " + e.Source + ", which waits for scim-bridge approve --client " + c.Name
		}
		all = append(all, r)
	}
	return all
}

func reader(c scim.ClientStatus, name string, e *mirror.Explanation) mirror.Reader {
	r := mirror.Reader{Client: name, Text: "has not imported it since it last changed"}
	var before time.Time
	for _, w := range c.Walks {
		if w.Filtered || w.Endpoint != "/" && w.Endpoint != "/"+e.Type+"s" {
			continue
		}
		at := w.Started
		if w.LastDelta.After(at) {
			at = w.LastDelta
		}
		switch {
		case !w.Done:
		case !at.Before(e.Changed):
			if at.After(r.At) {
				r.At, r.Text = at, "has read it since it last changed"
			}
		case at.After(before):
			before = at
		}
	}
	switch {
	case !r.At.IsZero():
	case !before.IsZero():
		r.Text += "; its last import was at " + before.UTC().Format(time.DateTime) + " UTC"
	case c.LastRequest.IsZero():
		r.Text = "has asked for nothing that is known of"
	}
	return r
}
