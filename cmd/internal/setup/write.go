package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// serviceUser is the user that the packages have the daemon run as.
const serviceUser = "scim-bridge"

// An owner is whom files are given to; the zero owner is whoever runs the
// set-up.
type owner struct {
	uid, gid int
	set      bool
}

// serviceOwner is the daemon's user, where the set-up may give files away and
// there is such a user.
func serviceOwner() owner {
	if os.Geteuid() != 0 {
		return owner{}
	}
	u, err := user.Lookup(serviceUser)
	if err != nil {
		return owner{}
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return owner{uid, gid, err1 == nil && err2 == nil}
}

// createFile writes a new file and never replaces one: it is written under
// another name, with its mode and owner, and appears at once and whole.
func createFile(path string, data []byte, mode fs.FileMode, uid, gid int) error {
	temp, err := tempFile(path, data, mode, uid, gid)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten: %w", path, err)
	} else if err != nil {
		return err
	}
	return syncDirectory(path)
}

// replaceFile writes a file of our own anew.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	temp, err := tempFile(path, data, mode, -1, -1)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDirectory(path)
}

// tempFile writes a file beside path; uid and gid below 0 leave them.
func tempFile(path string, data []byte, mode fs.FileMode, uid, gid int) (_ string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if uid >= 0 || gid >= 0 {
		if err := f.Chown(uid, gid); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// syncDirectory has a new name survive a loss of power.
func syncDirectory(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// secretFile writes a secret that only the daemon (or whoever runs the set-up)
// may read. The name is changed where there is such a file already.
func (s *setup) secretFile(name string, data []byte) (string, error) {
	uid, gid := -1, -1
	if s.owner.set {
		uid, gid = s.owner.uid, s.owner.gid
	}
	ext := filepath.Ext(name)
	for i := 1; ; i++ {
		path := filepath.Join(s.dir, name)
		if i > 1 {
			path = filepath.Join(s.dir, fmt.Sprintf("%s-%d%s", name[:len(name)-len(ext)], i, ext))
		}
		err := createFile(path, data, 0o600, uid, gid)
		if errors.Is(err, fs.ErrExist) && i < 100 {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("writing %s: %w", path, err)
		}
		s.draft.Made = append(s.draft.Made, path)
		return filepath.Base(path), s.save()
	}
}

// dropFile removes a file again that this set-up wrote; name is relative to the
// configuration's directory.
func (s *setup) dropFile(name string) error {
	path := filepath.Join(s.dir, name)
	for i, made := range s.draft.Made {
		if made == path {
			s.draft.Made = append(s.draft.Made[:i], s.draft.Made[i+1:]...)
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return s.save()
		}
	}
	return nil
}

// makeDirectory makes the configuration's directory, if there is none.
func (s *setup) makeDirectory() error {
	info, err := os.Stat(s.dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is no directory", s.dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(s.dir, 0o750); err == nil && s.owner.set {
			err = os.Chown(s.dir, 0, s.owner.gid)
		}
	}
	if err == nil {
		// Not every way of being refused shows in a mode: try.
		var probe string
		if probe, err = tempFile(s.file, nil, 0o600, -1, -1); err == nil {
			err = os.Remove(probe)
		}
	}
	if err != nil {
		return fmt.Errorf("%s can't be written: %w; run it as root (sudo scim-bridge setup), or write elsewhere with --config", s.dir, err)
	}
	return nil
}
