// Package directory holds what is served: the people and groups of each
// source, rendered once as SCIM JSON, in a fixed order, in immutable
// [Snapshot] values.
//
// One source has one [Picture], a directory on disk in which its published
// generations are kept. A [Draft] starts from the newest generation, takes the
// changes of a round, and is sealed into a new Snapshot beside the one being
// served, which nobody sees until [Picture.Publish]. A [View] puts the
// snapshots of several sources side by side; it is what the SCIM endpoint
// reads.
//
// The package knows SCIM's outer shape (schemas first, groups or members, meta
// last) and nothing of Graph, of HTTP or of mapping. It imports the standard
// library only.
package directory

import (
	"fmt"
	"time"
)

// A Type is a SCIM resource type that the directory holds.
type Type uint8

// The resource types, in the order in which a query over both returns them.
const (
	User Type = iota
	Group

	// NumTypes is how many resource types there are.
	NumTypes = 2
)

// String gives the name of the resource type as RFC 7643 §6 has it.
func (t Type) String() string {
	switch t {
	case User:
		return "User"
	case Group:
		return "Group"
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// Endpoint gives the path of the type's endpoint below the base URL, with its
// leading slash.
func (t Type) Endpoint() string {
	switch t {
	case User:
		return "/Users"
	case Group:
		return "/Groups"
	}
	return "/" + t.String() + "s"
}

// An Index names an attribute that [View.Find] looks up without a scan.
type Index uint8

// The indexes. Keys of those marked "any case" are folded by [Fold] on both
// sides.
const (
	ByUserName    Index = iota // users: userName, any case
	ByExternalID               // users and groups: externalId, exact
	ByEmail                    // users: emails.value, any case
	ByDisplayName              // users and groups: displayName, any case
	ByMember                   // groups: members.value, exact
	ByGroup                    // users: groups.value, exact, direct and indirect
)

// A Record is one resource as the mapping gives it: everything but its
// memberships and its meta, which the directory adds.
type Record struct {
	Type Type

	// ID is the resource's SCIM id, unique over users and groups of the source.
	ID string

	// Body is the JSON object of the resource without its braces and without
	// groups, members and meta: `"schemas":[…],"id":"…","userName":"…"`.
	// It is ASCII, compact, and must be byte for byte the same whenever the
	// resource is the same: a different Body is a change that clients see.
	Body []byte

	// Active is false for a user served with active=false. Groups are active.
	Active bool

	// Detached has the resource in no group, whatever Join says: a removed user
	// who is kept inactive for a while. When it is put again, not detached, its
	// memberships have to be joined again.
	Detached bool

	// The values that are looked up by index. Empty ones are not indexed.
	UserName    string
	ExternalID  string
	DisplayName string // also the display of the memberships that name the resource
	Emails      []string

	// Manager is the id of a user's manager, known here or not; empty: she has
	// none. HidesManager says that Body does not name him, since he is not
	// served. [Draft.Misled] finds those of whom it should say otherwise.
	Manager      string
	HidesManager bool

	// Created is when the source made the object; zero where it does not say,
	// and then meta.created is the time of first publication.
	Created time.Time
}
