package directory

import (
	"context"
	"log/slog"
	"time"
)

// Options say where a picture lives and how it renders.
type Options struct {
	// Dir is the directory that the picture owns. It is made if absent.
	Dir string
	// Source is the name of the source, as clients are limited by it.
	Source string
	// BaseURL is the URL of the SCIM endpoint without a trailing slash, for
	// meta.location and $ref.
	BaseURL string
	// Keep is how many published generations are kept; at least 1.
	Keep int
	// Log takes what goes wrong with stored files; nil discards.
	Log *slog.Logger
}

// A Picture is the durable form of one source's directory: its published
// generations, of which the newest is served.
type Picture struct{}

// Open reads the picture in opts.Dir, or starts an empty one.
func Open(opts Options) (*Picture, error) { panic("directory: not built yet") }

// Current is the newest published snapshot, or nil where there is none yet.
func (p *Picture) Current() *Snapshot { panic("directory: not built yet") }

// Draft starts a draft from the newest published snapshot.
func (p *Picture) Draft() *Draft { panic("directory: not built yet") }

// Publish makes a sealed snapshot durable and then current.
func (p *Picture) Publish(s *Snapshot) error { panic("directory: not built yet") }

// At gives a kept generation.
func (p *Picture) At(generation uint64) (*Snapshot, bool) { panic("directory: not built yet") }

// Close lets go of the files. Snapshots taken before stay readable.
func (p *Picture) Close() error { panic("directory: not built yet") }

// A Tag is what the caller wants remembered with a generation.
type Tag struct {
	Round   uint64 // the store's round that the generation contains
	Mapping string // fingerprint of the mapping that rendered it
}

// A Snapshot is one complete picture of one source. It never changes.
type Snapshot struct{}

// Generation numbers the published snapshots of a source from 1.
func (s *Snapshot) Generation() uint64 { panic("directory: not built yet") }

// Published is when the snapshot became visible.
func (s *Snapshot) Published() time.Time { panic("directory: not built yet") }

// Tag is what was given to Seal.
func (s *Snapshot) Tag() Tag { panic("directory: not built yet") }

// Source is the name of the snapshot's source.
func (s *Snapshot) Source() string { panic("directory: not built yet") }

// Diff says what a sealed snapshot changes against the one it was drafted from.
func (s *Snapshot) Diff() *Diff { panic("directory: not built yet") }

// A Draft collects the changes of a round. It is private to one goroutine.
type Draft struct{}

// Put adds a resource, or changes it; unchanged ones are recognised at Seal.
func (d *Draft) Put(rec Record) error { panic("directory: not built yet") }

// Remove takes a resource out, and with it the memberships that name it.
func (d *Draft) Remove(id string) { panic("directory: not built yet") }

// Join makes member (a user or a group) a direct member of group. A membership
// with an end that the sealed snapshot does not hold is dropped.
func (d *Draft) Join(group, member string) { panic("directory: not built yet") }

// Leave takes member out of group.
func (d *Draft) Leave(group, member string) { panic("directory: not built yet") }

// LeaveAll takes a resource out of every group.
func (d *Draft) LeaveAll(member string) { panic("directory: not built yet") }

// Seal ends the draft. The snapshot is not visible before Publish.
func (d *Draft) Seal(ctx context.Context, now time.Time, tag Tag) (*Snapshot, error) {
	panic("directory: not built yet")
}

// Discard drops the draft and what it wrote.
func (d *Draft) Discard() { panic("directory: not built yet") }

// A Diff is what one snapshot changes against another.
type Diff struct{}

type part struct{}
type row struct{}
