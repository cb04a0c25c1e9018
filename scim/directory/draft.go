package directory

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"scimbridge/scim/bulk"
	"scimbridge/scim/guid"
)

// A Draft collects the changes of a round against the snapshot that it starts
// from. It is private to one goroutine. Nothing of it is visible to anybody
// before its sealed snapshot is published; a draft that is given up costs
// nothing but its memory.
type Draft struct {
	picture *Picture
	base    *Snapshot // what the draft starts from; never nil
	nextSeq uint32
	// rebase is set when the base was rendered with another base URL: every
	// resource is rendered again then, and changes.
	rebase bool

	entries  bulk.List[entry]
	byID     *guid.Table[int32] // id -> entry
	byRef    map[ref]int32      // ref of a resource that was known before -> entry
	firstSeq uint32             // of the new ones
	fresh    bulk.List[int32]   // sequence number of a new one less firstSeq -> entry
	bodies   spool
	scratch  []byte // for what is kept at once

	ops     bulk.List[memberOp] // changes of membership
	pending []pendingOp         // those that name a resource not known yet
}

// An entry is what the draft has on one resource.
type entry struct {
	ref      ref
	gone     bool
	known    bool // in the base
	inactive bool
	detached bool
	hides    bool   // the body does not name the manager
	manager  uint64 // hash of the manager's id; 0: none

	// Hashes: of the id, of a userName (0: none).
	id, userName uint64
	off          int64 // of the rest, in bodies
}

// An entryRest is what is not asked of an entry before the draft is sealed. A
// first draft has an entry for everybody; so it lies in the file of bodies,
// before the hashes of further e-mail addresses and the body.
type entryRest struct {
	keys       [numKeys]uint64 // hashes; 0: none. keyEmail is the first e-mail
	created    int64           // milliseconds; 0: not said
	size       uint32          // of the body
	emails     uint32          // how many further ones
	idOff      uint32
	idLen      uint32
	display    uint32
	displayLen uint32
}

const restSize = uint32(unsafe.Sizeof(entryRest{}))

type memberOp struct {
	group, member ref
	nth           uint32 // of all that were said
	kind          opKind
}

type opKind uint8

const (
	opLeave opKind = iota
	opJoin
	opShow // the element has to be rendered again
)

type pendingOp struct {
	group, member string
	kind          opKind
}

func newDraft(p *Picture, base *Snapshot, nextSeq uint32) *Draft {
	d := &Draft{
		picture: p, base: base, nextSeq: nextSeq, firstSeq: nextSeq,
		byID: guid.NewTable[int32](p.lists, 0), byRef: make(map[ref]int32),
	}
	d.entries.Place, d.fresh.Place, d.ops.Place, d.bodies.dir = p.lists, p.lists, p.lists, p.opts.Dir
	return d
}

// ErrRecord is wrapped by the errors of a record that cannot be put, which are
// no fault of the draft's: others may be put all the same.
var ErrRecord = errors.New("the record cannot be served")

// Expect says about how many resources the draft will be told of, so that it need
// not grow to their number.
func (d *Draft) Expect(n int) {
	if d.entries.Len() == 0 {
		d.entries.Grow(n)
		d.byID.Close()
		d.byID = guid.NewTable[int32](d.picture.lists, n)
	}
}

// Put adds a resource, or changes it. Its memberships stay as they are, unless
// the record is detached. It is an [ErrRecord] for an id to change its type, and
// for a record to be malformed; the draft is as before then.
func (d *Draft) Put(rec Record) error {
	manager := uint64(0)
	if rec.Manager != "" {
		manager = keyHash(rec.Manager)
	}
	return d.put(rec, manager)
}

// put is Put of a record whose manager's id has a hash.
func (d *Draft) put(rec Record, manager uint64) error {
	if err := checkRecord(&rec); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	base, known := d.base.ByID(rec.ID)
	i, drafted := d.byID.Find(rec.ID)
	switch {
	case known && base.typ != rec.Type, drafted && !known && d.at(i).ref.typ() != rec.Type:
		return fmt.Errorf("%w: putting %s %s: the id belongs to a resource of another type", ErrRecord, rec.Type, rec.ID)
	case known && !drafted && !d.rebase && base.holds(&rec, manager):
		return nil
	}
	e := entry{known: known, inactive: !rec.Active, detached: rec.Detached, hides: rec.HidesManager, manager: manager}
	switch {
	case known:
		e.ref = base.ref()
	case drafted:
		e.ref = d.at(i).ref
	case d.nextSeq > maxSeq:
		return errors.New("putting a resource: the source has used up its sequence numbers; start it with a new state directory")
	default:
		e.ref = makeRef(d.nextSeq, rec.Type)
	}
	rest, emails := restOf(&rec)
	e.id, e.userName = rest.keys[keyID], rest.keys[keyUserName]
	var err error
	if e.off, err = d.keepBody(&rest, emails, rec.Body); err != nil {
		return fmt.Errorf("keeping a body: %w", err)
	}
	if e.ref.seq() == d.nextSeq {
		d.nextSeq++
	}
	d.set(rec.ID, e)
	return nil
}

// keepBody keeps a body and what belongs to it, and gives the offset.
func (d *Draft) keepBody(rest *entryRest, emails []uint64, body []byte) (off int64, err error) {
	b := append(d.scratch[:0], asBytes(unsafe.Slice(rest, 1))...)
	b = append(append(b, asBytes(emails)...), body...)
	b = append(b, make([]byte, -len(b)&7)...) // the next one is read where it lies
	d.scratch = b
	return d.bodies.add(b)
}

// restOf takes from the record what is not its body.
func restOf(rec *Record) (e entryRest, emails []uint64) {
	e.size = uint32(len(rec.Body))
	id := topLevel(rec.Body, "id")
	e.idOff, e.idLen = uint32(offsetIn(rec.Body, id))+1, uint32(len(id)-2)
	if name := topLevel(rec.Body, "displayName"); name != nil {
		e.display, e.displayLen = uint32(offsetIn(rec.Body, name)), uint32(len(name))
	}
	keys := [numKeys]string{
		keyID: rec.ID, keyUserName: Fold(rec.UserName), keyExternalID: rec.ExternalID, keyDisplayName: Fold(rec.DisplayName),
	}
	for key, value := range keys {
		if value != "" {
			e.keys[key] = keyHash(value)
		}
	}
	for _, email := range rec.Emails {
		switch h := keyHash(Fold(email)); {
		case email == "":
		case e.keys[keyEmail] == 0:
			e.keys[keyEmail] = h
		default:
			emails = append(emails, h)
		}
	}
	e.emails = uint32(len(emails))
	if !rec.Created.IsZero() {
		e.created = rec.Created.UnixMilli()
	}
	return e, emails
}

// offsetIn gives where part, a sub-slice of whole, begins.
func offsetIn(whole, part []byte) int { return cap(whole) - cap(part) }

// checkRecord refuses what would make invalid JSON, or an id that a URL could
// not carry.
func checkRecord(rec *Record) error {
	switch {
	case rec.Type >= NumTypes:
		return fmt.Errorf("putting %s: no such resource type", rec.Type)
	case rec.ID == "" || len(rec.ID) > 1<<10 || strings.ContainsFunc(rec.ID, notUnreserved):
		return fmt.Errorf("putting %s %q: an id is made of letters, digits and -._~", rec.Type, rec.ID)
	case len(rec.Body) > 1<<24:
		return fmt.Errorf("putting %s %s: a body of %d bytes is too large", rec.Type, rec.ID, len(rec.Body))
	case !bytes.HasPrefix(rec.Body, []byte(`"schemas":[`)):
		return fmt.Errorf("putting %s %s: the body does not begin with schemas", rec.Type, rec.ID)
	case !quotes(topLevel(rec.Body, "id"), rec.ID):
		return fmt.Errorf("putting %s %s: the body has another id", rec.Type, rec.ID)
	}
	return nil
}

// notUnreserved says whether a rune is none that RFC 3986 §2.3 lets stand in a
// URL unescaped.
func notUnreserved(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~", r)
}

// holds says whether a record is what the resource has already.
func (r Resource) holds(rec *Record, manager uint64) bool {
	return bytes.Equal(r.Head(), rec.Body) && r.Active() == rec.Active && r.Detached() == rec.Detached &&
		r.manager() == manager && r.HidesManager() == rec.HidesManager &&
		(rec.Created.IsZero() || string(r.created()) == string(appendTime(nil, rec.Created.UnixMilli())))
}

// Remove takes a resource out, and with it the memberships that name it. An
// unknown id is nothing to remove.
func (d *Draft) Remove(id string) {
	e := entry{gone: true, id: keyHash(id)}
	if base, ok := d.base.ByID(id); ok {
		e.known, e.ref = true, base.ref()
	} else if i, ok := d.byID.Find(id); ok {
		e.ref = d.at(i).ref
	} else {
		return
	}
	d.set(id, e)
}

// set keeps an entry, in the place of an earlier one.
func (d *Draft) set(id string, e entry) {
	if i, ok := d.byID.Find(id); ok {
		*d.at(i) = e
		return
	}
	i := int32(d.entries.Len())
	d.byID.Set(id, i)
	if seq := e.ref.seq(); seq >= d.firstSeq {
		d.fresh.Add(i) // they are numbered one after the other
	} else {
		d.byRef[e.ref] = i
	}
	d.entries.Add(e)
}

// at gives an entry, good until the next one is set.
func (d *Draft) at(i int32) *entry { return &d.entries.All()[i] }

// Holds says whether the draft puts the resource, as it will be or as it is.
func (d *Draft) Holds(id string) bool {
	i, ok := d.byID.Find(id)
	return ok && !d.at(i).gone
}

// Serves says whether the sealed snapshot would hold the resource, put or left as
// it is. Keeps says whether it would hold it detached.
func (d *Draft) Serves(id string) bool {
	if i, ok := d.byID.Find(id); ok {
		return !d.at(i).gone
	}
	_, ok := d.base.ByID(id)
	return ok
}

// Keeps: see [Draft.Serves].
func (d *Draft) Keeps(id string) bool {
	if i, ok := d.byID.Find(id); ok {
		return !d.at(i).gone && d.at(i).detached
	}
	r, ok := d.base.ByID(id)
	return ok && r.Detached()
}

// Join makes member (a user or a group) a direct member of group. A membership
// with an end that the sealed snapshot does not hold, or holds detached, is
// dropped.
func (d *Draft) Join(group, member string) { d.member(group, member, opJoin) }

// Leave takes member out of group. What is no membership is left alone.
func (d *Draft) Leave(group, member string) { d.member(group, member, opLeave) }

func (d *Draft) member(group, member string, kind opKind) {
	g, ok := d.resolve(group)
	m, ok2 := d.resolve(member)
	if !ok || !ok2 {
		// Perhaps its Put is still to come.
		d.pending = append(d.pending, pendingOp{group, member, kind})
		return
	}
	d.op(g, m, kind)
}

func (d *Draft) op(group, member ref, kind opKind) {
	if group.typ() == Group {
		d.ops.Add(memberOp{group, member, uint32(d.ops.Len()), kind})
	}
}

func (d *Draft) resolve(id string) (ref, bool) {
	if i, ok := d.byID.Find(id); ok {
		return d.at(i).ref, true
	}
	r, ok := d.base.ByID(id)
	if !ok {
		return 0, false
	}
	return r.ref(), true
}

// entry gives what the draft has on a resource, or nil. It is good until the next one
// is set.
func (d *Draft) entry(r ref) *entry {
	i, ok := d.byRef[r]
	if seq := r.seq(); seq >= d.firstSeq && int(seq-d.firstSeq) < d.fresh.Len() {
		i, ok = d.fresh.All()[seq-d.firstSeq], true
	}
	if !ok || d.at(i).ref != r {
		return nil
	}
	return d.at(i)
}

// Discard drops the draft and what it wrote.
func (d *Draft) Discard() {
	d.entries.Close()
	d.byID.Close()
	d.fresh.Close()
	d.ops.Close()
	d.bodies.close()
}
