package mirror_test

import (
	"context"
	"iter"
	"slices"
	"testing"

	"scimbridge/scim/mapping/expr"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// What else than the object decides a condition is in what stands for the scope.
func TestAScopeIsAnotherWithOtherTables(t *testing.T) {
	scope := func(source string, tables map[string]map[string]string) string {
		c, err := mirror.Where(expr.Config{Object: expr.User, Tables: tables}, source)
		if err != nil {
			t.Fatal(err)
		}
		return (&mirror.Scope{Where: c}).String()
	}
	const look = `lookup("cities", user.city) == "EU"`
	one, other := map[string]map[string]string{"cities": {"Paris": "EU"}}, map[string]map[string]string{"cities": {"Paris": "FR"}}
	if scope(look, one) == scope(look, other) {
		t.Error("a table has no say")
	}
	if scope(`user.city == "x"`, one) != scope(`user.city == "x"`, other) {
		t.Error("a table has a say that is not looked into")
	}
	if scope(`user.employeeHireDate < today`, nil) == scope(`user.employeeHireDate < timestamp("2026-01-01T00:00:00Z")`, nil) {
		t.Error("the day has no say")
	}
}

// A counting store counts what is asked of it, one for each row.
type counting struct {
	store.Store
	rows int
}

func (c *counting) Object(ctx context.Context, source string, kind store.Kind, id string) (store.Object, bool, error) {
	c.rows++
	return c.Store.Object(ctx, source, kind, id)
}

func (c *counting) Objects(ctx context.Context, source string, kind store.Kind, since uint64) iter.Seq2[store.Object, error] {
	return counted(c, c.Store.Objects(ctx, source, kind, since))
}

func (c *counting) Edges(ctx context.Context, source string, since uint64) iter.Seq2[store.Edge, error] {
	return counted(c, c.Store.Edges(ctx, source, since))
}

func (c *counting) Members(ctx context.Context, source, group string) iter.Seq2[store.Edge, error] {
	return counted(c, c.Store.Members(ctx, source, group))
}

func (c *counting) MemberOf(ctx context.Context, source, member string) iter.Seq2[store.Edge, error] {
	return counted(c, c.Store.MemberOf(ctx, source, member))
}

func counted[T any](c *counting, rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			c.rows++
			if !yield(row, err) {
				return
			}
		}
	}
}

// A round reads what a change concerns, and not everybody in the scope.
func TestARoundCostsItsChanges(t *testing.T) {
	for _, flatten := range []bool{false, true} {
		var costs []int
		for _, n := range []int{50, 600} {
			tenant, users, _ := company(n)
			top := tenant.SetGroup(map[string]any{"displayName": "Top", "securityEnabled": true})
			low := tenant.SetGroup(map[string]any{"displayName": "Low", "securityEnabled": true})
			tenant.AddMember(top, append(slices.Clone(users[:n-10]), low)...)
			tenant.AddMember(low, users[n-10:n-5]...)
			w := newWorld(t, tenant, func(cfg *mirror.Config) {
				open(cfg)
				cfg.Scope.MemberOf, cfg.Scope.Flatten = []string{top}, flatten
			})
			w.round()
			if err := w.mirror.Freeze(t.Context(), "a test"); err != nil {
				t.Fatal(err)
			}
			tenant.AddMember(low, users[n-1])
			tenant.RemoveMember(low, users[n-9])
			tenant.UpdateUser(users[0], map[string]any{"jobTitle": "Boss"})
			w.refresh(mirror.Options{}, mirror.Frozen)
			asked := &counting{Store: w.store}
			cfg := w.cfg
			cfg.Store = asked
			if report, err := mirror.New(cfg).Unfreeze(t.Context(), "a test"); err != nil || report.Outcome != mirror.Published {
				t.Fatal(report.Outcome, err)
			}
			w.servesActive("after", append(append(slices.Clone(users[:n-9]), users[n-8:n-5]...), users[n-1])...)
			costs = append(costs, asked.rows)
		}
		if costs[1] > costs[0]+10 || costs[0] == 0 {
			t.Errorf("flatten %t: %d rows are read in a small tenant, %d in one twelve times as large", flatten, costs[0], costs[1])
		}
		t.Logf("rows read: %v", costs)
	}
}
