package scim

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/directory"
)

func TestOrdersAgreeWithTheNaiveOnes(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		types              []directory.Type
		name, sortBy, want string // ascending
	}{
		{onUsers, "userName ignores case", "userName", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "names in any case", "USERNAME", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "qualified", coreUser + ":userName", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "displayName with escapes and folds", "displayName", "u-hal u-ann u-bob u-cyd u-dee u-eve u-fay u-gus"},
		{onUsers, "missing last, ties in list order, empty is missing", "title", "u-bob u-ann u-eve u-cyd u-fay u-dee u-gus u-hal"},
		{onUsers, "sub-attribute", "name.familyName", "u-ann u-bob u-cyd u-eve u-gus u-dee u-fay u-hal"},
		{onUsers, "sub-attribute given", "name.givenName", "u-ann u-bob u-cyd u-fay u-gus u-dee u-eve u-hal"},
		{onUsers, "case-exact", "externalId", "u-ann u-eve u-bob u-cyd u-dee u-fay u-gus u-hal"},
		{onUsers, "id", "id", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "boolean", "active", "u-cyd u-gus u-ann u-bob u-dee u-eve u-fay u-hal"},
		{onUsers, "multi-valued by primary, else first", "emails.value", "u-ann u-bob u-cyd u-eve u-fay u-dee u-gus u-hal"},
		{onUsers, "a complex attribute by its value", "emails", "u-ann u-bob u-cyd u-eve u-fay u-dee u-gus u-hal"},
		{onUsers, "another sub-attribute of the primary", "emails.type", "u-cyd u-ann u-bob u-eve u-fay u-hal u-dee u-gus"},
		{onUsers, "boolean of a multi-valued one", "emails.primary", "u-ann u-bob u-eve u-fay u-cyd u-dee u-gus u-hal"},
		{onUsers, "addresses", "addresses.country", "u-eve u-ann u-bob u-cyd u-dee u-fay u-gus u-hal"},
		{onUsers, "extension", enterprise + ":department", "u-ann u-bob u-gus u-cyd u-dee u-eve u-fay u-hal"},
		{onUsers, "extension without URN", "department", "u-ann u-bob u-gus u-cyd u-dee u-eve u-fay u-hal"},
		{onUsers, "manager by its value", "manager", "u-fay u-ann u-bob u-cyd u-dee u-eve u-gus u-hal"},
		{onUsers, "three levels", "onPremisesExtensionAttributes.extensionAttribute1", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "simple multi-valued by the first", "nicknames", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "integers", "level", "u-bob u-ann u-hal u-cyd u-dee u-eve u-fay u-gus"},
		{onUsers, "decimals", "score", "u-bob u-ann u-hal u-cyd u-dee u-eve u-fay u-gus"},
		{onUsers, "dateTime as time, unreadable is missing", "hired", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "dateTime with fractions", "employeeHireDate", "u-bob u-ann u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "lastModified, ties in list order", "meta.lastModified", "u-ann u-eve u-bob u-fay u-cyd u-gus u-dee u-hal"},
		{onUsers, "created", "meta.created", ""},
		{onUsers, "location", "meta.location", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "version", "meta.version", ""},
		{onUsers, "reference", "home", "u-ann u-cyd u-bob u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "groups by the first", "groups.display", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "groups by their value", "groups", ""},
		{onUsers, "schemas", "schemas", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
		{onUsers, "what none has", "ims.type", "u-fay u-ann u-bob u-cyd u-dee u-eve u-gus u-hal"},
		{onGroups, "displayName", "displayName", "g-all g-ann g-dev g-nil"},
		{onGroups, "members by the first", "members.value", ""},
		{onGroups, "extension boolean", "securityEnabled", "g-all g-dev g-nil g-ann"},
		{onGroups, "lastModified", "meta.lastModified", "g-dev g-nil g-ann g-all"},
		{onBoth, "both types by what both have", "displayName", "u-hal g-all u-ann g-ann u-bob u-cyd u-dee g-dev g-nil u-eve u-fay u-gus"},
		{onBoth, "both types by what one has", "userName", "u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal g-all g-dev g-nil g-ann"},
		{onBoth, "both types by meta", "meta.resourceType", "g-all g-dev g-nil g-ann u-ann u-bob u-cyd u-dee u-eve u-fay u-gus u-hal"},
	} {
		for _, direction := range []string{"", "ascending", "descending", "DESCENDING"} {
			t.Run(tt.name+" "+direction, func(t *testing.T) {
				o, err := b.attrs.compileSort(tt.types, tt.sortBy, direction)
				if err != nil {
					t.Fatal(err)
				}
				down := strings.EqualFold(direction, "descending")
				got := b.sorted(t, tt.types, o)
				want := naiveOrder(b.resources(tt.types), b.naiveOf, tt.sortBy, down)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-naive +compiled:\n%s", diff)
				}
				if !down && tt.want != "" && !slices.Equal(strings.Fields(tt.want), got) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		}
	}
}

// resources gives the decoded resources of types.
func (b *bench) resources(types []directory.Type) []map[string]any {
	var all []map[string]any
	for _, typ := range types {
		all = append(all, b.maps[typ]...)
	}
	return all
}

func (b *bench) naiveOf(m map[string]any) *naive {
	if m["meta"].(map[string]any)["resourceType"] == "Group" {
		return b.naives[directory.Group]
	}
	return b.naives[directory.User]
}

// sorted gives ids in an order: of one type by positions, twice for what is
// kept, and as a subset; of both by across.
func (b *bench) sorted(t *testing.T, types []directory.Type, o *order) []string {
	t.Helper()
	if len(types) > 1 {
		var subsets [directory.NumTypes][]int
		for _, typ := range types {
			subsets[typ] = inListOrder(b.view.Len(typ), nil)
		}
		places, err := o.across(t.Context(), b.view, subsets)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, p := range places {
			ids = append(ids, b.view.At(p.typ, p.position).ID())
		}
		return ids
	}
	var last []string
	for _, subset := range [][]int{nil, nil, inListOrder(b.view.Len(types[0]), nil)} {
		positions, err := o.positions(t.Context(), b.view, types[0], subset)
		if err != nil {
			t.Fatal(err)
		}
		ids := b.ids(types[0], positions)
		if last != nil && !slices.Equal(last, ids) {
			t.Errorf("asked again: %v, before: %v", ids, last)
		}
		last = ids
	}
	return last
}

func TestSortingASubset(t *testing.T) {
	b := newBench(t)
	o, err := b.attrs.compileSort(onUsers, "userName", "descending")
	if err != nil {
		t.Fatal(err)
	}
	subset := []int{1, 3, 6}
	got, _ := o.positions(t.Context(), b.view, directory.User, subset)
	if !slices.Equal(got, []int{6, 3, 1}) || !slices.Equal(subset, []int{1, 3, 6}) {
		t.Errorf("got %v from %v", got, subset)
	}
	if got, _ := o.positions(t.Context(), b.view, directory.User, []int{}); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if got, _ := (*order)(nil).positions(t.Context(), b.view, directory.User, subset); !slices.Equal(got, subset) {
		t.Errorf("without an order: %v", got)
	}
	if got, _ := (*order)(nil).positions(t.Context(), b.view, directory.Group, nil); !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Errorf("without an order, all: %v", got)
	}
}

func TestSortParametersAreChecked(t *testing.T) {
	attrs := newAttributes(richSchemas(t))
	for _, tt := range []struct {
		types                   []directory.Type
		name, sortBy, sortOrder string
		scimType, detail        string
	}{
		{onUsers, "unknown", "bogus", "", "invalidPath", `sortBy: User has no attribute "bogus"`},
		{onUsers, "unknown sub-attribute", "name.bogus", "", "invalidPath", `sortBy: "name" has no sub-attribute "bogus"`},
		{onUsers, "of the other type", "members", "", "invalidPath", `sortBy: User has no attribute "members"`},
		{onUsers, "complex", "name", "", "invalidPath", `sortBy: "name" is complex; name one of its sub-attributes`},
		{onUsers, "a whole extension", enterprise, "", "invalidPath", `sortBy: "` + enterprise + `" is complex; name one of its sub-attributes`},
		{onUsers, "a value path", `emails[type eq "work"]`, "", "invalidPath", `sortBy: User has no attribute "emails[type eq \"work\"]"`},
		{onUsers, "ambiguous", "employeeNumber", "", "invalidPath", `sortBy: "employeeNumber" may be ` + enterprise + `:employeeNumber or ` + testUser + `:employeeNumber; name it in full`},
		{onUsers, "never returned", "secret", "", "invalidPath", `sortBy: "secret" cannot be sorted by`},
		{onBoth, "of neither type", "bogus", "", "invalidPath", `sortBy: User has no attribute "bogus"`},
		{onUsers, "direction", "userName", "up", "invalidValue", `sortOrder: "up" is neither ascending nor descending`},
		{onUsers, "direction without sortBy", "", "up", "invalidValue", `sortOrder: "up" is neither ascending nor descending`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := attrs.compileSort(tt.types, tt.sortBy, tt.sortOrder)
			if err == nil || err.status != 400 || err.scimType != tt.scimType || err.detail != tt.detail {
				t.Errorf("got %v", err)
			}
		})
	}
	if o, err := attrs.compileSort(onUsers, "", "descending"); o != nil || err != nil || o.key() != "" {
		t.Errorf("without sortBy: %v, %v", o, err)
	}
}

func TestOrderKeys(t *testing.T) {
	attrs := newAttributes(servedSchemas(t))
	key := func(sortBy, sortOrder string) string {
		o, err := attrs.compileSort(onUsers, sortBy, sortOrder)
		if err != nil {
			t.Fatal(err)
		}
		return o.key()
	}
	if key("USERNAME", "Ascending") != key(coreUser+":userName", "") || key("emails", "") != key("emails.value", "") {
		t.Error("the same order has two keys")
	}
	if key("userName", "") == key("userName", "descending") || key("userName", "") == key("displayName", "") {
		t.Error("two orders have the same key")
	}
}

func TestSortingEndsWithTheRequest(t *testing.T) {
	b := newBench(t)
	o, err := b.attrs.compileSort(onUsers, "userName", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.positions(ctx, b.view, directory.User, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Keys are compared as the values they stand for.
func TestSortKeysOfNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	values := []float64{0, math.Copysign(0, -1), 1, -1, 1e-300, -1e-300, 1e300, -1e300, math.Inf(1), math.Inf(-1)}
	for range 100 {
		values = append(values, rnd.NormFloat64()*math.Pow(10, float64(rnd.IntN(20)-10)))
	}
	for _, a := range values {
		for _, b := range values {
			if (a < b) != (sortableFloat(a) < sortableFloat(b)) {
				t.Errorf("%v and %v", a, b)
			}
		}
	}
}

func TestOrderCacheIsBounded(t *testing.T) {
	var c orderCache
	key := func(i int) orderKey { return orderKey{view: strconv.Itoa(i)} }
	for i := range maxOrders + 3 {
		c.put(key(i), []int{i})
		if i > 0 {
			c.get(key(1))
		}
	}
	if len(c.orders) != maxOrders || c.total != maxOrders {
		t.Errorf("%d orders with %d positions", len(c.orders), c.total)
	}
	if got, ok := c.get(key(1)); !ok || !slices.Equal(got, []int{1}) {
		t.Errorf("the order in use: %v, %v", got, ok)
	}
	if _, ok := c.get(key(0)); ok {
		t.Error("the oldest is still there")
	}
	c.put(key(100), make([]int, maxOrderPositions+1))
	if _, ok := c.get(key(100)); ok {
		t.Error("too large an order is kept")
	}
	c.put(key(101), make([]int, maxOrderPositions))
	if _, ok := c.get(key(101)); !ok || len(c.orders) != 1 {
		t.Errorf("%d orders beside one that fills the cache", len(c.orders)-1)
	}
	got, _ := c.get(key(101))
	got[0] = 7
	if again, _ := c.get(key(101)); again[0] == 7 {
		t.Error("a caller can change what is kept")
	}
}
