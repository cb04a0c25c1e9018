package directory

// The segment file.
//
// A segment holds rows: resources as they were rendered at one time, or
// tombstones of resources that went. It is written once, under a temporary
// name, made durable, renamed, and never changed again; readers map it into
// memory. Rows lie in the order of their sequence numbers, users before groups,
// and so do their bodies, with a comma after each, so that a list page is one
// range of the file:
//
//	{"schemas":…,"id":…,…,"groups":[…],"meta":{…}},{…},{…},
//	└──── head ─────────┘└── links ──┘└── tail ──┘
//
// The members of a group are cut into small chunks, in the order of their
// references. A row of a big group written later, when a few of its members
// changed, holds its own head and tail and refers to the chunks of older segments
// that are still true; the others it brings along. It does so by runs of
// references, of which again only those are new that a change is in: so a member
// who leaves costs as much in a group of a million as in one of a thousand.
//
// The segment that is the base of others has its bodies a second time, compressed
// in blocks (pack.go).
//
// All numbers are in the byte order of the machine (a file from a machine of
// another order is refused like a damaged one), arrays begin at multiples of
// eight, so that they are used where they lie.

import (
	"hash/crc32"
	"unsafe"
)

const (
	formatVersion = 4
	// oldestFormat can still be read: its segments have no managers. Those of 3
	// have no runs: a scattered row has one reference to each chunk.
	oldestFormat = 2
	segmentMagic = 0x3163_6970_6d69_6373 // "scimpic1", read in little endian
	headerSize   = 1024
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A ref names a resource of one source for good: its sequence number, given
// when it was first seen, and its type in the lowest bit.
type ref uint32

func makeRef(seq uint32, t Type) ref { return ref(seq<<1) | ref(t) }

func (r ref) seq() uint32 { return uint32(r) >> 1 }
func (r ref) typ() Type   { return Type(r & 1) }

// maxSeq is the last sequence number that fits a ref.
const maxSeq = 1<<31 - 1

const (
	flagTombstone uint16 = 1 << iota // the resource went; the row has no body
	flagInactive                     // a user with active=false
	flagDetached                     // in no group, whatever is said of its memberships
	flagScattered                    // a group some of whose chunks lie elsewhere

	// What the body of a user says of active, so that it need not be read; rows
	// of which it says something else, or nothing, and rows that were written
	// before there were these flags, have neither.
	flagTrue
	flagFalse

	flagHides // a user whose manager is not named, since he is not served
	flagRuns  // the row's chunks are found by way of runs
)

// rowRecord is a row as it lies in the file.
type rowRecord struct {
	off        uint64 // of the body's opening brace
	modified   int64  // lastModified, milliseconds since 1970
	hash       uint64 // of the content without meta; the version
	links      uint32 // first of the row's entries in the links section
	direct     uint32 // groups that name the resource as a member
	total      uint32 // those, and for a user the groups above them
	chunk      uint32 // first of the row's entries in the chunk references, or the runs
	chunks     uint32
	seq        uint32
	head       uint32 // bytes of the opening brace and the attributes
	size       uint32 // bytes in this file, without the comma
	tail       uint32 // bytes of `,"meta":{…}}`
	idOff      uint32 // of the id's text, from off
	display    uint32 // of the displayName's JSON string, from off; 0: none
	displayLen uint32
	idLen      uint16
	flags      uint16
}

// chunkRecord is a run of a group's members as it lies in the file.
type chunkRecord struct {
	off     uint64 // of the first element's brace
	sum     uint64 // of the hashes of the elements
	size    uint32 // bytes, without a comma at the end
	count   uint32
	members uint32 // first of the chunk's entries in the members section
	_       uint32
}

// chunkRef names a chunk, perhaps in an older segment.
type chunkRef struct {
	segment uint32
	index   uint32
}

// chunkRun names chunk references that follow one another, perhaps in an older
// segment.
type chunkRun struct {
	segment uint32
	first   uint32
	count   uint32
}

// The keys that are indexed by hash, in each type.
const (
	keyID = iota
	keyUserName
	keyExternalID
	keyEmail
	keyDisplayName
	numKeys
)

// The sections of a file.
const (
	secBody = iota
	secRows // one for each type
	_
	secLinks
	secChunks
	secChunkRefs
	secMembers
	secDetached // one for each type: numbers of the rows that are detached
	_
	secModified // one for each type: row numbers in the order of lastModified
	_
	secPacked // the bodies once more, compressed
	secPacks  // one for each type: where
	_
	secHashes                                   // one for each type and key: sorted hashes …
	secKeyRows  = secHashes + NumTypes*numKeys  // … and the row of each
	oldSections = secKeyRows + NumTypes*numKeys // what oldestFormat had
)

// What came later.
const (
	// With format 3, of users.
	secManagers  = oldSections + iota // of each row the hash of the manager's id; 0: none
	secByManager                      // rows that have one, in the order of that hash
	secSince                          // since when each of the rows in secDetached is, milliseconds
	// With format 4.
	secRuns
	numSections
)

// sectionRecord says where a section lies.
type sectionRecord struct {
	off, size uint64
	crc       uint32
	_         uint32
}

// headerRecord is the start of a file. It is written last.
type headerRecord struct {
	magic    uint64
	format   uint32
	crc      uint32 // of the header with this field zero
	segment  uint32
	_        uint32
	sections [numSections]sectionRecord
}

// asBytes gives the memory of a slice of fixed-size records.
func asBytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

// asRecords is the inverse of asBytes; b is aligned to eight and whole.
func asRecords[T any](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}

// The header fits the room that is left for it.
var _ [headerSize - unsafe.Sizeof(headerRecord{})]byte
