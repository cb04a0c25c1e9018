package mirrortest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// move makes one step of the history, and compares.
func (g *game) move() error {
	switch n := g.rand.IntN(100); {
	case n < 30:
		g.change()
		return nil
	case n < 60:
		return g.refresh(mirror.Options{Full: g.rand.IntN(10) == 0})
	case n < 75:
		return g.faultyGraph()
	case n < 83:
		return g.faultyStore()
	case n < 86:
		return g.faultyDisk()
	case n < 90:
		return g.restart()
	case n < 93:
		return g.edit()
	case n < 96:
		return g.approve()
	case n < 98:
		return g.freeze()
	default:
		return g.dryRun()
	}
}

// change has things happen in the tenant.
func (g *game) change() {
	for range 1 + g.rand.IntN(8) {
		g.TenantChanges++
		g.people.change()
	}
	if g.rand.IntN(12) == 0 { // a department is closed
		for range 6 + g.rand.IntN(10) {
			g.TenantChanges++
			g.people.remove()
		}
	}
}

// refresh does a round.
func (g *game) refresh(opts mirror.Options) error {
	tenant, err := g.model.capture()
	if err != nil {
		return err
	}
	report, err := g.mirror.Refresh(g.ctx, opts)
	g.Rounds++
	if report.Full() {
		g.FullReads++
	}
	if err != nil {
		// It may have failed after the commit.
		g.Failed++
		g.model.stored = append(g.model.stored, tenant)
		return g.compare(mirror.Failed)
	}
	g.model.stored = []capture{tenant}
	clear(g.people.left)
	return g.compare(report.Outcome)
}

// compare checks what is served after something that ended with an outcome.
func (g *game) compare(outcome mirror.Outcome) error {
	now, err := look(g.picture.Current())
	if err != nil {
		return err
	}
	before := g.model.served
	g.ResourcesCompared += len(now.state)
	if err := g.explain(before, now, outcome); err != nil {
		g.Lost++
		return fmt.Errorf("after a round that ended %q: %w", outcome, err)
	}
	if err := before.followedBy(now); err != nil {
		return err
	}
	g.model.served = now
	return nil
}

// explain finds the state of the tenant that is served, or says why there is
// none.
func (g *game) explain(before, now picture, outcome mirror.Outcome) error {
	kept := before.compare(now.state) == ""
	var difference string
	fits := false
	for _, c := range g.model.stored {
		want := g.model.project(c, g.cfg.Scope, before.state)
		holds := g.model.holds(g.cfg.Guard, before.state, want)
		difference = want.compare(now.state)
		if difference == "" && (!holds || kept || outcome == mirror.Approved) {
			fits = true
		}
		if outcome == mirror.Held && len(g.model.stored) == 1 && !holds {
			return errors.New("it was held, which the model sees no reason for")
		}
	}
	switch outcome {
	case mirror.Published, mirror.Approved, mirror.Unchanged:
		if !fits {
			return fmt.Errorf("what is served is no state that the tenant had, by the guard: %s", difference)
		}
	case mirror.Held, mirror.Frozen:
		if !kept {
			return errors.New("what is served changed")
		}
	default:
		if !kept && !fits {
			return fmt.Errorf("what is served is neither what was nor a state that the tenant had: %s", difference)
		}
	}
	switch outcome {
	case mirror.Published:
		g.Published++
	case mirror.Held:
		g.Held++
	case mirror.Approved:
		g.Approved++
	}
	return nil
}

// followedBy checks the rules of order, lastModified and version, that nobody who
// went has the name of somebody who is there, and that every manager is there.
func (p picture) followedBy(now picture) error {
	names := now.state.attachedNames()
	for id, r := range now.state {
		if manager := r.manager(); manager != "" {
			if _, served := now.state[manager]; !served {
				return fmt.Errorf("user %s names manager %s, who is not served", id, manager)
			}
		}
		if r.detached && names[r.userName()] {
			return fmt.Errorf("user %s went, and has the userName of somebody who is there", id)
		}
	}
	for t := range directory.Type(directory.NumTypes) {
		old := slices.DeleteFunc(slices.Clone(p.order[t]), func(id string) bool { _, ok := now.state[id]; return !ok })
		if len(now.order[t]) < len(old) || !slices.Equal(now.order[t][:len(old)], old) {
			return fmt.Errorf("%ss changed their order: %v, then %v", t, p.order[t], now.order[t])
		}
	}
	for id, r := range now.state {
		was, known := p.state[id]
		switch {
		case !known:
		case was.same(r) && (now.modified[id] != p.modified[id] || now.version[id] != p.version[id]):
			return fmt.Errorf("%s %s is the same and has lastModified %s, which was %s, and version %s, which was %s",
				r.typ, id, now.modified[id], p.modified[id], now.version[id], p.version[id])
		case !was.same(r) && !now.modified[id].After(p.modified[id]):
			return fmt.Errorf("%s %s changed and its lastModified did not", r.typ, id)
		case !was.same(r) && was.head+was.links != r.head+r.links && now.version[id] == p.version[id]:
			return fmt.Errorf("%s %s changed and its version did not", r.typ, id)
		}
	}
	return nil
}

// faultyGraph does a round in which Graph misbehaves.
func (g *game) faultyGraph() error {
	faults := []graphtest.Fault{
		graphtest.Throttled(graphtest.RetrySeconds, 0), graphtest.Unavailable(0), graphtest.Status(500, true), graphtest.Status(504, false),
		graphtest.Truncated(), graphtest.TruncatedGzip(), graphtest.NoLinks(), graphtest.BothLinks(), graphtest.LoopingLink(),
		graphtest.ForeignLink("https://elsewhere.example"), graphtest.PageExpired(), graphtest.DeltaTokenRefused(), graphtest.AccessTokenExpired(),
		graphtest.Denied(), graphtest.Reset(graphtest.BeforeBody), graphtest.Reset(graphtest.WithinBody),
		graphtest.Gone(graphtest.GoneSyncStateNotFound), graphtest.Gone(graphtest.GoneLocation), graphtest.Gone(graphtest.GoneNested),
		graphtest.Gone(graphtest.GoneBadRequest), graphtest.Replay(), graphtest.DanglingMember(), graphtest.RemovedAndAdded(),
	}
	for range 1 + g.rand.IntN(2) {
		f := faults[g.rand.IntN(len(faults))].On([]string{"users", "groups", "users", "groups", "servicePrincipals"}[g.rand.IntN(5)])
		f = f.At([]graphtest.Position{graphtest.AnyPage, graphtest.FirstPage, graphtest.MiddlePage, graphtest.LastPage}[g.rand.IntN(4)])
		if g.rand.IntN(4) == 0 {
			f = f.Forever()
		}
		g.GraphFaults++
		g.tenant.Inject(f)
	}
	err := g.refresh(mirror.Options{})
	g.tenant.ClearFaults()
	return err
}

// faultyStore does a round in which the store fails at some operation: refused,
// done and reported as failed, or with the machine going down at that moment.
func (g *game) faultyStore() error {
	g.StoreFaults++
	g.store.left, g.store.struck, g.store.done = 1+g.rand.IntN(60), false, g.rand.IntN(2) == 0
	to := g.nextDir()
	crashes := g.rand.IntN(2) == 0
	if crashes {
		g.store.crash = func() error { return copyState(g.dir, to) }
	}
	err := g.refresh(mirror.Options{Full: g.rand.IntN(6) == 0})
	struck := g.store.struck
	g.store.left, g.store.crash = 0, nil
	if err != nil || !crashes || !struck {
		return err
	}
	if err := g.crash(to); err != nil {
		return err
	}
	return g.resume()
}

// faultyDisk does a round in which the picture can't be written.
func (g *game) faultyDisk() error {
	g.DiskFaults++
	// Files are written beside their name first; a directory is in the way of
	// the manifest, or of the next segments.
	blocks := []string{"manifest.json"}
	if segments, err := filepath.Glob(filepath.Join(g.dir, "picture", "*.segment")); err == nil && len(segments) > 0 && g.rand.IntN(2) == 0 {
		var last int
		if _, err := fmt.Sscanf(filepath.Base(slices.Max(segments)), "%d.segment", &last); err != nil {
			return err
		}
		blocks = nil
		for n := range 8 {
			blocks = append(blocks, fmt.Sprintf("%08d.segment", last+1+n))
		}
	}
	for i, name := range blocks {
		blocks[i] = filepath.Join(g.dir, "picture", name+".tmp")
		if err := os.Mkdir(blocks[i], 0o700); err != nil {
			return err
		}
	}
	err := g.refresh(mirror.Options{})
	for _, path := range blocks {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// restart ends the program and starts it again.
func (g *game) restart() error {
	g.Restarts++
	g.close()
	if err := g.open(); err != nil {
		return err
	}
	return g.resume()
}

// resume is what a mirror does first: it publishes what is stored.
func (g *game) resume() error {
	report, err := g.mirror.Publish(g.ctx)
	if err != nil {
		return err
	}
	if len(g.model.stored) == 0 {
		return g.compare(mirror.Failed) // nothing has been stored for certain
	}
	if report.Outcome == mirror.Unchanged {
		return g.compare(mirror.Failed) // as it was, or published just before
	}
	return g.compare(report.Outcome)
}

// edit changes the configuration, as a reload does.
func (g *game) edit() error {
	g.Edits++
	switch g.rand.IntN(6) {
	case 0:
		g.cfg.Guard.Floor = g.rand.IntN(6)
	case 1:
		g.cfg.FullEvery = []time.Duration{0, time.Nanosecond}[g.rand.IntN(2)]
	default:
		if err := g.editScope(); err != nil {
			return err
		}
	}
	g.configure()
	if err := g.resume(); err != nil {
		return err
	}
	if g.rand.IntN(3) == 0 {
		return nil
	}
	// What follows shall not wait for an approval too often.
	if err := g.refresh(mirror.Options{}); err != nil {
		return err
	}
	return g.approve()
}

// approve lets through what is held, if anything is.
func (g *game) approve() error {
	if g.mirror.Status().Held == nil {
		return g.refresh(mirror.Options{})
	}
	report, err := g.mirror.Approve(g.ctx, 0, "the history")
	if err != nil {
		return err
	}
	return g.compare(report.Outcome)
}

// freeze freezes the source, goes on for some rounds, and thaws it.
func (g *game) freeze() error {
	if err := g.mirror.Freeze(g.ctx, "the history"); err != nil {
		return err
	}
	for range g.rand.IntN(4) {
		g.change()
		if err := g.refresh(mirror.Options{}); err != nil {
			return err
		}
	}
	report, err := g.mirror.Unfreeze(g.ctx, "the history")
	if err != nil {
		return err
	}
	if report.Outcome == mirror.Unchanged {
		return g.compare(mirror.Failed)
	}
	return g.compare(report.Outcome)
}

// dryRun does a round that must change nothing.
func (g *game) dryRun() error {
	before, err := g.disk.Source(g.ctx, source)
	if err != nil {
		return err
	}
	generation := g.picture.Current().Generation()
	if _, err := g.mirror.Refresh(g.ctx, mirror.Options{DryRun: true, Full: g.rand.IntN(4) == 0}); err != nil {
		return err
	}
	after, err := g.disk.Source(g.ctx, source)
	switch {
	case err != nil:
		return err
	case after.Round != before.Round || g.picture.Current().Generation() != generation:
		return errors.New("a dry run changed something")
	}
	return nil
}

// settle lets everything come to rest: then what is served is the tenant.
func (g *game) settle() error {
	g.tenant.ClearFaults()
	for range 10 {
		if err := g.refresh(mirror.Options{Full: true}); err != nil {
			return err
		}
		if g.mirror.Status().Held == nil {
			break
		}
		if err := g.approve(); err != nil {
			return err
		}
	}
	tenant, err := g.model.capture()
	if err != nil {
		return err
	}
	now, err := look(g.picture.Current())
	if err != nil {
		return err
	}
	want := g.model.project(tenant, g.cfg.Scope, g.model.served.state)
	if difference := want.compare(now.state); difference != "" {
		g.Lost++
		return fmt.Errorf("in the end it is not the tenant: %s", difference)
	}
	return nil
}
