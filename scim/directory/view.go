package directory

import (
	"iter"
	"time"
)

// A View is the directory that one request reads: the snapshots of one or more
// sources side by side. It never changes. Positions count from 0 in list
// order, each type for itself: the resources of the first source in the order
// in which they were first seen, then those of the next.
//
// The byte slices that a View and its Resources give lie in files mapped into
// memory, which stay mapped for as long as the View is reachable: a caller
// that passes them on keeps the View alive (runtime.KeepAlive) until the last
// byte is used. They must not be changed.
type View struct {
	parts []part
}

// NewView puts snapshots side by side, in the given order.
func NewView(snapshots ...*Snapshot) *View { panic("directory: not built yet") }

// Only gives the view restricted to the named sources.
func (v *View) Only(sources ...string) *View { panic("directory: not built yet") }

// ID names the view's snapshots, so that the same view can be had again later
// (see [Library.View]): sources and generations. It is not secret and not long.
func (v *View) ID() string { panic("directory: not built yet") }

// Len is the number of resources of a type.
func (v *View) Len(t Type) int { panic("directory: not built yet") }

// At gives the resource at position i. It panics when i is out of range.
func (v *View) At(t Type, i int) Resource { panic("directory: not built yet") }

// ByID finds the resource of any type with the given id (case-exact).
func (v *View) ByID(id string) (Resource, bool) { panic("directory: not built yet") }

// Find gives the positions, ascending, of the resources of type t that hold
// key in the index. It may give a few more (hashes collide): the caller checks
// each against its own predicate. It never gives fewer.
func (v *View) Find(t Type, ix Index, key string) []int { panic("directory: not built yet") }

// ModifiedSince gives the positions, ascending, of the resources of type t
// whose lastModified is at or after the given time.
func (v *View) ModifiedSince(t Type, since time.Time) []int { panic("directory: not built yet") }

// LastModified is the time of the latest change to anything in the view,
// removals included.
func (v *View) LastModified() time.Time { panic("directory: not built yet") }

// Pieces appends to dst the byte slices that, put together, are the JSON
// objects of the resources i to j-1 with a comma between them, and returns
// dst. Where resources lie together in a file they come as one slice.
func (v *View) Pieces(dst [][]byte, t Type, i, j int) [][]byte { panic("directory: not built yet") }

// A Resource is one resource of a view. The zero Resource is not valid.
type Resource struct {
	snap *Snapshot
	row  row
}

// Type is the resource's type.
func (r Resource) Type() Type { panic("directory: not built yet") }

// ID is the resource's SCIM id.
func (r Resource) ID() string { panic("directory: not built yet") }

// Source is the name of the source that the resource comes from.
func (r Resource) Source() string { panic("directory: not built yet") }

// Position is the resource's position in the view it was taken from.
func (r Resource) Position() int { panic("directory: not built yet") }

// LastModified is meta.lastModified: when the resource's present form became
// visible in the endpoint, in whole milliseconds, UTC.
func (r Resource) LastModified() time.Time { panic("directory: not built yet") }

// Version is meta.version: a weak entity tag, `W/"…"`, of the resource's
// content.
func (r Resource) Version() string { panic("directory: not built yet") }

// Pieces appends to dst the slices that together are the resource's JSON.
func (r Resource) Pieces(dst [][]byte) [][]byte { panic("directory: not built yet") }

// AppendJSON appends the resource's JSON to dst.
func (r Resource) AppendJSON(dst []byte) []byte { panic("directory: not built yet") }

// Head is the JSON of the resource's attributes without braces and without
// groups, members and meta: the mapping's [Record.Body]. The first attribute is
// schemas, the second id.
func (r Resource) Head() []byte { panic("directory: not built yet") }

// Links is the JSON array of a user's groups or a group's members, with its
// brackets, as slices appended to dst. It appends nothing where there are none.
func (r Resource) Links(dst [][]byte) [][]byte { panic("directory: not built yet") }

// LinksName is the name of the attribute that Links holds: "groups" for a user,
// "members" for a group.
func (r Resource) LinksName() string { panic("directory: not built yet") }

// Meta is the JSON object of the resource's meta attribute, with its braces.
func (r Resource) Meta() []byte { panic("directory: not built yet") }

// Linked says whether the resource's groups or members (a user's groups, direct
// and indirect; a group's direct members) name the resource with the given id.
// It costs a look-up, not a scan.
func (r Resource) Linked(id string) bool { panic("directory: not built yet") }

// Elements gives the JSON objects in Links one by one.
func (r Resource) Elements() iter.Seq[[]byte] { panic("directory: not built yet") }

// Attribute gives the JSON value of a top-level attribute, by its exact name as
// rendered, or nil where the resource has none. For groups and members it may
// copy; prefer Links, Linked and Elements.
func (r Resource) Attribute(name string) []byte { panic("directory: not built yet") }
