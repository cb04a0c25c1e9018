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

// sorted gives ids in an order: twice for what is kept, and as a subset.
func (b *bench) sorted(t *testing.T, types []directory.Type, o *order) []string {
	t.Helper()
	var every [directory.NumTypes][]uint32
	for _, typ := range types {
		every[typ] = []uint32{}
		for i := range b.view.Len(typ) {
			every[typ] = append(every[typ], placeOf(typ, i))
		}
	}
	var last []string
	for _, subsets := range [][directory.NumTypes][]uint32{{}, {}, every} {
		ids := b.placed(t, types, o, subsets)
		if last != nil && !slices.Equal(last, ids) {
			t.Errorf("asked again: %v, before: %v", ids, last)
		}
		last = ids
	}
	return last
}

// placed gives the ids of subsets in an order.
func (b *bench) placed(t *testing.T, types []directory.Type, o *order, subsets [directory.NumTypes][]uint32) []string {
	t.Helper()
	places, err := o.places(t.Context(), b.view, types, &subsets)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(places))
	s := section{n: len(places), chosen: places}
	for i := range places {
		typ, position := s.place(i)
		ids[i] = b.view.At(typ, position).ID()
	}
	return ids
}

func TestSortingASubset(t *testing.T) {
	b := newBench(t)
	o, err := b.attrs.compileSort(onUsers, "userName", "descending")
	if err != nil {
		t.Fatal(err)
	}
	subset := []uint32{1, 3, 6}
	got := b.placed(t, onUsers, o, [directory.NumTypes][]uint32{directory.User: subset})
	if !slices.Equal(got, []string{"u-gus", "u-dee", "u-bob"}) || !slices.Equal(subset, []uint32{1, 3, 6}) {
		t.Errorf("got %v from %v", got, subset)
	}
	if got := b.placed(t, onUsers, o, [directory.NumTypes][]uint32{directory.User: {}}); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// Of several types sorted together, each may be limited or whole; what is kept
// of one query serves no other.
func TestSortingTypesTogether(t *testing.T) {
	b := newBench(t)
	order := func(types []directory.Type, by string) *order {
		t.Helper()
		o, err := b.attrs.compileSort(types, by, "")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := order(onBoth, "displayName")
	if got, want := b.placed(t, onBoth, o, [directory.NumTypes][]uint32{directory.User: {0, 1}}),
		strings.Fields("g-all u-ann g-ann u-bob g-dev g-nil"); !slices.Equal(got, want) {
		t.Errorf("some users and all groups: %v, want %v", got, want)
	}
	if got := b.placed(t, onBoth, o, [directory.NumTypes][]uint32{directory.User: {}, directory.Group: {placeOf(directory.Group, 0)}}); !slices.Equal(got, []string{"g-all"}) {
		t.Errorf("one group: %v", got)
	}
	// Both types have a mailNickname, each in its own extension.
	both, one := order(onBoth, "mailNickname"), order(onBoth, entraGroup+":mailNickname")
	if both.key() == one.key() {
		t.Errorf("two orders have the key %q", one.key())
	}
	if all := b.sorted(t, onUsers, order(onUsers, "displayName")); len(all) != b.view.Len(directory.User) {
		t.Errorf("users alone, after both types: %v", all)
	}
}

func TestSortParametersAreChecked(t *testing.T) {
	attrs := newAttributes(richSchemas(t), nil)
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
	attrs := newAttributes(servedSchemas(t), nil)
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
	if _, err := o.places(ctx, b.view, onUsers, new([directory.NumTypes][]uint32)); !errors.Is(err, context.Canceled) {
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
		c.put(key(i), []uint32{uint32(i)})
		if i > 0 {
			c.get(key(1))
		}
	}
	if len(c.orders) != maxOrders || c.total != maxOrders {
		t.Errorf("%d orders with %d positions", len(c.orders), c.total)
	}
	if got, ok := c.get(key(1)); !ok || !slices.Equal(got, []uint32{1}) {
		t.Errorf("the order in use: %v, %v", got, ok)
	}
	if _, ok := c.get(key(0)); ok {
		t.Error("the oldest is still there")
	}
	c.put(key(100), make([]uint32, maxOrderPositions+1))
	if _, ok := c.get(key(100)); ok {
		t.Error("too large an order is kept")
	}
	c.put(key(101), make([]uint32, maxOrderPositions))
	if _, ok := c.get(key(101)); !ok || len(c.orders) != 1 {
		t.Errorf("%d orders beside one that fills the cache", len(c.orders)-1)
	}
}
