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

// saveEvery is how often the file of walks is written at most while walks go on.
// A walk that lags behind by a second is found all the same: what it expects
// next is only how it is told from others.
const saveEvery = time.Second

// A walkFile keeps the walks over a restart.
type walkFile struct {
	path string // empty: they are not kept
	log  *slog.Logger

	mu    sync.Mutex // held while writing
	saved time.Time
}

// keptWalk is a walk as it is kept. It holds no personal data: the query is a
// hash, and the view a name.
type keptWalk struct {
	Query  string     `json:"query"`
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
// keeps the file: it is written when an import begins, every second while one
// goes on, and by [Sessions.Save]. A file that can't be read is as good as
// none, with a line in the log: an import that was under way must then begin
// again or is continued on the current picture. log may be nil.
func OpenSessions(path string, log *slog.Logger) *Sessions {
	s := NewSessions()
	s.file.path, s.file.log = path, log
	if log == nil {
		s.file.log = slog.New(slog.DiscardHandler)
	}
	if err := s.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.file.log.Warn("imports under way are not known", "err", err)
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
			w := &walk{status: kw.Status, first: kw.First, next: kw.Next, latest: kw.Latest, size: kw.Size, past: kw.Past, agent: kw.Status.Agent}
			if n, err := hex.Decode(w.query[:], []byte(kw.Query)); err != nil || n != len(w.query) {
				return fmt.Errorf("reading the file of imports: query of %s: %q", name, kw.Query)
			}
			c.walks = append(c.walks, w)
		}
	}
	return nil
}

// Save writes the file of imports, for a program that is about to end.
func (s *Sessions) Save() error {
	if s.file.path == "" {
		return nil
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	return s.file.write(s.kept())
}

// save writes the file if it is time to. A second writer does not wait.
func (f *walkFile) save(s *Sessions, now time.Time, atOnce bool) {
	if f.path == "" {
		return
	}
	if atOnce {
		f.mu.Lock()
	} else if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	if !atOnce && now.Sub(f.saved) < saveEvery {
		return
	}
	f.saved = now
	if err := f.write(s.kept()); err != nil {
		f.log.Warn("imports under way would not survive a restart", "err", err)
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
			k.Walks = append(k.Walks, keptWalk{hex.EncodeToString(w.query[:]), w.first, w.next, w.latest, w.size, w.past, w.status})
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
