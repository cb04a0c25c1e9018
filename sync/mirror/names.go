package mirror

import (
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/directory"
)

// A userName is unique in the whole endpoint, without regard to case (RFC 7643
// §4.1.1). Within a tenant Entra sees to that for userPrincipalNames; it can't
// for several tenants, for names that a mapping makes of something else, and for
// people who are gone and kept inactive for a while. The rules are:
//
//  1. A removed user gives her name up: as soon as it is the name of somebody
//     who is in the directory she goes for good. She was inactive already, or
//     turns it with that round, and then counts as lost like everybody.
//  2. Of people who are in the directory nobody is left out and nobody's name is
//     touched, whatever another source does: all are served under their own ids.
//     That is told in log, status, metrics and on the page.
//  3. A round by which more people would newly share names than the guard lets go
//     is held, whatever the rule: a mapping has a slip in it.
//  4. Where [NameRule.Hold] says so, a round by which two people would newly have
//     one name is held until it is approved, for a platform that matches by
//     userName could give the one the other's account. Only the source that
//     brings the second one waits, and only for as long as there are two.

// A NameRule says what becomes of rounds by which two people would have one
// userName.
type NameRule struct {
	// Hold says whether they are held; nil: they are not.
	Hold func() bool
	// Others gives what the other sources serve; nil: nothing.
	Others func() []*directory.Snapshot
}

func (n NameRule) hold() bool { return n.Hold != nil && n.Hold() }

func (n NameRule) others() []*directory.Snapshot {
	if n.Others == nil {
		return nil
	}
	return n.Others()
}

// yield has the removed users give up names that others have now.
func (r *renderer) yield() {
	if ids := r.draft.Yield(); len(ids) > 0 {
		r.m.log.Warn("removed users go at once, since their userName has another owner now", "users", len(ids), "examples", ids[:min(len(ids), maxExamples)])
	}
}

// A Namesake is a userName with more than one owner.
type Namesake struct {
	UserName string  `json:"userName"`
	Owners   []Owner `json:"owners"`
	// More is how many owners there are beside those.
	More int `json:"more,omitempty"`
}

// An Owner is a user with the name, and where she comes from.
type Owner struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	Active bool   `json:"active"`
}

// maxNamesakes is how many are remembered by name, and maxOwners how many owners
// of each: by a slip in a mapping everybody may have one name.
const (
	maxNamesakes = 100
	maxOwners    = 10
)

// Namesakes gives the userNames in a view that have more than one owner, in list
// order: up to limit of them, and how many there are.
func Namesakes(view *directory.View, limit int) (named []Namesake, total int) {
	return namesakes(view, view.Namesakes(), limit)
}

func namesakes(view *directory.View, all [][]int, limit int) (named []Namesake, total int) {
	for _, positions := range all[:min(len(all), limit)] {
		shown := positions[:min(len(positions), maxOwners)]
		n := Namesake{UserName: view.At(directory.User, positions[0]).UserName(), More: len(positions) - len(shown)}
		for _, i := range shown {
			r := view.At(directory.User, i)
			n.Owners = append(n.Owners, Owner{r.Source(), r.ID(), r.Active()})
		}
		named = append(named, n)
	}
	return named, len(all)
}

// newNamesakes finds the userNames that a sealed snapshot gives a further owner;
// people counts all owners.
func (m *Mirror) newNamesakes(current, sealed *directory.Snapshot) (named []Namesake, total, people int) {
	view := directory.NewView(append([]*directory.Snapshot{sealed}, m.cfg.Names.others()...)...)
	var all [][]int
	if current != nil {
		all = changedNamesakes(view, sealed)
	} else {
		own := func(i int) bool { return view.At(directory.User, i).Source() == m.cfg.Name }
		all = slices.DeleteFunc(view.Namesakes(), func(positions []int) bool { return !slices.ContainsFunc(positions, own) })
	}
	for _, positions := range all {
		people += len(positions)
	}
	named, total = namesakes(view, all, maxNamesakes)
	return named, total, people
}

// changedNamesakes looks at those whose name is new only.
func changedNamesakes(view *directory.View, sealed *directory.Snapshot) (all [][]int) {
	seen := make(map[string]bool)
	for c := range sealed.Diff().Changes() {
		if c.Type != directory.User || gone(c) {
			continue
		}
		name := c.After.UserName()
		key := directory.Fold(name)
		if name == "" || seen[key] || c.Kind != directory.Added && directory.Fold(c.Before.UserName()) == key {
			continue
		}
		seen[key] = true
		owners := slices.DeleteFunc(view.Find(directory.User, directory.ByUserName, name), func(i int) bool {
			return !view.At(directory.User, i).HasText("userName", name)
		})
		if len(owners) > 1 {
			all = append(all, owners)
		}
	}
	return all
}

// judgeNames finds the new namesakes, and speaks against them where that is the
// rule, or where they are as many as no tenant brings about by itself.
func (m *Mirror) judgeNames(current, sealed *directory.Snapshot, v *Verdict) {
	var people int
	v.Namesakes, v.NewNamesakes, people = m.newNamesakes(current, sealed)
	many := current != nil && people > m.cfg.Guard.limit(current.Active(directory.User))
	if v.NewNamesakes == 0 || !many && !m.cfg.Names.hold() {
		return
	}
	if many {
		text := fmt.Sprintf("%d users would share their userName with somebody else, more than max_removed (%s): look at how userName is mapped", people, m.cfg.Guard.MaxRemoved)
		v.Reasons = append(v.Reasons, Reason{Rule: "user_name", Text: text, Examples: v.owners()})
		return
	}
	text := fmt.Sprintf("%d userNames would have more than one owner", v.NewNamesakes)
	if v.NewNamesakes == 1 {
		text = "a userName would have more than one owner"
	}
	v.Reasons = append(v.Reasons, Reason{Rule: "user_name", Text: text, Examples: v.owners()})
}

// owners gives some of the namesakes' ids.
func (v *Verdict) owners() (ids []string) {
	for _, n := range v.Namesakes {
		for _, o := range n.Owners {
			if ids = append(ids, o.ID); len(ids) == maxExamples {
				return ids
			}
		}
	}
	return ids
}

// tellNamesakes logs what a publication brought.
func (m *Mirror) tellNamesakes(v *Verdict) {
	if v.NewNamesakes > 0 {
		m.log.Error("userNames have more than one owner; all are served", "names", v.NewNamesakes, "examples", v.owners(),
			"mend", "rename one of the two, or map userName so that it is unique over all sources")
	}
}

// remarks says of a source's resources, by id, what beside their loss speaks
// against the change: an assertion that is about them, or who else has their
// userName.
func (v *Verdict) remarks(source string) map[string]string {
	remarks := make(map[string]string)
	for _, r := range v.Reasons {
		for _, id := range r.About {
			remarks[id] = r.Text
		}
	}
	for _, n := range v.Namesakes {
		for _, own := range n.Owners {
			var others []string
			for _, o := range n.Owners {
				if o != own {
					others = append(others, o.ID+" of source "+o.Source)
				}
			}
			if own.Source == source {
				remarks[own.ID] = "its userName is also that of " + strings.Join(others, ", ")
				if n.More > 0 {
					remarks[own.ID] += fmt.Sprintf(" and %d more", n.More)
				}
			}
		}
	}
	return remarks
}
