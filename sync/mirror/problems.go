package mirror

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/store"
)

// A RuleProblem is a rule of the mapping that could not give its value for
// somebody who is served.
type RuleProblem struct {
	Type directory.Type
	// Path is the attribute, and Reason why it failed in the example. Neither
	// holds a value.
	Path, Reason string
	// Count is how many users or groups it fails for now. Kept is for how many
	// of them the last good value is served; the others go without one, or with
	// what the mapping has for that case.
	Count, Kept int
	// Example is the id of one of them.
	Example string
}

// mostProblems bounds the users and groups whose problems are remembered one by
// one; those beyond are not counted.
const mostProblems = 100_000

// A ruleKey names a rule.
type ruleKey struct {
	typ  directory.Type
	path string
}

// A failure is a rule's failing for one user or group.
type failure struct {
	rule   ruleKey
	reason string
	kept   bool
}

// failingRules remembers for whom which rules fail now.
type failingRules struct {
	mu      sync.Mutex
	byID    map[string][]failure
	counted bool // everybody who is served was looked at
}

// A problemSet collects the failures of one rendering.
type problemSet struct {
	byID map[string][]failure // nil for one who has none any more
	all  bool                 // everybody was rendered
}

// add notes the problems of an object; none clears what was noted.
func (s *problemSet) add(t directory.Type, id string, all []mapping.Problem) {
	var failures []failure
	for _, p := range all {
		failures = append(failures, failure{ruleKey{t, p.Path}, p.Reason, p.Kept})
	}
	if s.byID == nil {
		s.byID = make(map[string][]failure)
	}
	if len(failures) > 0 || !s.all {
		s.byID[id] = failures
	}
}

// take takes a rendering in, and gives the rules that fail for somebody for whom
// they did not before.
func (p *failingRules) take(s *problemSet) []RuleProblem {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.byID
	if s.all || p.byID == nil {
		p.byID = make(map[string][]failure)
	}
	p.counted = p.counted || s.all
	fresh := make(map[ruleKey]*RuleProblem)
	for id, failures := range s.byID {
		for _, f := range failures {
			if !slices.ContainsFunc(before[id], func(old failure) bool { return old.rule == f.rule }) {
				tally(fresh, id, f)
			}
		}
		switch {
		case len(failures) == 0:
			delete(p.byID, id)
		case len(p.byID) < mostProblems || p.byID[id] != nil:
			p.byID[id] = failures
		}
	}
	return sorted(fresh)
}

// list gives the rules that fail now.
func (p *failingRules) list() []RuleProblem {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[ruleKey]*RuleProblem)
	for id, failures := range p.byID {
		for _, f := range failures {
			tally(all, id, f)
		}
	}
	return sorted(all)
}

// tally counts a failure. The example is the least id, so that it stays the same.
func tally(all map[ruleKey]*RuleProblem, id string, f failure) {
	r := all[f.rule]
	if r == nil {
		r = &RuleProblem{Type: f.rule.typ, Path: f.rule.path}
		all[f.rule] = r
	}
	r.Count++
	if f.kept {
		r.Kept++
	}
	if r.Example == "" || id < r.Example {
		r.Example, r.Reason = id, f.reason
	}
}

func sorted(all map[ruleKey]*RuleProblem) []RuleProblem {
	var list []RuleProblem
	for _, r := range all {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b RuleProblem) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Path, b.Path)) })
	return list
}

// recount looks at everybody who is served once after the start, where a
// configured mapping may have failed for them before it: a round renders only
// what changed.
func (r *renderer) recount(ctx context.Context, since uint64) error {
	r.m.failing.mu.Lock()
	counted := r.m.failing.counted
	r.m.failing.mu.Unlock()
	if r.all || counted || r.current == nil || !r.m.cfg.Mapper.Configured() {
		return nil
	}
	whole := problemSet{all: true}
	for _, kind := range []store.Kind{store.User, store.Group} {
		for obj, err := range r.store.Objects(ctx, r.m.cfg.Name, kind, 0) {
			if err != nil {
				return err
			}
			before, known := r.current.ByID(obj.ID)
			if obj.Removed != nil || !known || before.Detached() || obj.Round > since {
				continue
			}
			_, found, err := r.m.cfg.Mapper.Map(before.Type(), mapping.Input{Object: obj.Properties, Previous: before.Head(), HideManager: before.HidesManager(), Now: r.now})
			if err == nil {
				whole.add(before.Type(), obj.ID, found)
			}
		}
	}
	r.m.failing.take(&whole)
	return nil
}
