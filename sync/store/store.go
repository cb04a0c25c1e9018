// Package store keeps what has been read from the sources: for each source its
// objects, its group memberships, the cursors at which the next read goes on,
// the administrator's consent and standing orders, and the history of rounds.
//
// [Store] is the contract; [Open] gives the SQLite form of it, and the suite in
// storetest is what any other form has to pass. The package knows nothing of
// Microsoft Graph or SCIM: an object's properties are bytes to it, which it
// compares and gives back. It imports nothing else of the project, and is meant
// for the loop that pulls a source and for the program around it.
//
// # Rounds
//
// A source changes in rounds. [Store.Begin] starts one, [Tx] takes its
// changes, and [Tx.Commit] makes objects, memberships and cursors durable
// together: after a crash at any moment, or an error at any step, the source is
// exactly as the last successful Commit left it. Rounds are numbered from 1
// for each source, and every object and membership remembers the round in
// which it last changed, so that whoever keeps a picture of the source can ask
// for what changed since the round that the picture contains.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"
)

// A Kind is a kind of object.
type Kind string

// The kinds of object that a store holds.
const (
	User  Kind = "user"
	Group Kind = "group"
)

// Assignment and Aside are no kinds of object: only a [Cursor] is kept for them,
// by which a caller that reads a list whole remembers what it asked for, and when.
const (
	Assignment Kind = "assignment"
	Aside      Kind = "aside"
)

// Errors on which a caller decides.
var (
	// ErrBusy: a round of the source is open, and what was asked would change
	// the ground it stands on.
	ErrBusy = errors.New("a round of this source is under way")
	// ErrDone: the round was committed or rolled back before.
	ErrDone = errors.New("the round is over")
	// ErrReadOnly: the store was opened for reading.
	ErrReadOnly = errors.New("the state is open for reading only")
)

// An Object is a user or group as the source gave it.
//
// Times in this package are kept to the microsecond and come back in UTC.
type Object struct {
	Kind Kind
	// ID is the source's id of the object, compared byte for byte.
	ID string
	// Properties is what Put was given, by convention a compact JSON object
	// with sorted names. Removed objects have their last properties.
	Properties []byte
	// Round is the round in which the object last changed.
	Round uint64
	// Removed is nil for an object that is present.
	Removed *Removal
}

// A Removal says when and why an object went.
type Removal struct {
	At time.Time
	// Reason is the source's word ("changed", "deleted"), or "vanished" for an
	// object that a full read did not show; the store only keeps it.
	Reason string
}

// An Edge is the membership of Member in Group. Either end may be unknown as
// an object, or removed: the edge says nothing about that.
type Edge struct {
	Group, Member string
	// Type is the member's type in the source's words: user, group, device…
	Type string
	// Round is the round in which the edge last changed.
	Round uint64
	// Removed is true for a membership that ended.
	Removed bool
}

// A Cursor is where the next read of a kind goes on.
type Cursor struct {
	// Link is the source's own, opaque to the store; empty: there is none.
	Link string
	// Fingerprint stands for the question that Link continues. A caller that
	// asks something else now has to start anew.
	Fingerprint string
	// At is when the source gave the link.
	At time.Time
}

// A Source is the state of one source apart from its objects.
type Source struct {
	Name string
	// Formerly is the name before the last RenameSource; empty: there was none.
	Formerly string
	// Tenant names whose objects are kept, other than a configuration might: two
	// names of one tenant are one here. Empty: that is not known.
	Tenant string
	// Epoch is given at random when the source becomes known, and empty before:
	// rounds of another epoch, of a state that was lost or a source that was
	// dropped, are other rounds.
	Epoch string
	// Round is the last committed round, 0 before the first.
	Round uint64
	// Cursors has the kinds for which a cursor is kept.
	Cursors map[Kind]Cursor
	// LastFull has for each kind the time given to the last EndFull that was
	// committed.
	LastFull map[Kind]time.Time
	// Users and Groups count the objects that are present.
	Users, Groups int
	Consent       Consent
	// Frozen is since when the served picture is to stay as it is; zero: it is
	// not frozen.
	Frozen time.Time
	// Held is nil unless a round waits for approval.
	Held *Held
	// Approved is the last approval given.
	Approved Approval
}

// A Consent is an administrator's, once given. Its zero value is none.
type Consent struct {
	TenantID string
	At       time.Time
	By       string // who, where it is known
}

// Held says that the changes up to Round are stored but not to be served.
type Held struct {
	Round  uint64
	Since  time.Time
	Detail json.RawMessage // the guard's reasons
}

// An Approval lets the changes up to Round be served. Its zero value is none.
type Approval struct {
	Round uint64
	At    time.Time
	By    string
}

// A RoundRecord is one line of the history of rounds.
type RoundRecord struct {
	Source  string        `json:"-"`
	Round   uint64        `json:"round"` // the number it had, or would have had
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed"`
	Full    bool          `json:"full,omitempty"` // a full read, not a delta
	Users   Tally         `json:"users"`
	Groups  Tally         `json:"groups"`
	Edges   Tally         `json:"edges"`
	// Requests and Pages count what was asked of the source.
	Requests int `json:"requests,omitempty"`
	Pages    int `json:"pages,omitempty"`
	// Outcome is the caller's word for how it ended: published, held, failed…
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
	// By is who ordered what the round did, where somebody did.
	By string `json:"by,omitempty"`
	// Drift counts what a full read found otherwise than told before.
	Drift int `json:"drift,omitempty"`
}

// A Tally counts what a round did to one kind of thing.
type Tally struct {
	Present int `json:"present,omitempty"` // after the round
	Added   int `json:"added,omitempty"`
	Changed int `json:"changed,omitempty"`
	Removed int `json:"removed,omitempty"`
}

// History is how many records are kept for each source.
const History = 1000

// A Store is the durable state of all sources. Its methods may be called from
// several goroutines. None of them waits for a round that is open: reads see
// the last committed one, and the small updates (Set…, AddRound) are
// transactions of their own, which take effect at once and stay whatever
// becomes of the round.
//
// A source is known from the first Set… or Begin that names it until
// DropSource.
type Store interface {
	// Source gives the state of a source; an unknown name gives its zero state.
	Source(ctx context.Context, name string) (Source, error)
	// Sources gives the state of every known source, by name.
	Sources(ctx context.Context) ([]Source, error)

	// SetConsent replaces the consent.
	SetConsent(ctx context.Context, source string, consent Consent) error
	// SetTenant says whose objects are kept.
	SetTenant(ctx context.Context, source, tenant string) error
	// SetFrozen freezes the source, or with the zero time unfreezes it.
	SetFrozen(ctx context.Context, source string, since time.Time) error
	// SetHeld says which round is held; nil: none is.
	SetHeld(ctx context.Context, source string, held *Held) error
	// SetApproved replaces the approval.
	SetApproved(ctx context.Context, source string, approval Approval) error
	// DropSource forgets a source and everything of it. It fails with ErrBusy
	// while a round is open.
	DropSource(ctx context.Context, name string) error

	// RenameSource gives a source, with all that is of it, another name, under which
	// no rounds may have been committed; of what else was kept under it the consent
	// stays. An unknown source is left alone. It fails with ErrBusy while a round of
	// either is open.
	RenameSource(ctx context.Context, from, to string) error

	// SetOpened notes, for the state as a whole and for good, that every source
	// has been served at the same time; Opened tells. A state without that mark
	// may have taken the place of one that was lost.
	SetOpened(ctx context.Context) error
	Opened(ctx context.Context) (bool, error)

	// SetShown notes that a client has been shown users or groups of the given
	// sources, and SetHidden that it no longer is. Shown tells, by client; kept is
	// false before the first SetShown, which may name no source: the state is of a
	// time when nobody noted it. What was shown of a source goes with DropSource.
	SetShown(ctx context.Context, client string, sources ...string) error
	SetHidden(ctx context.Context, client string, sources ...string) error
	Shown(ctx context.Context) (sources map[string][]string, kept bool, err error)

	// Begin starts the round after the last committed one. A second round of
	// the same source fails with ErrBusy; rounds of different sources may be
	// open side by side. ctx covers the whole round: once it is done every
	// method but Rollback fails.
	Begin(ctx context.Context, source string) (Tx, error)

	// Object gives an object, present or removed, and whether there is one.
	Object(ctx context.Context, source string, kind Kind, id string) (Object, bool, error)
	// Objects gives the objects that changed after round since, or with 0 all
	// of them, removed ones included. The order is that in which the store
	// first heard of them, so that those it knew keep their order for good.
	// It is one consistent state, read as a stream. The cost for since > 0 is
	// that of the changes.
	Objects(ctx context.Context, source string, kind Kind, since uint64) iter.Seq2[Object, error]
	// Edges gives the memberships that changed after round since, or with 0
	// all of them, ended ones included, under the same terms as Objects.
	Edges(ctx context.Context, source string, since uint64) iter.Seq2[Edge, error]
	// Members gives the memberships of a group that have not ended.
	Members(ctx context.Context, source, group string) iter.Seq2[Edge, error]
	// MemberOf gives the memberships of a member that have not ended.
	MemberOf(ctx context.Context, source, member string) iter.Seq2[Edge, error]
	// Removed gives the objects that were removed before a time and did not
	// come back, under the same terms as Objects. Its cost is that of all
	// removed objects.
	Removed(ctx context.Context, source string, kind Kind, before time.Time) iter.Seq2[Object, error]
	// Counts gives how many objects are present. Its cost is constant.
	Counts(ctx context.Context, source string) (users, groups int, err error)

	// Forget drops the given objects with all their memberships, as far as
	// they are removed: one that is present, or came back, stays. Later reads
	// do not tell of it, so every picture must be rid of them before. It fails
	// with ErrBusy while a round is open.
	Forget(ctx context.Context, source string, kind Kind, ids ...string) error
	// Prune drops the memberships that ended in a round up to upTo, which
	// every picture must contain. It fails with ErrBusy while a round is open.
	Prune(ctx context.Context, source string, upTo uint64) error

	// AddRound adds a record to the history, of which the latest [History] are
	// kept for each source.
	AddRound(ctx context.Context, record RoundRecord) error
	// Rounds gives up to limit records, the latest first.
	Rounds(ctx context.Context, source string, limit int) ([]RoundRecord, error)

	// Clone gives a store of its own with everything that is committed here,
	// to try something out on. Closing it drops it.
	Clone(ctx context.Context) (Store, error)

	// Close ends the store and rolls back the rounds that are open.
	Close() error
}

// A Tx is one round being written. Nobody else sees its changes before Commit.
// It is for one goroutine. After any error but ErrDone only Rollback is left
// to do: Commit fails with that first error.
type Tx interface {
	// Round is the number that the round gets.
	Round() uint64
	// Object gives an object as the round has it so far.
	Object(kind Kind, id string) (Object, bool, error)
	// Put sets an object's properties and says whether this changed anything;
	// where it did not, the object keeps its Round. A removed object comes
	// back, which is a change. The caller keeps properties.
	Put(kind Kind, id string, properties []byte) (changed bool, err error)
	// Remove marks an object as removed. Its properties and its memberships
	// stay, so that a restored user is in her groups again. An unknown id is
	// no change. For an object that is removed already, the first time stands
	// and a different reason replaces the old one.
	Remove(kind Kind, id string, removal Removal) (changed bool, err error)
	// Join makes member a member of group.
	Join(group, member, memberType string) (changed bool, err error)
	// Leave ends the membership. An unknown one is no change.
	Leave(group, member string) (changed bool, err error)

	// BeginFull starts a full read of a kind: from here on every Put of the
	// kind, and for groups every Join, is marked as seen, changed or not.
	BeginFull(kind Kind) error
	// Seen says whether the full read that is under way has seen an object.
	Seen(kind Kind, id string) (bool, error)
	// Unseen counts the present objects, and for groups the memberships between
	// present ends, that the full read that is under way has not seen. EndFull
	// would remove those objects now, and end at most those memberships.
	Unseen(kind Kind) (objects, edges int, err error)
	// UnseenIDs visits the ids of the objects that Unseen counts. visit may use
	// the round, but what it puts or removes may be visited or not.
	UnseenIDs(kind Kind, visit func(id string) error) error
	// AbortFull ends the full read as if it had not been one: what was put and
	// joined stays, and nothing is taken away.
	AbortFull(kind Kind) error
	// EndFull ends the full read: it removes the objects of the kind that are
	// present and were not seen, with the given removal, and for groups ends
	// the memberships that were not seen, and says how many of each. A
	// membership with a removed object at either end is left as it is: no read
	// shows whether it still holds. End the users' read before the groups'.
	EndFull(kind Kind, removal Removal) (objects, edges int, err error)

	// SetCursor keeps a cursor for the kind; the zero Cursor drops it.
	SetCursor(kind Kind, cursor Cursor) error
	// Changed says whether the round changed anything but cursors.
	Changed() bool
	// Commit makes the round durable and visible. Should it fail, the source
	// is in almost every case as before; Source tells.
	Commit() error
	// Rollback drops the round. After Commit it does nothing and gives ErrDone.
	Rollback() error
}
