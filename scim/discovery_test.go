package scim_test

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim"
)

var update = flag.Bool("update", false, "write goldens anew")

func TestDiscoveryDocuments(t *testing.T) {
	w := newTenant(t, 0, 0)
	w.cfg.Clients[0].Basic = &scim.Basic{Username: "okta"}
	w.cfg.DocumentationURI = "https://scim.example.com/docs"
	w.reload()
	for _, tt := range []struct{ golden, path string }{
		{"ServiceProviderConfig.json", "/ServiceProviderConfig"},
		{"ResourceTypes.json", "/ResourceTypes"},
		{"ResourceType-User.json", "/ResourceTypes/User"},
		{"Schema-Group.json", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group"},
	} {
		got := w.get(tt.path).Body.String()
		file := filepath.Join("testdata", "discovery", tt.golden)
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.path, diff)
		}
	}
}

// A metadata is what all documents have.
type metadata struct {
	Schemas    []string
	ID         string
	Name       string
	Meta       struct{ ResourceType, Location, Version string }
	Attributes []attributeMetadata

	Endpoint         string
	Schema           string
	SchemaExtensions []struct {
		Schema   string
		Required *bool
	}
}

type attributeMetadata struct {
	Name, Type, Mutability, Returned, Uniqueness string
	CaseExact                                    *bool
	MultiValued, Required                        *bool
	SubAttributes                                []attributeMetadata
}

func TestSchemasAreWellFormed(t *testing.T) {
	w := newTenant(t, 0, 0)
	var list struct {
		Schemas                                []string
		TotalResults, ItemsPerPage, StartIndex int
		Resources                              []metadata
	}
	decode(t, w.get("/Schemas?count=1&startIndex=3"), &list)
	if n := len(list.Resources); n < 5 || list.TotalResults != n || list.ItemsPerPage != n || list.StartIndex != 1 {
		t.Errorf("%d schemas: %d, %d, %d: paging parameters are to be ignored", n, list.TotalResults, list.ItemsPerPage, list.StartIndex)
	}
	known := map[string]bool{}
	for _, s := range list.Resources {
		known[s.ID] = true
		if len(s.Schemas) != 1 || s.Schemas[0] != "urn:ietf:params:scim:schemas:core:2.0:Schema" || s.Name == "" ||
			s.Meta.ResourceType != "Schema" || s.Meta.Location != base+"/Schemas/"+s.ID {
			t.Errorf("%s: %+v", s.ID, s)
		}
		for _, path := range []string{s.ID, strings.ToUpper(s.ID), url.PathEscape(s.ID), s.ID + "/"} {
			var one metadata
			decode(t, w.get("/Schemas/"+path), &one)
			if diff := cmp.Diff(s, one); diff != "" {
				t.Errorf("%s differs from the list: %s", path, diff)
			}
		}
		for _, a := range s.Attributes {
			checkAttribute(t, s.ID, a)
		}
	}
	var types struct{ Resources []metadata }
	decode(t, w.get("/ResourceTypes"), &types)
	for _, rt := range types.Resources {
		if rt.ID != rt.Name || rt.Endpoint != "/"+rt.ID+"s" || !known[rt.Schema] || rt.Meta.ResourceType != "ResourceType" ||
			rt.Meta.Location != base+"/ResourceTypes/"+rt.ID || len(rt.SchemaExtensions) == 0 {
			t.Errorf("%+v", rt)
		}
		for _, e := range rt.SchemaExtensions {
			if !known[e.Schema] || e.Required == nil || *e.Required {
				t.Errorf("%s: extension %+v", rt.ID, e)
			}
		}
		var one metadata
		decode(t, w.get("/ResourceTypes/"+rt.ID), &one)
		if diff := cmp.Diff(rt, one); diff != "" {
			t.Errorf("%s differs from the list: %s", rt.ID, diff)
		}
	}
}

func checkAttribute(t *testing.T, in string, a attributeMetadata) {
	t.Helper()
	if a.MultiValued == nil || a.Required == nil || a.Mutability != "readOnly" || a.Returned == "" {
		t.Errorf("%s %s: %+v", in, a.Name, a)
	}
	if text := a.Type == "string" || a.Type == "reference" || a.Type == "binary"; text != (a.CaseExact != nil) {
		t.Errorf("%s %s: caseExact given: %v for type %s", in, a.Name, a.CaseExact != nil, a.Type)
	}
	if (a.Type == "complex") != (len(a.SubAttributes) > 0) || a.Type == "complex" && a.Uniqueness != "" {
		t.Errorf("%s %s: %+v", in, a.Name, a)
	}
	for _, sub := range a.SubAttributes {
		checkAttribute(t, in+" "+a.Name, sub)
	}
}

// RFC 7643 §3.1: meta.location is the Content-Location, and meta.version the ETag.
func TestDiscoveryMetaIsTheHeaders(t *testing.T) {
	w := newTenant(t, 0, 0)
	seen := map[string]string{}
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes/User", "/resourcetypes/group",
		"/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"} {
		answer := w.get(path)
		var one metadata
		decode(t, answer, &one)
		h := answer.Header()
		if one.Meta.Version == "" || one.Meta.Version != h.Get("ETag") || one.Meta.Location != h.Get("Content-Location") {
			t.Errorf("%s: meta %+v, ETag %q, Content-Location %q", path, one.Meta, h.Get("ETag"), h.Get("Content-Location"))
		}
		if other, taken := seen[one.Meta.Version]; taken {
			t.Errorf("%s and %s have one version", path, other)
		}
		seen[one.Meta.Version] = path
	}
	if h := w.get("/Schemas").Header(); h.Get("ETag") == "" || h.Get("Content-Location") != "" {
		t.Errorf("a list: ETag %q, Content-Location %q", h.Get("ETag"), h.Get("Content-Location"))
	}
}

func TestDiscoveryFaults(t *testing.T) {
	w := newTenant(t, 0, 0)
	for path, status := range map[string]int{
		"/Schemas?filter=id%20pr":                      403,
		"/Schemas?count=abc&FILTER=":                   403,
		"/ResourceTypes?filter=x":                      403,
		"/ServiceProviderConfig?filter=x":              403,
		"/ResourceTypes/User?filter=x":                 403,
		"/Schemas?count=abc&count=1&startIndex=1&x=y":  200,
		"/Schemas?attributes=id&excludedAttributes=id": 200,
		"/Schemas?x=%zz":                               400,
		"/Schemas?x;filter=x":                          400,
		"/Schemas/urn:nobody":                          404,
		"/Schemas/":                                    200,
		"/ResourceTypes/Device":                        404,
		"/ServiceProviderConfig/x":                     404,
		"/Schemas/urn:nobody/x":                        404,
		"/resourcetypes/USER":                          200,
		"/serviceproviderconfig/":                      200,
		"/ServiceProviderConfigs":                      404,
		"/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AUser": 200,
	} {
		rec := w.get(path)
		if rec.Code != status {
			t.Errorf("%s: %d, want %d", path, rec.Code, status)
		}
		if status >= 400 {
			fault(t, rec)
		}
	}
}

// What is served is what the schemas say, and nothing else.
func TestServedAttributesAreInSchemas(t *testing.T) {
	w := newTenant(t, 3, 1)
	for path, urn := range map[string]string{
		"/Users/u1":  "urn:ietf:params:scim:schemas:core:2.0:User",
		"/Groups/g0": "urn:ietf:params:scim:schemas:core:2.0:Group",
	} {
		var s metadata
		decode(t, w.get("/Schemas/"+urn), &s)
		known := map[string]bool{"schemas": true, "id": true, "meta": true}
		for _, a := range s.Attributes {
			known[a.Name] = true
		}
		var served map[string]any
		decode(t, w.get(path), &served)
		for name := range served {
			if !known[name] {
				t.Errorf("%s has %s, which the schema does not name", path, name)
			}
		}
	}
}
