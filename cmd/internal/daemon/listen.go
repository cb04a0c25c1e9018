package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"scimbridge/cmd/internal/config"
)

// sockets are the listeners that systemd passed and nobody took yet: name
// (FileDescriptorName=) -> listeners. They can be had from the environment only
// once.
type sockets map[string][]net.Listener

// passedSockets takes the sockets that systemd passed.
func passedSockets() (sockets, error) {
	byName, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking sockets from systemd: %w", err)
	}
	return byName, nil
}

// take gives the socket of a name. Where systemd passed one alone its name does
// not matter.
func (s sockets) take(name string) (net.Listener, error) {
	if named := s[name]; len(named) > 0 && named[0] != nil {
		delete(s, name)
		return named[0], nil
	}
	if len(s) == 1 {
		for other, all := range s {
			if len(all) == 1 && all[0] != nil && other != "scim" && other != "admin" {
				delete(s, other)
				return all[0], nil
			}
		}
	}
	return nil, errors.New("systemd passed no socket named " + name + "; the socket unit needs FileDescriptorName=" + name)
}

// close lets go of what nobody took.
func (s sockets) close() {
	for _, all := range s {
		for _, l := range slices.DeleteFunc(all, func(l net.Listener) bool { return l == nil }) {
			l.Close()
		}
	}
}

// listen binds a listener, or takes it from what systemd passed.
func listen(l config.Listen, name string, passed sockets) (net.Listener, error) {
	switch l.Network {
	case "systemd":
		return passed.take(name)
	case "unix":
		return listenUnix(l.Address)
	}
	return net.Listen(l.Network, l.Address)
}

// listenFault says why a listener could not be had. Mostly that passes without an
// edit of the file (another program ends, an address comes up late), so it is no
// config.Fault, after which a unit is not started again.
func listenFault(cfg *config.Config, path string, l config.Listen, err error) error {
	mend := "choose an address that is free and belongs to this machine"
	switch {
	case l.Network == "systemd":
		return cfg.Fault(path, err.Error(), "enable and start the socket unit, or name an address")
	case errors.Is(err, unix.EADDRINUSE):
		mend = "ss -ltnp names the program that listens there: end it, or choose another address"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		mend = "this machine does not have that address now (ip address shows those it has)"
	case errors.Is(err, unix.EACCES) && l.Network != "unix":
		mend = "ports below 1024 are not for ordinary users: let systemd hold the socket (scim-bridge.socket), put a proxy before it, or choose another port"
	}
	return errors.New(cfg.Fault(path, err.Error(), mend).Error())
}

// listenUnix binds a Unix socket for owner and group, in the place of one that
// is left from before a crash.
func listenUnix(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another process listens on %s", path)
	} else if info, err := os.Stat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// notify tells systemd, where it started us; elsewhere it does nothing.
func notify(state string) {
	// A lost message costs a status line; systemd asks for nothing else.
	_, _ = sd.SdNotify(false, state)
}

// notifyReloading tells systemd that a reload begins (sd_notify(3)).
func notifyReloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		notify("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10))
	}
}
