package mapping

import (
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
)

// The schemas of the discovery resources.
const (
	providerConfigSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	resourceTypeSchema   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
)

// providerConfigAttributes gives the attributes of a ServiceProviderConfig:
// RFC 7643 §5, and for pagination RFC 9865 §4.
func providerConfigAttributes() []definition {
	supported := definition{name: "supported", description: "Whether it is supported.", kind: booleanKind, required: true}
	feature := func(name, description string, more ...definition) definition {
		return definition{name: name, description: description, kind: complexKind, required: true,
			sub: append([]definition{supported}, more...)}
	}
	return []definition{
		{name: "documentationUri", description: "Where to read about the service provider.", kind: referenceKind, refs: external},
		feature("patch", "Changes to parts of a resource."),
		feature("bulk", "Several operations in one request.",
			definition{name: "maxOperations", description: "The most operations in a request.", kind: integerKind, required: true},
			definition{name: "maxPayloadSize", description: "The largest request, in bytes.", kind: integerKind, required: true}),
		feature("filter", "Filters.",
			definition{name: "maxResults", description: "The most resources in an answer.", kind: integerKind, required: true}),
		feature("changePassword", "Changes of passwords."),
		feature("sort", "Sorting."),
		feature("etag", "Entity tags."),
		{name: "authenticationSchemes", description: "The ways to authenticate.", kind: complexKind, multi: true, required: true, sub: []definition{
			{name: "type", description: "The scheme.", required: true, canonical: []string{"oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"}},
			{name: "name", description: "The scheme's name, for people.", required: true},
			{name: "description", description: "What the scheme is.", required: true},
			{name: "specUri", description: "Where the scheme is specified.", kind: referenceKind, refs: external},
			{name: "documentationUri", description: "Where to read about its use here.", kind: referenceKind, refs: external},
			{name: "primary", description: "True for the preferred scheme.", kind: booleanKind},
		}},
		{name: "pagination", description: "How lists are paged.", kind: complexKind, sub: []definition{
			{name: "cursor", description: "Whether by cursor.", kind: booleanKind, required: true},
			{name: "index", description: "Whether by index.", kind: booleanKind, required: true},
			{name: "defaultPaginationMethod", description: "The method where a request names none.", canonical: []string{"cursor", "index"}},
			{name: "defaultPageSize", description: "The resources in a page where a request does not say.", kind: integerKind},
			{name: "maxPageSize", description: "The most resources in a page.", kind: integerKind},
			{name: "cursorTimeout", description: "How long a cursor is good, in seconds.", kind: integerKind},
		}},
	}
}

// resourceTypeAttributes gives the attributes of a ResourceType, RFC 7643 §6.
func resourceTypeAttributes() []definition {
	return []definition{
		{name: "id", description: "The resource type's id: its name."},
		{name: "name", description: "The name.", required: true},
		{name: "description", description: "What the resources are."},
		{name: "endpoint", description: "The path of the endpoint below the base URL.", kind: referenceKind, refs: uri, required: true},
		{name: "schema", description: "The URI of the core schema.", kind: referenceKind, refs: uri, required: true},
		{name: "schemaExtensions", description: "The schemas that extend it.", kind: complexKind, multi: true, sub: []definition{
			{name: "schema", description: "The URI of the extension.", kind: referenceKind, refs: uri, required: true},
			{name: "required", description: "Whether every resource has it.", kind: booleanKind, required: true},
		}},
	}
}

// schemaOfSchemas gives the schema of schemas, RFC 7643 §7. It is the library's:
// a complex attribute within a complex one can't be made outside of it.
func schemaOfSchemas() schema.Schema {
	s := schema.Definition()
	s.Description = optional.NewString("The attributes of a resource and their characteristics.")
	return s
}
