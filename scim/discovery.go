package scim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"scimbridge/scim/directory"
)

// The schemas of discovery (RFC 7643 §5, §6, §7) and what their resources are
// called in meta.
const (
	schemaProvider     = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	schemaResourceType = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema       = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// A discovery holds the documents of RFC 7644 §4, made once: they change with
// the configuration only.
type discovery struct {
	documents map[string]*document // lower-case path below the base -> document
}

// A document is one of them.
type document struct {
	json     []byte
	tag      string
	location []string // for the header; nil for lists
}

// A described is what is rendered as a document of its own. Its meta says its
// version, which is the document's tag (RFC 7643 §3.1).
type described interface{ metadata() *meta }

// newDiscovery makes the documents.
func newDiscovery(cfg Config, g *guard) (*discovery, error) {
	d := &discovery{documents: make(map[string]*document)}
	provider := providerConfig(cfg, g)
	if err := d.add("/ServiceProviderConfig", &provider); err != nil {
		return nil, err
	}
	of := schemasOf(cfg.Schemas, cfg.Extends)
	var types, schemas []any
	for t := range directory.Type(directory.NumTypes) {
		if len(of[t]) == 0 {
			return nil, fmt.Errorf("no schema for resource type %v", t)
		}
		one := describeType(cfg, t, of[t])
		if err := d.add("/ResourceTypes/"+one.ID, &one); err != nil {
			return nil, err
		}
		types = append(types, one)
	}
	for _, s := range cfg.Schemas {
		one := describeSchema(cfg, s)
		if err := d.add("/Schemas/"+one.ID, &one); err != nil {
			return nil, err
		}
		schemas = append(schemas, one)
	}
	if err := d.add("/ResourceTypes", newDocumentList(types)); err != nil {
		return nil, err
	}
	return d, d.add("/Schemas", newDocumentList(schemas))
}

// add makes a document of what it is to say, and gives that its version.
func (d *discovery) add(path string, content any) error {
	raw, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("rendering %s: %w", path, err)
	}
	if d.documents[strings.ToLower(path)] != nil {
		return fmt.Errorf("%s is there twice", path)
	}
	sum := sha256.Sum256(raw)
	doc := &document{tag: `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	if one, ok := content.(described); ok {
		m := one.metadata()
		m.Version, doc.location = doc.tag, []string{m.Location}
		if raw, err = json.Marshal(content); err != nil {
			return fmt.Errorf("rendering %s: %w", path, err)
		}
	}
	doc.json = ascii(raw)
	d.documents[strings.ToLower(path)] = doc
	return nil
}

// describe answers with a document of discovery. Query parameters are ignored,
// but for filter, which is forbidden (RFC 7644 §4). Names and URNs may be in
// any case.
func (h *Handler) describe(pattern string) answer {
	fixed := strings.TrimSuffix(pattern, "/{id}")
	return func(x *exchange, segments []string) *scimError {
		err := pairs(x.r.URL.RawQuery, func(name, _ string) *scimError {
			if name == "filter" {
				return newError(http.StatusForbidden, "", "discovery cannot be filtered (RFC 7644, section 4)")
			}
			return nil
		})
		if err != nil {
			return err
		}
		path := fixed
		if len(segments) > 0 {
			path += "/" + segments[0]
		}
		d := h.docs.documents[strings.ToLower(path)]
		if d == nil {
			return notFound("there is no " + strings.TrimSuffix(fixed[1:], "s") + " " + shown(segments[0]))
		}
		x.w.Header().Set("ETag", d.tag)
		if d.location != nil {
			x.w.Header()["Content-Location"] = d.location
		}
		if x.notModified() {
			return nil
		}
		b := newBody()
		b.pieces = append(b.pieces, d.json)
		x.send(b)
		x.release(b, nil)
		return nil
	}
}

// A meta is the meta attribute of a document.
type meta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
	Version      string `json:"version,omitempty"`
}

// A documentList is a list of documents. All are in it, whatever count says.
type documentList struct {
	Schemas      []string `json:"schemas"`
	TotalResults int      `json:"totalResults"`
	ItemsPerPage int      `json:"itemsPerPage"`
	StartIndex   int      `json:"startIndex"`
	Resources    []any    `json:"Resources"`
}

func newDocumentList(all []any) documentList {
	return documentList{[]string{schemaList}, len(all), len(all), 1, all}
}

// supported says whether the endpoint can something.
type supported struct {
	Supported bool `json:"supported"`
}

// A serviceProviderConfig is the document of RFC 7643 §5 and RFC 9865 §4.
type serviceProviderConfig struct {
	Schemas          []string  `json:"schemas"`
	DocumentationURI string    `json:"documentationUri,omitempty"`
	Patch            supported `json:"patch"`
	Bulk             struct {
		supported
		MaxOperations  int `json:"maxOperations"`
		MaxPayloadSize int `json:"maxPayloadSize"`
	} `json:"bulk"`
	Filter struct {
		supported
		MaxResults int `json:"maxResults"`
	} `json:"filter"`
	ChangePassword        supported              `json:"changePassword"`
	Sort                  supported              `json:"sort"`
	ETag                  supported              `json:"etag"`
	Pagination            *pagination            `json:"pagination,omitempty"` // nil: by index, as ever
	AuthenticationSchemes []authenticationScheme `json:"authenticationSchemes"`
	Meta                  meta                   `json:"meta"`
}

func (s *serviceProviderConfig) metadata() *meta { return &s.Meta }

// A pagination says how lists are paged (RFC 9865 §4).
type pagination struct {
	Cursor                  bool   `json:"cursor"`
	Index                   bool   `json:"index"`
	DefaultPaginationMethod string `json:"defaultPaginationMethod"`
	DefaultPageSize         int    `json:"defaultPageSize"`
	MaxPageSize             int    `json:"maxPageSize"`
	CursorTimeout           int    `json:"cursorTimeout"` // seconds
}

// An authenticationScheme says how clients prove who they are.
type authenticationScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	SpecURI     string `json:"specUri"`
	Primary     bool   `json:"primary"`
}

// providerConfig says what this endpoint does.
func providerConfig(cfg Config, g *guard) serviceProviderConfig {
	spc := serviceProviderConfig{
		Schemas:          []string{schemaProvider},
		DocumentationURI: cfg.DocumentationURI,
		Sort:             supported{true},
		ETag:             supported{true},
		Meta:             meta{ResourceType: "ServiceProviderConfig", Location: cfg.BaseURL + "/ServiceProviderConfig"},
	}
	spc.Filter.Supported, spc.Filter.MaxResults = true, cfg.MaxPageSize
	if !cfg.IndexOnly {
		spc.Pagination = &pagination{
			Cursor: true, Index: true, DefaultPaginationMethod: "index", DefaultPageSize: cfg.DefaultPageSize,
			MaxPageSize: cfg.MaxPageSize, CursorTimeout: int(cursorLife.Seconds()),
		}
	}
	bearer := g.bearer || g.jwt
	if bearer || !g.basic && !g.oauth2 { // the attribute is required, and not empty
		spc.AuthenticationSchemes = append(spc.AuthenticationSchemes, authenticationScheme{
			Type: "oauthbearertoken", Name: "OAuth Bearer Token",
			Description: "Authentication with a bearer token in the Authorization header",
			SpecURI:     "https://www.rfc-editor.org/info/rfc6750", Primary: true,
		})
	}
	if g.oauth2 {
		spc.AuthenticationSchemes = append(spc.AuthenticationSchemes, authenticationScheme{
			Type: "oauth2", Name: "OAuth 2.0 Client Credentials",
			Description: "Authentication with a bearer token fetched by the client credentials grant from " + cfg.BaseURL + tokenPath,
			SpecURI:     "https://www.rfc-editor.org/info/rfc6749", Primary: !bearer,
		})
	}
	if g.basic {
		spc.AuthenticationSchemes = append(spc.AuthenticationSchemes, authenticationScheme{
			Type: "httpbasic", Name: "HTTP Basic",
			Description: "Authentication with a user name and a password in the Authorization header",
			SpecURI:     "https://www.rfc-editor.org/info/rfc7617", Primary: !bearer && !g.oauth2,
		})
	}
	return spc
}

// A resourceType is the document of RFC 7643 §6.
type resourceType struct {
	Schemas     []string          `json:"schemas"`
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Endpoint    string            `json:"endpoint"`
	Schema      string            `json:"schema"`
	Extensions  []schemaExtension `json:"schemaExtensions,omitempty"`
	Meta        meta              `json:"meta"`
}

func (r *resourceType) metadata() *meta { return &r.Meta }

// A schemaExtension is an extension of a resource type. Resources that have no
// value in it go without.
type schemaExtension struct {
	Schema   string `json:"schema"`
	Required bool   `json:"required"`
}

// describeType says what the resources of a type consist of.
func describeType(cfg Config, t directory.Type, urns []string) resourceType {
	rt := resourceType{
		Schemas: []string{schemaResourceType}, ID: t.String(), Name: t.String(),
		Description: map[directory.Type]string{
			directory.User:  "User Account",
			directory.Group: "Group",
		}[t],
		Endpoint: t.Endpoint(), Schema: urns[0],
		Meta: meta{ResourceType: "ResourceType", Location: cfg.BaseURL + "/ResourceTypes/" + t.String()},
	}
	for _, urn := range urns[1:] {
		rt.Extensions = append(rt.Extensions, schemaExtension{Schema: urn})
	}
	return rt
}

// ascii escapes what is not ASCII in JSON: it can only be inside strings.
func ascii(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for _, r := range string(raw) {
		out = appendRune(out, r)
	}
	return out
}
