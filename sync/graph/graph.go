package graph

import (
	"encoding/json"
	"fmt"
)

// Kind is a collection of directory objects that Graph tracks by delta query.
type Kind uint8

// The collections that are read.
const (
	Users Kind = iota
	Groups

	numKinds = 2
)

// String gives the collection's name in Graph's URLs: "users", "groups".
func (k Kind) String() string {
	switch k {
	case Users:
		return "users"
	case Groups:
		return "groups"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// relation is the navigation property that delta brings along with the kind.
func (k Kind) relation() string {
	if k == Users {
		return "manager"
	}
	return "members"
}

// permission is the least application permission that reading the kind needs
// (Graph permissions reference; docs of user: delta and group: delta).
func (k Kind) permission() string {
	if k == Users {
		return "User.Read.All"
	}
	return "GroupMember.Read.All"
}

// Property is one property of an object as Graph sent it.
type Property struct {
	Name string

	// Value is JSON without whitespace between its tokens. null means that the
	// property was cleared; a property that is absent is unchanged.
	Value json.RawMessage
}

// Member is one entry of a group's members@delta.
type Member struct {
	ID string

	// Type is the object's type without "#microsoft.graph.": "user", "group",
	// "device", "servicePrincipal", "orgContact" and others. Empty where Graph
	// named none, as it may for removed members.
	Type string

	// Removed tells that the member left the group. Where a member comes more
	// than once in a round, the last entry counts.
	Removed bool
}

// Change is one object of a page.
//
// Its properties are to be merged onto what is known of the object: Graph
// promises no more than that the changed ones are among them. Its memory may be
// shared with the other changes of the page, so it may be kept and read, but
// not written to.
type Change struct {
	// ID is the object's id as sent: a GUID in lower case.
	ID string

	// Removed is empty for an object that exists, "changed" for one that was
	// deleted and can still be restored, "deleted" for one that is gone for
	// good. Both also come in first rounds, for ids never seen before.
	Removed string

	// Properties are sorted by name, each name once. The id and annotations
	// (@odata.type and the like) are not among them. A user's manager@delta is
	// here as "manager", its value {"id":"…"}, or null where it was taken away.
	Properties []Property

	// Members are entries of a group's members@delta, in their order. A big
	// group comes in parts, as several changes on one page or on several: each
	// adds to the ones before. None means no change, never an empty group.
	Members []Member
}

// Values of [Change.Removed].
const (
	RemovedChanged = "changed" // soft-deleted, restorable for 30 days
	RemovedDeleted = "deleted" // gone for good
)

// Page is one answer within a round.
type Page struct {
	// Changes may be empty on any page.
	Changes []Change

	// Broken are the objects of the page that could not be understood. They are
	// not among Changes. In a full read an object missing for this reason must
	// not be taken for one that is gone.
	Broken []BrokenObject

	// DeltaLink is set on the last page of a round only: the cursor of the next.
	DeltaLink string
}

// BrokenObject is one object of a page that was left out.
type BrokenObject struct {
	ID     string // empty where it has none that can be read
	Offset int    // of the object's first byte in the body
	Reason string // in plain words, without any of the object's values
}

// Organization is what Graph tells of the tenant itself.
type Organization struct {
	ID          string // the tenant id
	DisplayName string
	Domains     []Domain // the verified ones
}

// Domain is a verified domain of a tenant.
type Domain struct {
	Name    string `json:"name"`
	Default bool   `json:"isDefault"` // new users get their name here
	Initial bool   `json:"isInitial"` // the tenant's first, under onmicrosoft.com
}
