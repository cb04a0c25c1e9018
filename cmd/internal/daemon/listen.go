package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"scimbridge/cmd/internal/config"
)

// listen binds a listener. name is that of the socket where systemd passes it
// (FileDescriptorName=), needed only where it passes several.
func listen(l config.Listen, name string) (net.Listener, error) {
	switch l.Network {
	case "systemd":
		return activated(name)
	case "unix":
		// A socket file that nobody listens on is left from before a crash.
		if conn, err := net.DialTimeout("unix", l.Address, time.Second); err == nil {
			conn.Close()
			return nil, fmt.Errorf("another process listens on %s", l.Address)
		} else if info, err := os.Stat(l.Address); err == nil && info.Mode()&fs.ModeSocket != 0 {
			if err := os.Remove(l.Address); err != nil {
				return nil, err
			}
		}
	}
	return net.Listen(l.Network, l.Address)
}

// activated gives the socket that systemd passed under a name.
func activated(name string) (net.Listener, error) {
	sockets, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking sockets from systemd: %w", err)
	}
	if named := sockets[name]; len(named) == 1 {
		return named[0], nil
	}
	if len(sockets) == 1 {
		for _, all := range sockets {
			if len(all) == 1 {
				return all[0], nil
			}
		}
	}
	return nil, errors.New("systemd passed no socket named " + name + "; the socket unit needs FileDescriptorName=" + name)
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
