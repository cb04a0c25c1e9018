package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/scim/mapping/expr"
	"scimbridge/sync/graph"
)

// A Lister is a [Source] that reads users by a filter, and by their ids. Its
// methods are as those of [graph.Client].
type Lister interface {
	Latest(ctx context.Context, kind graph.Kind) (cursor string, err error)
	ListUsers(ctx context.Context, f graph.Filter, visit func(*graph.Page) error) error
	ReadUsers(ctx context.Context, ids []string) (*graph.Page, error)
}

// A filter is what of the scope Graph can be told in a $filter: whom it does not
// find is out of the scope, and of those whom it finds the scope decides.
type filter struct {
	guests, guestsOnly bool // as in Scope
	terms              []expr.Term
}

// Filtered says whether a full read of users can leave some of them to Graph.
func (s *Scope) Filtered() bool { return s.filter() != nil }

// maxAlternatives is how many comparisons joined by "or" a filter has, with two
// left for the types of users.
const maxAlternatives = 13

// filter gives what Graph can be told; nil: nothing, or it is not wanted.
func (s *Scope) filter() *filter {
	if !s.FilteredRead {
		return nil
	}
	f := &filter{guests: s.Guests, guestsOnly: s.GuestsOnly}
	if where, ok := s.Where.(interface{ Terms() []expr.Term }); ok {
		alternatives := 0
		for _, t := range where.Terms() {
			joined := 0
			if len(t.Values) > 1 {
				joined = len(t.Values)
			}
			if alternatives+joined <= maxAlternatives {
				f.terms = append(f.terms, t)
				alternatives += joined
			}
		}
	}
	if f.guests && !f.guestsOnly && len(f.terms) == 0 {
		return nil
	}
	return f
}

// String gives the filter for people, as OData.
func (f *filter) String() string {
	var terms []string
	switch {
	case f.guestsOnly:
		terms = append(terms, "userType eq 'Guest'")
	case !f.guests:
		terms = append(terms, "userType ne 'Guest'")
	}
	for _, t := range f.terms {
		terms = append(terms, odata(t))
	}
	return strings.Join(terms, " and ")
}

// Unread says by which filter users are read, and how many of the tenant's are not.
type Unread struct {
	Filter string // empty: everybody is read
	// Users are not read, of Total, at the time At; zero: that is not known yet.
	Users, Total int
	At           time.Time
}

// countUnread counts those whom the filter leaves out, once after the start and
// after each full read. m.pulling is held.
func (m *Mirror) countUnread(ctx context.Context, report *Report) {
	counter, ok := m.cfg.Graph.(interface {
		Count(ctx context.Context, kind graph.Kind) (int, error)
	})
	if m.filter == nil || !ok || !report.FullUsers && !m.Status().Unread.At.IsZero() {
		return
	}
	total, err := counter.Count(ctx, graph.Users)
	if err == nil {
		var read int
		if read, _, err = m.cfg.Store.Counts(ctx, m.cfg.Name); err == nil {
			m.status.set(func(s *Status) {
				s.Unread.Users, s.Unread.Total, s.Unread.At = max(total-read, 0), total, time.Now()
			})
		}
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("who is left out by the filter was not counted", "err", err)
	}
}

// sum stands for the filter in the question of a cursor.
func (f *filter) sum() string {
	if f == nil {
		return ""
	}
	text, _ := json.Marshal(f.lists()) // strings and bools
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

// lists gives the filters of which the lists together are everybody who may be in
// the scope. Who has no userType is no guest, and a plain filter can't ask for her.
func (f *filter) lists() []graph.Filter {
	var terms []string
	for _, t := range f.terms {
		terms = append(terms, odata(t))
	}
	with := func(more string) string { return strings.Join(append(slices.Clip(terms), more), " and ") }
	switch {
	case f.guestsOnly:
		return []graph.Filter{{Text: with("userType eq 'Guest'")}}
	case !f.guests:
		return []graph.Filter{
			{Text: with("userType eq 'Member'")},
			{Text: with("(userType eq null or (userType ne 'Member' and userType ne 'Guest'))"), Advanced: true},
		}
	}
	return []graph.Filter{{Text: strings.Join(terms, " and ")}}
}

// odata writes a term as OData (docs.oasis-open.org/odata, URL conventions 5.1.1).
func odata(t expr.Term) string {
	if len(t.Values) == 0 {
		return t.Property + " eq true"
	}
	var all []string
	for _, v := range t.Values {
		quoted := "'" + strings.ReplaceAll(v, "'", "''") + "'"
		if t.Prefix {
			return "startswith(" + t.Property + "," + quoted + ")"
		}
		all = append(all, t.Property+" eq "+quoted)
	}
	if len(all) == 1 {
		return all[0]
	}
	return "(" + strings.Join(all, " or ") + ")"
}

// rejects says whether properties speak against somebody. Of an object that is
// whole what is absent was never set; of others nothing is known of it.
func (f *filter) rejects(properties map[string]json.RawMessage, whole bool) bool {
	is := func(name string, meets func(json.RawMessage) bool) bool {
		v, ok := properties[name]
		return !ok && !whole || meets(v)
	}
	guest := func(v json.RawMessage) bool { return string(v) == `"Guest"` }
	if f.guestsOnly && !is("userType", guest) {
		return true
	}
	if !f.guests && guest(properties["userType"]) {
		return true
	}
	for _, t := range f.terms {
		if !is(t.Property, func(v json.RawMessage) bool { return meets(t, v) }) {
			return true
		}
	}
	return false
}

func meets(t expr.Term, v json.RawMessage) bool {
	if len(t.Values) == 0 {
		return string(v) == "true"
	}
	var text string
	if len(v) > 0 && json.Unmarshal(v, &text) != nil {
		return true // it is no text: let the scope decide
	}
	if t.Prefix {
		return strings.HasPrefix(text, t.Values[0])
	}
	return slices.Contains(t.Values, text)
}

// rejectsStored is rejects for an object as it is stored.
func (f *filter) rejectsStored(properties []byte) bool {
	var all map[string]json.RawMessage
	return json.Unmarshal(properties, &all) == nil && f.rejects(all, true)
}

// rejectsChange is rejects for what Graph sent of somebody.
func (f *filter) rejectsChange(properties []graph.Property, whole bool) bool {
	all := make(map[string]json.RawMessage, len(properties))
	for _, p := range properties {
		all[p.Name] = p.Value
	}
	return f.rejects(all, whole)
}

// trace gives what is kept of somebody whom the filter leaves out and who was
// stored before: only by what it does.
func (f *filter) trace(id string, properties []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(properties, &all); err != nil {
		return nil, err
	}
	names := []string{"userType"}
	for _, t := range f.terms {
		names = append(names, t.Property)
	}
	var kept []graph.Property
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if v, ok := all[name]; ok {
			kept = append(kept, graph.Property{Name: name, Value: bytes.Clone(v)})
		}
	}
	return merge(nil, id, kept)
}

// overlaid lays the newer properties over the older ones; both are by name.
func overlaid(older, newer []graph.Property) []graph.Property {
	all := make(map[string]json.RawMessage, len(older)+len(newer))
	for _, list := range [][]graph.Property{older, newer} {
		for _, p := range list {
			all[p.Name] = p.Value
		}
	}
	merged := make([]graph.Property, 0, len(all))
	for name, value := range all {
		merged = append(merged, graph.Property{Name: name, Value: value})
	}
	slices.SortFunc(merged, func(a, b graph.Property) int { return strings.Compare(a.Name, b.Name) })
	return merged
}
