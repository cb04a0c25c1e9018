package directory

import (
	"io"
	"os"
	"path/filepath"

	"scimbridge/scim/bulk"
)

const tempSuffix = bulk.TempSuffix

// A disk takes the steps by which a picture's files are written. Whatever step
// fails, and whether it was refused or carried out and reported to have failed,
// and wherever a crash comes between two of them: what lies there afterwards is
// the picture of before or the new one, whole.
type disk struct {
	// failpoint, where a test sets it, is asked before each step, and after it
	// with done; an error of its is that of the step.
	failpoint func(step string, done bool) error
}

// do takes a step.
func (d *disk) do(step string, take func() error) error {
	if d.failpoint == nil {
		return take()
	}
	if err := d.failpoint(step, false); err != nil {
		return err
	}
	if err := take(); err != nil {
		return err
	}
	return d.failpoint(step, true)
}

// create makes a file anew.
func (d *disk) create(what, path string) (f *os.File, err error) {
	err = d.do("create "+what, func() error {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		return err
	})
	if err != nil && f != nil {
		f.Close() // made, and reported not to be
		os.Remove(path)
	}
	return f, err
}

// writer gives the writer to a file, of which each write is a step.
func (d *disk) writer(what string, f *os.File) io.Writer {
	if d.failpoint == nil {
		return f
	}
	return stepWriter{d, "write " + what, f}
}

type stepWriter struct {
	d    *disk
	step string
	f    *os.File
}

func (w stepWriter) Write(b []byte) (n int, err error) {
	err = w.d.do(w.step, func() error { n, err = w.f.Write(b); return err })
	return n, err
}

// settle makes a file that was written beside its name durable, closes it and
// gives it its name. After an error the file is gone, or it has its name.
func (d *disk) settle(what string, f *os.File, path string) error {
	err := d.do("sync "+what, f.Sync)
	if cerr := d.do("close "+what, f.Close); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.do("rename "+what, func() error { return os.Rename(path+tempSuffix, path) })
	}
	if err != nil {
		f.Close() // where it was not
		os.Remove(path + tempSuffix)
		return err
	}
	return d.do("sync the directory of "+what, func() error { return syncDir(filepath.Dir(path)) })
}

// replace replaces a file so that after a crash it is either the old one or the
// new one, whole.
func (d *disk) replace(what, path string, data []byte) error {
	f, err := d.create(what, path+tempSuffix)
	if err != nil {
		return err
	}
	if _, err := d.writer(what, f).Write(data); err != nil {
		f.Close()
		os.Remove(path + tempSuffix)
		return err
	}
	return d.settle(what, f, path)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
