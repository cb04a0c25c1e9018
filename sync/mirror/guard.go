package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"scimbridge/scim/directory"
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
	// Digest stands for what is spoken against: who would be lost, and what
	// else is wrong. It is the same for as long as that is.
	Digest string `json:"digest,omitempty"`

	// NewNamesakes counts the userNames that the snapshot gives a further owner,
	// and Namesakes are the first of them. They are told whether or not a rule
	// speaks against them.
	NewNamesakes int        `json:"newNamesakes,omitempty"`
	Namesakes    []Namesake `json:"namesakes,omitempty"`
}

// A Reason is one thing that speaks against publishing.
type Reason struct {
	// Rule is the rule's name: safeguard, empty, assert, or user_name.
	Rule string `json:"rule"`
	// Text says in plain words what would happen, with numbers.
	Text string `json:"text"`
	// Examples are up to ten ids of resources that would be lost.
	Examples []string `json:"examples,omitempty"`
	// About are ids of resources that change, and that an assertion speaks of: a
	// group, and the members that it would lose.
	About []string `json:"about,omitempty"`
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
		if len(reason) == 0 {
			reason, err = m.judgeFirst(ctx, sealed)
		}
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
		if text, about := a.check(current, sealed); text != "" {
			v.Reasons = append(v.Reasons, Reason{Rule: "assert", Text: text, About: about})
		}
	}
	m.judgeNames(current, sealed, &v)
	if !v.OK() {
		v.Digest = digest(&v, sealed.Diff())
	}
	return v, nil
}

// digest sums up reasons and losses.
func digest(v *Verdict, diff *directory.Diff) string {
	h := sha256.New()
	for _, r := range v.Reasons {
		fmt.Fprintf(h, "%q %q\n", r.Rule, r.Text)
		for _, id := range r.About {
			fmt.Fprintln(h, id)
		}
		if r.Rule == "user_name" {
			fmt.Fprintf(h, "%v\n", v.Namesakes)
		}
	}
	for c := range diff.Changes() {
		if lost(c.Kind) {
			fmt.Fprintf(h, "%s %s %s\n", c.Kind, c.Type, c.Before.ID())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// lost says whether clients no longer see a resource as active.
func lost(k directory.ChangeKind) bool { return k == directory.Removed || k == directory.Deactivated }

func (g Guard) judge(t directory.Type, current, sealed *directory.Snapshot) []Reason {
	served, lost := current.Active(t), sealed.Diff().Counts[t].Lost()
	noun, limit := strings.ToLower(t.String())+"s", g.limit(served)
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

// limit is how many of those served may go.
func (g Guard) limit(served int) int {
	limit := g.MaxRemoved.Of(served)
	if g.MaxRemoved.IsPercent {
		limit = max(limit, g.Floor)
	}
	return limit
}

func examples(t directory.Type, diff *directory.Diff) []string {
	var ids []string
	for c := range diff.Changes() {
		if c.Type == t && lost(c.Kind) {
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
	users, groups, err := m.present(ctx)
	if err != nil {
		return nil, err
	}
	var reasons []Reason
	for t, before := range [directory.NumTypes]int{directory.User: users, directory.Group: groups} {
		now := sealed.Active(directory.Type(t))
		if gone := before - now; gone > m.cfg.Guard.limit(before) || before > 0 && now == 0 {
			reasons = append(reasons, Reason{Rule: "safeguard", Text: fmt.Sprintf(
				"the picture was lost and is rendered anew with %d %ss, where %d were served before", now, strings.ToLower(directory.Type(t).String()), before)})
		}
	}
	return reasons, nil
}

// judgeFirst speaks against a first picture without anybody, of a tenant that has
// users: a platform that imported from elsewhere before would deprovision them
// all. A scope that leaves out everybody is more likely a slip, such as the id of
// another group.
func (m *Mirror) judgeFirst(ctx context.Context, sealed *directory.Snapshot) ([]Reason, error) {
	if !m.cfg.Scope.narrows() || sealed.Len(directory.User) > 0 {
		return nil, nil
	}
	users, _, err := m.cfg.Store.Counts(ctx, m.cfg.Name)
	switch {
	case err != nil:
		return nil, err
	case users == 0 && m.filter != nil:
		// Of the others nothing is stored, and no tenant is without users.
		return []Reason{{Rule: "empty", Text: "Microsoft Graph finds nobody whom the scope lets in: look at users.guests and users.where, by which users.read has it filter"}}, nil
	case users == 0:
		return nil, nil
	}
	return []Reason{{Rule: "empty", Text: fmt.Sprintf("the scope leaves out all %d users of the tenant: look at its rules, with scim-bridge status and explain", users)}}, nil
}

// present gives how many were served as active at the last round, by the
// history.
func (m *Mirror) present(ctx context.Context) (users, groups int, err error) {
	records, err := m.cfg.Store.Rounds(ctx, m.cfg.Name, 1)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the history: %w", err)
	}
	if len(records) == 0 {
		return 0, 0, nil
	}
	return records[0].Users.Present, records[0].Groups.Present, nil
}

// lastServed is present for who is about to add to the history.
func (m *Mirror) lastServed(ctx context.Context) (users, groups int) {
	users, groups, err := m.present(ctx)
	if err != nil {
		m.log.Warn("history can't be read", "err", err)
	}
	return users, groups
}
