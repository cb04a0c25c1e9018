package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What SQLite has no memory for lies beside the database: elsewhere there may be no
// room, or nothing that can be written.
func TestTemporaryFilesLieBesideTheDatabase(t *testing.T) {
	dir := os.Getenv("SCIM_BRIDGE_TEST_STATE")
	if dir == "" { // SQLite looks once in a process where they go
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "SCIM_BRIDGE_TEST_STATE="+t.TempDir(), "SQLITE_TMPDIR=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("it can't be seen which files are open: ", err)
	}
	db, err := Open(t.Context(), Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.writes.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "CREATE TEMP TABLE much AS SELECT zeroblob(32000000)"); err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, fd := range fds {
		path, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		if err != nil || !strings.HasSuffix(path, " (deleted)") {
			continue
		}
		if found++; !strings.HasPrefix(path, dir) {
			t.Errorf("a temporary file is %s, not in %s", path, dir)
		}
	}
	if found == 0 {
		t.Error("there is no temporary file")
	}
}
