package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"scimbridge/cmd/internal/config"
)

// serviceUser is as whom the units run the daemon.
const serviceUser = "scim-bridge"

// An account is a user with groups, as the kernel knows them.
type account struct {
	name string
	uid  uint32
	gids []uint32
}

// accountOf finds a user of this machine.
func accountOf(name string) (a account, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return a, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return a, err
	}
	a.name = u.Username
	for i, text := range append([]string{u.Uid}, groups...) {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return a, err
		}
		if i == 0 {
			a.uid = uint32(n)
		} else {
			a.gids = append(a.gids, uint32(n))
		}
	}
	return a, nil
}

// daemonsUser is the user whose access check-config looks at: the one that was
// asked for, or that of the service where root asks. nil: none.
func daemonsUser(asked string) (*account, error) {
	if asked == "" {
		if os.Geteuid() != 0 {
			return nil, nil
		}
		a, err := accountOf(serviceUser)
		if err != nil {
			return nil, nil // the service is not installed here
		}
		return &a, nil
	}
	a, err := accountOf(asked)
	if err != nil {
		return nil, usageError{fmt.Errorf("--as: %w", err)}
	}
	return &a, nil
}

// deniedTo says what of a configuration's files a user has no access to, by owner,
// group and mode: access lists, and rules of a security module, are not looked at.
// What systemd hands over as a credential belongs to it.
func deniedTo(a *account, cfg *config.Config, credentials string) (all config.Faults) {
	for _, in := range cfg.Inputs() {
		path := in.Path
		if credentials != "" && strings.HasPrefix(path, credentials+"/") {
			continue
		}
		if why := a.barred(path, 4); why != "" {
			all = append(all, config.Fault{File: path, Message: fmt.Sprintf("the user %s can't read it: %s", a.name, why),
				Mend: "let its group be " + a.name + " and read it (chgrp, chmod g+r; g+x of a directory), or hand it over with LoadCredential= of the unit"})
		}
	}
	state := string(cfg.State.Directory)
	if why := a.barred(state, 7); why != "" {
		all = append(all, config.Fault{File: state, Message: fmt.Sprintf("the user %s can't write its state there: %s", a.name, why),
			Mend: "chown -R " + a.name + " it"})
	}
	return all
}

// barred says why a user lacks the access (of rwx) to what is at a path; "" where
// he has it, or nothing is there.
func (a *account) barred(path string, access fs.FileMode) string {
	path, err := filepath.Abs(path)
	if err != nil || a.uid == 0 {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) && at == path {
			return ""
		}
		if err == nil && !a.may(info, access) {
			return fmt.Sprintf("%s has the mode %04o, and another owner", at, info.Mode().Perm())
		}
		if at == filepath.Dir(at) {
			return ""
		}
		access = 1 // of a directory on the way: to go through
	}
}

func (a *account) may(info fs.FileInfo, access fs.FileMode) bool {
	of, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return true
	case of.Uid == a.uid:
		mode >>= 6
	case slices.Contains(a.gids, of.Gid):
		mode >>= 3
	}
	return mode&access == access
}
