package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scimbridge/sync/graph/graphtest"
)

const (
	clientToken  = "the-bearer-token-of-the-benchmark"
	clientSecret = "the-client-secret-of-the-benchmark"
)

// A world is a tenant of some size and a scim-bridge that mirrors it.
type world struct {
	b      *bench
	people int
	tenant *graphtest.Tenant
	server *graphtest.Server
	app    string
	dir    string
	proc   *process
	scim   string // base URLs
	admin  string
	client *http.Client

	ids     []string        // some users
	staff   string          // the group of everybody who works there
	members []string        // some of its members
	left    map[string]bool // of those, who was taken out
	turn    int             // of changes

	firstRound firstRound
}

// Of what the tenant consists beside people: some groups of the whole company,
// its departments and offices, nested in each other, as many at each size, so
// that a person is in about as many groups at each; and a team for so many
// people.
const (
	companyGroups = 60
	perTeam       = 50
	teamSize      = 20
)

// teams makes teams of those whom it is given.
func (w *world) teams(ids []string) {
	for i := range w.people / perTeam {
		team := w.tenant.SetGroup(map[string]any{"displayName": fmt.Sprint("Team ", i+1), "groupTypes": []string{}, "securityEnabled": true,
			"mailEnabled": false, "mailNickname": fmt.Sprint("team-", i+1)})
		members := make([]string, teamSize)
		for k := range members {
			members[k] = ids[(i*perTeam+k*7)%len(ids)]
		}
		w.tenant.AddMember(team, members...)
	}
}

// newWorld makes a tenant and a directory for the program.
func (b *bench) newWorld(ctx context.Context, people int) (*world, error) {
	w := &world{b: b, people: people, dir: filepath.Join(b.dir, fmt.Sprint("bridge-", people)), client: newClient(),
		left: make(map[string]bool)}
	w.tenant = graphtest.NewCompany(graphtest.Options{Seed: 1, Calm: true}, people, companyGroups)
	w.app = w.tenant.AddApp(graphtest.App{
		Secret: clientSecret, Consented: true, Permissions: []string{"User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"},
	})
	w.server = graphtest.NewServer(w.tenant)
	if err := w.server.Start(); err != nil {
		return nil, err
	}
	var all []string
	for u := range w.tenant.Users() {
		all = append(all, u.ID)
	}
	w.teams(all)
	w.ids = slices.Clone(all[:min(len(all), 5000)])
	for g := range w.tenant.Groups() { // of which it is the first
		w.staff = g.ID
		break
	}
	for i, m := range w.tenant.Members(w.staff) {
		if i%(1+people/5000) == 0 { // from everywhere in it
			w.members = append(w.members, m.ID)
		}
	}
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return nil, err
	}
	return w, w.configure("")
}

// configure writes the configuration; more are further lines of the section
// scim. The rounds are only those that are asked for.
func (w *world) configure(more string) error {
	if w.scim == "" {
		for _, url := range []*string{&w.scim, &w.admin} {
			address, err := freeAddress()
			if err != nil {
				return err
			}
			*url = "http://" + address
		}
		w.scim += "/scim/v2"
	}
	config := fmt.Sprintf(`scim:
  listen: %s
  clients:
    - {name: importer, token_file: client.token}
%sadmin: {listen: %q}
state: {directory: state}
log: {level: warn, format: text}
sources:
  - name: bench
    tenant_id: %s
    client_id: %s
    client_secret_file: tenant.secret
    login_url: %s
    graph_url: %s
    interval: 144h
    full_every: 8760h
`, strings.TrimSuffix(strings.TrimPrefix(w.scim, "http://"), "/scim/v2"), more,
		strings.TrimPrefix(w.admin, "http://"), w.tenant.ID(), w.app, w.server.LoginURL(), w.server.GraphURL())
	for name, text := range map[string]string{"config.yaml": config, "client.token": clientToken, "tenant.secret": clientSecret} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start runs the program, on the given processors and with further environment.
func (w *world) start(cpus []int, env ...string) (err error) {
	cmd := exec.Command(w.b.binary, "serve", "--config", filepath.Join(w.dir, "config.yaml"))
	cmd.Env = append(os.Environ(), env...)
	w.proc, err = start(cmd, cpus)
	return err
}

// restart ends the program, starts it again and waits until it serves.
func (w *world) restart(ctx context.Context, cpus []int, env ...string) error {
	w.proc.stop()
	if err := w.start(cpus, env...); err != nil {
		return err
	}
	return w.await(ctx)
}

// await waits until the program serves and does nothing else. It asks ever less
// often, for an answer is the program's own work.
func (w *world) await(ctx context.Context) error {
	for began := time.Now(); ; {
		idle, err := w.idle(ctx)
		if idle || err != nil {
			return err
		}
		if err := pause(ctx, max(2*time.Millisecond, time.Since(began)/200)); err != nil {
			return err
		}
	}
}

// idle says whether the program serves and no round is under way.
func (w *world) idle(ctx context.Context) (bool, error) {
	if err := w.proc.alive(); err != nil {
		return false, err
	}
	var status struct {
		NotReady string
		Sources  []struct {
			RoundStarted time.Time
			LastSuccess  time.Time
			Error        string
		}
	}
	body, err := w.ask(ctx, http.MethodGet, "/api/v1/status")
	if err != nil {
		return false, nil // not yet
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return false, err
	}
	for _, s := range status.Sources {
		if s.Error != "" {
			return false, errors.New(s.Error)
		}
		// There is one at once after a start.
		if s.RoundStarted.IsZero() || s.LastSuccess.Before(s.RoundStarted) {
			return false, nil
		}
	}
	return status.NotReady == "" && len(status.Sources) > 0, nil
}

// ask makes a request at the administrator's listener.
func (w *world) ask(ctx context.Context, method, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, w.admin+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := w.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, body)
	}
	return body, err
}

// round has a round done that is to publish something.
func (w *world) round(ctx context.Context) error {
	body, err := w.ask(ctx, http.MethodPost, "/api/v1/sources/bench/sync")
	if err != nil {
		return err
	}
	var round struct{ Outcome, Error, Why string }
	if err := json.Unmarshal(body, &round); err != nil {
		return err
	}
	if round.Outcome != "published" {
		return fmt.Errorf("a round was not published: %s", body)
	}
	return nil
}

// deltaChanges is how many things change between two rounds.
const deltaChanges = 100

// change makes changes in the tenant: mostly to people, and some to the members
// of the group of everybody.
func (w *world) change() {
	for i := range deltaChanges {
		w.turn++
		if i%10 < 8 {
			w.tenant.UpdateUser(w.ids[w.turn%len(w.ids)], map[string]any{"jobTitle": fmt.Sprint("Engineer ", w.turn)})
			continue
		}
		id := w.members[w.turn%len(w.members)]
		if w.left[id] {
			w.tenant.AddMember(w.staff, id)
		} else {
			w.tenant.RemoveMember(w.staff, id)
		}
		w.left[id] = !w.left[id]
	}
}

func (w *world) close() {
	if w.proc != nil {
		w.proc.stop()
	}
	_ = w.server.Close() // the run is over
}

// pause waits, or fails when the run is given up.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// checkLogs fails where a program complained: its figures would be of something
// else.
func (b *bench) checkLogs() error {
	for _, w := range b.worlds {
		if text := w.proc.log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
			return fmt.Errorf("scim-bridge complained: %s", text)
		} else if text != "" {
			b.say("scim-bridge of %s people says: %s", thousands(w.people), text)
		}
	}
	return nil
}
