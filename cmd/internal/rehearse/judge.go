package rehearse

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// A user is what rules look at. Booleans and strings have to be what they are:
// an answer that has them otherwise can't be read, by the platforms neither.
type user struct {
	ID, UserName, DisplayName string
	Active                    *bool
	Name                      struct{ GivenName, FamilyName string }
	Emails                    []struct {
		Value, Type string
		Primary     bool
	}
	Addresses  []struct{ Country string }
	Groups     []struct{ Value string }
	Enterprise struct{ Manager struct{ Value string } } `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	Meta       struct{ LastModified string }
}

// primary is the address that is marked so; of several the first.
func (u *user) primary() string {
	for _, e := range u.Emails {
		if e.Primary {
			return e.Value
		}
	}
	return ""
}

func (u *user) active() bool { return u.Active == nil || *u.Active }

// A group is what rules look at.
type group struct {
	ID, DisplayName string
	Members         []struct{ Type string }
}

// A rule is a demand of a platform.
type rule struct {
	name      string
	effect    string
	attribute string
	what      string // of those who break it: "have no first name"
	why       string
	mend      string
	mapping   []MappingLine

	// Exactly one of these is set. The functions give the value to show, and
	// whether the rule is broken; same gives what no two may share, which is
	// compared without regard to case, empty for nothing.
	user  func(*user) (value string, broken bool)
	group func(*group) (value string, broken bool)
	same  func(*user) string
	names bool // no two groups may share a displayName
}

// A judge holds users and groups against rules as they come by.
type judge struct {
	limit   int
	rules   []rule
	found   []Finding // one per rule
	strict  func(raw json.RawMessage) (attribute string)
	unknown map[string]int // attribute that is in no schema -> how often

	source func(id string) string
	made   func(id string) ([]string, error) // nil: not known
	madeUp []Finding                         // one per attribute

	users, active, groups int

	seed maphash.Seed
	seen []map[uint64]bool // per rule: hashes of what was there already
	more []map[string]int  // per rule: what came more than once -> how often it came again
}

func newJudge(rules []rule, limit int) *judge {
	j := &judge{
		limit: limit, rules: rules, seed: maphash.MakeSeed(), unknown: make(map[string]int),
		found: make([]Finding, len(rules)), seen: make([]map[uint64]bool, len(rules)), more: make([]map[string]int, len(rules)),
	}
	for i, r := range rules {
		j.found[i] = Finding{
			Rule: r.name, Effect: r.effect, Type: "User", Attribute: r.attribute,
			What: r.what, Why: r.why, Mend: r.mend, Mapping: r.mapping, Named: []Resource{},
		}
		if r.group != nil || r.names {
			j.found[i].Type = "Group"
		}
		j.seen[i], j.more[i] = make(map[uint64]bool), make(map[string]int)
	}
	return j
}

// user judges a user and gives the id.
func (j *judge) user(raw json.RawMessage) (string, error) {
	var u user
	if err := json.Unmarshal(raw, &u); err != nil {
		return "", fmt.Errorf("a user can't be read: %w", err)
	}
	if u.ID == "" {
		return "", fmt.Errorf("a user has no id: %.200s", raw)
	}
	j.users++
	if u.active() {
		j.active++
	}
	j.schema(raw)
	if err := j.invented(&u); err != nil {
		return "", err
	}
	for i, r := range j.rules {
		switch {
		case r.user != nil:
			if value, broken := r.user(&u); broken {
				j.add(i, u.resource(value))
			}
		case r.same != nil:
			j.count(i, r.same(&u))
		}
	}
	return u.ID, nil
}

func (u *user) resource(value string) Resource {
	return Resource{ID: u.ID, Name: u.UserName, DisplayName: u.DisplayName, Active: u.active(), Value: value}
}

// group judges a group and gives the id.
func (j *judge) group(raw json.RawMessage) (string, error) {
	var g group
	if err := json.Unmarshal(raw, &g); err != nil {
		return "", fmt.Errorf("a group can't be read: %w", err)
	}
	if g.ID == "" {
		return "", fmt.Errorf("a group has no id: %.200s", raw)
	}
	j.groups++
	j.schema(raw)
	for i, r := range j.rules {
		switch {
		case r.group != nil:
			if value, broken := r.group(&g); broken {
				j.add(i, Resource{ID: g.ID, Name: g.DisplayName, Active: true, Value: value})
			}
		case r.names:
			j.count(i, g.DisplayName)
		}
	}
	return g.ID, nil
}

// schema notes attributes that discovery does not know of.
func (j *judge) schema(raw json.RawMessage) {
	if j.strict != nil {
		if attribute := j.strict(raw); attribute != "" {
			j.unknown[attribute]++
		}
	}
}

// invented notes which of a user's values were made up.
func (j *judge) invented(u *user) error {
	if j.made == nil {
		return nil
	}
	attributes, err := j.made(u.ID)
	if err != nil {
		return fmt.Errorf("finding out what was made up: %w", err)
	}
	for _, a := range attributes {
		i := slices.IndexFunc(j.madeUp, func(f Finding) bool { return f.Attribute == a })
		if i < 0 {
			i = len(j.madeUp)
			j.madeUp = append(j.madeUp, Finding{
				Rule: "made-up", Effect: Warning, Type: "User", Attribute: a, What: "a " + a + " that the mapping made up", Named: []Resource{},
				Why:  "Entra has none, so the mapping made one from other values.",
				Mend: "Nothing, if that will do; else give them one in Entra.",
			})
		}
		j.name(&j.madeUp[i], u.resource(u.value(a)))
	}
	return nil
}

// value gives the value of those attributes that are made up, for people.
func (u *user) value(attribute string) string {
	switch attribute {
	case givenName:
		return u.Name.GivenName
	case familyName:
		return u.Name.FamilyName
	case primaryEmail:
		return u.primary()
	}
	return ""
}

// add notes that a rule is broken.
func (j *judge) add(i int, r Resource) { j.name(&j.found[i], r) }

// name counts a user or group, and names it while there is room.
func (j *judge) name(f *Finding, r Resource) {
	f.Count++
	if !r.Active {
		f.Inactive++
	}
	if j.limit == 0 || len(f.Named) < j.limit {
		r.Source = j.source(r.ID)
		f.Named = append(f.Named, r)
	} else {
		f.Omitted++
	}
}

// count notes what no two may share.
func (j *judge) count(i int, value string) {
	if value = strings.ToLower(value); value == "" {
		return
	}
	h := maphash.String(j.seed, value)
	if j.seen[i][h] {
		j.more[i][value]++
	}
	j.seen[i][h] = true
}

// settle finds out who shares what nobody may share. It asks the endpoint, as
// the platform does when it looks for a match; so nobody needs to be remembered
// while the list goes by, and values whose hashes are equal by chance fall out.
func (j *judge) settle(s *session) {
	for i, r := range j.rules {
		for _, value := range slices.Sorted(maps.Keys(j.more[i])) {
			endpoint, attribute := "/Users", r.attribute
			if r.names {
				endpoint = "/Groups"
			}
			if attribute == primaryEmail {
				attribute = "emails.value"
			}
			if j.limit > 0 && len(j.found[i].Named) >= j.limit { // they are counted, not named
				j.found[i].Count += j.more[i][value] + 1
				j.found[i].Omitted += j.more[i][value] + 1
				continue
			}
			j.sharers(s, i, endpoint+"?excludedAttributes=members,groups&count=1000&filter="+url.QueryEscape(attribute+" eq "+quoted(value)), value)
		}
	}
}

// sharers adds those whom a query finds and who share a value, if they are
// several.
func (j *judge) sharers(s *session, i int, path, value string) {
	var all []Resource
	_, err := s.list(path, func(raw json.RawMessage) error {
		if j.rules[i].names {
			var g group
			err := json.Unmarshal(raw, &g)
			if strings.EqualFold(g.DisplayName, value) {
				all = append(all, Resource{ID: g.ID, Name: g.DisplayName, Active: true, Value: g.DisplayName})
			}
			return err
		}
		var u user
		err := json.Unmarshal(raw, &u)
		if shown := j.rules[i].same(&u); strings.EqualFold(shown, value) {
			all = append(all, u.resource(shown))
		}
		return err
	})
	if err != nil {
		s.unreachable = fmt.Errorf("looking for those who share a value: %w", err)
		return
	}
	if len(all) < 2 {
		return
	}
	for _, r := range all {
		j.add(i, r)
	}
}

// findings gives what was found, the worst first.
func (j *judge) findings() []Finding {
	all := []Finding{}
	for _, f := range slices.Concat(j.found, j.madeUp) {
		if f.Count > 0 {
			all = append(all, f)
		}
	}
	order := []string{Rejected, Mismatched, Warning}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Effect), slices.Index(order, b.Effect))
	})
	return all
}
