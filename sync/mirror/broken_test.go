package mirror_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// A tampering source gives the pages of another, altered.
type tampering struct {
	mirror.Source
	alter func(kind graph.Kind, cursor string, page *graph.Page)
}

// newTampered gives a world that has read its tenant once, and from now on by way of a
// source that can tamper with what it reads.
func newTampered(t *testing.T, tenant *graphtest.Tenant) (*world, *tampering) {
	t.Helper()
	w := newWorld(t, tenant, nil)
	w.round()
	source := &tampering{Source: w.client}
	w.configure(func(cfg *mirror.Config) { cfg.Graph = source })
	return w, source
}

func (s *tampering) Changes(ctx context.Context, kind graph.Kind, cursor string) iter.Seq2[*graph.Page, error] {
	return func(yield func(*graph.Page, error) bool) {
		for page, err := range s.Source.Changes(ctx, kind, cursor) {
			if err == nil && s.alter != nil {
				s.alter(kind, cursor, page)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// breakObject has an object come as one that can't be understood, under an id that
// can be or "", and another not at all in full reads.
func (s *tampering) breakObject(id, as, hidden string) {
	s.alter = func(_ graph.Kind, cursor string, page *graph.Page) {
		page.Changes = slices.DeleteFunc(page.Changes, func(c graph.Change) bool {
			if c.ID == id {
				page.Broken = append(page.Broken, graph.BrokenObject{ID: as, Reason: "a test"})
			}
			return c.ID == id || c.ID == hidden && cursor == ""
		})
	}
}

// An object that can't be understood keeps its last form, fails nobody's round,
// and nobody is taken for vanished who may be it. After an hour it is tried again.
func TestObjectsThatCannotBeUnderstood(t *testing.T) {
	for name, known := range map[string]bool{"whose id is known": true, "of whom nothing is known": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant, users, _ := company(20)
				w, source := newTampered(t, tenant)

				as := ""
				if known {
					as = users[3]
				}
				source.breakObject(users[3], as, users[5])
				tenant.UpdateUser(users[0], map[string]any{"jobTitle": "Countess"})
				w.round()
				time.Sleep(time.Minute)
				report := w.refresh(mirror.Options{Full: true}, map[bool]mirror.Outcome{true: mirror.Published, false: mirror.Unchanged}[known])
				if report.Broken == 0 || report.Users.Removed != map[bool]int{true: 1}[known] {
					t.Errorf("the round says that %d objects are broken and %d users went", report.Broken, report.Users.Removed)
				}
				if u, _ := w.user(users[3]); !u.Active || len(u.Groups) != 1 {
					t.Errorf("she who can't be understood is %+v", u)
				}
				if u, _ := w.user(users[0]); u.Title != "Countess" {
					t.Error("others' changes do not come through")
				}
				if u, _ := w.user(users[5]); u.Active == known {
					t.Errorf("he who is missing is active: %t", u.Active)
				}

				source.alter = nil
				if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Full() {
					t.Error("it is tried again at once")
				}
				time.Sleep(2 * time.Hour)
				if report, err := w.mirror.Refresh(t.Context(), mirror.Options{}); err != nil || !report.FullUsers {
					t.Errorf("it is not tried again: %+v, %v", report, err)
				}
				w.counts(20, 20, 1)
				if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Full() {
					t.Error("it is tried again though all is well")
				}
			})
		})
	}
}

// Of a group that can't be understood it is not known who is in it: nobody leaves it.
func TestAGroupThatCannotBeUnderstoodKeepsItsMembers(t *testing.T) {
	tenant, users, group := company(10)
	w, source := newTampered(t, tenant)
	source.breakObject(group, group, "")
	report := w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
	if report.Broken == 0 || report.Groups.Removed+report.Edges.Removed > 0 {
		t.Errorf("the round says %+v", report)
	}
	if g, _ := w.user(group); len(g.Members) != len(users) {
		t.Errorf("the group has %d members, want %d", len(g.Members), len(users))
	}
}

// Ids are in lower case. Another spelling is no second person, and takes nobody's
// place.
func TestAnIDInCapitalsIsNobody(t *testing.T) {
	tenant, users, _ := company(10)
	source := &tampering{}
	w := newWorld(t, tenant, nil)
	source.Source = w.client
	w.configure(func(cfg *mirror.Config) { cfg.Graph = source })
	source.alter = func(k graph.Kind, cursor string, page *graph.Page) {
		for _, c := range page.Changes {
			if k == graph.Users && c.ID == users[3] {
				c.ID = strings.ToUpper(c.ID)
				page.Changes = append(page.Changes, c)
			}
		}
	}
	if report := w.round(); report.Broken != 1 {
		t.Errorf("%d objects are broken", report.Broken)
	}
	w.counts(10, 10, 1)
	w.refresh(mirror.Options{Full: true}, mirror.Unchanged)
	w.counts(10, 10, 1)
}

// A full read replaces what is stored of a user, for what she no longer has is
// absent; what comes of her a second time in it is merged.
func TestAFullReadReplacesAndThenMerges(t *testing.T) {
	tenant, users, _ := company(10)
	tenant.UpdateUser(users[3], map[string]any{"jobTitle": "Countess", "givenName": "Ada"})
	w, source := newTampered(t, tenant)
	source.alter = func(k graph.Kind, cursor string, page *graph.Page) {
		for i := range page.Changes {
			if c := &page.Changes[i]; k == graph.Users && cursor == "" && c.ID == users[3] {
				c.Properties = slices.DeleteFunc(slices.Clone(c.Properties), func(p graph.Property) bool { return p.Name == "jobTitle" })
				page.Changes = append(page.Changes, graph.Change{ID: c.ID, Properties: []graph.Property{{Name: "displayName", Value: []byte(`"Ada Lovelace"`)}}})
				return
			}
		}
	}
	w.refresh(mirror.Options{Full: true}, mirror.Published)
	u, _ := w.user(users[3])
	if u.Title != "" || u.DisplayName != "Ada Lovelace" {
		t.Errorf("she is served as %+v", u)
	}
	stored, _, err := w.store.Object(t.Context(), "contoso", store.User, users[3])
	if text := string(stored.Properties); err != nil || strings.Contains(text, "jobTitle") || !strings.Contains(text, `"givenName":"Ada"`) {
		t.Errorf("stored is %s, %v", text, err)
	}
}

// The second reading, which confirms a full one, knows ids in capitals as little as
// the first.
func TestAnIDInCapitalsConfirmsNobody(t *testing.T) {
	tenant, users, _ := company(20)
	w, source := newTampered(t, tenant)
	reads, capitals := 0, strings.ToUpper(users[3])
	source.alter = func(k graph.Kind, cursor string, page *graph.Page) {
		if k != graph.Users || cursor != "" {
			return
		}
		page.Changes = slices.DeleteFunc(page.Changes, func(c graph.Change) bool { return reads == 0 && c.ID == users[3] })
		for i := range page.Changes {
			if c := &page.Changes[i]; c.ID == users[3] {
				c.ID = capitals
			}
		}
		if page.DeltaLink != "" {
			reads++
		}
	}
	report := w.refresh(mirror.Options{Full: true}, mirror.Published)
	if reads != 2 || report.Missed != 0 || report.Users.Removed != 1 {
		t.Errorf("of %d readings: %d were found by the second, %d went", reads, report.Missed, report.Users.Removed)
	}
	if _, known, err := w.store.Object(t.Context(), "contoso", store.User, capitals); known || err != nil {
		t.Errorf("there is a second person of the id in capitals: %v", err)
	}
	w.counts(20, 19, 1)
}
