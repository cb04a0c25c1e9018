package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

const (
	coreUser   = "urn:ietf:params:scim:schemas:core:2.0:User"
	enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	entraUser  = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User"
	entraGroup = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:Group"
	testUser   = "urn:example:scim:schemas:extension:test_1:2.0:User"
)

// servedSchemas are the schemas of the default mapping.
func servedSchemas(t testing.TB) []schema.Schema {
	t.Helper()
	m, err := mapping.New(mapping.Config{BaseURL: "https://scim.example.com/scim/v2"})
	if err != nil {
		t.Fatal(err)
	}
	return m.Schemas()
}

// richSchemas add an extension with the data types and characteristics that
// the default mapping has no use for.
func richSchemas(t testing.TB) []schema.Schema {
	text := func(p schema.StringParams) schema.SimpleParams { return schema.SimpleStringParams(p) }
	simple := schema.SimpleCoreAttribute
	return append(servedSchemas(t), schema.Schema{
		ID: testUser, Name: optional.NewString("Test"),
		Attributes: schema.Attributes{
			simple(text(schema.StringParams{Name: "employeeNumber"})), // enterprise has one too
			simple(schema.SimpleNumberParams(schema.NumberParams{Name: "level", Type: schema.AttributeTypeInteger()})),
			simple(schema.SimpleNumberParams(schema.NumberParams{Name: "score"})),
			simple(schema.SimpleDateTimeParams(schema.DateTimeParams{Name: "hired"})),
			simple(schema.SimpleBooleanParams(schema.BooleanParams{Name: "vip"})),
			simple(schema.SimpleBinaryParams(schema.BinaryParams{Name: "badge"})),
			simple(schema.SimpleReferenceParams(schema.ReferenceParams{Name: "home"})),
			simple(text(schema.StringParams{Name: "nicknames", MultiValued: true, CaseExact: true})),
			simple(text(schema.StringParams{Name: "secret", Returned: schema.AttributeReturnedNever()})),
			simple(text(schema.StringParams{Name: "notes", Returned: schema.AttributeReturnedRequest()})),
			schema.ComplexCoreAttribute(schema.ComplexParams{Name: "pager", MultiValued: true, SubAttributes: []schema.SimpleParams{
				text(schema.StringParams{Name: "value"}),
				text(schema.StringParams{Name: "pin", Returned: schema.AttributeReturnedNever()}),
				text(schema.StringParams{Name: "region", Returned: schema.AttributeReturnedRequest()}),
				text(schema.StringParams{Name: "carrier", Returned: schema.AttributeReturnedAlways()}),
			}}),
		},
	})
}

// The people and groups that filters, orders and projections are tried on:
// JSON attributes without schemas, by id. Each step is published a day after
// the one before, the first on 2026-11-01 at noon.
var (
	worldUsers = []struct{ id, attributes string }{
		{"u-ann", `"externalId":"E-1","userName":"ann@example.com","name":{"familyName":"Archer","givenName":"Ann"},"displayName":"Ann Archer","title":"Engineer","userType":"Employee","preferredLanguage":"en-US","active":true,"emails":[{"value":"ann@example.com","type":"work","primary":true},{"value":"ann.archer@home.example","type":"other"}],"phoneNumbers":[{"value":"+1 555 0100","type":"work"}],"addresses":[{"streetAddress":"1 Main St","locality":"Springfield","region":"IL","postalCode":"62701","country":"US","type":"work"}],"` + enterprise + `":{"employeeNumber":"1001","department":"Research","costCenter":"CC1","manager":{"value":"u-bob","$ref":"https://scim.example.com/scim/v2/Users/u-bob"}},"` + entraUser + `":{"mailNickname":"ann","userType":"Member","employeeHireDate":"2020-02-29T00:00:00Z","onPremisesSyncEnabled":true,"onPremisesExtensionAttributes":{"extensionAttribute1":"blue"},"proxyAddresses":["SMTP:ann@example.com","smtp:a.archer@example.com"]},"` + testUser + `":{"level":7,"score":2.5,"hired":"2020-02-29T12:30:00+01:00","vip":true,"badge":"QUJD","home":"https://a.example/Home","nicknames":["Annie","AA"],"employeeNumber":"x-1","notes":"n1","pager":[{"value":"p1","region":"eu","carrier":"c1"}]}`},
		{"u-bob", `"userName":"Bob@Example.com","name":{"familyName":"Baker","givenName":"Bob"},"displayName":"bob baker","title":"Director of Engineering","userType":"Employee","active":true,"emails":[{"value":"BOB@example.com","type":"work","primary":true}],"` + enterprise + `":{"employeeNumber":"1002","department":"Research"},"` + entraUser + `":{"mailNickname":"bob","userType":"Member","employeeHireDate":"2019-12-31T23:59:59.999Z"},"` + testUser + `":{"level":-3,"score":-0.5,"hired":"2020-02-29T11:30:00Z","vip":false,"nicknames":["bobby"]}`},
		{"u-cyd", `"userName":"cyd@example.org","name":{"familyName":"Car\u00f1o","givenName":"C\u00ddd"},"displayName":"C\u00ddd \"Quote\" Back\\slash\/x","title":"Engineer \ud83d\ude80","userType":"Contractor","active":false,"emails":[{"value":"cyd@example.org","type":"other"},{"value":"c2@example.org","type":"work"}],"` + testUser + `":{"level":9007199254740993,"score":1e3,"home":"https://a.example/home"}`},
		{"u-dee", `"userName":"dee@example.com","displayName":"Dee","active":true`},
		{"u-eve", `"externalId":"e-1","userName":"eve_ext#EXT#@example.com","name":{"familyName":"Evans"},"displayName":"Eve","title":"engineer","userType":"Vendor","active":true,"emails":[{"value":"eve@partner.example","type":"other"},{"value":"eve@example.com","type":"work","primary":true}],"addresses":[{"country":"DE","type":"work"}],"` + entraUser + `":{"userType":"Guest","creationType":"Invitation","onPremisesSyncEnabled":false}`},
		{"u-fay", `"userName":"fay@example.com","name":{"givenName":"Fay"},"displayName":"Fay","title":"\u6771\u4eac","active":true,"emails":[{"value":"\u00fcmlaut@example.com","type":"work","primary":true}],"ims":[{"value":"sip:fay@example.com","type":"work"}],"` + enterprise + `":{"manager":{"value":"u-ann"}}`},
		{"u-gus", `"userName":"GUS@EXAMPLE.COM","name":{"familyName":"\u0130stanbul","givenName":"Gu\u00df"},"displayName":"\u212aelvin","active":false,"` + enterprise + `":{"employeeNumber":"","department":"Sales"}`},
		{"u-hal", `"userName":"hal@example.com","displayName":"a\tb\nc\u0001","title":"","active":true,"emails":[{"type":"work"},{"value":"hal@example.com"}],"` + testUser + `":{"hired":"not a date","level":7.0,"score":7}`},
	}
	worldGroups = []struct{ id, attributes string }{
		{"g-all", `"displayName":"All Staff","` + entraGroup + `":{"description":"everybody","groupTypes":["Unified","DynamicMembership"],"mailEnabled":true,"mailNickname":"all","securityEnabled":false}`},
		{"g-dev", `"externalId":"E-1","displayName":"Developers","` + entraGroup + `":{"mailNickname":"dev","securityEnabled":true,"expirationDateTime":"2027-01-01T00:00:00Z"}`},
		{"g-nil", `"displayName":"empty"`},
		{"g-ann", `"displayName":"Ann Archer"`},
	}
	// group -> members
	worldMembers = [][2]string{
		{"g-all", "u-ann"}, {"g-all", "u-bob"}, {"g-all", "u-cyd"}, {"g-all", "u-dee"}, {"g-all", "g-dev"},
		{"g-dev", "u-ann"}, {"g-dev", "u-eve"}, {"g-ann", "u-ann"},
	}
)

var worldBegin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// newWorld publishes the people and groups and gives the view. All are there
// from the first step; every fourth person gets her attributes in a later one.
func newWorld(t testing.TB) *directory.View {
	t.Helper()
	p, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: "test", BaseURL: "https://scim.example.com/scim/v2", Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	for step := range 4 {
		d := p.Draft()
		for i, u := range worldUsers {
			switch i % 4 {
			case step:
				put(t, d, directory.User, u.id, u.attributes)
			case 1, 2, 3:
				if step == 0 {
					put(t, d, directory.User, u.id, `"userName":"`+u.id+`"`)
				}
			}
		}
		for _, g := range worldGroups {
			put(t, d, directory.Group, g.id, g.attributes)
		}
		for _, m := range worldMembers {
			d.Join(m[0], m[1])
		}
		publish(t, p, d, worldBegin.AddDate(0, 0, step).Add(time.Duration(step)*time.Millisecond))
	}
	return directory.NewView(p.Current())
}

func publish(t testing.TB, p *directory.Picture, d *directory.Draft, at time.Time) {
	t.Helper()
	s, err := d.Seal(t.Context(), at, directory.Tag{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(s); err != nil {
		t.Fatal(err)
	}
}

// put adds a resource with the given attributes.
func put(t testing.TB, d *directory.Draft, typ directory.Type, id, attributes string) {
	t.Helper()
	var top struct {
		UserName, ExternalID, DisplayName string
		Emails                            []struct{ Value string }
	}
	if err := json.Unmarshal([]byte("{"+attributes+"}"), &top); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	urns := []string{"urn:ietf:params:scim:schemas:core:2.0:" + typ.String()}
	for _, ext := range []string{enterprise, entraUser, entraGroup, testUser} {
		if strings.Contains(attributes, ext) {
			urns = append(urns, ext)
		}
	}
	rec := directory.Record{
		Type: typ, ID: id, Active: !strings.Contains(attributes, `"active":false`),
		Body:     fmt.Appendf(nil, `"schemas":["%s"],"id":"%s",%s`, strings.Join(urns, `","`), id, attributes),
		UserName: top.UserName, ExternalID: top.ExternalID, DisplayName: top.DisplayName,
		Created: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(len(attributes)) * time.Hour),
	}
	for _, e := range top.Emails {
		rec.Emails = append(rec.Emails, e.Value)
	}
	if err := d.Put(rec); err != nil {
		t.Fatal(err)
	}
}

// decoded gives a resource the way encoding/json reads it.
func decoded(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return m
}

var (
	onUsers  = []directory.Type{directory.User}
	onGroups = []directory.Type{directory.Group}
	onBoth   = []directory.Type{directory.User, directory.Group}
)
