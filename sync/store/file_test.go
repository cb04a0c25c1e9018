package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/sync/store"
)

func options(dir string) store.Options {
	return store.Options{Path: filepath.Join(dir, "scim-bridge.db"), Program: "scim-bridge v1.2.3"}
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state %41?#")
	s := openAt(t, dir, 0)
	fill(t, s, 10, 0)
	for _, name := range []string{"..", ".", "scim-bridge.db", "scim-bridge.db-wal", "scim-bridge.db-shm", "lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", name, got, want)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := openAt(t, dir, 0)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), options(dir))
	var locked *store.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Name == "" {
		t.Fatalf("got %v, want a LockedError with our pid and name", err)
	}
	if want := fmt.Sprintf("in use by process %d (%s) on host %s;", os.Getpid(), locked.Name, host); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	// On a volume that is shared the holder may be a process elsewhere, whose
	// number means nothing here.
	if err := os.WriteFile(filepath.Join(dir, "lock"), fmt.Appendf(nil, "%d elsewhere\n", os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), options(dir))
	if want := fmt.Sprintf("in use by process %d on host elsewhere;", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, dir, 0)
}

func TestReadOnlyBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	opts := options(dir)
	opts.ReadOnly = true
	if _, err := store.Open(t.Context(), opts); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	writer := openAt(t, dir, 0)
	fill(t, writer, 10, 0)
	s, err := store.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, _, err := s.Counts(t.Context(), "a"); n != 10 || err != nil {
		t.Errorf("counts %d, %v", n, err)
	}
	_, beginErr := s.Begin(t.Context(), "a")
	for _, err := range []error{beginErr, s.SetHeld(t.Context(), "a", nil), s.Prune(t.Context(), "a", 1)} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("got %v, want ErrReadOnly", err)
		}
	}
	fill(t, writer, 20, 0)
	if n, _, err := s.Counts(t.Context(), "a"); n != 20 || err != nil {
		t.Errorf("counts later %d, %v", n, err)
	}
}

func TestFileThatIsNotOursIsRefusedUntouched(t *testing.T) {
	other := func(t *testing.T, path string) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("CREATE TABLE bookmarks (url)"); err != nil {
			t.Fatal(err)
		}
	}
	ours := func(t *testing.T, path string) {
		s := openAt(t, filepath.Dir(path), 0)
		fill(t, s, 2000, 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(make func(*testing.T, string), change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			make(t, path)
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(data), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		make  func(*testing.T, string)
		fault store.Fault
		says  string
	}{
		"a text file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("dear diary"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, store.Foreign, "file is not a scim-bridge database"},
		"another program's database": {other, store.Foreign, "file is not a scim-bridge database"},
		"another program's database with our name in it": {edit(other, func(data []byte) []byte {
			copy(data[68:], "SCIC")
			return data
		}), store.Foreign, "file is not a scim-bridge database"},
		"a database with its beginning overwritten": {edit(ours, func(data []byte) []byte {
			clear(data[:512])
			return data
		}), store.Foreign, "its beginning was overwritten"},
		"a database cut short": {edit(ours, func(data []byte) []byte { return data[:len(data)/2] }), store.Corrupt, "move the file"},
		"a database with its schema overwritten": {edit(ours, func(data []byte) []byte {
			copy(data[100:4096], bytes.Repeat([]byte{0xff}, 4096))
			return data
		}), store.Corrupt, "move the file"},
		"a database of a later version": {func(t *testing.T, path string) {
			opts := options(filepath.Dir(path))
			opts.Program = "scim-bridge v9.0.0"
			if err := store.Prepare(t.Context(), opts, true, "CREATE TABLE later (x)"); err != nil {
				t.Fatal(err)
			}
		}, store.Newer, "written by scim-bridge v9.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t.TempDir())
			tc.make(t, opts.Path)
			before, err := os.ReadFile(opts.Path)
			if err != nil {
				t.Fatal(err)
			}
			for _, opts.ReadOnly = range []bool{false, true} {
				s, err := store.Open(t.Context(), opts)
				if err == nil {
					s.Close()
				}
				var fault *store.FileError
				if !errors.As(err, &fault) || fault.Fault != tc.fault || fault.Path != opts.Path {
					t.Fatalf("got %v, want a FileError with fault %d", err, tc.fault)
				}
				if !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), opts.Path) {
					t.Errorf("%q does not say %q and the path", err, tc.says)
				}
			}
			if after, err := os.ReadFile(opts.Path); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestDamageInsideIsRecognised(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, 0)
	fill(t, s, 2000, 0)
	if err := s.Check(t.Context()); err != nil {
		t.Fatalf("before the damage: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := options(dir).Path
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Whole pages, half of the file, so that some of each table is hit wherever
	// it lies.
	from := len(data) / 4096 / 4 * 4096
	copy(data[from:], bytes.Repeat([]byte{0xa5}, len(data)/2))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir, 0)
	var fault *store.FileError
	if err := s.Check(t.Context()); !errors.As(err, &fault) || fault.Fault != store.Corrupt {
		t.Errorf("Check: %v", err)
	}
	var last error
	for _, err := range s.Objects(t.Context(), "a", store.User, 0) {
		last = err
	}
	if fault = nil; !errors.As(last, &fault) || fault.Fault != store.Corrupt {
		t.Errorf("Objects: %v", last)
	}
}

func TestMigrationIsWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, 0)
	fill(t, s, 10, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err := store.Prepare(t.Context(), options(dir), true, "CREATE TABLE one (x)", "CREATE TABLE two (x); DROP TABLE objects; CREATE TABLE one (y)")
	if err == nil {
		t.Fatal("a faulty migration succeeded")
	}
	// The first new step stands, the second left nothing: the data is there
	// and a mended second step runs.
	if err := store.Prepare(t.Context(), options(dir), true, "an error, were it run", "CREATE TABLE two (x)"); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", options(dir).Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var objects, version int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM objects), user_version FROM pragma_user_version").Scan(&objects, &version); err != nil || objects != 10 || version != store.Version()+2 {
		t.Errorf("%d objects, version %d, %v", objects, version, err)
	}
}

func TestCrashWhileTheFileIsMadeLeavesNothingToMend(t *testing.T) {
	dir := t.TempDir()
	// What there is after the write-ahead log was chosen and before the first
	// migration was committed.
	db, err := sql.Open("sqlite", options(dir).Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA journal_mode = WAL"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	fill(t, openAt(t, dir, 0), 10, 0)
}
