package config

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must happen before files are looked at: an
	// editor or a tool that writes several files is then done.
	quiet = 200 * time.Millisecond

	// patience is after what time of unrest they are looked at all the same.
	patience = 2 * time.Second

	// lookAnyway is how often they are looked at without any event, for file
	// systems that report none (a change on another machine by NFS).
	lookAnyway = time.Minute
)

// A Notice says that the files a Watcher looks after are worth a new load.
type Notice struct {
	// Files are those whose content changed, sorted.
	Files []string

	// Forced says that Check asked for the notice, whatever changed.
	Forced bool
}

// A Watcher tells when the configuration file, or a file that it names, has
// another content.
//
// Events only say when to look; what counts are hashes of the contents. The
// directories are watched rather than the files, for a file that is replaced
// (by an editor, a configuration tool, a Kubernetes volume) takes its watch
// with it: the directory of the path and of every symbolic link on the way,
// that of the file in the end, and those above, so that a directory may be
// replaced, too.
//
// A file that can't be read keeps its last known content, with a warning in the
// log: it is most likely about to be there again.
type Watcher struct {
	log    *slog.Logger
	events *fsnotify.Watcher
	errs   chan error  // of events, see forwardErrors
	asked  chan func() // work for the goroutine of run
	out    chan Notice
	done   chan struct{} // closed when run has ended
	stop   sync.Once

	// What follows is owned by the goroutine of run.

	path    string
	files   map[string]*watched // :: path -> what is known of it
	roads   roads
	deaf    map[string]bool // directories that can't be watched, which was logged
	pending *Notice         // not yet received
	due     *time.Timer     // running while something may have changed
	since   time.Time       // when that began
	forced  bool            // Check was called since the last look
}

// watched is what is known of one file.
type watched struct {
	sum     [sha256.Size]byte // of the last content that could be read; zero if none ever
	missing bool              // it could not be read the last time, and that was logged
}

// NewWatcher watches the configuration file at path. Its present content is
// taken for known, until SetFiles says what was loaded. Close it after use.
func NewWatcher(path string, log *slog.Logger) (*Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watcher{
		log:    log,
		events: events,
		errs:   make(chan error, 1),
		asked:  make(chan func()),
		out:    make(chan Notice),
		done:   make(chan struct{}),
		path:   path,
		files:  map[string]*watched{},
		deaf:   map[string]bool{},
		due:    time.NewTimer(time.Hour),
	}
	w.due.Stop()
	w.files[path] = &watched{}
	if data, _, err := readRegular(path); err == nil {
		w.files[path].sum = sha256.Sum256(data)
	}
	w.arm()
	go w.forwardErrors()
	go w.run()
	return w, nil
}

// Notices gives the channel on which changes are told. Those that happen before
// the last notice was received are merged into it.
func (w *Watcher) Notices() <-chan Notice { return w.out }

// SetFiles says what was loaded last ([Config.Inputs]): exactly these files are
// watched from now on, besides the configuration file. What has changed since
// they were read leads to a notice.
func (w *Watcher) SetFiles(inputs []Input) {
	w.do(func() {
		before := w.files
		w.files = map[string]*watched{w.path: before[w.path]}
		for _, in := range inputs {
			f := &watched{sum: in.Sum}
			if old := before[in.Path]; old != nil {
				f.missing = old.missing
			}
			w.files[in.Path] = f
		}
		w.arm()
		w.stir()
	})
}

// AddFiles says what a load saw that was refused ([Faults.Inputs], [Config.Inputs]):
// these files are watched as well, and what has changed since they were read leads
// to a notice, be it a change back to what is in force.
func (w *Watcher) AddFiles(inputs []Input) {
	w.do(func() {
		for _, in := range inputs {
			// The load has told already that it is missing, if it is.
			w.files[in.Path] = &watched{sum: in.Sum, missing: in.Sum == [sha256.Size]byte{}}
		}
		w.arm()
		w.stir()
	})
}

// Check makes the watcher look at the files after its usual wait, and send a
// notice whether anything changed or not: what a SIGHUP asks for.
func (w *Watcher) Check() {
	w.do(func() {
		w.forced = true
		w.stir()
	})
}

// Close ends the watching. The channel of notices stays open and silent.
func (w *Watcher) Close() error {
	var err error
	w.stop.Do(func() { err = w.events.Close() })
	<-w.done
	return err
}

// do has the goroutine of run do something, unless it has ended.
func (w *Watcher) do(work func()) {
	select {
	case w.asked <- work:
	case <-w.done:
	}
}

// forwardErrors takes errors from fsnotify whatever run is doing. fsnotify
// sends some of them while it holds the lock that Add needs (v1.10.1, inotify,
// a directory moved and then deleted): run, in the middle of arm, would wait
// for ever. Of several errors at once one is enough.
func (w *Watcher) forwardErrors() {
	for err := range w.events.Errors {
		select {
		case w.errs <- err:
		default:
		}
	}
}

func (w *Watcher) run() {
	defer close(w.done)
	anyway := time.NewTicker(lookAnyway)
	defer anyway.Stop()
	defer w.due.Stop()
	for {
		var out chan Notice
		var next Notice
		if w.pending != nil {
			out, next = w.out, *w.pending
		}
		select {
		case e, ok := <-w.events.Events:
			if !ok {
				return
			}
			if w.roads.concerns(e.Name) {
				w.stir()
			}
		case err := <-w.errs:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.log.Warn("watching files", "err", err)
			}
			w.stir() // events were lost
		case work := <-w.asked:
			work()
		case <-w.due.C:
			w.look()
		case <-anyway.C:
			w.look()
		case out <- next:
			w.pending = nil
		}
	}
}

// stir notes that something may have changed: the files are looked at when it
// is quiet again.
func (w *Watcher) stir() {
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	w.due.Reset(min(quiet, max(0, patience-now.Sub(w.since))))
}

// look compares the contents with those known, and makes a notice of what
// differs. The directories are watched anew before, as they may be others now:
// what changes after that stirs again.
func (w *Watcher) look() {
	w.due.Stop()
	w.since = time.Time{}
	w.arm()
	var changed []string
	for path, f := range w.files {
		if w.differs(path, f) {
			changed = append(changed, path)
		}
	}
	w.log.Debug("looked at watched files", "files", len(w.files), "changed", len(changed))
	if len(changed) == 0 && !w.forced {
		return
	}
	if w.pending == nil {
		w.pending = &Notice{}
	}
	w.pending.Forced = w.pending.Forced || w.forced
	w.forced = false
	all := append(w.pending.Files, changed...)
	slices.Sort(all)
	w.pending.Files = slices.Compact(all)
}

// differs reports whether a file has another content than the last known one,
// which it then takes for known.
func (w *Watcher) differs(path string, f *watched) bool {
	data, _, err := readRegular(path)
	if err != nil {
		if !f.missing {
			w.log.Warn("watched file is unreadable, keeping what was read before", "file", path, "err", err)
		}
		f.missing = true
		return false
	}
	f.missing = false
	sum := sha256.Sum256(data)
	if sum == f.sum {
		return false
	}
	f.sum = sum
	return true
}

// arm watches every directory that a change may come from, and no other.
func (w *Watcher) arm() {
	w.roads = roads{}
	for path := range w.files {
		w.roads.follow(path)
	}
	for _, dir := range w.events.WatchList() {
		if _, ok := w.roads[dir]; !ok {
			// The directory may be gone, and its watch with it.
			_ = w.events.Remove(dir)
		}
	}
	for dir, names := range w.roads {
		// Also where it is watched already: the directory of that name may be
		// another one since.
		err := w.events.Add(dir)
		if errors.Is(err, fsnotify.ErrClosed) {
			return // Close came first
		}
		if err != nil && names == nil && !w.deaf[dir] {
			w.log.Warn("watching directory", "dir", dir, "err", err)
		}
		w.deaf[dir] = err != nil
	}
}
