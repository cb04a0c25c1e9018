package graph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
)

const nextLink = `"@odata.nextLink":"https://graph.test/v1.0/users/delta?$skiptoken=a"`

// pageOf puts objects into a page.
func pageOf(objects ...string) string {
	return `{"@odata.context":"https://graph.test/$metadata#users",` + nextLink + `,"value":[` + strings.Join(objects, ",") + `]}`
}

func props(pairs ...string) []graph.Property {
	var out []graph.Property
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, graph.Property{Name: pairs[i], Value: json.RawMessage(pairs[i+1])})
	}
	return out
}

func TestDecodeObjects(t *testing.T) {
	tests := []struct {
		name   string
		object string
		want   graph.Change
	}{
		{"an id alone", `{"id":"a"}`, graph.Change{ID: "a"}},
		{
			"properties come sorted, without id and annotations",
			`{"surname":"B","@odata.type":"#microsoft.graph.user","id":"a","mail@odata.type":"x","displayName":"A","owners@delta":[{"id":"z"}]}`,
			graph.Change{ID: "a", Properties: props("displayName", `"A"`, "surname", `"B"`)},
		},
		{
			"every type of value is passed on",
			`{"id":"a","a":null,"b":true,"c":false,"d":-1.5e+10,"e":[],"f":{},"g":"","h":0}`,
			graph.Change{ID: "a", Properties: props("a", "null", "b", "true", "c", "false", "d", "-1.5e+10", "e", "[]", "f", "{}", "g", `""`, "h", "0")},
		},
		{
			"whitespace goes, except within strings",
			" {\n\t\"id\" : \"a\" ,\r\n \"x\" : { \"y z\" : [ 1 , \" two  \\\" \" , { } ] } } ",
			graph.Change{ID: "a", Properties: props("x", `{"y z":[1," two  \" ",{}]}`)},
		},
		{
			"escapes in names and ids are undone, those in values stay",
			`{"\u0069d":"\u0061b","\u0078":"\u00e9\n\ud83d\ude00"}`,
			graph.Change{ID: "ab", Properties: props("x", `"\u00e9\n\ud83d\ude00"`)},
		},
		{
			"of a name that comes twice the last value counts",
			`{"id":"a","x":1,"b":0,"x":2,"id":"c","x":null}`,
			graph.Change{ID: "c", Properties: props("b", "0", "x", "null")},
		},
		{
			"names that differ in case are different names",
			`{"id":"a","mail":1,"Mail":2,"ID":3}`,
			graph.Change{ID: "a", Properties: props("ID", "3", "Mail", "2", "mail", "1")},
		},
		{
			"a soft-deleted object", `{"id":"a","@removed":{"reason":"changed"}}`,
			graph.Change{ID: "a", Removed: "changed"},
		},
		{
			"an object gone for good, its mark before its id", `{"@removed":{"x":[1],"reason":"Deleted"},"id":"a"}`,
			graph.Change{ID: "a", Removed: "deleted"},
		},
		{
			"members of several types, one of them gone",
			`{"id":"g","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"u"},
			 {"id":"d","@odata.type":"#microsoft.graph.device","@removed":{"reason":"deleted"}},
			 {"@odata.type":"#microsoft.graph.novelty","id":"n","x":{}},{"id":"o"}]}`,
			graph.Change{ID: "g", Members: []graph.Member{
				{ID: "u", Type: "user"}, {ID: "d", Type: "device", Removed: true}, {ID: "n", Type: "novelty"}, {ID: "o"},
			}},
		},
		{
			"a member removed and added in one object stays in order",
			`{"id":"g","members@delta":[{"id":"u","@removed":{"reason":"deleted"}},{"id":"u"}]}`,
			graph.Change{ID: "g", Members: []graph.Member{{ID: "u", Removed: true}, {ID: "u"}}},
		},
		{"an empty list of members is no change", `{"id":"g","members@delta":[]}`, graph.Change{ID: "g"}},
		{"null members are no change", `{"id":"g","members@delta":null}`, graph.Change{ID: "g"}},
		{
			"a manager", `{"id":"a","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"m"}],"department":"d","title":"t"}`,
			graph.Change{ID: "a", Properties: props("department", `"d"`, "manager", `{"id":"m"}`, "title", `"t"`)},
		},
		{
			"a manager taken away", `{"id":"a","manager@delta":[{"id":"m","@removed":{"reason":"deleted"}}]}`,
			graph.Change{ID: "a", Properties: props("manager", "null")},
		},
		{
			"a manager replaced, the old one first", `{"id":"a","manager@delta":[{"id":"m","@removed":{"reason":"deleted"}},{"id":"n"}]}`,
			graph.Change{ID: "a", Properties: props("manager", `{"id":"n"}`)},
		},
		{
			"a manager replaced, the old one last", `{"id":"a","manager@delta":[{"id":"n"},{"id":"m","@removed":{"reason":"deleted"}}]}`,
			graph.Change{ID: "a", Properties: props("manager", `{"id":"n"}`)},
		},
		{
			"a manager set and taken away again", `{"id":"a","manager@delta":[{"id":"m"},{"id":"m","@removed":{"reason":"deleted"}}]}`,
			graph.Change{ID: "a", Properties: props("manager", "null")},
		},
		{"no entry for a manager is no change", `{"id":"a","manager@delta":[]}`, graph.Change{ID: "a"}},
		{
			"a manager whose id needs escapes", `{"id":"a","manager@delta":[{"id":"m\"é"}]}`,
			graph.Change{ID: "a", Properties: props("manager", `{"id":"m\"é"}`)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, next, err := graph.DecodePage([]byte(pageOf(tt.object)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if next != "https://graph.test/v1.0/users/delta?$skiptoken=a" {
				t.Errorf("next link %q", next)
			}
			if diff := cmp.Diff(&graph.Page{Changes: []graph.Change{tt.want}}, page); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeLeavesBrokenObjectsOut(t *testing.T) {
	tests := []struct {
		name, object string
		id, reason   string
	}{
		{"no id", `{"displayName":"x"}`, "", "it has no id"},
		{"an empty id", `{"id":""}`, "", "it has no id"},
		{"an id that is a number", `{"id":7}`, "", "its id is not a string"},
		{"an id that is null", `{"id":null,"x":1}`, "", "its id is not a string"},
		{"no object", `"a"`, "", "it is not an object"},
		{"null", `null`, "", "it is not an object"},
		{"an array", `[{"id":"a"}]`, "", "it is not an object"},
		{"a removal that is no object", `{"id":"a","@removed":true}`, "a", "its @removed is not an object"},
		{"a removal without a reason", `{"id":"a","@removed":{}}`, "a", "its @removed has no known reason"},
		{"a removal for an unknown reason", `{"id":"a","@removed":{"reason":"mood"}}`, "a", "its @removed has no known reason"},
		{"a removal whose reason is a number", `{"id":"a","@removed":{"reason":1}}`, "a", "its @removed has no known reason"},
		{"members that are an object", `{"id":"a","members@delta":{}}`, "a", "its members@delta is not an array"},
		{"a member that is a string", `{"id":"a","members@delta":["u"]}`, "a", "an entry of its members@delta is broken: it is not an object"},
		{"a member without id", `{"id":"a","members@delta":[{"id":"u"},{}]}`, "a", "an entry of its members@delta is broken: it has no id"},
		{"a member whose type is no string", `{"id":"a","members@delta":[{"id":"u","@odata.type":1}]}`, "a", "an entry of its members@delta is broken: its @odata.type is not a string"},
		{"a member whose removal is null", `{"id":"a","members@delta":[{"id":"u","@removed":null}]}`, "a", "an entry of its members@delta is broken: its @removed is not an object"},
		{"a manager that is an object", `{"id":"a","manager@delta":{"id":"m"}}`, "a", "its manager@delta is not an array"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := pageOf(`{"id":"before","x":1}`, tt.object, `{"id":"after","y":2}`)
			page, _, err := graph.DecodePage([]byte(body), nil)
			if err != nil {
				t.Fatal(err)
			}
			want := &graph.Page{
				Changes: []graph.Change{{ID: "before", Properties: props("x", "1")}, {ID: "after", Properties: props("y", "2")}},
				Broken:  []graph.BrokenObject{{ID: tt.id, Offset: strings.Index(body, "1},") + 3, Reason: tt.reason}},
			}
			if diff := cmp.Diff(want, page); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefusesPages(t *testing.T) {
	const delta = `"@odata.deltaLink":"https://graph.test/d"`
	deep := func(n int) string {
		return pageOf(`{"id":"a","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	tests := []struct{ name, body string }{
		{"nothing", ``},
		{"whitespace", "  \n"},
		{"HTML", `<!DOCTYPE html><html><body>Service unavailable</body></html>`},
		{"an array", `[]`},
		{"a string", `"value"`},
		{"neither link", `{"value":[]}`},
		{"both links", `{"value":[],` + nextLink + `,` + delta + `}`},
		{"no value", `{` + delta + `}`},
		{"value null", `{"value":null,` + delta + `}`},
		{"value an object", `{"value":{},` + delta + `}`},
		{"value twice", `{"value":[],` + delta + `,"value":[]}`},
		{"a link twice", `{"value":[],` + delta + `,` + delta + `}`},
		{"a link that is null", `{"value":[],"@odata.deltaLink":null}`},
		{"an empty link", `{"value":[],"@odata.nextLink":""}`},
		{"an error with status 200", `{"error":{"code":"UnknownError","message":""}}`},
		{"something after it", pageOf() + `{}`},
		{"a zero byte after it", pageOf() + "\x00"},
		{"a missing comma", pageOf(`{"id":"a" "x":1}`)},
		{"a comma too many in an object", pageOf(`{"id":"a",}`)},
		{"a comma too many in an array", pageOf(`{"id":"a","x":[1,]}`)},
		{"a comma only", pageOf(`{,}`)},
		{"a key without quotes", pageOf(`{id:"a"}`)},
		{"a key without colon", pageOf(`{"id" "a"}`)},
		{"a number with a leading zero", pageOf(`{"id":"a","x":01}`)},
		{"a number without digits", pageOf(`{"id":"a","x":-}`)},
		{"a fraction without digits", pageOf(`{"id":"a","x":1.}`)},
		{"an exponent without digits", pageOf(`{"id":"a","x":1e+}`)},
		{"a cut literal", pageOf(`{"id":"a","x":tru}`)},
		{"a control character in a string", pageOf("{\"id\":\"a\tb\"}")},
		{"an unknown escape", pageOf(`{"id":"\x61"}`)},
		{"a short escape", pageOf(`{"id":"\u00g1"}`)},
		{"a comment", pageOf(`/* no */`)},
		{"values nested too deeply", deep(graph.MaxDepth + 1)},
		{"too many broken objects", pageOf(strings.Repeat("1,", graph.MaxBroken) + "1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, _, err := graph.DecodePage([]byte(tt.body), nil)
			if !errors.Is(err, graph.ErrMalformed) || page != nil {
				t.Errorf("got %+v, %v", page, err)
			}
		})
	}
	if _, _, err := graph.DecodePage([]byte(deep(graph.MaxDepth)), nil); err != nil {
		t.Errorf("values nested as deeply as is allowed: %v", err)
	}
}

func TestDecodeRefusesEveryCutPage(t *testing.T) {
	body := syntheticPage(3, 4)
	for n := range len(body) {
		if _, _, err := graph.DecodePage(body[:n], nil); !errors.Is(err, graph.ErrMalformed) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(body), err)
		}
	}
	if _, _, err := graph.DecodePage(body, nil); err != nil {
		t.Errorf("whole: %v", err)
	}
}

func TestDecodeMendsInvalidUTF8(t *testing.T) {
	page, _, err := graph.DecodePage([]byte(pageOf("{\"id\":\"a\",\"x\":\"\xff\xfeok\xc3\"}")), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []graph.Change{{ID: "a", Properties: props("x", "\"\uFFFDok\uFFFD\"")}}
	if diff := cmp.Diff(want, page.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestDecodedPageDoesNotDependOnTheBody(t *testing.T) {
	body := syntheticPage(50, 50)
	page, _, err := graph.DecodePage(body, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := dump(t, page)
	clear(body)
	if after := dump(t, page); after != before {
		t.Error("the page changed with the body it was decoded from")
	}
	for _, c := range page.Changes {
		_ = append(c.Properties, graph.Property{Name: "intruder"})
		_ = append(c.Members, graph.Member{ID: "intruder"})
		_ = append(c.Properties[0].Value, "intruder"...)
	}
	if after := dump(t, page); after != before {
		t.Error("appending to a part of the page changed another")
	}
}

// reference decodes a page with encoding/json, by the contract of Change.
func reference(t testing.TB, body []byte) []graph.Change {
	t.Helper()
	var page struct {
		Value []json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		ID      string          `json:"id"`
		Type    string          `json:"@odata.type"`
		Removed json.RawMessage `json:"@removed"`
	}
	var changes []graph.Change
	for _, raw := range page.Value {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			continue
		}
		var c graph.Change
		if json.Unmarshal(object["id"], &c.ID) != nil || c.ID == "" {
			continue
		}
		var removed struct{ Reason string }
		_ = json.Unmarshal(object["@removed"], &removed)
		c.Removed = removed.Reason
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if name == "id" || strings.Contains(name, "@") {
				continue
			}
			var value bytes.Buffer
			if err := json.Compact(&value, object[name]); err != nil {
				t.Fatal(err)
			}
			c.Properties = append(c.Properties, graph.Property{Name: name, Value: value.Bytes()})
		}
		var members []entry
		_ = json.Unmarshal(object["members@delta"], &members)
		for _, m := range members {
			c.Members = append(c.Members, graph.Member{ID: m.ID, Type: strings.TrimPrefix(m.Type, "#microsoft.graph."), Removed: m.Removed != nil})
		}
		var managers []entry
		_ = json.Unmarshal(object["manager@delta"], &managers)
		for _, m := range managers {
			value := `{"id":"` + m.ID + `"}`
			if m.Removed != nil {
				value = "null"
			}
			c.Properties = append(c.Properties, graph.Property{Name: "manager", Value: json.RawMessage(value)})
			slices.SortFunc(c.Properties, func(a, b graph.Property) int { return strings.Compare(a.Name, b.Name) })
		}
		changes = append(changes, c)
	}
	return changes
}

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	for _, body := range [][]byte{syntheticPage(200, 0), syntheticPage(20, 500), indent(t, syntheticPage(30, 30))} {
		page, _, err := graph.DecodePage(body, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(reference(t, body), page.Changes); diff != "" {
			t.Errorf("changes (-encoding/json +ours):\n%s", diff)
		}
	}
}

func indent(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// syntheticPage makes a page like Graph's, with all of the default selection's
// kinds of values.
func syntheticPage(objects, members int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users(displayName)",` + nextLink + `,"value":[`)
	for i := range objects {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"businessPhones":["+44 20 7946 0%03d"],"displayName":"Zoë Müller-%d","givenName":"Zoë","jobTitle":"Engineer \"II\"",`+
			`"mail":"zoe.%d@contoso.example","mobilePhone":null,"officeLocation":"Building 7/%d","preferredLanguage":"en-GB","surname":"Müller",`+
			`"userPrincipalName":"zoe.%d@contoso.example","accountEnabled":true,"userType":"Member","department":"Research","companyName":"Contoso Ltd",`+
			`"employeeId":"%06d","employeeOrgData":{"costCenter":"4711","division":"R&D"},"createdDateTime":"2021-03-04T05:06:07.1234567Z",`+
			`"proxyAddresses":["SMTP:zoe.%d@contoso.example","smtp:z%d@contoso.example"],"streetAddress":"1 Long Road","city":"Berlin","postalCode":"10115",`+
			`"country":"Germany","id":"%08x-0000-4000-8000-%012x","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"%08x-0000-4000-8000-000000000000"}]`,
			i, i, i, i, i, i, i, i, i, i, i/7)
		if members > 0 {
			b.WriteString(`,"members@delta":[`)
			for m := range members {
				if m > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `{"@odata.type":"#microsoft.graph.user","id":"%08x-1111-4000-8000-%012x"}`, i, m)
			}
			b.WriteByte(']')
		}
		b.WriteByte('}')
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// plainUser is what a program that does without the decoder would use.
type plainUser struct {
	ID                string `json:"id"`
	DisplayName       string `json:"displayName"`
	GivenName         string `json:"givenName"`
	Surname           string `json:"surname"`
	Mail              string `json:"mail"`
	UserPrincipalName string `json:"userPrincipalName"`
	JobTitle          string `json:"jobTitle"`
	Department        string `json:"department"`
	EmployeeID        string `json:"employeeId"`
	AccountEnabled    bool   `json:"accountEnabled"`
	Members           []struct {
		ID string `json:"id"`
	} `json:"members@delta"`
}

// What decoding a page allocates is for the page, not for each object.
func TestAllocations(t *testing.T) {
	names := map[string]string{}
	for _, p := range reference(t, syntheticPage(1, 0))[0].Properties {
		names[p.Name] = p.Name
	}
	for _, tt := range []struct {
		name   string
		body   []byte
		budget float64
	}{
		{"200 users", syntheticPage(200, 0), 72},
		{"40 groups of 500 members", syntheticPage(40, 500), 300},
	} {
		got := testing.AllocsPerRun(20, func() {
			if _, _, err := graph.DecodePage(tt.body, names); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%-25s %4.0f of %4.0f", tt.name, got, tt.budget)
		if got > tt.budget {
			t.Errorf("%s: %.0f allocations, the budget is %.0f", tt.name, got, tt.budget)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	names := map[string]string{}
	for _, p := range reference(b, syntheticPage(1, 0))[0].Properties {
		names[p.Name] = p.Name
	}
	for _, bench := range []struct {
		name string
		body []byte
	}{
		{"users", syntheticPage(200, 0)},
		{"groups", syntheticPage(40, 500)},
		{"indented", indent(b, syntheticPage(200, 0))},
	} {
		b.Run(bench.name+"/page", func(b *testing.B) {
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := graph.DecodePage(bench.body, names); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/json.Unmarshal", func(b *testing.B) {
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			for b.Loop() {
				var page struct {
					NextLink string      `json:"@odata.nextLink"`
					Value    []plainUser `json:"value"`
				}
				if err := json.Unmarshal(bench.body, &page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func dump(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
