package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// memory tells what a program has in memory that was started anew and has
// served a whole import and some look-ups.
func (b *bench) memory(ctx context.Context) error {
	t := b.report.table("memory", "people", "own memory", "heap in use", "heap ÷ people", "mapped pages in memory", "picture on disk", "database on disk")
	for _, w := range b.worlds {
		if err := w.restart(ctx, nil); err != nil {
			return err
		}
		if err := w.useAll(ctx); err != nil {
			return err
		}
		heap, err := w.heap(ctx)
		if err != nil {
			return err
		}
		pictures, database, err := w.disk()
		if err != nil {
			return err
		}
		r := w.proc.resident()
		t.row(thousands(w.people), megabytes(r.anon), megabytes(heap), number(float64(heap)/float64(w.people))+" bytes", megabytes(r.file),
			megabytes(pictures), megabytes(database))
	}
	return nil
}

// useAll reads the whole list and looks some people up.
func (w *world) useAll(ctx context.Context) error {
	if _, err := importAll(ctx, w.client, w.scim, false); err != nil {
		return err
	}
	people, err := w.people1000(ctx)
	if err != nil {
		return err
	}
	for _, p := range people {
		if _, err := w.read(ctx, p.byName(), false); err != nil {
			return err
		}
	}
	return nil
}

// heap is the program's own figure of its heap.
func (w *world) heap(ctx context.Context) (int64, error) {
	body, err := w.ask(ctx, http.MethodGet, "/metrics")
	if err != nil {
		return 0, err
	}
	for scan := bufio.NewScanner(strings.NewReader(string(body))); scan.Scan(); {
		if text, ok := strings.CutPrefix(scan.Text(), "go_memstats_heap_inuse_bytes "); ok {
			v, err := strconv.ParseFloat(text, 64)
			return int64(v), err
		}
	}
	return 0, fmt.Errorf("%s/metrics does not tell of the heap", w.admin)
}

// disk is what the state directory holds.
func (w *world) disk() (pictures, database int64, err error) {
	err = filepath.WalkDir(filepath.Join(w.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if strings.Contains(filepath.Base(path), "scim-bridge.db") {
			database += info.Size()
		} else {
			pictures += info.Size()
		}
		return nil
	})
	return pictures, database, err
}

// restarts measures the time from the start of the program to the end of the
// first page, with the files in the kernel's cache and without.
func (b *bench) restarts(ctx context.Context) error {
	t := b.report.table("restart", "people", "first page, files in the cache", "reading the files once", "first page, files on the disk", "reading the files once", "first page ÷ reading")
	for _, w := range b.worlds {
		var warm, cold, readWarm, readCold series
		for range b.repeat {
			for _, m := range []struct {
				evict      bool
				page, read *series
			}{{false, &warm, &readWarm}, {true, &cold, &readCold}} {
				took, err := w.firstPage(ctx, m.evict)
				if err != nil {
					return err
				}
				*m.page = append(*m.page, took)
				if took, err = w.readFiles(m.evict); err != nil {
					return err
				}
				*m.read = append(*m.read, took)
			}
		}
		t.row(thousands(w.people), warm.show(duration), readWarm.show(duration), cold.show(duration), readCold.show(duration),
			fmt.Sprintf("%s, %s", times(warm.median()/readWarm.median()), times(cold.median()/readCold.median())))
		b.report.curve("restart", "s", w.people, cold.median())
	}
	return nil
}

// firstPage restarts the program and gives the seconds from its start to its
// first page.
func (w *world) firstPage(ctx context.Context, evict bool) (float64, error) {
	w.proc.stop()
	if evict {
		if err := w.eachFile(forget); err != nil {
			return 0, err
		}
	}
	begun := time.Now()
	if err := w.start(nil); err != nil {
		return 0, err
	}
	for {
		if err := w.proc.alive(); err != nil {
			return 0, err
		}
		if _, err := w.read(ctx, pagePath(0, 100), false); err == nil {
			took := time.Since(begun).Seconds()
			return took, w.await(ctx)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// readFiles is the seconds that reading the picture's files once takes.
func (w *world) readFiles(evict bool) (float64, error) {
	if evict {
		w.proc.stop() // what is mapped can't be evicted
		if err := w.eachFile(forget); err != nil {
			return 0, err
		}
	}
	buffer := make([]byte, 1<<20)
	begun := time.Now()
	err := w.eachFile(func(f *os.File) error {
		if strings.Contains(f.Name(), "scim-bridge.db") {
			return nil
		}
		_, err := io.CopyBuffer(onlyWriter{io.Discard}, struct{ io.Reader }{f}, buffer)
		return err
	})
	took := time.Since(begun).Seconds()
	if err == nil && evict {
		err = w.start(nil)
	}
	return took, err
}

// forget takes a file's pages out of the kernel's cache.
func forget(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// eachFile opens the files of the state directory one after the other.
func (w *world) eachFile(f func(*os.File) error) error {
	return filepath.WalkDir(filepath.Join(w.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		return f(file)
	})
}

// smallLimit is the memory that the program is told to make do with.
const smallLimit = "64MiB"

// small has a program serve the largest tenant with little memory of its own:
// whole imports, plain and compressed, look-ups, a filter over all and delta
// rounds.
func (b *bench) small(ctx context.Context) error {
	w := b.largest()
	if err := w.restart(ctx, nil, "GOMEMLIMIT="+smallLimit); err != nil {
		return err
	}
	t := b.report.table("small", "with GOMEMLIMIT="+smallLimit+", "+thousands(w.people)+" people", "time", "own memory at most", "mapped pages in memory at most")
	for _, step := range []struct {
		name string
		work func() error
	}{
		{"a whole import", func() error { return w.useAll(ctx) }},
		{"a whole import, gzip", func() error { _, err := importAll(ctx, w.client, w.scim, true); return err }},
		{"a filter over all", func() error { _, err := w.read(ctx, scanPath, false); return err }},
		{"sorted, the first 100", func() error { _, err := w.read(ctx, "/Users?count=100&sortBy=name.familyName", false); return err }},
		{fmt.Sprintf("ten delta rounds of %d changes", deltaChanges), func() error {
			for range 10 {
				w.change()
				if err := w.round(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		peak, begun := w.proc.peak(), time.Now()
		err := step.work()
		took, most := time.Since(begun), peak()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		t.row(step.name, seconds(took), megabytes(most.anon), megabytes(most.file))
	}
	return w.restart(ctx, nil)
}
