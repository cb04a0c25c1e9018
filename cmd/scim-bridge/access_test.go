package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/cmd/internal/config"
)

func TestFilesThatTheDaemonsUserCantRead(t *testing.T) {
	dir := t.TempDir()
	for at := dir; at != "/"; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err != nil || info.Mode()&0o001 == 0 {
			if err := os.Chmod(at, 0o755); err != nil {
				t.Skipf("others can't get to %s at all", dir)
			}
		}
	}
	write := func(name string, mode os.FileMode, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("config.yaml", 0o644, `scim:
  clients: [{name: okta, token_file: okta.token}]
sources:
  - {name: contoso, client_id: 7d2e0000-1111-4222-8333-444455556666, client_secret_file: inner/contoso.secret}
state: {directory: `+filepath.Join(dir, "state")+`}
`)
	token := write("okta.token", 0o600, "0123456789abcdef0123456789abcdef\n")
	write("inner/contoso.secret", 0o640, "s3cret~s3cret~s3cret\n")
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	me, group := uint32(os.Geteuid()), uint32(os.Getegid())
	other := account{name: "daemon", uid: me + 1000, gids: []uint32{group + 1000}}
	sees := func(a account, credentials string, want ...string) {
		t.Helper()
		faults := deniedTo(&a, cfg, credentials)
		if len(faults) != len(want) {
			t.Errorf("%+v: %v", a, faults)
			return
		}
		for i := range want {
			if !strings.Contains(faults[i].Error(), want[i]) {
				t.Errorf("%v, want %s", faults[i], want[i])
			}
		}
	}
	sees(other, "", "contoso.secret: the user daemon can't read it: ", token+": the user daemon can't read it: "+token+" has the mode 0600")
	sees(account{name: "me", uid: me}, "")
	inGroup := account{name: "daemon", uid: me + 1000, gids: []uint32{group}}
	sees(inGroup, "", token)
	sees(other, dir, []string{}...)
	// A directory on the way, and a state that is somebody else's.
	if err := os.Chmod(filepath.Join(dir, "inner"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	sees(inGroup, "", "inner has the mode 0700", token, "can't write its state there")
	if a, err := accountOf("root"); err != nil || a.uid != 0 {
		t.Errorf("root is %+v, %v", a, err)
	}
	if _, err := daemonsUser("nobody-of-that-name"); err == nil || !strings.Contains(err.Error(), "--as") {
		t.Errorf("an unknown user: %v", err)
	}
}
