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

// act makes one step of what happens to a source by itself, and compares.
func (s *source) act() error {
	switch n := s.rand.IntN(100); {
	case n < 30:
		s.change()
		return nil
	case n < 60:
		return s.refresh(mirror.Options{Full: s.rand.IntN(10) == 0})
	case n < 75:
		return s.faultyGraph()
	case n < 83:
		return s.faultyStore()
	case n < 86:
		return s.faultyDisk()
	case n < 90:
		return s.edit()
	case n < 94:
		return s.approve()
	case n < 97:
		return s.freeze()
	default:
		return s.dryRun()
	}
}

// change has things happen in the tenant.
func (s *source) change() {
	for range 1 + s.rand.IntN(8) {
		s.TenantChanges++
		s.people.change()
	}
	if s.rand.IntN(12) == 0 { // a department is closed
		for range 6 + s.rand.IntN(10) {
			s.TenantChanges++
			s.people.remove()
		}
	}
}

// refresh does a round.
func (s *source) refresh(opts mirror.Options) error {
	tenant, err := s.model.capture()
	if err != nil {
		return err
	}
	report, err := s.mirror.Refresh(s.ctx, opts)
	s.Rounds++
	if report.Full() {
		s.FullReads++
	}
	if report.FullUsers && s.cfg.Scope.Filtered() {
		s.FilteredReads++
	}
	s.tenant.LagLists(false, false)
	if err != nil {
		// It may have failed after the commit.
		s.Failed++
		s.model.stored = append(s.model.stored, tenant)
		return s.compare(mirror.Failed)
	}
	if s.rand.IntN(3) == 0 {
		// A list may show the tenant as it is now, and the deltas that follow it
		// begin here, or before.
		s.LaggingLists++
		s.tenant.LagLists(true, true)
	}
	s.model.stored = []capture{tenant}
	if s.cfg.Scope.ReadsGroups() {
		s.people.read()
	}
	return s.compare(report.Outcome)
}

// compare checks what is served after something that ended with an outcome.
func (s *source) compare(outcome mirror.Outcome) error {
	now, err := look(s.picture.Current())
	if err != nil {
		return err
	}
	before := s.model.served
	s.ResourcesCompared += len(now.state)
	if err := s.explain(before, now, outcome); err != nil {
		s.Lost++
		return fmt.Errorf("after a round that ended %q: %w", outcome, err)
	}
	if err := before.followedBy(now); err != nil {
		return err
	}
	s.model.served, s.seen = now, s.picture.Current()
	return nil
}

// explain finds the state of the tenant that is served, or says why there is
// none.
func (s *source) explain(before, now picture, outcome mirror.Outcome) error {
	kept := before.compare(now.state) == ""
	var difference string
	fits := false
	for _, c := range s.model.stored {
		want := s.model.project(c, s.cfg.Scope, before.state)
		holds := s.model.holds(s.cfg.Guard, before.state, want)
		difference = want.compare(now.state)
		if difference == "" && (!holds || kept || outcome == mirror.Approved) {
			fits = true
		}
		if outcome == mirror.Held && len(s.model.stored) == 1 && !holds {
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
		s.Published++
	case mirror.Held:
		s.Held++
	case mirror.Approved:
		s.Approved++
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
func (s *source) faultyGraph() error {
	faults := []graphtest.Fault{
		graphtest.Throttled(graphtest.RetrySeconds, 0), graphtest.Unavailable(0), graphtest.Status(500, true), graphtest.Status(504, false),
		graphtest.Truncated(), graphtest.TruncatedGzip(), graphtest.NoLinks(), graphtest.BothLinks(), graphtest.LoopingLink(),
		graphtest.ForeignLink("https://elsewhere.example"), graphtest.PageExpired(), graphtest.DeltaTokenRefused(), graphtest.AccessTokenExpired(),
		graphtest.Denied(), graphtest.Reset(graphtest.BeforeBody), graphtest.Reset(graphtest.WithinBody),
		graphtest.Gone(graphtest.GoneSyncStateNotFound), graphtest.Gone(graphtest.GoneLocation), graphtest.Gone(graphtest.GoneNested),
		graphtest.Gone(graphtest.GoneBadRequest), graphtest.Replay(), graphtest.DanglingMember(), graphtest.RemovedAndAdded(),
	}
	s.tenant.LagLists(false, false) // they may have it begin anew
	for range 1 + s.rand.IntN(2) {
		f := faults[s.rand.IntN(len(faults))].On([]string{"users", "groups", "users", "groups", "servicePrincipals"}[s.rand.IntN(5)])
		f = f.At([]graphtest.Position{graphtest.AnyPage, graphtest.FirstPage, graphtest.MiddlePage, graphtest.LastPage}[s.rand.IntN(4)])
		if s.rand.IntN(4) == 0 {
			f = f.Forever()
		}
		s.GraphFaults++
		s.tenant.Inject(f)
	}
	err := s.refresh(mirror.Options{})
	s.setDown(false)
	return err
}

// faultyStore does a round in which the store fails at some operation: refused,
// done and reported as failed, or with the machine going down at that moment.
func (s *source) faultyStore() error {
	s.StoreFaults++
	s.store.left, s.store.struck, s.store.done = 1+s.rand.IntN(60), false, s.rand.IntN(2) == 0
	to := s.nextDir()
	crashes := s.rand.IntN(2) == 0
	if crashes {
		s.store.crash = func() error { return copyState(s.dir, to) }
	}
	err := s.refresh(mirror.Options{Full: s.rand.IntN(6) == 0})
	struck := s.store.struck
	s.store.left, s.store.crash = 0, nil
	if err != nil || !crashes || !struck {
		return err
	}
	return s.crash(to)
}

// faultyDisk does a round in which the picture can't be written.
func (s *source) faultyDisk() error {
	s.DiskFaults++
	// Files are written beside their name first; a directory is in the way of
	// the manifest, or of the next segments.
	blocks := []string{"manifest.json"}
	if segments, err := filepath.Glob(filepath.Join(s.pictureDir(), "*.segment")); err == nil && len(segments) > 0 && s.rand.IntN(2) == 0 {
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
		blocks[i] = filepath.Join(s.pictureDir(), name+".tmp")
		if err := os.Mkdir(blocks[i], 0o700); err != nil {
			return err
		}
	}
	err := s.refresh(mirror.Options{})
	for _, path := range blocks {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// resume is what a mirror does first: it publishes what is stored.
func (s *source) resume() error {
	if s.out {
		return nil
	}
	report, err := s.mirror.Publish(s.ctx)
	if err != nil {
		return err
	}
	if len(s.model.stored) == 0 {
		return s.compare(mirror.Failed) // nothing has been stored for certain
	}
	if report.Outcome == mirror.Unchanged {
		return s.compare(mirror.Failed) // as it was, or published just before
	}
	return s.compare(report.Outcome)
}

// edit changes the configuration, as a reload does.
func (s *source) edit() error {
	s.Edits++
	switch s.rand.IntN(6) {
	case 0:
		s.cfg.Guard.Floor = s.rand.IntN(6)
	case 1:
		s.cfg.FullEvery = []time.Duration{0, time.Nanosecond}[s.rand.IntN(2)]
	default:
		if err := s.editScope(); err != nil {
			return err
		}
	}
	s.configure()
	if err := s.resume(); err != nil {
		return err
	}
	if s.rand.IntN(3) == 0 {
		return nil
	}
	// What follows shall not wait for an approval too often.
	if err := s.refresh(mirror.Options{}); err != nil {
		return err
	}
	return s.approve()
}

// approve lets through what is held, if anything is.
func (s *source) approve() error {
	if s.mirror.Status().Held == nil {
		return s.refresh(mirror.Options{})
	}
	report, err := s.mirror.Approve(s.ctx, 0, "the history")
	if err != nil {
		return err
	}
	return s.compare(report.Outcome)
}

// freeze freezes the source, goes on for some rounds, and thaws it.
func (s *source) freeze() error {
	if err := s.mirror.Freeze(s.ctx, "the history"); err != nil {
		return err
	}
	for range s.rand.IntN(4) {
		s.change()
		if err := s.refresh(mirror.Options{}); err != nil {
			return err
		}
	}
	report, err := s.mirror.Unfreeze(s.ctx, "the history")
	if err != nil {
		return err
	}
	if report.Outcome == mirror.Unchanged {
		return s.compare(mirror.Failed)
	}
	return s.compare(report.Outcome)
}

// dryRun does a round that must change nothing.
func (s *source) dryRun() error {
	before, err := s.disk.Source(s.ctx, s.name)
	if err != nil {
		return err
	}
	generation := s.picture.Current().Generation()
	if _, err := s.mirror.Refresh(s.ctx, mirror.Options{DryRun: true, Full: s.rand.IntN(4) == 0}); err != nil && !s.down {
		return err
	}
	after, err := s.disk.Source(s.ctx, s.name)
	switch {
	case err != nil:
		return err
	case after.Round != before.Round || s.picture.Current().Generation() != generation:
		return errors.New("a dry run changed something")
	}
	return nil
}

// settle lets a source come to rest: then what is served is its tenant.
func (s *source) settle() error {
	for range 10 {
		if err := s.refresh(mirror.Options{Full: true}); err != nil {
			return err
		}
		if s.mirror.Status().Held == nil {
			break
		}
		if err := s.approve(); err != nil {
			return err
		}
	}
	tenant, err := s.model.capture()
	if err != nil {
		return err
	}
	now, err := look(s.picture.Current())
	if err != nil {
		return err
	}
	want := s.model.project(tenant, s.cfg.Scope, s.model.served.state)
	if difference := want.compare(now.state); difference != "" {
		s.Lost++
		return fmt.Errorf("in the end it is not the tenant: %s", difference)
	}
	return nil
}
