package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/sync/store"
)

// A Guard says how much a publication may take away at once. Platforms
// deactivate whom they no longer see, so what is lost by mistake is lost by
// everybody.
type Guard struct {
	// MaxRemoved is how many users, and how many groups, may disappear or turn
	// inactive at once.
	MaxRemoved Limit
	// Floor is how many may go whatever the percentage, so that one leaver of
	// five is not held. It does not raise a limit that is a number.
	Floor int
}

// A Limit is a number, or a share of what is served.
type Limit struct {
	Count   int
	Percent float64 // used where IsPercent
	// IsPercent has Percent used, and Count not.
	IsPercent bool
}

// Of is how many of total the limit lets go.
func (l Limit) Of(total int) int {
	if l.IsPercent {
		return int(l.Percent / 100 * float64(total))
	}
	return l.Count
}

// String gives the limit as it is written in the configuration.
func (l Limit) String() string {
	if l.IsPercent {
		return fmt.Sprintf("%g%%", l.Percent)
	}
	return fmt.Sprint(l.Count)
}

// A Verdict is what the guard and the assertions say against a snapshot.
type Verdict struct {
	Reasons []Reason `json:"reasons,omitempty"`
}

// A Reason is one thing that speaks against publishing.
type Reason struct {
	// Rule is the rule's name: safeguard, empty, or assert.
	Rule string `json:"rule"`
	// Text says in plain words what would happen, with numbers.
	Text string `json:"text"`
	// Examples are up to ten ids of resources that would be lost.
	Examples []string `json:"examples,omitempty"`
}

// OK is true where nothing speaks against publishing.
func (v Verdict) OK() bool { return len(v.Reasons) == 0 }

// Summary gives the reasons in one line, without anybody's name or id.
func (v Verdict) Summary() string {
	texts := make([]string, len(v.Reasons))
	for i, r := range v.Reasons {
		texts[i] = r.Text
	}
	return strings.Join(texts, "; ")
}

const maxExamples = 10

// judge compares a sealed snapshot with what is served.
func (m *Mirror) judge(ctx context.Context, current, sealed *directory.Snapshot) (Verdict, error) {
	var v Verdict
	if current == nil {
		reason, err := m.judgeRebuilt(ctx, sealed)
		if err != nil {
			return v, err
		}
		v.Reasons = append(v.Reasons, reason...)
	} else {
		for t := range directory.Type(directory.NumTypes) {
			v.Reasons = append(v.Reasons, m.cfg.Guard.judge(t, current, sealed)...)
		}
	}
	for _, a := range m.cfg.Assertions {
		if text := a.check(current, sealed); text != "" {
			v.Reasons = append(v.Reasons, Reason{Rule: "assert", Text: text})
		}
	}
	return v, nil
}

func (g Guard) judge(t directory.Type, current, sealed *directory.Snapshot) []Reason {
	served, lost := current.Active(t), sealed.Diff().Counts[t].Lost()
	noun := strings.ToLower(t.String()) + "s"
	limit := g.MaxRemoved.Of(served)
	if g.MaxRemoved.IsPercent {
		limit = max(limit, g.Floor)
	}
	switch {
	case lost > 0 && sealed.Active(t) == 0:
		return []Reason{{
			Rule: "empty", Examples: examples(t, sealed.Diff()),
			Text: fmt.Sprintf("all %d %s would disappear or turn inactive", served, noun),
		}}
	case lost > limit:
		return []Reason{{
			Rule: "safeguard", Examples: examples(t, sealed.Diff()),
			Text: fmt.Sprintf("%d of %d %s would disappear or turn inactive, more than max_removed (%s, here %d)", lost, served, noun, g.MaxRemoved, limit),
		}}
	}
	return nil
}

func examples(t directory.Type, diff *directory.Diff) []string {
	var ids []string
	for c := range diff.Changes() {
		if c.Type == t && (c.Kind == directory.Removed || c.Kind == directory.Deactivated) {
			if ids = append(ids, c.Before.ID()); len(ids) == maxExamples {
				break
			}
		}
	}
	return ids
}

// judgeRebuilt judges a picture that takes the place of one that was lost: what
// was in that one is not known, but how many it held is in the history.
func (m *Mirror) judgeRebuilt(ctx context.Context, sealed *directory.Snapshot) ([]Reason, error) {
	records, err := m.cfg.Store.Rounds(ctx, m.cfg.Name, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	i := slices.IndexFunc(records, func(r store.RoundRecord) bool {
		return r.Outcome == string(Published) || r.Outcome == string(Unchanged)
	})
	if i < 0 {
		return nil, nil
	}
	var reasons []Reason
	for t, before := range map[directory.Type]int{directory.User: records[i].Users.Present, directory.Group: records[i].Groups.Present} {
		now := sealed.Active(t)
		limit := m.cfg.Guard.MaxRemoved.Of(before)
		if m.cfg.Guard.MaxRemoved.IsPercent {
			limit = max(limit, m.cfg.Guard.Floor)
		}
		if lost := before - now; lost > limit || before > 0 && now == 0 {
			reasons = append(reasons, Reason{Rule: "safeguard", Text: fmt.Sprintf(
				"the picture was lost and is rendered anew with %d %ss, where %d were served before", now, strings.ToLower(t.String()), before)})
		}
	}
	return reasons, nil
}
