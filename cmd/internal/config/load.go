package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// An Input is a file that a configuration was made from, the configuration
// file included.
type Input struct {
	Path string

	// Sum is the SHA-256 of the content that was read; zero if the file could
	// not be read.
	Sum [sha256.Size]byte
}

// Load reads the configuration file and all files it names, and checks them.
// Its error is [Faults], all of them at once; there is no Config then.
func Load(path string) (*Config, error) {
	data, err := readConfig(path)
	if err != nil {
		return nil, unreadableFile(path, err)
	}
	return LoadBytes(path, data, os.LookupEnv)
}

// LoadAdmin reads no more of the configuration than it takes to find the running
// daemon: the section admin, and the names of the sources. Only these may be used
// of the Config. So a command finds the daemon also where it must not read the
// daemon's secrets, or where somebody has just put a fault into the file.
func LoadAdmin(path string) (*Config, error) {
	data, err := readConfig(path)
	if err != nil {
		return nil, unreadableFile(path, err)
	}
	l := newLoader(path, data, os.LookupEnv)
	if root := l.parse(data); root != nil {
		l.decodeRoot(root)
		l.checkAdmin(&l.cfg.Admin)
	}
	l.faults = slices.DeleteFunc(l.faults, func(f Fault) bool {
		return f.Path != "" && f.Path != "admin" && !strings.HasPrefix(f.Path, "admin.")
	})
	if len(l.faults) > 0 {
		l.faults.Sort()
		return nil, l.faults
	}
	return l.cfg, nil
}

func unreadableFile(path string, err error) Faults {
	mend := "write it (scim-bridge setup does so by questions), or name another with --config"
	if errors.Is(err, fs.ErrPermission) {
		mend = "run this as root, or as the daemon's user; the daemon itself needs chown root:scim-bridge and mode 0640"
	}
	return Faults{{File: path, Message: "the file can't be read: " + cause(err), Mend: mend}}
}

// LoadBytes is Load for a file whose content is data; path says where relative
// paths begin and is named in faults. lookup gives environment variables, as
// os.LookupEnv does. The files that data names are read from the disk.
func LoadBytes(path string, data []byte, lookup func(string) (string, bool)) (*Config, error) {
	l := newLoader(path, data, lookup)
	if root := l.parse(data); root != nil {
		l.decodeRoot(root)
		l.check()
	}
	if len(l.faults) > 0 {
		l.faults.Sort()
		l.faults.readFrom(l.inputs[0])
		return nil, l.faults
	}
	l.warnings.Sort()
	l.cfg.Warnings, l.cfg.inputs = l.warnings, l.inputs
	return l.cfg, nil
}

// newLoader begins a load, with what holds where the file says nothing.
func newLoader(path string, data []byte, lookup func(string) (string, bool)) *loader {
	l := &loader{
		file:   path,
		dir:    filepath.Dir(path),
		lookup: lookup,
		now:    time.Now(),
		cfg:    new(Config),
		places: map[string]place{},
		broken: map[string]bool{},
		opaque: map[string]bool{},
		texts:  map[string]textPlace{},
		inputs: []Input{{Path: path, Sum: sha256.Sum256(data)}},
	}
	l.cfg.setDefaults()
	l.cfg.File, l.cfg.places, l.cfg.texts = path, l.places, l.texts
	l.cfg.lines = strings.Split(string(bytes.TrimPrefix(data, []byte("\uFEFF"))), "\n")
	return l
}

// Inputs lists the files that the configuration was made from and that are
// worth a new load when they change: the file itself, secrets, certificates.
func (c *Config) Inputs() []Input { return c.inputs }

// Fault makes a fault of a setting that turns out to be wrong only later, in
// the form and with the place of those that Load finds. path is as in Fault.
func (c *Config) Fault(path, message, mend string) Fault {
	at := nearest(c.places, path)
	return Fault{File: c.File, Line: at.line, Column: at.column, Path: path, Message: message, Mend: mend}
}

// YAML gives the configuration as it is in force: with defaults, with paths as
// they were resolved, and without secrets.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("encoding config: %w", err)
	}
	return b.Bytes(), nil
}

// A place is where something stands in the file, from 1.
type place struct {
	line, column int
}

// nearest gives the place of a setting, or of the innermost section around it
// that the file has.
func nearest(places map[string]place, path string) place {
	for {
		if at, ok := places[path]; ok {
			return at
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return places[""]
		}
		path = path[:cut]
	}
}

// A loader is one load at work.
type loader struct {
	file, dir string
	lookup    func(string) (string, bool)
	now       time.Time

	cfg      *Config
	faults   Faults
	warnings Faults
	inputs   []Input
	places   map[string]place     // :: path of a setting -> where it stands
	broken   map[string]bool      // :: path of a setting that has a fault
	opaque   map[string]bool      // :: path of a setting that could not be decoded at all
	texts    map[string]textPlace // :: path of a setting -> where its text stands
	visited  int                  // nodes decoded, aliases counted at each use
}

// fault notes a fault of the setting at path. Only the first of a setting
// counts, and none where the section around it could not be decoded: what
// follows from a fault is no news.
func (l *loader) fault(path, what, mend string) { l.faultIn(path, what, mend, Input{}) }

func (l *loader) faultIn(path, what, mend string, in Input) {
	if l.isBroken(path) {
		return
	}
	l.broken[path] = true
	f := l.at(path, what, mend)
	f.Input = in
	l.faults = append(l.faults, f)
}

func (l *loader) warn(path, what, mend string) {
	l.warnings = append(l.warnings, l.at(path, what, mend))
}

func (l *loader) at(path, what, mend string) Fault { return l.cfg.Fault(path, what, mend) }

// given reports whether the file has the setting, rightly or wrongly.
func (l *loader) given(path string) bool {
	_, ok := l.places[path]
	return ok
}

// misfit is fault for a setting whose value is of the wrong kind, so that
// nothing can be said about what should be in it.
func (l *loader) misfit(path, what, mend string) {
	l.fault(path, what, mend)
	l.opaque[path] = true
}

// isBroken reports whether the setting has a fault, or stands in a section that
// could not be decoded.
func (l *loader) isBroken(path string) bool {
	if l.broken[path] || l.opaque[""] {
		return true
	}
	for path != "" && !l.opaque[path] {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return path != ""
}

// readConfig reads no more than is needed to see that a file is too large. It may
// be a pipe, as of a shell's <(command); one that nobody writes to is not waited for.
func readConfig(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// parse turns the text into a YAML tree, or gives nil and notes why not.
func (l *loader) parse(data []byte) *yaml.Node {
	if f := unreadable(data); f != nil {
		f.File = l.file
		l.faults = append(l.faults, *f)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		l.faults = append(l.faults, Fault{File: l.file, Line: 1, Message: "the file is empty",
			Mend: "start from config.example.yaml"})
		return nil
	case err != nil:
		l.faults = append(l.faults, syntaxFault(l.file, data, err))
		return nil
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		l.faults = append(l.faults, Fault{File: l.file, Line: second.Line, Column: second.Column,
			Message: "a second document begins", Mend: "leave one document in the file: remove the line --- before it"})
		return nil
	case err != io.EOF:
		l.faults = append(l.faults, syntaxFault(l.file, data, err))
		return nil
	}
	return doc.Content[0]
}

// unreadable says why bytes are no text to look for YAML in, if so.
func unreadable(data []byte) *Fault {
	switch {
	case len(data) > MaxSize:
		return &Fault{Message: fmt.Sprintf("the file is larger than %d bytes", MaxSize), Mend: "check that this is the right file"}
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return &Fault{Line: 1, Message: "the file is in UTF-16", Mend: "save it as UTF-8"}
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if bad := bytes.IndexByte(line, 0); bad >= 0 || !utf8.Valid(line) {
			return &Fault{Line: i + 1, Message: "the file is not UTF-8 text", Mend: "check that this is the right file, and save it as UTF-8"}
		}
	}
	return nil
}
