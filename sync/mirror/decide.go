package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/bulk"
	"scimbridge/scim/guid"
	"scimbridge/sync/store"
)

// A decider says who is in the scope, by one state of the store.
type decider struct {
	scope  *Scope
	groups *closure

	roots map[string]bool // scope.MemberOf
	below map[string]bool // group -> it is one of the roots, or below one

	// members and assigned are the ids that the rules by membership let in, for
	// a pass over everybody; nil: each is asked about by herself.
	members, assigned *guid.Table[int32]
}

func newDecider(ctx context.Context, scope *Scope, s store.Store, source string) *decider {
	d := &decider{scope: scope, groups: newClosure(ctx, s, source), roots: make(map[string]bool), below: make(map[string]bool)}
	for _, id := range scope.MemberOf {
		d.roots[id] = true
	}
	return d
}

// everybody prepares for a pass over everybody: what is asked for upwards, one
// by one, is read downwards once. What it learns is kept in a place until the decider
// is closed.
func (d *decider) everybody(lists bulk.Place) error {
	if len(d.roots) > 0 {
		d.members = guid.NewTable[int32](lists, 0)
		for root := range d.roots {
			if err := d.groups.eachBelow(root, func(id string) { d.members.Set(id, 0) }); err != nil {
				return fmt.Errorf("looking who is in group %s: %w", root, err)
			}
		}
	}
	if d.scope.Assigned == "" {
		return nil
	}
	d.assigned = guid.NewTable[int32](lists, 0)
	principals, err := d.groups.members(assignedTo(d.scope.Assigned))
	if err != nil {
		return fmt.Errorf("looking who is assigned: %w", err)
	}
	for _, p := range principals {
		d.assigned.Set(p.Member, 0)
		if p.Type != "group" {
			continue
		}
		live, err := d.groups.isLive(p.Member)
		if err != nil {
			return err
		}
		if !live {
			continue
		}
		members, err := d.groups.members(p.Member)
		if err != nil {
			return fmt.Errorf("looking who is in group %s: %w", p.Member, err)
		}
		for _, e := range members {
			if e.Type == "user" || e.Type == "" {
				d.assigned.Set(e.Member, 0)
			}
		}
	}
	return nil
}

// in is what is said of somebody whom every rule lets in.
var in = RuleResult{In: true, Text: "is in the scope"}

// close gives back what everybody took.
func (d *decider) close() {
	for _, ids := range []*guid.Table[int32]{d.members, d.assigned} {
		if ids != nil {
			ids.Close()
		}
	}
}

// first gives the first result that leaves somebody out, or in.
func first(results []RuleResult) RuleResult {
	if i := slices.IndexFunc(results, func(r RuleResult) bool { return !r.In }); i >= 0 {
		return results[i]
	}
	return in
}

// user decides on a user who is in the tenant: the first rule that leaves her
// out, or in. The error is that of an expression, or of the store.
func (d *decider) user(properties []byte) (RuleResult, error) {
	if d.scope.open() {
		return holds(d.scope.Where, ruleWhere, properties)
	}
	t, err := traitsOf(properties)
	if err != nil {
		return RuleResult{}, err
	}
	if r := first(d.scope.ownRules(&t)); !r.In {
		return r, nil
	}
	for _, rule := range []func(string) (RuleResult, error){d.assignedRule, d.memberRule} {
		if r, err := rule(t.ID); err != nil || !r.In {
			return r, err
		}
	}
	return holds(d.scope.Where, ruleWhere, properties)
}

// userRules is what every rule makes of a user, for people.
func (d *decider) userRules(properties []byte) ([]RuleResult, error) {
	t, err := traitsOf(properties)
	if err != nil {
		return nil, err
	}
	results := d.scope.ownRules(&t)
	for _, rule := range []func(string) (RuleResult, error){d.assignedRule, d.memberRule} {
		r, err := rule(t.ID)
		if err != nil {
			return nil, err
		}
		if r.Rule != "" {
			results = append(results, r)
		}
	}
	return d.condition(results, d.scope.Where, ruleWhere, properties), nil
}

// condition adds what an expression says; that it can't be evaluated is said,
// too.
func (d *decider) condition(results []RuleResult, c Condition, rule string, properties []byte) []RuleResult {
	if c == nil {
		return results
	}
	r, err := holds(c, rule, properties)
	if err != nil {
		r = RuleResult{Rule: rule, In: true, Text: "can't be judged, and stays as before: " + err.Error()}
	}
	return append(results, r)
}

func holds(c Condition, rule string, properties []byte) (RuleResult, error) {
	if c == nil {
		return in, nil
	}
	ok, err := c.Holds(properties)
	if err != nil {
		return RuleResult{}, &conditionError{rule, err}
	}
	r := RuleResult{Rule: rule, In: ok, Text: "does not meet " + c.String()}
	if ok {
		r.Text = "meets " + c.String()
	}
	return r, nil
}

// A conditionError is an expression that gives no answer for an object.
type conditionError struct {
	rule string
	err  error
}

func (e *conditionError) Error() string { return e.rule + ": " + e.err.Error() }
func (e *conditionError) Unwrap() error { return e.err }

// memberRule is what users.member_of makes of a user.
func (d *decider) memberRule(id string) (RuleResult, error) {
	if len(d.roots) == 0 {
		return in, nil
	}
	var member bool
	if d.members != nil {
		member = d.members.Has(id)
	} else {
		direct, err := d.groups.direct(id)
		if err != nil {
			return in, fmt.Errorf("looking whose member a user is: %w", err)
		}
		for i := 0; i < len(direct) && !member; i++ {
			if member, err = d.belowRoot(direct[i]); err != nil {
				return in, fmt.Errorf("looking whose member a user is: %w", err)
			}
		}
	}
	r := RuleResult{Rule: ruleMemberOf, In: member, Text: "is in none of the groups"}
	if member {
		r.Text = "is in one of the groups"
	}
	return r, nil
}

// lost gives the groups of users.member_of that the tenant does not have, and
// which so have no members.
func (d *decider) lost() (ids []string, err error) {
	for _, id := range d.scope.MemberOf {
		live, err := d.groups.isLive(id)
		if err != nil {
			return nil, err
		}
		if !live {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// blame adds to what users.member_of makes of a user, for people, that groups of
// it are not in the tenant: that may be all there is to it.
func (d *decider) blame(r *RuleResult) error {
	if r.Rule != ruleMemberOf || r.In {
		return nil
	}
	lost, err := d.lost()
	if len(lost) > 0 {
		r.Text += ", of which the tenant does not have " + strings.Join(lost, ", ")
	}
	return err
}

// belowRoot says whether a group is there, and is one of the roots or in one.
func (d *decider) belowRoot(group string) (bool, error) {
	is, known := d.below[group]
	if known {
		return is, nil
	}
	above, err := d.groups.groupsAbove(group)
	if err != nil {
		return false, err
	}
	is = slices.ContainsFunc(above, func(id string) bool { return d.roots[id] })
	d.below[group] = is
	return is, nil
}

// assignedRule is what scope: assigned makes of a user.
func (d *decider) assignedRule(id string) (RuleResult, error) {
	if d.scope.Assigned == "" {
		return in, nil
	}
	var is bool
	if d.assigned != nil {
		is = d.assigned.Has(id)
	} else {
		direct, err := d.groups.direct(id)
		if err != nil {
			return in, fmt.Errorf("looking who is assigned: %w", err)
		}
		is = slices.Contains(direct, assignedTo(d.scope.Assigned))
		for i := 0; i < len(direct) && !is; i++ {
			if is, err = d.assignedGroup(direct[i]); err != nil {
				return in, fmt.Errorf("looking who is assigned: %w", err)
			}
		}
	}
	return assignedResult(is), nil
}

func assignedResult(is bool) RuleResult {
	if is {
		return RuleResult{Rule: ruleAssigned, In: true, Text: "is assigned to the application"}
	}
	return RuleResult{Rule: ruleAssigned, Text: "is not assigned to the application"}
}

// assignedGroup says whether a group is there and is assigned itself.
func (d *decider) assignedGroup(id string) (bool, error) {
	live, err := d.groups.isLive(id)
	if err != nil || !live {
		return false, err
	}
	parents, err := d.groups.directOfGroup(id)
	return slices.Contains(parents, assignedTo(d.scope.Assigned)), err
}

// group decides on a group that is in the tenant.
func (d *decider) group(properties []byte) (RuleResult, error) {
	results, err := d.ownGroupRules(properties)
	if err != nil {
		return RuleResult{}, err
	}
	if r := first(results); !r.In {
		return r, nil
	}
	return holds(d.scope.GroupWhere, ruleGroupWhere, properties)
}

// groupRules is what every rule makes of a group, for people.
func (d *decider) groupRules(properties []byte) ([]RuleResult, error) {
	results, err := d.ownGroupRules(properties)
	if err != nil {
		return nil, err
	}
	return d.condition(results, d.scope.GroupWhere, ruleGroupWhere, properties), nil
}

func (d *decider) ownGroupRules(properties []byte) ([]RuleResult, error) {
	var t groupTraits
	var results []RuleResult
	s := d.scope
	if !s.Groups {
		results = append(results, RuleResult{Rule: ruleGroups, Text: "is a group, and groups are turned off in the configuration"})
	}
	if len(s.GroupExclude) == 0 && len(s.GroupTypes) == 0 && s.Assigned == "" {
		return results, nil
	}
	if err := json.Unmarshal(properties, &t); err != nil {
		return nil, fmt.Errorf("reading its properties: %w", err)
	}
	if len(s.GroupExclude) > 0 {
		r := RuleResult{Rule: ruleGroupExclude, In: true, Text: "is not in the list"}
		if slices.Contains(s.GroupExclude, t.ID) {
			r.In, r.Text = false, "is in the list"
		}
		results = append(results, r)
	}
	if len(s.GroupTypes) > 0 {
		results = append(results, s.typeRule(&t))
	}
	if s.Assigned != "" {
		is, err := d.assignedGroup(t.ID)
		if err != nil {
			return nil, fmt.Errorf("looking who is assigned: %w", err)
		}
		results = append(results, assignedResult(is))
	}
	return results, nil
}
