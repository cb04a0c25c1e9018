package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	filterparser "github.com/scim2/filter-parser/v2"

	"scimbridge/scim/directory"
)

// A bench has what filters, orders and projections are tried with.
type bench struct {
	view   *directory.View
	attrs  *attributes
	naives [directory.NumTypes]*naive
	maps   [directory.NumTypes][]map[string]any // the resources, decoded
}

func newBench(t testing.TB) *bench {
	b := &bench{view: newWorld(t), attrs: newAttributes(richSchemas(t), nil)}
	for typ := range directory.Type(directory.NumTypes) {
		b.naives[typ] = newNaive(richSchemas(t), typ)
		for i := range b.view.Len(typ) {
			b.maps[typ] = append(b.maps[typ], decoded(t, b.view.At(typ, i).AppendJSON(nil)))
		}
	}
	return b
}

// ids gives the ids of the resources at positions.
func (b *bench) ids(places []uint32) []string {
	ids := []string{}
	for _, place := range places {
		ids = append(ids, b.view.At(placed(place)).ID())
	}
	return ids
}

// found gives what a compiled filter finds, by match, by scan, and whatever the
// indexes say; the three must agree.
func (b *bench) found(t *testing.T, types []directory.Type, f *filter) []string {
	t.Helper()
	all := []string{}
	for _, typ := range types {
		var matching []uint32
		for i := range b.view.Len(typ) {
			if f.match(b.view.At(typ, i)) {
				matching = append(matching, placeOf(typ, i))
			}
		}
		scanned, err := f.scan(t.Context(), b.view, typ, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b.ids(matching), b.ids(scanned)); diff != "" {
			t.Errorf("match finds other %ss than scan (-match +scan):\n%s", typ, diff)
		}
		all = append(all, b.ids(matching)...)
	}
	return all
}

// expected gives what the second opinion finds.
func (b *bench) expected(t testing.TB, types []directory.Type, text string) []string {
	t.Helper()
	node, err := naiveParse(text)
	if err != nil {
		t.Fatalf("the naive parser refuses %s", text)
	}
	f := &naiveFilter{node: node}
	ids := []string{}
	for _, typ := range types {
		for _, m := range b.maps[typ] {
			if f.holds(b.naives[typ], m) {
				ids = append(ids, m["id"].(string))
			}
		}
	}
	return ids
}

func TestFiltersAgreeWithTheNaiveEvaluator(t *testing.T) {
	b := newBench(t)
	for _, tt := range filterCases {
		t.Run(tt.name+": "+tt.filter, func(t *testing.T) {
			f, err := b.attrs.compileFilter(tt.types, tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			got := b.found(t, tt.types, f)
			if diff := cmp.Diff(b.expected(t, tt.types, tt.filter), got); diff != "" {
				t.Errorf("-naive +compiled:\n%s", diff)
			}
			if want := strings.Fields(tt.want); !slices.Equal(want, got) {
				t.Errorf("found %v, want %v", got, want)
			}
		})
	}
	t.Logf("%d filters", len(filterCases))
}

// Each row is refused with invalidFilter, at a character and with words that
// help.
func TestFilterFaultsPointAtThemselves(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		types        []directory.Type
		name, filter string
		detail       string
	}{
		{onUsers, "nothing", ``, `filter, character 1: expected an attribute, found the end of the filter`},
		{onUsers, "blanks only", `   `, `filter, character 4: expected an attribute, found the end of the filter`},
		{onUsers, "no operator", `userName`, `filter, character 9: expected an operator after "userName", found the end of the filter`},
		{onUsers, "no value", `userName eq`, `filter, character 12: expected a value, found the end of the filter`},
		{onUsers, "unknown operator", `userName is "x"`, `filter, character 10: "is" is no operator; there are eq, ne, co, sw, ew, pr, gt, ge, lt and le`},
		{onUsers, "operator of programming languages", `userName == "x"`, `filter, character 10: "==" is no operator; there are eq, ne, co, sw, ew, pr, gt, ge, lt and le`},
		{onUsers, "unknown attribute", `active eq true and bogus eq "x"`, `filter, character 20: User has no attribute "bogus"`},
		{onUsers, "positions count characters", `title eq "東京" and bogus pr`, `filter, character 19: User has no attribute "bogus"`},
		{onUsers, "unknown sub-attribute", `name.middle eq "x"`, `filter, character 1: "name" has no sub-attribute "middle"`},
		{onUsers, "unknown in a value path", `emails[bogus eq "x"]`, `filter, character 8: "emails" has no sub-attribute "bogus"`},
		{onUsers, "unknown attribute with a value path", `bogus[type eq "x"]`, `filter, character 1: User has no attribute "bogus"`},
		{onUsers, "unknown after a value path", `emails[type eq "work"].bogus eq "x"`, `filter, character 24: "emails" has no sub-attribute "bogus"`},
		{onUsers, "sub-attribute of a simple one", `userName.x eq "x"`, `filter, character 1: "userName" has no sub-attribute "x"`},
		{onUsers, "attribute of the other type", `members.value eq "x"`, `filter, character 1: User has no attribute "members"`},
		{onBoth, "attribute of neither type", `bogus eq "x"`, `filter, character 1: User has no attribute "bogus"`},
		{onUsers, "unknown schema", `urn:x:y:z eq "x"`, `filter, character 1: User has no schema "urn:x:y"`},
		{onUsers, "schema of the other type", `urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq "x"`, `filter, character 1: User has no schema "urn:ietf:params:scim:schemas:core:2.0:Group"`},
		{onUsers, "unknown in a schema", enterprise + `:bogus eq "x"`, `filter, character 1: the schema "` + enterprise + `" has no attribute "bogus"`},
		{onUsers, "unknown in the core schema", coreUser + `:department eq "x"`, `filter, character 1: the schema "` + coreUser + `" has no attribute "department"`},
		{onUsers, "ambiguous", `employeeNumber eq "x"`, `filter, character 1: "employeeNumber" may be ` + enterprise + `:employeeNumber or ` + testUser + `:employeeNumber; name it in full`},
		{onUsers, "never returned", `secret eq "x"`, `filter, character 1: "secret" cannot be filtered by`},
		{onUsers, "never returned, in a value path", `pager[pin eq "1"]`, `filter, character 7: "` + testUser + `:pager" has no sub-attribute "pin"`},
		{onUsers, "never returned, dotted", `pager.pin eq "1"`, `filter, character 1: "pager.pin" cannot be filtered by`},
		{onUsers, "complex without value", `name eq "x"`, `filter, character 1: "name" is complex and has no value of its own; name one of its sub-attributes`},
		{onUsers, "addresses without value", `addresses co "x"`, `filter, character 1: "addresses" is complex and has no value of its own; name one of its sub-attributes`},
		{onUsers, "a whole extension compared", enterprise + ` eq "x"`, `filter, character 1: "` + enterprise + `" is complex and has no value of its own; name one of its sub-attributes`},
		{onUsers, "boolean gt", `active gt true`, `filter, character 8: "gt" does not apply to "active", which is of type boolean`},
		{onUsers, "boolean co", `active co "t"`, `filter, character 8: "co" does not apply to "active", which is of type boolean`},
		{onUsers, "boolean le in a value path", `emails[primary le true]`, `filter, character 16: "le" does not apply to "primary", which is of type boolean`},
		{onUsers, "binary lt", `badge lt "QUJD"`, `filter, character 7: "lt" does not apply to "badge", which is of type binary`},
		{onUsers, "number sw", `level sw "7"`, `filter, character 7: "sw" does not apply to "level", which is of type integer`},
		{onUsers, "boolean as string", `active eq "true"`, `filter, character 11: "active" is of type boolean; "\"true\"" is not`},
		{onUsers, "string as number", `userName eq 5`, `filter, character 13: "userName" is of type string; "5" is not`},
		{onUsers, "string as boolean", `userName eq true`, `filter, character 13: "userName" is of type string; "true" is not`},
		{onUsers, "number as string", `level eq "7"`, `filter, character 10: "level" is of type integer; "\"7\"" is not`},
		{onUsers, "dateTime as garbage", `meta.lastModified gt "garbage"`, `filter, character 22: "meta.lastModified" is of type dateTime; "\"garbage\"" is not`},
		{onUsers, "dateTime as number", `meta.lastModified gt 1700000000`, `filter, character 22: "meta.lastModified" is of type dateTime; "1700000000" is not`},
		{onUsers, "dateTime with a 30th of February", `hired gt "2026-02-30T00:00:00Z"`, `filter, character 10: "hired" is of type dateTime; "\"2026-02-30T00:00:00Z\"" is not`},
		{onUsers, "order with null", `title gt null`, `filter, character 10: "title" is of type string; "null" is not`},
		{onUsers, "co with null", `title co null`, `filter, character 10: "title" is of type string; "null" is not`},
		{onUsers, "unclosed parenthesis", `(active eq true`, `filter, character 16: expected ")", found the end of the filter`},
		{onUsers, "unopened parenthesis", `active eq true)`, `filter, character 15: expected "and", "or" or the end of the filter, found ")"`},
		{onUsers, "unclosed bracket", `emails[type eq "work"`, `filter, character 22: expected "]", found the end of the filter`},
		{onUsers, "empty brackets", `emails[]`, `filter, character 8: expected an attribute, found "]"`},
		{onUsers, "empty parentheses", `()`, `filter, character 2: expected an attribute, found ")"`},
		{onUsers, "brackets on a simple attribute", `userName[value eq "x"]`, `filter, character 1: "userName" is not complex; it takes no filter in brackets`},
		{onUsers, "brackets within brackets", `emails[value[type eq "x"]]`, `filter, character 8: brackets within brackets`},
		{onUsers, "a value path with an operator", `emails[type eq "work"] eq "x"`, `filter, character 24: expected "and", "or" or the end of the filter, found "eq"`},
		{onUsers, "a dangling dot", `emails[type eq "work"].`, `filter, character 24: expected a sub-attribute, found the end of the filter`},
		{onUsers, "unclosed string", `userName eq "x`, `filter, character 13: the string that begins here has no closing quote`},
		{onUsers, "unclosed by an escape", `userName eq "x\"`, `filter, character 13: the string that begins here has no closing quote`},
		{onUsers, "wrong escape", `userName eq "\x"`, `filter, character 13: "\"\\x\"" is no JSON string: wrong escape or control character`},
		{onUsers, "raw control character", "userName eq \"a\tb\"", `filter, character 13: "\"a\tb\"" is no JSON string: wrong escape or control character`},
		{onUsers, "single quotes", `userName eq 'x'`, `filter, character 13: "'x'" is no value; a value is a string in double quotes, a number, true, false or null`},
		{onUsers, "no quotes", `userName eq x`, `filter, character 13: "x" is no value; a value is a string in double quotes, a number, true, false or null`},
		{onUsers, "number with leading zero", `level eq 07`, `filter, character 10: "07" is no value; a value is a string in double quotes, a number, true, false or null`},
		{onUsers, "number with plus", `level eq +7`, `filter, character 10: "+7" is no value; a value is a string in double quotes, a number, true, false or null`},
		{onUsers, "infinity", `score eq Infinity`, `filter, character 10: "Infinity" is no value; a value is a string in double quotes, a number, true, false or null`},
		{onUsers, "two filters", `title pr userType pr`, `filter, character 10: expected "and", "or" or the end of the filter, found "userType"`},
		{onUsers, "dangling and", `title pr and`, `filter, character 13: expected an attribute, found the end of the filter`},
		{onUsers, "leading or", `or title pr`, `filter, character 4: "title" is no operator; there are eq, ne, co, sw, ew, pr, gt, ge, lt and le`},
		{onUsers, "not without parentheses", `not title pr`, `filter, character 5: "title" is no operator; there are eq, ne, co, sw, ew, pr, gt, ge, lt and le`},
		{onUsers, "not not", `not not (title pr)`, `filter, character 5: "not" is no operator; there are eq, ne, co, sw, ew, pr, gt, ge, lt and le`},
		{onUsers, "not UTF-8", "title eq \"\xff\"", `filter, character 11: this is not UTF-8`},
		{onUsers, "value first", `"x" eq userName`, `filter, character 1: expected an attribute, found "\""`},
		{onUsers, "too long", strings.Repeat(" ", maxFilterLength) + "x", `filter, character 1: the filter has 8193 bytes; at most 8192 are taken`},
		{onUsers, "too deep", strings.Repeat("(", maxFilterDepth+1) + "title pr" + strings.Repeat(")", maxFilterDepth+1), `filter, character 65: more than 64 levels of parentheses and brackets`},
		{onUsers, "too deep in brackets", strings.Repeat("a[", maxFilterDepth+1), `filter, character 130: more than 64 levels of parentheses and brackets`},
		{onUsers, "too many", strings.Repeat("id pr or ", maxFilterTerms) + "id pr", `filter, character 4609: more than 512 comparisons`},
		{onUsers, "a long text is cut", strings.Repeat("é", 100) + " pr", `filter, character 1: User has no attribute "` + strings.Repeat("é", 40) + `…"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.attrs.compileFilter(tt.types, tt.filter)
			if err == nil {
				t.Fatal("accepted")
			}
			if err.status != 400 || err.scimType != "invalidFilter" {
				t.Errorf("status %d %s", err.status, err.scimType)
			}
			if diff := cmp.Diff(tt.detail, err.detail); diff != "" {
				t.Errorf("detail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFiltersAtTheBoundsAreAccepted(t *testing.T) {
	attrs := newAttributes(servedSchemas(t), nil)
	for name, text := range map[string]string{
		"depth": strings.Repeat("(", maxFilterDepth) + "title pr" + strings.Repeat(")", maxFilterDepth),
		"terms": strings.Repeat("id pr or ", maxFilterTerms-1) + "id pr",
		"bytes": `title eq "` + strings.Repeat("x", maxFilterLength-11) + `"`,
	} {
		if _, err := attrs.compileFilter(onUsers, text); err != nil {
			t.Errorf("%s: %s", name, err.detail)
		}
	}
}

// Where the grammar of github.com/scim2/filter-parser takes a filter, so does
// ours, with the same tree.
func TestParserAgreesWithTheLibrary(t *testing.T) {
	refused := 0
	for _, tt := range filterCases {
		theirs, err := filterparser.ParseFilterNumber([]byte(tt.filter))
		if err != nil {
			refused++
			continue
		}
		ours, fault := parseFilter(tt.filter)
		if fault != nil {
			t.Errorf("%s: %s", tt.filter, fault.what)
			continue
		}
		if diff := cmp.Diff(libraryText(theirs), ourText(ours)); diff != "" {
			t.Errorf("%s (-library +ours):\n%s", tt.filter, diff)
		}
	}
	if len(filterCases)-refused < 200 {
		t.Errorf("the library takes only %d of %d filters: the comparison is worth little", len(filterCases)-refused, len(filterCases))
	}
}

func libraryText(e filterparser.Expression) string {
	switch e := e.(type) {
	case *filterparser.LogicalExpression:
		return "(" + libraryText(e.Left) + " " + string(e.Operator) + " " + libraryText(e.Right) + ")"
	case *filterparser.NotExpression:
		return "not(" + libraryText(e.Expression) + ")"
	case *filterparser.ValuePath:
		return strings.ToLower(e.AttributePath.String()) + "[" + libraryText(e.ValueFilter) + "]"
	case *filterparser.AttributeExpression:
		text := strings.ToLower(e.AttributePath.String()) + " " + string(e.Operator)
		if e.Operator == filterparser.PR {
			return text
		}
		switch v := e.CompareValue.(type) {
		case string:
			var s string
			if json.Unmarshal([]byte(`"`+v+`"`), &s) != nil {
				return "?"
			}
			return text + " " + strconv.Quote(s)
		case nil:
			return text + " null"
		case bool:
			return text + " " + strconv.FormatBool(v)
		default:
			return text + " " + string(v.(json.Number))
		}
	}
	return "?"
}

func ourText(e expression) string {
	join := func(parts []expression, by string) string {
		text := ourText(parts[0])
		for _, p := range parts[1:] {
			text = "(" + text + by + ourText(p) + ")"
		}
		return text
	}
	switch e := e.(type) {
	case *conjunction:
		return join(e.parts, " and ")
	case *disjunction:
		return join(e.parts, " or ")
	case *negation:
		return "not(" + ourText(e.of) + ")"
	case *valuePath:
		return strings.ToLower(e.path.text) + "[" + ourText(e.filter) + "]"
	}
	c := e.(*comparison)
	text := strings.ToLower(c.path.text) + " " + string(c.op)
	if c.op == opPresent {
		return text
	}
	switch v := c.value.value.(type) {
	case string:
		return text + " " + strconv.Quote(v)
	case nil:
		return text + " null"
	case bool:
		return text + " " + strconv.FormatBool(v)
	default:
		return text + " " + string(v.(json.Number))
	}
}

// What a query is known by is quoted as ever: walks that are kept over a restart are
// found by it.
func TestQuotedAsEver(t *testing.T) {
	texts := []string{"", `userName eq "x"`, `a\b`, "tab\there", "\x7f", "über", "\xff", `~ "ü`}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		text := make([]byte, r.IntN(20))
		for i := range text {
			if text[i] = ' ' + byte(r.IntN(95)); r.IntN(50) == 0 {
				text[i] = byte(r.Uint32())
			}
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		if got, want := appendQuoted([]byte("before"), []byte(text)), strconv.AppendQuote([]byte("before"), text); string(got) != string(want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// Filters that are the same have the same key, and the key is a filter of the
// same meaning.
func TestFilterKeys(t *testing.T) {
	attrs := newAttributes(richSchemas(t), nil)
	key := func(text string) string {
		f, err := attrs.compileFilter(onUsers, text)
		if err != nil {
			t.Fatalf("%s: %s", text, err.detail)
		}
		return string(f.key())
	}
	for _, same := range [][]string{
		{`userName eq "x"`, `USERNAME  EQ "x"`, `(username eq "x")`, ` userName eq "\u0078" `},
		{`active eq true and title pr`, `(active eq TRUE) AND (title PR)`},
		{`emails[type eq "work"].value pr`, `EMAILS [TYPE EQ "work"].VALUE PR`},
	} {
		for _, text := range same[1:] {
			if key(text) != key(same[0]) {
				t.Errorf("%s has the key %s, %s has %s", text, key(text), same[0], key(same[0]))
			}
		}
	}
	for _, pair := range [][2]string{
		{`userName eq "x"`, `userName eq "X"`},
		{`title pr or active eq true and id pr`, `(title pr or active eq true) and id pr`},
		{`title eq "null"`, `title eq null`},
		{`level eq 7`, `level eq 8`},
	} {
		if key(pair[0]) == key(pair[1]) {
			t.Errorf("%s and %s have the same key", pair[0], pair[1])
		}
	}
	for _, tt := range filterCases {
		f, err := attrs.compileFilter(tt.types, tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		again, err := attrs.compileFilter(tt.types, string(f.key()))
		if err != nil || string(again.key()) != string(f.key()) {
			t.Errorf("the key of %s is no fixed point: %s", tt.filter, f.key())
		}
	}
	if len((*filter)(nil).key()) > 0 {
		t.Error("no filter has a key")
	}
}

func TestIndexesServeFilters(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		typ    directory.Type
		filter string
		want   string // candidates; "scan" for none
	}{
		{directory.User, `id eq "u-ann"`, "u-ann"},
		{directory.User, `id eq "g-dev"`, ""},
		{directory.User, `userName eq "ANN@example.com"`, "u-ann"},
		{directory.User, `externalId eq "E-1"`, "u-ann"},
		{directory.Group, `externalId eq "E-1"`, "g-dev"},
		{directory.User, `emails eq "c2@EXAMPLE.org"`, "u-cyd"},
		{directory.User, `emails.value eq "c2@example.org"`, "u-cyd"},
		{directory.User, `emails[type eq "work" and value eq "c2@example.org"]`, "u-cyd"},
		{directory.User, `emails[type eq "work"].value eq "c2@example.org"`, "u-cyd"},
		{directory.User, `displayName eq "DEE"`, "u-dee"},
		{directory.Group, `displayName eq "developers"`, "g-dev"},
		{directory.User, `groups.value eq "g-dev"`, "u-ann u-eve"},
		{directory.User, `groups[value eq "g-dev"]`, "u-ann u-eve"},
		{directory.Group, `members eq "u-eve"`, "g-dev"},
		{directory.Group, `members[value eq "u-eve" and type eq "User"]`, "g-dev"},
		{directory.User, `meta.lastModified gt "2026-11-04T00:00:00Z"`, "u-dee u-hal"},
		{directory.User, `meta.lastModified ge "2026-11-04T12:00:00.003Z"`, "u-dee u-hal"},
		{directory.User, `active eq true and userName eq "ann@example.com"`, "u-ann"},
		{directory.User, `meta.lastModified gt "2020-01-01" and active eq true and (title pr and userName eq "ann@example.com")`, "u-ann"},
		{directory.User, `userName eq "ann@example.com" or id eq "u-hal" or emails eq "ann@example.com"`, "u-ann u-hal"},
		{directory.User, `title pr and (id eq "u-dee" or groups eq "g-ann")`, "u-ann u-dee"},
		{directory.User, `meta.resourceType eq "Group"`, ""},
		{directory.User, `meta.resourceType eq "Group" or id eq "u-ann"`, "u-ann"},
		{directory.User, `meta.resourceType eq "User" and id eq "u-ann"`, "u-ann"},
		{directory.User, `userName eq "ann@example.com" or title pr`, "scan"},
		{directory.User, `not (userName eq "ann@example.com")`, "scan"},
		{directory.User, `userName ne "ann@example.com"`, "scan"},
		{directory.User, `userName sw "ann"`, "scan"},
		{directory.User, `displayName eq ""`, "scan"},
		{directory.User, `meta.lastModified lt "2026-11-04T00:00:00Z"`, "scan"},
		{directory.User, `emails[not (value eq "x")]`, "scan"},
		{directory.User, `emails.type eq "work"`, "scan"},
		{directory.User, `mailNickname eq "ann"`, "scan"},
		{directory.User, `meta.resourceType eq "User"`, "scan"},
	} {
		f, err := b.attrs.compileFilter(onBoth, tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := "scan"
		if positions, ok := f.candidates(b.view, tt.typ); ok {
			var places []uint32
			for _, i := range positions {
				places = append(places, placeOf(tt.typ, i))
			}
			got = strings.Join(b.ids(places), " ")
		}
		if got != tt.want {
			t.Errorf("%s: candidates %q, want %q", tt.filter, got, tt.want)
		}
	}
}

// A filter by active finds what the JSON says, whether or not the row says it
// too, and whatever the record said of being active.
func TestActiveIsWhatIsServed(t *testing.T) {
	p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: "test", BaseURL: "https://scim.example.com/scim/v2", Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	d := p.Draft()
	for id, attributes := range map[string]string{
		"on": `,"active":true`, "off": `,"active":false`, "null": `,"active":null`, "none": ``,
		"decoy": `,"title":"active","name":{"active":false}`,
	} {
		for _, active := range []bool{true, false} {
			id := fmt.Sprintf("%s-%t", id, active)
			body := fmt.Appendf(nil, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"%s","userName":"%[1]s"%s`, id, attributes)
			if err := d.Put(directory.Record{Type: directory.User, ID: id, Active: active, Body: body, UserName: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(t, p, d, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	v, attrs := directory.NewView(p.Current()), newAttributes(richSchemas(t), nil)

	for _, tt := range []struct{ filter, want string }{
		{`active eq true`, "on"},
		{`active eq false`, "off"},
		{`not (active eq true)`, "decoy none null off"},
		{`not (active eq false)`, "decoy none null on"},
		{`active ne true`, "decoy none null off"},
		{`active ne false`, "decoy none null on"},
		{`active pr`, "off on"},
		{`active eq null`, "decoy none null"},
		{`userName sw "o" and active eq false`, "off"},
	} {
		f, fault := attrs.compileFilter(onUsers, tt.filter)
		if fault != nil {
			t.Fatal(fault.detail)
		}
		var want, got []string
		for _, id := range strings.Fields(tt.want) {
			want = append(want, id+"-false", id+"-true")
		}
		for i := range v.Len(directory.User) {
			if r := v.At(directory.User, i); f.match(r) {
				got = append(got, r.ID())
			}
		}
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s finds %v, want %v", tt.filter, got, want)
		}
	}
}

func TestScansEnd(t *testing.T) {
	b := newBench(t)
	f, serr := b.attrs.compileFilter(onUsers, `title pr`)
	if serr != nil {
		t.Fatal(serr)
	}
	t.Run("when the request is given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.scan(ctx, b.view, directory.User, time.Time{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("when the time is up", func(t *testing.T) {
		if _, err := f.scan(t.Context(), b.view, directory.User, time.Now().Add(-1)); !errors.Is(err, errScanTime) {
			t.Errorf("error %v", err)
		}
	})
}

func TestMatchAllocatesNothing(t *testing.T) {
	b := newBench(t)
	ann := b.view.At(directory.User, 0)
	for _, text := range []string{
		`title co "gin"`,
		`userName eq "x" or name.familyName sw "arch" or department eq "y" or emails[type eq "other" and value ew "example"]`,
		`displayName eq "東京" or title eq "C\u00ddd" or hired gt "2026-01-01T00:00:00+05:00"`,
		`not (active eq false) and active ne true`,
		`meta.lastModified gt "2026-01-01" and meta.location ew "x" or level gt 5 and score lt 1e3`,
	} {
		f, err := b.attrs.compileFilter(onUsers, text)
		if err != nil {
			t.Fatal(err)
		}
		s := f.subject()
		if n := testing.AllocsPerRun(100, func() { f.matches(s, ann) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestParseTime(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-23T12:00:00Z":                noon,
		"2026-11-23T12:00:00":                 noon,
		"2026-11-23t12:00:00z":                noon,
		"2026-11-23 12:00:00":                 noon,
		"2026-11-23T12:00":                    noon,
		"2026-11-23T12:00Z":                   noon,
		"2026-11-23T13:30:00+01:30":           noon,
		"2026-11-23T13:30:00 01:30":           noon,
		"2026-11-23T13:30:00+0130":            noon,
		"2026-11-23T02:00:00-10":              noon,
		"2026-11-23T12:00:00.000000Z":         noon,
		"2026-11-23T12:00:00,5Z":              noon.Add(time.Second / 2),
		"2026-11-23T12:00:00.123456789123Z":   noon.Add(123456789),
		"2026-11-23T11:59:60Z":                noon,
		"2026-11-23":                          noon.Add(-12 * time.Hour),
		"2026-11-23T24:00:00Z":                noon.Add(-12 * time.Hour),
		"2026-11-23T24:15:30.5Z":              noon.Add(-12*time.Hour + 15*time.Minute + 30500*time.Millisecond),
		"2027-12-31T00:00:00Z":                time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC), // YYYY of 2026-12-31
		"2024-02-29":                          time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"0001-01-01T00:00:00Z":                {},
		"9999-12-31T23:59:59.999999999+14:00": time.Date(9999, 12, 31, 9, 59, 59, 999999999, time.UTC),
	} {
		got, ok := parseTime(text)
		if !ok || !got.Equal(want) {
			t.Errorf("parseTime(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "2026", "2026-11", "2026-11-23T", "2026-11-23T12", "2026-11-23T12:00:00.", "2026-11-23T12:00:00.Z",
		"2026-11-23T25:00:00Z", "2026-11-23T12:60:00Z", "2026-11-23T12:00:61Z", "2026-11-31", "2026-13-01", "2026-00-01",
		"2026-01-00", "2026-02-29", "2026-11-23T12:00:00+15:00", "2026-11-23T12:00:00+01:60", "2026-11-23T12:00:00ZZ",
		"2026-11-23T12:00:00+1:00", "2026-11-23X12:00:00Z", " 2026-11-23", "20261123T120000Z", "1700000000", "-2026-11-23",
		"2026-11-23T12:00:00 UTC", "２０２６-11-23",
	} {
		if got, ok := parseTime(text); ok {
			t.Errorf("parseTime(%q) = %v", text, got)
		}
	}
}
