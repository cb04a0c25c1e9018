package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/daemon"
	"scimbridge/cmd/internal/words"
	"scimbridge/sync/graph/graphtest"
)

// A demo is the whole of scim-bridge at work on a simulated tenant: the same
// daemon from the same kind of file, only that Microsoft is a simulation in
// this process.
type demo struct {
	p             *program
	users, groups int
	seed          uint64
	once          bool
	every         time.Duration

	dir    string
	token  string
	tenant *graphtest.Tenant
	daemon *daemon.Daemon
	base   string // of the SCIM endpoint
}

func demoCommand(p *program) *cobra.Command {
	d := &demo{p: p}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job, end to end, on a simulated Microsoft tenant",
		Long: `Show the main job, end to end, on a simulated Microsoft tenant: pull a company
from (simulated) Microsoft Graph, serve it as SCIM, import it as an identity
platform would, and then follow changes as they arrive. Nothing is asked of
Microsoft, and nothing is left on the disk.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.users < 1 || d.groups < 0 {
				return usageError{errors.New("demo needs at least one user, and no fewer than 0 groups")}
			}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().IntVar(&d.users, "users", 500, "people in the company")
	cmd.Flags().IntVar(&d.groups, "groups", 40, "groups in the company")
	cmd.Flags().Uint64Var(&d.seed, "seed", 1, "what the company is made from; another seed, another company")
	cmd.Flags().BoolVar(&d.once, "once", false, "end after the import, with status 0 if it was right and 1 if not")
	cmd.Flags().DurationVar(&d.every, "every", 4*time.Second, "time between two changes in the company")
	return cmd
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "scim-bridge-demo-"); err != nil {
		return fmt.Errorf("making a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()

	d.say("Making a company of %s and %s …", words.CountOf(d.users, "person", "people"), words.Count(d.groups, "group"))
	d.tenant = graphtest.NewCompany(graphtest.Options{Seed: d.seed}, d.users, d.groups)
	server := graphtest.NewServer(d.tenant)
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting the simulated tenant: %w", err)
	}
	defer server.Close()
	if err := d.startDaemon(ctx, server); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.daemon.Stop()) }()

	started := time.Now()
	if err := d.awaitImport(ctx); err != nil {
		return ended(ctx, err)
	}
	view := d.daemon.Status().Sources[0]
	d.say("Read %s and %s from Microsoft Graph in %s (%s).\n", words.CountOf(view.Users, "person", "people"), words.Count(view.Groups, "group"),
		time.Since(started).Round(time.Millisecond), words.Count(len(d.tenant.Journal()), "request"))
	d.explain()

	if err := d.showImport(ctx); err != nil {
		return ended(ctx, err)
	}
	if d.once {
		return nil
	}
	d.say("\nNow the company changes, every %s. Ctrl-C ends.\n", d.every)
	return ended(ctx, d.follow(ctx))
}

// ended makes an end by Ctrl-C a good one.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.p.stdout, format+"\n", args...) }

// startDaemon writes a configuration and starts the daemon from it.
func (d *demo) startDaemon(ctx context.Context, server *graphtest.Server) error {
	const secret = "the-demo-tenant-s-client-secret"
	client := d.tenant.AddApp(graphtest.App{
		Name: "scim-bridge", Secret: secret, Consented: true,
		Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"},
	})
	d.token = newToken()
	cfg := fmt.Sprintf(`scim:
  listen: %s
  clients:
    - {name: demo, token_file: client.token}
admin:
  listen: 127.0.0.1:0
state:
  directory: state
sources:
  - name: demo
    tenant_id: %s
    client_id: %s
    client_secret_file: tenant.secret
    login_url: %s
    graph_url: %s
    interval: 1s
log:
  level: warn
  format: text
`, demoAddress(), d.tenant.ID(), client, server.LoginURL(), server.GraphURL())
	for name, content := range map[string]string{"config.yaml": cfg, "client.token": d.token, "tenant.secret": secret} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing the demo's configuration: %w", err)
		}
	}
	var err error
	d.daemon, err = daemon.New(ctx, daemon.Options{
		ConfigFile: filepath.Join(d.dir, "config.yaml"), Version: programVersion(),
		Log: slog.New(slog.NewTextHandler(d.p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	d.daemon.Start()
	d.base = d.daemon.Status().PublicURL
	return nil
}

// demoAddress is the usual address, or a free one where that is taken.
func demoAddress() string {
	const usual = "127.0.0.1:8880"
	l, err := net.Listen("tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return usual
}

// awaitImport waits for the first round and shows its progress.
func (d *demo) awaitImport(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	live := isTerminal(d.p.stdout)
	clear := func() {
		if live {
			fmt.Fprint(d.p.stdout, "\r\x1b[K")
		}
	}
	defer clear()
	for d.daemon.Ready() != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		st := d.daemon.Status().Sources[0]
		if st.Failures > 0 && d.daemon.Ready() != nil {
			return fmt.Errorf("the first import failed: %s", st.Error)
		}
		if live && st.ProgressUsers > 0 {
			fmt.Fprintf(d.p.stdout, "\rReading from Microsoft Graph: %s of %s people, %s groups …",
				words.Thousands(min(st.ProgressUsers, d.users)), words.Thousands(d.users), words.Thousands(st.ProgressGroups))
		}
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// explain says where the endpoint is and what to try.
func (d *demo) explain() {
	v := d.anyName()
	d.say(`SCIM endpoint   %s
Bearer token    %s

Try it from another terminal:

  curl -s -H 'Authorization: Bearer %[2]s' '%[1]s/Users?count=2'
  curl -s -H 'Authorization: Bearer %[2]s' '%[1]s/Users?filter=userName%%20eq%%20%%22%[3]s%%22'
  curl -s -H 'Authorization: Bearer %[2]s' '%[1]s/Groups?attributes=displayName&count=5'
  scim-bridge rehearse --as okta --url %[1]s --token-file %[4]s
`, d.base, d.token, urlValue(v), filepath.Join(d.dir, "client.token"))
}

// anyName is the userName of somebody.
func (d *demo) anyName() string {
	for u := range d.tenant.Users() {
		if name := u.Text("userPrincipalName"); !strings.Contains(name, "#") {
			return name
		}
	}
	return ""
}

// urlValue escapes what a shell or a URL would take for something else.
func urlValue(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~@", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
