package mirrortest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// maxSources is how many sources there are at a time.
const maxSources = 3

// A source is a tenant, the mirror of it, and the model of that.
type source struct {
	*game
	name   string
	tenant *graphtest.Tenant
	people people

	picture *directory.Picture
	seen    *directory.Snapshot // when it was last compared
	cfg     mirror.Config
	mirror  *mirror.Mirror
	model   model

	down bool // the tenant answers nothing
	out  bool // it is not in the configuration: nobody mirrors it
}

// come has a source come, of a tenant of its own. Now and then it has the name of
// one that went for good.
func (g *game) come() (*source, error) {
	g.Sources++
	name := fmt.Sprintf("tenant%d", g.named)
	if again := fmt.Sprintf("tenant%d", g.rand.IntN(g.named+1)); !slices.ContainsFunc(g.sources, func(s *source) bool { return s.name == again }) {
		name = again
	}
	g.named++
	s := &source{game: g, name: name}
	s.tenant = graphtest.NewTenant(graphtest.Options{
		Seed: g.opts.Seed + uint64(g.named)<<32, PageSize: 2 + g.rand.IntN(12), MembersPerPart: 1 + g.rand.IntN(6), Calm: g.rand.IntN(4) == 0,
	})
	s.tenant.AddApp(graphtest.App{ClientID: clientID, Secret: "s3cret", Consented: true,
		Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Application.Read.All"}})
	s.people = people{tenant: s.tenant, rand: g.rand, domain: fmt.Sprintf("tenant%d.example", g.named),
		managers: make(map[string]string), purged: make(map[string]string), binned: make(map[string]bool), left: make(map[string][]string), gone: make(map[string][]string)}
	for range 20 + g.rand.IntN(30) {
		s.people.addUser()
	}
	for range 3 + g.rand.IntN(6) {
		s.people.addGroup()
	}
	for range 100 {
		s.people.change()
	}
	s.cfg = mirror.Config{
		Name: s.name, Tenant: s.tenant.ID(), Interval: time.Minute, Log: g.opts.Log,
		Scope: openScope(),
		Guard: mirror.Guard{MaxRemoved: mirror.Limit{Percent: 20, IsPercent: true}, Floor: 2},
		Names: mirror.NameRule{Others: func() []*directory.Snapshot { return g.snapshots(s) }},
	}
	var err error
	switch g.rand.IntN(4) { // half of them read by filter from the beginning
	case 0:
		s.cfg.Scope.FilteredRead, s.cfg.Scope.Guests = true, false
	case 1:
		s.cfg.Scope.FilteredRead = true
		if s.cfg.Scope.Where, err = condition(enabled); err != nil {
			return nil, err
		}
	}
	if s.cfg.Mapper, err = mapping.New(mapping.Config{BaseURL: baseURL}); err != nil {
		return nil, err
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	s.model = model{tenant: s.tenant, mapper: s.cfg.Mapper, people: &s.people, names: make(map[string]map[string]bool)}
	g.sources = append(g.sources, s)
	return s, s.open()
}

// openScope serves everybody.
func openScope() mirror.Scope {
	return mirror.Scope{Groups: true, Guests: true, Disabled: true, KeepRemoved: 1000 * time.Hour}
}

// connect makes a client without sockets.
func (s *source) connect() error {
	client, err := graph.New(graph.Config{
		GraphURL: "https://graph.microsoft.com", LoginURL: "https://login.microsoftonline.com",
		TenantID: s.tenant.ID(), ClientID: clientID, Credential: graph.ClientSecret("s3cret"),
		Select:     mirror.Select(s.cfg.Mapper, &mirror.Scope{LicensedOnly: true}),
		HTTPClient: &http.Client{Transport: graphtest.NewServer(s.tenant).Transport()},
		Retry:      graph.Retry{Tries: 3, Base: 10 * time.Microsecond, Max: 20 * time.Microsecond, Total: time.Minute},
	})
	s.cfg.Graph = client
	return err
}

// pictureDir is where what is served of the source lies.
func (s *source) pictureDir() string { return filepath.Join(s.dir, "pictures", s.name) }

// open opens what is served.
func (s *source) open() error {
	var err error
	s.picture, err = directory.Open(directory.Options{
		Dir: s.pictureDir(), Source: s.name, BaseURL: baseURL, Keep: 6, Log: s.opts.Log,
	})
	s.configure()
	return err
}

// configure makes a new mirror over what is open, as a reload does.
func (s *source) configure() {
	s.cfg.Store, s.cfg.Picture = s.store, s.picture
	s.people.filtered = s.people.filtered || s.cfg.Scope.FilteredRead
	s.mirror = mirror.New(s.cfg)
}

// snapshots are what is served of all sources but one.
func (g *game) snapshots(but *source) (all []*directory.Snapshot) {
	for _, s := range g.sources {
		if served := s.picture.Current(); s != but && served != nil {
			all = append(all, served)
		}
	}
	return all
}

// move makes one step of the history.
func (g *game) move() error {
	switch n := g.rand.IntN(100); {
	case n < 4:
		return g.restart()
	case n < 9 && len(g.sources) < maxSources:
		_, err := g.come()
		return err
	}
	s := g.sources[g.rand.IntN(len(g.sources))]
	if err := s.turn(); err != nil {
		return fmt.Errorf("source %s: %w", s.name, err)
	}
	return nil
}

// turn is a step of one source.
func (s *source) turn() error {
	switch n := s.rand.IntN(100); {
	case s.out && s.rand.IntN(2) == 0:
		return s.drop()
	case s.out || n < 4:
		s.out = !s.out // it leaves the file, or is in it again
		s.configure()
		return nil
	case s.down && n < 25 || !s.down && n < 7:
		s.setDown(!s.down)
		return nil
	case n < 11:
		return s.nest()
	case s.picture.Current() == nil:
		s.change()
		return s.faultyGraph() // a first import has to be whole, however often it fails
	}
	return s.act()
}

// setDown has the tenant answer nothing more, or all again.
func (s *source) setDown(down bool) {
	s.tenant.ClearFaults()
	if s.down = down; down {
		s.Breakdowns++
		s.tenant.Inject(graphtest.Unavailable(0).On([]string{"users", "groups"}[s.rand.IntN(2)]).Forever())
	}
}

// drop has a source that is not in the configuration go for good.
func (s *source) drop() error {
	if len(s.sources) == 1 {
		return nil
	}
	s.Dropped++
	if err := s.disk.DropSource(s.ctx, s.name); err != nil {
		return err
	}
	s.game.sources = slices.DeleteFunc(s.sources, func(o *source) bool { return o == s })
	return errors.Join(s.picture.Close(), os.RemoveAll(s.pictureDir()))
}

// nest does a round in the middle of another source's.
func (s *source) nest() error {
	other := s.sources[s.rand.IntN(len(s.sources))]
	if other == s || other.out {
		return nil
	}
	s.Nested++
	s.change()
	other.change()
	var err error
	s.store.left = 1 + s.rand.IntN(60)
	s.store.between = func() { err = other.refresh(mirror.Options{Full: s.rand.IntN(6) == 0}) }
	own := s.refresh(mirror.Options{Full: s.rand.IntN(6) == 0})
	s.store.left, s.store.between = 0, nil
	if err != nil {
		return fmt.Errorf("in the middle of it, source %s: %w", other.name, err)
	}
	return own
}

// untouched checks that sources with which nothing was done are served as they
// were, and that all of them are side by side.
func (g *game) untouched() error {
	view := directory.NewView(g.snapshots(nil)...)
	var total [directory.NumTypes]int
	for _, s := range g.sources {
		for t := range directory.Type(directory.NumTypes) {
			total[t] += len(s.model.served.order[t])
		}
		current := s.picture.Current()
		if current == s.seen {
			continue
		}
		now, err := look(current)
		if err != nil {
			return err
		}
		before := s.model.served
		if difference := before.compare(now.state); difference != "" {
			g.Lost++
			return fmt.Errorf("source %s, with which nothing was done, is another: %s", s.name, difference)
		}
		if err := before.followedBy(now); err != nil {
			return fmt.Errorf("source %s, with which nothing was done: %w", s.name, err)
		}
		s.seen = current
	}
	for t := range directory.Type(directory.NumTypes) {
		if view.Len(t) != total[t] {
			return fmt.Errorf("%d %ss are in the view, %d in the sources", view.Len(t), t, total[t])
		}
	}
	return nil
}

// settle lets everything come to rest: then what is served is the tenants.
func (g *game) settle() error {
	for _, s := range g.sources {
		s.setDown(false)
		if s.out {
			s.out = false
			s.configure()
		}
		if err := s.settle(); err != nil {
			return fmt.Errorf("source %s: %w", s.name, err)
		}
	}
	return g.untouched()
}
