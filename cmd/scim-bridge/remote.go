package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
)

// A remote is the running daemon, by way of its administrator's listener.
type remote struct {
	base   string
	token  string
	client *http.Client
	cfg    *config.Config // the section admin, and the names of the sources
}

// errNotRunning is wrapped where nobody listens.
var errNotRunning = errors.New("the daemon does not answer")

// remote finds the running daemon by the configuration.
func (p *program) remote() (*remote, error) {
	cfg, err := config.LoadAdmin(p.configFile)
	if err != nil {
		return nil, err
	}
	// It is on this machine: no proxy of the environment is to see the token.
	direct := &http.Client{Transport: &http.Transport{}}
	r := &remote{base: "http://" + cfg.Admin.Listen.Address, client: direct, cfg: cfg}
	switch cfg.Admin.Listen.Network {
	case "unix":
		r.base = "http://scim-bridge"
		r.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", cfg.Admin.Listen.Address)
		}}
	case "systemd":
		r.base, r.client = strings.TrimSuffix(cfg.Admin.PublicURL, "/"), new(http.Client)
	}
	if !cfg.Admin.TokenFile.IsZero() {
		// The configuration keeps only its hash.
		data, err := os.ReadFile(string(cfg.Admin.TokenFile.Path))
		if err != nil {
			return nil, fmt.Errorf("reading the administrator's token: %w", err)
		}
		r.token = strings.TrimRight(string(data), "\r\n")
	}
	return r, nil
}

// call makes a request and decodes the answer into result.
func (r *remote) call(ctx context.Context, method, path string, form url.Values, result any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the whole URL again
		}
		return fmt.Errorf("%w at %s: %w; is it running, with this configuration? (systemctl status scim-bridge)", errNotRunning, r.base, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("reading the daemon's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		var problem struct{ Error string }
		if json.Unmarshal(body, &problem) == nil && problem.Error != "" {
			return errors.New(problem.Error)
		}
		return fmt.Errorf("the daemon answered %s: %s", res.Status, bytes.TrimSpace(body))
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("understanding the daemon's answer: %w", err)
	}
	return nil
}

// source picks the source that a command is about: the one named, or the only
// one there is.
func (r *remote) source(name string) (string, error) {
	if name != "" || len(r.cfg.Sources) == 1 {
		if name == "" {
			name = r.cfg.Sources[0].Name
		}
		return name, nil
	}
	return "", r.several(nil)
}

// several asks to name a source: of the file, or one of left.
func (r *remote) several(left []string) error {
	var names []string
	for _, s := range r.cfg.Sources {
		names = append(names, s.Name)
	}
	for _, name := range left {
		names = append(names, name+" ("+admin.StateLeft+")")
	}
	return usageError{fmt.Errorf("there are several sources; name one with --source: %s", strings.Join(names, ", "))}
}

// left gives the sources that left the file and are still served.
func (r *remote) left(ctx context.Context) (names []string, err error) {
	var st admin.Status
	if err := r.call(ctx, http.MethodGet, "/api/v1/status", nil, &st); err != nil {
		return nil, err
	}
	for _, s := range st.Sources {
		if s.State == admin.StateLeft {
			names = append(names, s.Name)
		}
	}
	return names, nil
}
