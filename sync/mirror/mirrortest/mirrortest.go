// Package mirrortest plays random histories on a mirror and compares what it
// serves, after every step, with a naive model: changes in the tenant, untidy
// pages, faults of Graph, of the store and of the disk, crashes, edits of the
// configuration, freezes, approvals, dry runs.
//
// What has to be true after every step: what is served is one whole state that
// the tenant had, or what was served before; nobody who is in the tenant is
// missing from it; resources keep their order, and those that did not change
// their lastModified and version. In the end it is the tenant's state.
//
// The tests of the mirror play short histories, the soak command long ones.
package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

const (
	source  = "contoso"
	baseURL = "https://scim.example.com/scim/v2"
)

// Options say what is played.
type Options struct {
	// Dir is an empty directory for the state.
	Dir string
	// Seed makes a history that can be played again.
	Seed uint64
	// Steps is how long the history is.
	Steps int
	// Log gets what the mirror logs; nil discards.
	Log *slog.Logger
}

// Figures count what was played.
type Figures struct {
	Histories, Steps, Rounds, FullReads  int
	Published, Held, Approved, Failed    int
	TenantChanges, Edits                 int
	GraphFaults, StoreFaults, DiskFaults int
	Crashes, Restarts                    int
	ResourcesCompared                    int
	// Lost counts people who were missing though the tenant had them. Any is a
	// deviation, with which a history ends.
	Lost int
}

// Add adds the figures of another history.
func (f *Figures) Add(o Figures) {
	for i, p := range f.all() {
		*p += *o.all()[i]
	}
}

func (f *Figures) all() []*int {
	return []*int{&f.Histories, &f.Steps, &f.Rounds, &f.FullReads, &f.Published, &f.Held, &f.Approved, &f.Failed,
		&f.TenantChanges, &f.Edits, &f.GraphFaults, &f.StoreFaults, &f.DiskFaults,
		&f.Crashes, &f.Restarts, &f.ResourcesCompared, &f.Lost}
}

// A game is one history.
type game struct {
	Figures
	ctx    context.Context
	opts   Options
	rand   *rand.Rand
	step   int
	tenant *graphtest.Tenant
	people people

	dir     string // of the state; a crash moves to another one
	dirs    int
	disk    *store.DB
	store   *faulty
	picture *directory.Picture
	cfg     mirror.Config
	mirror  *mirror.Mirror

	model model
}

// Play plays one history. The error says where it deviates from the model.
func Play(ctx context.Context, opts Options) (Figures, error) {
	g := &game{ctx: ctx, opts: opts, rand: rand.New(rand.NewPCG(opts.Seed, 2))}
	g.Histories = 1
	err := g.play()
	if g.disk != nil {
		g.close()
	}
	if err != nil {
		err = fmt.Errorf("seed %d, step %d: %w", opts.Seed, g.step, err)
	}
	return g.Figures, err
}

func (g *game) play() error {
	if err := g.begin(); err != nil {
		return err
	}
	for g.step = range g.opts.Steps {
		if err := g.ctx.Err(); err != nil {
			return nil
		}
		g.Steps++
		if err := g.move(); err != nil {
			return err
		}
	}
	return g.settle()
}

// begin makes the tenant and the mirror.
func (g *game) begin() error {
	g.tenant = graphtest.NewTenant(graphtest.Options{
		Seed: g.opts.Seed, PageSize: 2 + g.rand.IntN(12), MembersPerPart: 1 + g.rand.IntN(6), Calm: g.rand.IntN(4) == 0,
	})
	g.tenant.AddApp(graphtest.App{ClientID: clientID, Secret: "s3cret", Consented: true,
		Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Application.Read.All"}})
	g.people = people{tenant: g.tenant, rand: g.rand, managers: make(map[string]string), purged: make(map[string]string), left: make(map[string]bool)}
	for range 30 + g.rand.IntN(30) {
		g.people.addUser()
	}
	for range 3 + g.rand.IntN(6) {
		g.people.addGroup()
	}
	for range 100 {
		g.people.change()
	}
	if g.opts.Log == nil {
		g.opts.Log = slog.New(slog.DiscardHandler)
	}
	g.cfg = mirror.Config{
		Name: source, Tenant: g.tenant.ID(), Interval: time.Minute, Log: g.opts.Log,
		Scope: openScope(),
		Guard: mirror.Guard{MaxRemoved: mirror.Limit{Percent: 20, IsPercent: true}, Floor: 2},
	}
	var err error
	if g.cfg.Mapper, err = mapping.New(mapping.Config{BaseURL: baseURL}); err != nil {
		return err
	}
	if err := g.connect(); err != nil {
		return err
	}
	g.model = model{tenant: g.tenant, mapper: g.cfg.Mapper, people: &g.people, names: make(map[string]map[string]bool)}
	g.dir = filepath.Join(g.opts.Dir, "0")
	if err := g.open(); err != nil {
		return err
	}
	// The first import goes well, so that there is something to lose.
	return g.refresh(mirror.Options{})
}

// openScope serves everybody.
func openScope() mirror.Scope {
	return mirror.Scope{Groups: true, Guests: true, Disabled: true, KeepRemoved: 1000 * time.Hour}
}

// connect makes a client without sockets.
func (g *game) connect() error {
	client, err := graph.New(graph.Config{
		GraphURL: "https://graph.microsoft.com", LoginURL: "https://login.microsoftonline.com",
		TenantID: g.tenant.ID(), ClientID: clientID, Credential: graph.ClientSecret("s3cret"),
		Select:     mirror.Select(g.cfg.Mapper, &mirror.Scope{LicensedOnly: true}),
		HTTPClient: &http.Client{Transport: graphtest.NewServer(g.tenant).Transport()},
		Retry:      graph.Retry{Tries: 3, Base: 10 * time.Microsecond, Max: 20 * time.Microsecond, Total: time.Minute},
	})
	g.cfg.Graph = client
	return err
}

// open opens what is on disk, as a start of the program does.
func (g *game) open() error {
	var err error
	g.disk, err = store.Open(g.ctx, store.Options{Path: filepath.Join(g.dir, "scim-bridge.db"), Program: "mirrortest"})
	if err != nil {
		return err
	}
	g.store = &faulty{Store: g.disk}
	g.picture, err = directory.Open(directory.Options{
		Dir: filepath.Join(g.dir, "picture"), Source: source, BaseURL: baseURL, Keep: 6, Log: g.opts.Log,
	})
	if err != nil {
		return err
	}
	g.configure()
	return nil
}

// configure makes a new mirror over what is open, as a reload does.
func (g *game) configure() {
	g.cfg.Store, g.cfg.Picture = g.store, g.picture
	g.mirror = mirror.New(g.cfg)
}

func (g *game) close() {
	g.picture.Close()
	g.disk.Close()
}

// crash goes on with the copy of the files that was made at the moment of the
// crash; what was in memory is gone.
func (g *game) crash(at string) error {
	g.Crashes++
	g.close()
	old := g.dir
	g.dir = at
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	return g.open()
}

// nextDir names a directory that there is not yet.
func (g *game) nextDir() string {
	g.dirs++
	return filepath.Join(g.opts.Dir, fmt.Sprint(g.dirs))
}

// errFault is what an armed fault of the store gives.
var errFault = errors.New("a fault by chance")
