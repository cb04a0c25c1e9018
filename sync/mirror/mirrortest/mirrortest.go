// Package mirrortest plays random histories on mirrors and compares what they
// serve, after every step, with a naive model: changes in the tenants, untidy
// pages, faults of Graph, of the store and of the disk, crashes, edits of the
// configuration, freezes, approvals, dry runs, sources that come, go, fail for a
// while, or do a round in the middle of another's.
//
// What has to be true after every step: what is served of a source is one whole
// state that its tenant had, or what was served before, and of the other sources
// just what was; nobody who is in the tenant is missing from it; resources keep
// their order, and those that did not change their lastModified and version. In
// the end it is the tenants' state.
//
// The tests of the mirror play short histories, the soak command long ones.
package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"

	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

const baseURL = "https://scim.example.com/scim/v2"

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
	FilteredReads, LaggingLists          int
	Published, Held, Approved, Failed    int
	TenantChanges, Edits                 int
	GraphFaults, StoreFaults, DiskFaults int
	Crashes, Restarts                    int
	Sources, Dropped, Breakdowns, Nested int
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
	return []*int{&f.Histories, &f.Steps, &f.Rounds, &f.FullReads, &f.FilteredReads, &f.LaggingLists, &f.Published, &f.Held, &f.Approved, &f.Failed,
		&f.TenantChanges, &f.Edits, &f.GraphFaults, &f.StoreFaults, &f.DiskFaults,
		&f.Crashes, &f.Restarts, &f.Sources, &f.Dropped, &f.Breakdowns, &f.Nested, &f.ResourcesCompared, &f.Lost}
}

// A game is one history.
type game struct {
	Figures
	ctx  context.Context
	opts Options
	rand *rand.Rand
	step int

	dir   string // of the state; a crash moves to another one
	dirs  int
	disk  *store.DB
	store *faulty

	sources []*source
	named   int // sources that ever were
}

// Play plays one history. The error says where it deviates from the model.
func Play(ctx context.Context, opts Options) (Figures, error) {
	g := &game{ctx: ctx, opts: opts, rand: rand.New(rand.NewPCG(opts.Seed, 2))}
	if g.opts.Log == nil {
		g.opts.Log = slog.New(slog.DiscardHandler)
	}
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
	g.dir = filepath.Join(g.opts.Dir, "0")
	if err := g.open(); err != nil {
		return err
	}
	// The first import goes well, so that there is something to lose.
	s, err := g.come()
	if err == nil {
		err = s.refresh(mirror.Options{})
	}
	if err != nil {
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
		if err := g.untouched(); err != nil {
			return err
		}
	}
	return g.settle()
}

// open opens what is on disk, as a start of the program does.
func (g *game) open() error {
	var err error
	g.disk, err = store.Open(g.ctx, store.Options{Path: filepath.Join(g.dir, "scim-bridge.db"), Program: "mirrortest"})
	if err != nil {
		return err
	}
	g.store = &faulty{Store: g.disk}
	for _, s := range g.sources {
		if err := s.open(); err != nil {
			return err
		}
	}
	return nil
}

func (g *game) close() {
	for _, s := range g.sources {
		s.picture.Close()
	}
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
	return g.start()
}

// restart ends the program and starts it again.
func (g *game) restart() error {
	g.Restarts++
	g.close()
	return g.start()
}

// start is what the program does first: of each source it publishes what is
// stored.
func (g *game) start() error {
	if err := g.open(); err != nil {
		return err
	}
	for _, s := range g.sources {
		if err := s.resume(); err != nil {
			return fmt.Errorf("source %s: %w", s.name, err)
		}
	}
	return nil
}

// nextDir names a directory that there is not yet.
func (g *game) nextDir() string {
	g.dirs++
	return filepath.Join(g.opts.Dir, fmt.Sprint(g.dirs))
}

// errFault is what an armed fault of the store gives.
var errFault = errors.New("a fault by chance")
