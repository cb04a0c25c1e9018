package config

import (
	"os"
	"path/filepath"
	"strings"
)

// roads are the directories on the way to the watched files, each with the
// names in it that lead on. nil stands for all names: the directory holds a
// watched file, or what its link points to, and an event of any name may be
// about it.
type roads map[string]map[string]bool

// concerns reports whether an event about a path may be about a watched file.
func (r roads) concerns(path string) bool {
	if _, ok := r[path]; ok {
		return true // the directory itself is gone, or there again
	}
	names, ok := r[filepath.Dir(path)]
	return ok && (names == nil || names[filepath.Base(path)])
}

// follow adds the way to a file, as far as there is one: what is missing now is
// noticed when its name appears in the last directory there is.
func (r roads) follow(path string) {
	const mostLinks = 40 // as in path_resolution(7)
	rest, err := filepath.Abs(path)
	if err != nil {
		rest = filepath.Clean(path)
	}
	r.all(r.resolved(filepath.Dir(rest)))
	dir := "/"
	for links := 0; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
		at := filepath.Join(dir, name)
		if name == "" || at == dir {
			continue
		}
		if name == ".." {
			dir = at
			continue
		}
		r.name(dir, name)
		info, err := os.Lstat(at)
		switch {
		case err != nil:
			return
		case info.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(at)
			if links++; err != nil || links > mostLinks {
				return
			}
			if filepath.IsAbs(to) {
				dir = "/"
			}
			rest = to + "/" + rest
		case info.IsDir():
			dir = at
		default:
			r.all(dir)
		}
	}
}

// resolved gives a directory without symbolic links in its path, or "" where
// there is none.
func (r roads) resolved(dir string) string {
	to, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	return to
}

func (r roads) all(dir string) {
	if dir != "" {
		r[dir] = nil
	}
}

func (r roads) name(dir, name string) {
	names, ok := r[dir]
	switch {
	case !ok:
		r[dir] = map[string]bool{name: true}
	case names != nil:
		names[name] = true
	}
}
