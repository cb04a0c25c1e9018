package scim

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A stride says what a request did to the client's walks.
type stride uint8

const (
	stayed  stride = iota
	stepped        // took a walk's next page
	began          // opened a walk
)

// The file of walks is written beside the requests, not by them: soon after a
// walk began, and every second while walks go on. A walk that lags behind by a
// second is found all the same: what it expects next is only how it is told from
// others. One that began within the last moment before the program was killed is
// not found, and its next page is of the picture that is served then.
const (
	saveSoon  = 50 * time.Millisecond
	saveEvery = time.Second
)

// A walkFile keeps the walks over a restart.
type walkFile struct {
	path string // empty: they are not kept

	writing sync.Mutex // held while writing

	mu     sync.Mutex
	timer  *time.Timer // nil: nothing is to be written
	at     time.Time   // when timer fires
	closed bool
}

// keptWalk is a walk as it is kept. It holds no personal data: the query is a
// hash, and the view a name.
type keptWalk struct {
	Query  string     `json:"query"`
	Asked  string     `json:"asked,omitempty"` // empty: the program that wrote it did not know
	Told   bool       `json:"told,omitempty"`
	First  int        `json:"first"`
	Next   int        `json:"next"`
	Latest int        `json:"latest"`
	Size   int        `json:"size"`
	Past   bool       `json:"past,omitempty"`
	Status WalkStatus `json:"status"`
}

// keptSession is what is kept of a client.
type keptSession struct {
	Walks   []keptWalk   `json:"walks,omitempty"`
	History []WalkStatus `json:"history,omitempty"`
}

// OpenSessions is [NewSessions] with the imports that the file knows of, and
// keeps the file: it is written soon after an import began, every second while
// one goes on, and by [Sessions.Close]. A file that can't be read is as good as
// none, with a line in the log: an import that was under way must then begin
// again or is continued on the current picture. The log is also told of each
// import that is over; it may be nil.
func OpenSessions(path string, log *slog.Logger) *Sessions {
	s := NewSessions()
	s.file.path = path
	if log != nil {
		s.log = log
	}
	if err := s.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("imports under way are not known", "err", err)
	}
	return s
}

// load reads the file.
func (s *Sessions) load() error {
	raw, err := os.ReadFile(s.file.path)
	if err != nil {
		return fmt.Errorf("reading the file of imports: %w", err)
	}
	var kept map[string]keptSession
	if err := json.Unmarshal(raw, &kept); err != nil {
		return fmt.Errorf("reading the file of imports: %w", err)
	}
	for name, k := range kept {
		c := s.of(name)
		c.history = k.History
		for _, kw := range k.Walks {
			w := &walk{status: kw.Status, told: kw.Told, first: kw.First, next: kw.Next, latest: kw.Latest, size: kw.Size, past: kw.Past, agent: kw.Status.Agent}
			if n, err := hex.Decode(w.query[:], []byte(kw.Query)); err != nil || n != len(w.query) {
				return fmt.Errorf("reading the file of imports: query of %s: %q", name, kw.Query)
			}
			if n, err := hex.Decode(w.asked[:], []byte(kw.Asked)); err != nil || n != len(w.asked) && n != 0 {
				return fmt.Errorf("reading the file of imports: query of %s: %q", name, kw.Asked)
			}
			c.walks = append(c.walks, w)
		}
	}
	return nil
}

// Close writes the file of imports for the last time, for a program that is about
// to end.
func (s *Sessions) Close() error {
	s.file.mu.Lock()
	s.file.closed = true
	if s.file.timer != nil {
		s.file.timer.Stop()
	}
	s.file.mu.Unlock()
	return s.save()
}

// save writes the file.
func (s *Sessions) save() error {
	if s.file.path == "" {
		return nil
	}
	s.file.writing.Lock()
	defer s.file.writing.Unlock()
	return s.file.write(s.kept())
}

// saveDue is save, unless the file was closed: nothing is written after Close.
func (s *Sessions) saveDue() error {
	s.file.writing.Lock()
	defer s.file.writing.Unlock()
	s.file.mu.Lock()
	closed := s.file.closed
	s.file.mu.Unlock()
	if closed {
		return nil
	}
	return s.file.write(s.kept())
}

// due has the file written before long, or sooner.
func (f *walkFile) due(s *Sessions, soon bool) {
	if f.path == "" {
		return
	}
	after := saveEvery
	if soon {
		after = saveSoon
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := time.Now().Add(after)
	switch {
	case f.closed, f.timer != nil && !at.Before(f.at):
		return
	case f.timer != nil && f.timer.Stop():
		f.timer.Reset(after)
	default:
		f.timer = time.AfterFunc(after, func() { f.fire(s) })
	}
	f.at = at
}

// fire writes the file, which was due.
func (f *walkFile) fire(s *Sessions) {
	f.mu.Lock()
	f.timer = nil
	f.mu.Unlock()
	if err := s.saveDue(); err != nil {
		s.log.Warn("imports under way would not survive a restart", "err", err)
	}
}

// kept is what is kept of all sessions.
func (s *Sessions) kept() map[string]keptSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make(map[string]keptSession, len(s.clients))
	for name, c := range s.clients {
		c.mu.Lock()
		k := keptSession{History: append([]WalkStatus(nil), c.history...)}
		for _, w := range c.walks {
			k.Walks = append(k.Walks, keptWalk{
				Query: hex.EncodeToString(w.query[:]), Asked: hex.EncodeToString(w.asked[:]), Told: w.told, First: w.first, Next: w.next,
				Latest: w.latest, Size: w.size, Past: w.past, Status: w.status,
			})
		}
		c.mu.Unlock()
		kept[name] = k
	}
	return kept
}

// write replaces the file. It is not forced to the disk: it need not survive
// the machine's fall, only the program's.
func (f *walkFile) write(kept map[string]keptSession) error {
	raw, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("writing the file of imports: %w", err)
	}
	temporary := filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".new")
	if err := os.WriteFile(temporary, raw, 0o600); err != nil {
		return fmt.Errorf("writing the file of imports: %w", err)
	}
	if err := os.Rename(temporary, f.path); err != nil {
		return fmt.Errorf("writing the file of imports: %w", err)
	}
	return nil
}
