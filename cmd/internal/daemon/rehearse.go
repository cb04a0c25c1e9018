package daemon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/rehearse"
	"scimbridge/scim"
	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// errRehearsing is the answer to a rehearsal while another one is under way:
// each reads the whole directory.
var errRehearsing = errors.New("another rehearsal is under way; try again when it is done")

// RehearseImport implements admin.Backend. It asks a handler of its own, so the
// rehearsal is no import of any client, counts for nobody's rate, and disturbs
// none that is under way.
func (d *Daemon) RehearseImport(ctx context.Context, platform, client string, limit int) (*rehearse.Report, error) {
	if !d.rehearsing.TryLock() {
		return nil, errRehearsing
	}
	defer d.rehearsing.Unlock()
	gen := d.gen.Load()
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(gen.sources)) {
		s := gen.sources[name]
		if scope := s.served(); s.mapper != nil && otherwise(s.picture, s.mapper, &scope) {
			stale = append(stale, name)
		}
	}
	return rehearsal(ctx, gen.scim, origins{d.store, gen.inventors, gen.scim.View}, platform, client, stale, limit)
}

// otherwise says whether what is served of a source was rendered by another mapping
// or scope than it has: the daemon has not run since an edit, or what came of it is
// held.
func otherwise(p *directory.Picture, m *mapping.Mapper, scope *mirror.Scope) bool {
	cur := p.Current()
	return cur != nil && !mirror.RenderedBy(cur, m, scope)
}

// origins tells where users and groups are from, and which of their values a
// mapping made up.
type origins struct {
	store   *store.DB
	mappers map[string]*mapping.Mapper // by source; only those that make anything up
	view    func() (*directory.View, error)
}

// inventors gives the mappers of a configuration, in the order of its sources,
// that make values up.
func inventors(cfg *config.Config, mappers []*mapping.Mapper) map[string]*mapping.Mapper {
	all := make(map[string]*mapping.Mapper)
	for i, m := range mappers {
		if m.MakesUp() {
			all[cfg.Sources[i].Name] = m
		}
	}
	return all
}

// source names the source that a user or group is from.
func (i origins) source(id string) string {
	v, err := i.view()
	if err != nil {
		return ""
	}
	if r, served := v.ByID(id); served {
		return r.Source()
	}
	return ""
}

// of gives the attributes of a user that were made up. It is rehearse's Made.
func (i origins) of(ctx context.Context, id string) ([]string, error) {
	v, err := i.view()
	if err != nil {
		return nil, err
	}
	r, served := v.ByID(id)
	if !served || i.mappers[r.Source()] == nil {
		return nil, nil
	}
	obj, known, err := i.store.Object(ctx, r.Source(), store.User, id)
	if err != nil || !known {
		return nil, err
	}
	values, _, err := i.mappers[r.Source()].Explain(directory.User, mapping.Input{Object: obj.Properties, Now: time.Now()})
	if err != nil {
		return nil, fmt.Errorf("explaining user %s: %w", id, err)
	}
	var made []string
	for _, v := range values {
		if v.Made {
			made = append(made, v.Path)
		}
	}
	return made, nil
}

// rehearsal does a rehearsal against the endpoint that cfg describes. stale are the
// sources that are served otherwise than the file has it.
func rehearsal(ctx context.Context, cfg scim.Config, made origins, platform, name string, stale []string, limit int) (*rehearse.Report, error) {
	p, err := rehearse.Find(platform)
	if err != nil {
		return nil, err
	}
	client, err := rehearsingClient(cfg.Clients, p.Name, name)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	name = client.Name
	cfg.Clients = []scim.Client{{Name: "rehearsal", Sources: client.Sources, Tokens: [][sha256.Size]byte{sha256.Sum256([]byte(token))}}}
	cfg.Sessions, cfg.Key, cfg.Log, cfg.Tracer = nil, nil, slog.New(slog.DiscardHandler), nil
	handler, err := scim.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("making the endpoint to rehearse against: %w", err)
	}
	opts := rehearse.Options{
		Platform: p, Limit: limit, Source: made.source,
		Endpoint: rehearse.Endpoint{URL: cfg.BaseURL, Authorization: "Bearer " + token, Transport: rehearse.HandlerTransport(handler)},
	}
	if len(made.mappers) > 0 {
		opts.Made = made.of
	}
	report, err := rehearse.Run(ctx, opts)
	if report != nil {
		report.Client = name
		report.Stale = slices.DeleteFunc(stale, func(source string) bool {
			return client.Sources != nil && !slices.Contains(client.Sources, source)
		})
	}
	return report, err
}

// rehearsingClient gives the client that a rehearsal is done as: the one named;
// without a name the one called like the platform, or the only one there is, or
// one that sees everything.
func rehearsingClient(clients []scim.Client, platform, name string) (scim.Client, error) {
	wanted := name
	if wanted == "" {
		wanted = platform
	}
	var names []string
	for _, c := range clients {
		if strings.EqualFold(c.Name, wanted) {
			return c, nil
		}
		names = append(names, c.Name)
	}
	switch {
	case name != "":
		return scim.Client{}, fmt.Errorf("there is no client %q; there are: %s", name, strings.Join(names, ", "))
	case len(clients) == 1:
		return clients[0], nil
	}
	return scim.Client{}, nil
}

// RehearseStored rehearses against what is stored, where no daemon runs. Nothing
// is asked of Microsoft.
func RehearseStored(ctx context.Context, cfg *config.Config, program, platform, client string, limit int) (_ *rehearse.Report, err error) {
	// The store's lock keeps a daemon from starting meanwhile.
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(string(cfg.State.Directory), "scim-bridge.db"), Program: program})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	mappers, err := mappers(cfg, cfg.SCIM.PublicURL)
	if err != nil {
		return nil, err
	}
	var library directory.Library
	var pictures []*directory.Picture
	defer func() {
		for _, p := range pictures {
			p.Close() // only forbids it to write
		}
	}()
	var stale []string
	for i, s := range cfg.Sources {
		state, err := db.Source(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		p, err := directory.Open(directory.Options{
			Dir: filepath.Join(picturesDir(cfg), s.Name), Source: s.Name, Formerly: state.Formerly, BaseURL: cfg.SCIM.PublicURL, Keep: cfg.State.KeepGenerations,
		})
		if err != nil {
			return nil, fmt.Errorf("opening the picture of source %s: %w", s.Name, err)
		}
		pictures = append(pictures, p)
		if s.Enabled && p.Current() == nil {
			return nil, fmt.Errorf("nothing is stored of source %s yet: start the daemon, and let it import once", s.Name)
		}
		scope, err := scopeOf(s, cfg.Tables)
		if err != nil {
			return nil, err
		}
		if otherwise(p, mappers[i], &scope) {
			stale = append(stale, s.Name)
		}
	}
	library.SetPictures(pictures)
	var clients []scim.Client // what rehearsingClient asks for
	for _, c := range cfg.SCIM.Clients {
		clients = append(clients, scim.Client{Name: c.Name, Sources: c.Sources})
	}
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
	}
	if err := shownStored(ctx, db, clients, names); err != nil {
		return nil, err
	}
	view := func() (*directory.View, error) { return library.View(), nil }
	report, err := rehearsal(ctx, scim.Config{
		BaseURL: cfg.SCIM.PublicURL, View: view, ViewByID: library.ByID,
		Schemas: mapping.Schemas(mappers...), Extends: mapping.Extends(mappers...), Clients: clients, PublicDiscovery: cfg.SCIM.PublicDiscovery, IndexOnly: !cfg.SCIM.CursorPaging,
		DefaultPageSize: cfg.SCIM.PageSize.Default, MaxPageSize: cfg.SCIM.PageSize.Max,
	}, origins{db, inventors(cfg, mappers), view}, platform, client, stale, limit)
	if report != nil {
		report.Stored = true
	}
	return report, err
}
