package directory

import (
	"bytes"
	"iter"
	"runtime"
	"slices"
	"sort"
	"time"
)

// A Resource is one resource of a snapshot. The zero Resource is not valid.
// Its bytes are subject to what [View] says of them.
type Resource struct {
	snap *Snapshot
	seg  *segment
	rec  *rowRecord
	typ  Type
	pos  int
}

// The names of the attributes that the directory adds, as they stand before
// their values.
var (
	linksLabel = [NumTypes][]byte{User: []byte(`,"groups":`), Group: []byte(`,"members":`)}
	metaLabel  = []byte(`,"meta":`)
)

// Type is the resource's type.
func (r Resource) Type() Type { return r.typ }

// ID is the resource's SCIM id.
func (r Resource) ID() string { return string(r.id()) }

// Source is the name of the source that the resource comes from.
func (r Resource) Source() string { return r.snap.source }

// Position is the resource's position in the view it was taken from.
func (r Resource) Position() int { return r.pos }

// Active is false for a user with active=false.
func (r Resource) Active() bool { return r.rec.flags&flagInactive == 0 }

// SaysActive is what the JSON of a user says of active, if that is known without
// reading it: known is false where it says neither true nor false, and may be
// false where it does. Other than Active it is the attribute as served, which a
// mapping may have left out.
func (r Resource) SaysActive() (active, known bool) {
	return r.rec.flags&flagTrue != 0, r.rec.flags&(flagTrue|flagFalse) != 0
}

// Detached is true for a resource that was put as [Record.Detached].
func (r Resource) Detached() bool { return r.rec.flags&flagDetached != 0 }

// DetachedSince is when a resource that is detached became it; what changes of
// it meanwhile is no matter.
func (r Resource) DetachedSince() time.Time {
	i, ok := slices.BinarySearch(r.seg.detached[r.typ], r.row())
	if r.typ != User || !ok || i >= len(r.seg.since) {
		return r.LastModified()
	}
	return time.UnixMilli(r.seg.since[i]).UTC()
}

// manager is the hash of the id of a user's manager, 0 where she has none.
func (r Resource) manager() uint64 {
	if row := r.row(); r.typ == User && int(row) < len(r.seg.managers) {
		return r.seg.managers[row]
	}
	return 0
}

// HidesManager says whether the resource was put with [Record.HidesManager].
func (r Resource) HidesManager() bool { return r.rec.flags&flagHides != 0 }

// row is the number of the resource's row in its segment.
func (r Resource) row() uint32 {
	i, _ := r.seg.rowOf(r.typ, r.rec.seq)
	return uint32(i)
}

// LastModified is meta.lastModified: when the resource's present form became
// visible in the endpoint, in whole milliseconds, UTC.
func (r Resource) LastModified() time.Time { return time.UnixMilli(r.rec.modified).UTC() }

// Version is meta.version: a weak entity tag, `W/"…"`, of the resource's
// content.
func (r Resource) Version() string {
	var b [len(`W/"0123456789abcdef"`)]byte
	return string(append(appendHex(append(b[:0], `W/"`...), r.rec.hash), '"'))
}

// UserName is the userName of a user as it is served, "" where she has none.
func (r Resource) UserName() string {
	defer runtime.KeepAlive(r.snap)
	return textOf(r.Attribute("userName"))
}

// Head is the JSON of the resource's attributes without braces and without
// groups, members and meta: the mapping's [Record.Body]. The first attribute is
// schemas, the second id.
func (r Resource) Head() []byte { return r.bytes(1, r.rec.head) }

// Meta is the JSON object of the resource's meta attribute, with its braces.
func (r Resource) Meta() []byte {
	return r.bytes(r.rec.size-r.rec.tail+uint32(len(metaLabel)), r.rec.size-1)
}

// LinksName is the name of the attribute that Links holds: "groups" for a user,
// "members" for a group.
func (r Resource) LinksName() string {
	if r.typ == Group {
		return "members"
	}
	return "groups"
}

// Links appends to dst the slices that are the JSON array of a user's groups or
// a group's members, with its brackets. It appends nothing where there are
// none.
func (r Resource) Links(dst [][]byte) [][]byte {
	start := r.rec.head + uint32(len(linksLabel[r.typ]))
	switch {
	case r.rec.head+r.rec.tail == r.rec.size:
		return dst
	case r.rec.flags&flagScattered == 0:
		return append(dst, r.bytes(start, r.rec.size-r.rec.tail))
	}
	dst = append(dst, r.bytes(start, start+1))
	dst = r.chunkPieces(dst)
	return append(dst, r.bytes(start+1, start+2))
}

// Pieces appends to dst the slices that together are the resource's JSON.
func (r Resource) Pieces(dst [][]byte) [][]byte {
	if r.rec.flags&flagScattered == 0 {
		return append(dst, r.bytes(0, r.rec.size))
	}
	open := r.rec.head + uint32(len(linksLabel[r.typ])) + 1
	dst = append(dst, r.bytes(0, open))
	dst = r.chunkPieces(dst)
	return append(dst, r.bytes(open, r.rec.size))
}

// chunkPieces appends the elements of a group's members. Chunks that were written
// together are one piece.
func (r Resource) chunkPieces(dst [][]byte) [][]byte {
	var in *segment // where the last piece lies
	var from, to uint64
	for seg, c := range r.chunkRecords() {
		switch {
		case seg == in && c.off == to+1 && seg.body[to] == ',':
			to = c.off + uint64(c.size)
			continue
		case in != nil:
			dst = append(dst, in.body[from:to], comma)
		}
		in, from, to = seg, c.off, c.off+uint64(c.size)
	}
	if in != nil {
		dst = append(dst, in.body[from:to])
	}
	return dst
}

// AppendJSON appends the resource's JSON to dst.
func (r Resource) AppendJSON(dst []byte) []byte {
	for _, piece := range r.Pieces(nil) {
		dst = append(dst, piece...)
	}
	return dst
}

// Linked says whether the resource's groups or members (a user's groups, direct
// and indirect; a group's direct members) name the resource with the given id.
// It costs a look-up, not a scan.
func (r Resource) Linked(id string) bool {
	other, ok := r.snap.ByID(id)
	if !ok {
		return false
	}
	if r.typ == Group {
		return r.hasMember(other.ref())
	}
	direct, all := r.parents(), r.seg.links[r.rec.links:r.rec.links+r.rec.total]
	_, isDirect := slices.BinarySearch(direct, other.ref())
	_, isIndirect := slices.BinarySearch(all[len(direct):], other.ref())
	return isDirect || isIndirect
}

// Elements gives the JSON objects in Links one by one.
func (r Resource) Elements() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if r.typ == User {
			for _, b := range r.Links(nil) {
				splitElements(b[1:len(b)-1], yield)
			}
			return
		}
		for seg, c := range r.chunkRecords() {
			if !splitElements(seg.body[c.off:c.off+uint64(c.size)], yield) {
				return
			}
		}
	}
}

// Attribute gives the JSON value of a top-level attribute, by its exact name as
// rendered, or nil where the resource has none. For groups and members it may
// copy; prefer Links, Linked and Elements.
func (r Resource) Attribute(name string) []byte {
	switch name {
	case "meta":
		return r.Meta()
	case r.LinksName():
		if pieces := r.Links(nil); len(pieces) > 0 {
			return bytes.Join(pieces, nil)
		}
		return nil
	}
	return topLevel(r.Head(), name)
}

// HasText says whether a top-level attribute is a string equal to text, but for
// case.
func (r Resource) HasText(name, text string) bool {
	defer runtime.KeepAlive(r.snap)
	value := r.Attribute(name)
	return isString(value) && Fold(textOf(value)) == Fold(text)
}

// MemberCount is the number of a group's direct members.
func (r Resource) MemberCount() int {
	n := 0
	for _, c := range r.chunkRecords() {
		n += int(c.count)
	}
	return n
}

// MembersMissingFrom counts the direct members of a group that it does not have
// in a later form, of the same source.
func (r Resource) MembersMissingFrom(later Resource) int {
	n := 0
	for m := range r.memberRefs() {
		if !later.hasMember(m) {
			n++
		}
	}
	return n
}

func (r Resource) bytes(from, to uint32) []byte {
	return r.seg.body[r.rec.off+uint64(from) : r.rec.off+uint64(to) : r.rec.off+uint64(to)]
}

// eachKey gives the hashes of the keys under which the resource is indexed.
func (r Resource) eachKey(yield func(key int, hash uint64)) {
	head := r.Head()
	text := func(key int, value []byte, fold func(string) string) {
		if s := textOf(value); s != "" {
			yield(key, keyHash(fold(s)))
		}
	}
	exact := func(s string) string { return s }
	yield(keyID, keyHash(string(r.id())))
	text(keyUserName, topLevel(head, "userName"), Fold)
	text(keyExternalID, topLevel(head, "externalId"), exact)
	text(keyDisplayName, topLevel(head, "displayName"), Fold)
	if emails := topLevel(head, "emails"); emails != nil {
		splitElements(emails[1:len(emails)-1], func(e []byte) bool {
			text(keyEmail, topLevel(e[1:len(e)-1], "value"), Fold)
			return true
		})
	}
}

func (r Resource) ref() ref { return makeRef(r.rec.seq, r.typ) }

func (r Resource) id() []byte { return r.bytes(r.rec.idOff, r.rec.idOff+uint32(r.rec.idLen)) }

// display is the displayName as a JSON string, or nil.
func (r Resource) display() []byte {
	if r.rec.display == 0 {
		return nil
	}
	return r.bytes(r.rec.display, r.rec.display+r.rec.displayLen)
}

// created is the text of meta.created.
func (r Resource) created() []byte {
	from := r.rec.size - r.rec.tail + uint32(len(metaLabel)+len(metaOpen[r.typ]))
	return r.bytes(from, from+timeLen)
}

// parents are the groups that have the resource as a direct member, ascending.
func (r Resource) parents() []ref {
	return r.seg.links[r.rec.links : r.rec.links+r.rec.direct]
}

// linkRefs are a user's groups: the direct ones, then the indirect ones, each
// ascending.
func (r Resource) linkRefs() []ref {
	return r.seg.links[r.rec.links : r.rec.links+r.rec.total]
}

// runs is the number of runs of a group's chunks. A row that has none is one
// itself, unless it has no chunks either.
func (r Resource) runs() int {
	if r.rec.flags&flagRuns != 0 {
		return int(r.rec.chunks)
	}
	return int(min(r.rec.chunks, 1))
}

func (r Resource) run(i int) chunkRun {
	if r.rec.flags&flagRuns != 0 {
		return r.seg.runs[int(r.rec.chunk)+i]
	}
	return chunkRun{r.seg.id, r.rec.chunk, r.rec.chunks}
}

// chunksOf gives the references to the chunks of a run.
func (r Resource) chunksOf(run chunkRun) []chunkRef {
	return r.snap.byNumber[run.segment].chunkRefs[run.first : run.first+run.count]
}

func (r Resource) chunk(c chunkRef) (*segment, *chunkRecord) {
	seg := r.snap.byNumber[c.segment]
	return seg, &seg.chunks[c.index]
}

func (r Resource) chunkRecords() iter.Seq2[*segment, *chunkRecord] {
	return func(yield func(*segment, *chunkRecord) bool) {
		for i := range r.runs() {
			for _, c := range r.chunksOf(r.run(i)) {
				if !yield(r.chunk(c)) {
					return
				}
			}
		}
	}
}

// firstOf is the first member in a chunk.
func (r Resource) firstOf(c chunkRef) ref {
	seg, chunk := r.chunk(c)
	return seg.members[chunk.members]
}

// runOf gives the run where a member is, or would come to be; the group has one.
func (r Resource) runOf(m ref) int {
	return lastBefore(r.runs(), func(i int) bool { return r.firstOf(r.chunksOf(r.run(i))[0]) > m })
}

// chunkOf gives the chunk, likewise, of those of a run.
func (r Resource) chunkOf(chunks []chunkRef, m ref) int {
	return lastBefore(len(chunks), func(i int) bool { return r.firstOf(chunks[i]) > m })
}

// lastBefore gives the last of n that is not after something, 0 where all are.
func lastBefore(n int, after func(int) bool) int { return max(sort.Search(n, after)-1, 0) }

// memberRefs gives a group's direct members, ascending.
func (r Resource) memberRefs() iter.Seq[ref] {
	return func(yield func(ref) bool) {
		for seg, c := range r.chunkRecords() {
			for _, m := range c.refs(seg) {
				if !yield(m) {
					return
				}
			}
		}
	}
}

func (r Resource) hasMember(m ref) bool {
	if r.runs() == 0 {
		return false
	}
	chunks := r.chunksOf(r.run(r.runOf(m)))
	seg, c := r.chunk(chunks[r.chunkOf(chunks, m)])
	_, ok := slices.BinarySearch(c.refs(seg), m)
	return ok
}

// refs are the chunk's members, ascending.
func (c *chunkRecord) refs(seg *segment) []ref { return seg.members[c.members : c.members+c.count] }
