package scim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/directory"
)

func TestProjectionsAgreeWithTheNaiveOnes(t *testing.T) {
	b := newBench(t)
	for _, list := range []string{
		"userName", "USERNAME", "id", "schemas", "id,schemas", "bogus", "bogus,userName", "userName,bogus.sub",
		"name", "name.givenName", "NAME.GIVENNAME", "name.givenName,name.familyName", "name,name.givenName", "name.bogus",
		"emails", "emails.value", "emails.type", "emails.primary", "emails.value,emails.type", "emails.bogus",
		"meta", "meta.lastModified", "meta.lastModified,meta.version", "meta.bogus", "externalId",
		"groups", "groups.value", "groups.display,groups.type", "groups.$ref", "members", "members.value", "members.display,members.$ref", "members.bogus",
		"displayName", "displayName,members.value", "userName,groups.value,meta.resourceType",
		enterprise, strings.ToUpper(enterprise), entraUser, entraGroup, testUser,
		enterprise + ":department", strings.ToLower(entraUser) + ":mailnickname", enterprise + ":manager.value", enterprise + ":manager.$ref", enterprise + ":bogus",
		"department", "manager", "manager.value", "mailNickname", "employeeNumber", "userType", entraUser + ":userType", "proxyAddresses",
		"onPremisesExtensionAttributes.extensionAttribute1", "onPremisesExtensionAttributes",
		coreUser, coreUser + ":userName", coreUser + ":name.givenName", coreUser + ":id", "urn:x:y:userName",
		"notes", "secret", "pager", "pager.value", "pager.pin", "pager.region", "pager.carrier", "nicknames", "level,vip,score",
		"active,title,displayName,userName,emails.value,phoneNumbers,addresses.country,groups,meta",
		"id,externalId,userName,name,displayName,title,userType,preferredLanguage,active,emails,phoneNumbers,ims,addresses,groups,meta," + enterprise + "," + entraUser + "," + testUser,
		`emails[type eq "work"]`, "emails.", ".value", ":", "a:b", "$ref", "urn:ietf:params:scim:schemas:core:2.0:Group",
		"members.value,groups.value", "meta.created,schemas,id,meta.location",
	} {
		for _, only := range []bool{true, false} {
			name := "excluding " + list
			if only {
				name = "only " + list
			}
			t.Run(name, func(t *testing.T) {
				var attributes, excluded []string
				if only {
					attributes = strings.Split(list, ",")
				} else {
					excluded = strings.Split(list, ",")
				}
				p, err := b.attrs.compileProjection(onBoth, attributes, excluded)
				if err != nil {
					t.Fatal(err)
				}
				for _, typ := range onBoth {
					for i, m := range b.maps[typ] {
						b.checkProjected(t, p, typ, i, b.naives[typ].project(m, attributes, excluded))
					}
				}
			})
		}
	}
}

// checkProjected checks a projected resource, behind others.
func (b *bench) checkProjected(t *testing.T, p *projection, typ directory.Type, i int, want map[string]any) {
	t.Helper()
	r := b.view.At(typ, i)
	const before = `[{"x":1},`
	pieces, scratch := p.pieces([][]byte{[]byte(before)}, []byte("scratch"), &r)
	body, ok := bytes.CutPrefix(bytes.Join(pieces, nil), []byte(before))
	if !ok || !json.Valid(body) {
		t.Fatalf("%s: invalid: %s", r.ID(), body)
	}
	if !strings.HasPrefix(string(scratch), "scratch") {
		t.Errorf("%s: what was in scratch is %s", r.ID(), scratch)
	}
	if diff := cmp.Diff(want, decoded(t, body)); diff != "" {
		t.Errorf("%s (-naive +compiled):\n%s", r.ID(), diff)
	}
	// The same order of members as unprojected, and compact.
	var members []string
	for m, ok := nextMember(inside(body), 0); ok; m, ok = nextMember(inside(body), m.end) {
		members = append(members, string(m.name))
	}
	if !slices.IsSortedFunc(members, func(x, y string) int {
		full := string(r.AppendJSON(nil))
		return strings.Index(full, `"`+x+`":`) - strings.Index(full, `"`+y+`":`)
	}) || members[0] != "schemas" || members[1] != "id" {
		t.Errorf("%s: members in the order %v", r.ID(), members)
	}
}

func TestProjectionsToTheByte(t *testing.T) {
	b := newBench(t)
	ann, dev := b.view.At(directory.User, 0), b.view.At(directory.Group, 1)
	for _, tt := range []struct {
		name                 string
		attributes, excluded []string
		resource             directory.Resource
		want                 string
	}{
		{"one attribute", []string{"userName"}, nil, ann,
			`{"schemas":["` + coreUser + `"],"id":"u-ann","userName":"ann@example.com"}`},
		{"nothing known", []string{"bogus"}, nil, ann,
			`{"schemas":["` + coreUser + `"],"id":"u-ann"}`},
		{"sub-attribute of the elements", []string{"emails.value"}, nil, ann,
			`{"schemas":["` + coreUser + `"],"id":"u-ann","emails":[{"value":"ann@example.com"},{"value":"ann.archer@home.example"}]}`},
		{"elements left without anything", []string{"emails.primary"}, nil, ann,
			`{"schemas":["` + coreUser + `"],"id":"u-ann","emails":[{"primary":true}]}`},
		{"a part of an extension brings its schema", []string{enterprise + ":manager.value"}, nil, ann,
			`{"schemas":["` + coreUser + `","` + enterprise + `"],"id":"u-ann","` + enterprise + `":{"manager":{"value":"u-bob"}}}`},
		{"memberships", []string{"members.value"}, nil, dev,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g-dev","members":[{"value":"u-ann"},{"value":"u-eve"}]}`},
		{"meta in part", []string{"meta.resourceType"}, nil, dev,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g-dev","meta":{"resourceType":"Group"}}`},
		{"without extension, members and meta", nil, []string{entraGroup, "members", "meta"}, dev,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g-dev","externalId":"E-1","displayName":"Developers"}`},
		{"what is always returned cannot be left out", nil, []string{"id", "schemas", entraGroup, "members", "meta", "displayName", "externalId"}, dev,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g-dev"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := b.attrs.compileProjection(onBoth, tt.attributes, tt.excluded)
			if err != nil {
				t.Fatal(err)
			}
			pieces, _ := p.pieces(nil, nil, &tt.resource)
			if diff := cmp.Diff(tt.want, string(bytes.Join(pieces, nil))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestProjectionParameters(t *testing.T) {
	rich, served := newAttributes(richSchemas(t), nil), newAttributes(servedSchemas(t), nil)
	_, err := served.compileProjection(onUsers, []string{"userName"}, []string{"name"})
	if err == nil || err.status != 400 || err.scimType != "invalidValue" {
		t.Errorf("both given: %v", err)
	}
	for name, tt := range map[string]struct {
		attrs                *attributes
		types                []directory.Type
		attributes, excluded []string
		none                 bool
	}{
		"nothing asked for":                               {served, onBoth, nil, nil, true},
		"empty lists":                                     {served, onBoth, []string{"", " , "}, []string{","}, true},
		"nothing known excluded":                          {served, onBoth, nil, []string{"bogus"}, true},
		"excluded only what is always returned":           {served, onBoth, nil, []string{"id", "schemas"}, true},
		"excluded what only the other type has":           {served, onUsers, nil, []string{"members"}, true},
		"nothing asked for, but something is not default": {rich, onUsers, nil, nil, false},
		"nothing asked for, all default":                  {rich, onGroups, nil, nil, true},
		"nothing known asked for":                         {served, onUsers, []string{"bogus"}, nil, false},
	} {
		p, err := tt.attrs.compileProjection(tt.types, tt.attributes, tt.excluded)
		if err != nil || (p == nil) != tt.none {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

func TestProjectionKeys(t *testing.T) {
	attrs := newAttributes(servedSchemas(t), nil)
	key := func(attributes, excluded string) string {
		p, err := attrs.compileProjection(onUsers, []string{attributes}, []string{excluded})
		if err != nil {
			t.Fatal(err)
		}
		return p.key()
	}
	if a, b := key("userName,department,bogus", ""), key(enterprise+":DEPARTMENT, username,userName", ""); a != b {
		t.Errorf("the same projection has the keys %q and %q", a, b)
	}
	seen := map[string]bool{}
	for _, k := range []string{key("", ""), key("userName", ""), key("", "userName"), key("bogus", ""), key("name", ""), key("name.givenName", "")} {
		if seen[k] {
			t.Errorf("two projections have the key %q", k)
		}
		seen[k] = true
	}
}

// A group whose members are not asked for is answered without a look at them.
func TestMembersLeftOutAreNotTouched(t *testing.T) {
	attrs := newAttributes(servedSchemas(t), nil)
	for _, tt := range []struct{ attributes, excluded []string }{
		{[]string{"displayName"}, nil},
		{nil, []string{"members"}},
	} {
		p, err := attrs.compileProjection(onGroups, tt.attributes, tt.excluded)
		if err != nil {
			t.Fatal(err)
		}
		g := &untouchable{t: t}
		p.types[directory.Group].appendPieces(nil, nil, g)
	}
}

// An untouchable is a group whose members must not be asked for.
type untouchable struct {
	rendered
	t *testing.T
}

func (u *untouchable) Head() []byte      { return []byte(`"schemas":[],"id":"x","displayName":"y"`) }
func (u *untouchable) Meta() []byte      { return []byte(`{}`) }
func (u *untouchable) LinksName() string { return "members" }
func (u *untouchable) Links(dst [][]byte) [][]byte {
	u.t.Error("members were read")
	return dst
}
