package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"scimbridge/scim/bulk"
)

// Options say where a picture lives and how it renders.
type Options struct {
	// Dir is the directory that the picture owns. It is made if absent, with
	// mode 0700; the files in it hold personal data and have mode 0600.
	Dir string
	// Source is the name of the source, as clients are limited by it.
	Source string
	// Formerly is the name that the source had before; empty: no other. A picture
	// that was written under it is the source's.
	Formerly string
	// BaseURL is the URL of the SCIM endpoint without a trailing slash, for
	// meta.location and $ref.
	BaseURL string
	// Keep is how many published generations are kept; 0 means 1.
	Keep int
	// KeepBytes is how much disk older generations may take beside the
	// current one before fewer are kept; 0 means no more than four times what
	// the current one takes, and at least 64 MiB.
	KeepBytes int64
	// NewDeflater makes what compresses the list pages (RFC 1951); nil is the
	// standard library's.
	NewDeflater func() Deflater
	// Log takes what goes wrong with stored files; nil discards.
	Log *slog.Logger
}

// A Deflater compresses to the writer that it was last reset to, as
// [compress/flate.Writer] does.
type Deflater interface {
	io.Writer
	Flush() error
	Reset(io.Writer)
}

// A Picture is the durable form of one source's directory: its published
// generations, of which the newest is served. Its methods may be called from
// any goroutine; only one draft is sealed and published at a time.
type Picture struct {
	opts Options
	log  *slog.Logger
	disk disk
	// lists is where what is made of everybody is kept while a draft is sealed.
	lists bulk.Place

	current atomic.Pointer[Snapshot]

	leastOverlay int // see overlayRows
	fanOut       int // see usualFanOut
	cut          cutting

	mu       sync.Mutex // guards what follows
	manifest manifest
	open     map[uint32]weak.Pointer[segment] // segment id -> segment, if in use
	// unpublished are the segments written for drafts since the last Publish.
	unpublished map[uint32]bool
	// doubtful are the generations that a manifest named which may, or may not,
	// lie on the disk: writing it failed. Their files have to stay until the
	// next one is written.
	doubtful []generationInfo
	closed   bool
}

// The manifest names the generations that are kept, oldest first. It is
// replaced as a whole, after the segments that it names are durable: what it
// says after a crash is true.
type manifest struct {
	Format      int              `json:"format"`
	Source      string           `json:"source"`
	BaseURL     string           `json:"baseURL"`
	NextSegment uint32           `json:"nextSegment"`
	Generations []generationInfo `json:"generations"`
}

type generationInfo struct {
	Number    uint64           `json:"number"`
	Published int64            `json:"published"` // milliseconds since 1970
	Tag       Tag              `json:"tag"`
	NextSeq   uint32           `json:"nextSeq"`
	Segments  []uint32         `json:"segments"`
	Len       [NumTypes]int    `json:"len"`
	Inactive  int              `json:"inactive"`
	Counts    [NumTypes]Counts `json:"changed"`
}

const manifestName = "manifest.json"

// Open reads the picture in opts.Dir, or starts an empty one. A generation
// whose files are damaged is dropped, with a line in the log, and the one
// before it is current then. Files that no generation names are removed.
func Open(opts Options) (*Picture, error) {
	p := &Picture{
		opts: opts, log: opts.Log, leastOverlay: 4096, fanOut: usualFanOut, cut: usualCut, lists: bulk.Place{Dir: opts.Dir},
		open: make(map[uint32]weak.Pointer[segment]), unpublished: make(map[uint32]bool),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.opts.Keep = max(1, opts.Keep)
	if opts.NewDeflater == nil {
		p.opts.NewDeflater = standardDeflater
	}
	if strings.ContainsAny(opts.BaseURL, "\"\\") {
		return nil, fmt.Errorf("opening the picture of %s: the base URL %q holds a quotation mark or backslash", opts.Source, opts.BaseURL)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the picture's directory: %w", err)
	}
	if err := p.readManifest(); err != nil {
		return nil, err
	}
	p.load()
	p.removeUnused(true)
	return p, nil
}

func (p *Picture) readManifest() error {
	p.manifest = manifest{Format: formatVersion, Source: p.opts.Source, BaseURL: p.opts.BaseURL, NextSegment: 1}
	path := filepath.Join(p.opts.Dir, manifestName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the picture: %w", err)
	}
	var m manifest
	switch err := json.Unmarshal(data, &m); {
	case err != nil:
		p.log.Error("picture is unreadable and will be rendered again", "path", path, "err", err)
		return nil
	case m.Source != "" && m.Source != p.opts.Source && m.Source != p.opts.Formerly: // whatever its format
		return fmt.Errorf("reading the picture: %s belongs to source %q, not %q", path, m.Source, p.opts.Source)
	case m.Format < oldestFormat || m.Format > formatVersion:
		p.log.Warn("picture has another format and will be rendered again", "path", path, "format", m.Format, "expected", formatVersion)
		return nil
	}
	m.Format = formatVersion // what is written from here on
	p.manifest = m
	p.manifest.Source = p.opts.Source
	return nil
}

// Published says whether a picture was ever published into a directory, readable
// or not.
func Published(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Move gives the picture in a directory to another one, durably, unless there is one
// already: that of a source that has another name now. Where there is none it does
// nothing, so that it may be done again. The picture must not be written meanwhile.
func Move(from, to string) error {
	source, err := Published(from)
	if err != nil || !source {
		return err
	}
	if taken, err := Published(to); err != nil || taken {
		return err
	}
	if err := os.RemoveAll(to); err != nil { // what there is of a picture without manifest
		return fmt.Errorf("moving the picture: %w", err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("moving the picture: %w", err)
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		return fmt.Errorf("moving the picture: %w", err)
	}
	return nil
}

// load makes the newest whole generation current.
func (p *Picture) load() {
	for n := len(p.manifest.Generations); n > 0; n-- {
		info := p.manifest.Generations[n-1]
		s, err := p.snapshot(info)
		if err == nil {
			p.current.Store(s)
			return
		}
		p.log.Error("generation is damaged and dropped", "source", p.opts.Source, "generation", info.Number, "err", err)
		p.manifest.Generations = p.manifest.Generations[:n-1]
	}
}

// snapshot opens a generation. p.mu is held, or p is not shared yet.
func (p *Picture) snapshot(info generationInfo) (*Snapshot, error) {
	var segments []*segment
	for _, id := range info.Segments {
		seg := p.open[id].Value()
		if seg == nil {
			var err error
			if seg, err = openSegment(p.segmentPath(id), id); err != nil {
				return nil, err
			}
			p.open[id] = weak.Make(seg)
		}
		segments = append(segments, seg)
	}
	s := newSnapshot(p.opts.Source, segments)
	s.generation, s.published, s.tag, s.nextSeq = info.Number, info.Published, info.Tag, info.NextSeq
	s.inactive = info.Inactive
	return s, nil
}

// Lists is where what there is of everybody may be kept while a picture is made.
func (p *Picture) Lists() bulk.Place { return p.lists }

// Current is the newest published snapshot, or nil where there is none yet.
func (p *Picture) Current() *Snapshot { return p.current.Load() }

// A Generation describes a kept generation.
type Generation struct {
	Number    uint64
	Published time.Time
	Tag       Tag
	Users     int
	Groups    int
	Changes   [NumTypes]Counts // against the generation before it
}

// Generations lists what is kept, newest first.
func (p *Picture) Generations() []Generation {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Generation
	for _, g := range slices.Backward(p.manifest.Generations) {
		all = append(all, Generation{
			Number: g.Number, Published: time.UnixMilli(g.Published).UTC(), Tag: g.Tag,
			Users: g.Len[User], Groups: g.Len[Group], Changes: g.Counts,
		})
	}
	return all
}

// At gives a kept generation, and false for one that is not kept or whose
// files can't be read.
func (p *Picture) At(generation uint64) (*Snapshot, bool) {
	if s := p.Current(); s != nil && s.generation == generation {
		return s, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, info := range p.manifest.Generations {
		if info.Number != generation {
			continue
		}
		s, err := p.snapshot(info)
		if err != nil {
			p.log.Error("generation can't be read", "source", p.opts.Source, "generation", generation, "err", err)
		}
		return s, err == nil
	}
	return nil, false
}

// Verify reads every byte of the current generation and reports damage.
func (p *Picture) Verify() error {
	if s := p.Current(); s != nil {
		for _, seg := range s.segments {
			if err := seg.verify(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Draft starts a draft from the newest published snapshot. A snapshot that was
// sealed before and not published can still be read, but not published any
// more.
func (p *Picture) Draft() *Draft {
	p.mu.Lock()
	clear(p.unpublished)
	p.removeUnused(false)
	rebase := p.manifest.BaseURL != p.opts.BaseURL
	p.mu.Unlock()
	base := p.Current()
	if base == nil {
		base = newSnapshot(p.opts.Source, nil)
	}
	d := newDraft(p, base, base.nextSeq)
	d.rebase = rebase
	return d
}

// newSegment starts the next segment file.
func (p *Picture) newSegment() (*segmentWriter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("the picture is closed")
	}
	id := p.manifest.NextSegment
	p.manifest.NextSegment++
	p.unpublished[id] = true
	w, err := newSegmentWriter(&p.disk, p.lists, p.segmentPath(id), id)
	if err == nil {
		w.deflater = p.opts.NewDeflater
	}
	return w, err
}

func (p *Picture) nextGeneration() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.manifest.Generations); n > 0 {
		return p.manifest.Generations[n-1].Number + 1
	}
	return 1
}

// Publish makes a sealed snapshot durable and then current. A snapshot that
// changes nothing only has its tag remembered. It is an error to publish a
// snapshot that was not drafted from the current one. After an error what was
// current is current still, and on disk too.
func (p *Picture) Publish(s *Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("publishing: the picture is closed")
	}
	diff := s.Diff()
	if base := p.current.Load(); diff == nil || diff.before != base && (base != nil || diff.before.generation != 0) {
		return errors.New("publishing: the snapshot was not drafted from the current one")
	}
	for _, id := range segmentIDs(s.segments) {
		if !p.unpublished[id] && !p.named(id) {
			return errors.New("publishing: another draft was started since the snapshot was sealed")
		}
	}
	info := generationInfo{
		Number: s.generation, Published: s.published, Tag: s.tag, NextSeq: s.nextSeq,
		Segments: segmentIDs(s.segments), Len: [NumTypes]int{s.Len(User), s.Len(Group)}, Inactive: s.inactive,
		Counts: diff.Counts,
	}
	if err := p.record(info); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	p.makeCurrent(s)
	return nil
}

// record makes a generation the manifest's last, or replaces the last where it
// has the same number. p.mu is held.
func (p *Picture) record(info generationInfo) error {
	next := p.manifest
	next.BaseURL = p.opts.BaseURL
	next.Generations = slices.Clone(next.Generations)
	if n := len(next.Generations); n > 0 && next.Generations[n-1].Number == info.Number {
		info.Counts = next.Generations[n-1].Counts
		next.Generations[n-1] = info
	} else {
		next.Generations = append(next.Generations, info)
	}
	p.trim(&next)
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := p.disk.replace("manifest", filepath.Join(p.opts.Dir, manifestName), data); err != nil {
		p.doubtful = next.Generations
		return err
	}
	p.manifest, p.doubtful = next, nil
	return nil
}

// makeCurrent shows a snapshot that the manifest has as its last. p.mu is held.
func (p *Picture) makeCurrent(s *Snapshot) {
	for _, seg := range s.segments {
		p.open[seg.id] = weak.Make(seg)
	}
	if old := p.current.Swap(s); old != nil && old != s {
		old.diff.Store(nil)
	}
	clear(p.unpublished)
	p.removeUnused(false)
}

// named says whether a kept generation has the segment. p.mu is held.
func (p *Picture) named(segment uint32) bool {
	has := func(g generationInfo) bool { return slices.Contains(g.Segments, segment) }
	return slices.ContainsFunc(p.manifest.Generations, has) || slices.ContainsFunc(p.doubtful, has)
}

func segmentIDs(segments []*segment) []uint32 {
	ids := make([]uint32, len(segments))
	for i, seg := range segments {
		ids[i] = seg.id
	}
	return ids
}

// trim drops the oldest generations above the number, or the disk, that may be
// kept.
func (p *Picture) trim(m *manifest) {
	if n := len(m.Generations); n > p.opts.Keep {
		m.Generations = m.Generations[n-p.opts.Keep:]
	}
	counted := make(map[uint32]bool)
	var current, older int64
	for i, g := range slices.Backward(m.Generations) {
		for _, id := range g.Segments {
			if counted[id] {
				continue
			}
			counted[id] = true
			info, err := os.Stat(p.segmentPath(id))
			if err != nil {
				continue
			}
			if i == len(m.Generations)-1 {
				current += info.Size()
			} else {
				older += info.Size()
			}
		}
		limit := p.opts.KeepBytes
		if limit == 0 {
			limit = max(4*current, 64<<20)
		}
		if older > limit {
			m.Generations = m.Generations[i+1:]
			return
		}
	}
}

// removeUnused removes the segments that no generation and no draft has, and
// at the start the temporary files that a crash left. p.mu is held, or p is not
// shared yet.
func (p *Picture) removeUnused(start bool) {
	files, err := os.ReadDir(p.opts.Dir)
	if err != nil {
		p.log.Warn("picture's directory can't be read", "path", p.opts.Dir, "err", err)
		return
	}
	for _, f := range files {
		name := f.Name()
		var id uint32
		if _, err := fmt.Sscanf(name, "%d.segment", &id); err == nil && name == segmentName(id) {
			if !p.named(id) && !p.unpublished[id] {
				p.remove(name)
				delete(p.open, id)
			}
		} else if start && strings.HasSuffix(name, tempSuffix) {
			p.remove(name)
		}
	}
}

func (p *Picture) remove(name string) {
	if err := os.Remove(filepath.Join(p.opts.Dir, name)); err != nil {
		p.log.Warn("unused file can't be removed", "path", filepath.Join(p.opts.Dir, name), "err", err)
	}
}

func segmentName(id uint32) string { return fmt.Sprintf("%08d.segment", id) }

func (p *Picture) segmentPath(id uint32) string { return filepath.Join(p.opts.Dir, segmentName(id)) }

// Close ends the picture. Snapshots taken before stay readable.
func (p *Picture) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}
