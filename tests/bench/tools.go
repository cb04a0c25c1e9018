package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tools finds wrk and nginx, or installs them.
func (b *bench) tools(ctx context.Context) {
	if b.install && (look("nginx") == "" || look("wrk") == "") && os.Geteuid() == 0 && look("apt-get") != "" {
		b.say("installing nginx and wrk")
		// Debian would start the nginx it installs: RUNLEVEL keeps it from that.
		const install = "apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nginx-light wrk"
		if err := command(ctx, "sh", "-c", install); err != nil {
			b.say("%v", err)
		}
	}
	b.wrk = look("wrk")
	if b.wrk == "" {
		b.report.missing("wrk is not installed: nothing is said of rates")
	}
}

// look finds a program, also where only root's PATH leads; "" for none.
func look(name string) string {
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	return ""
}

// startOthers starts nginx and the plain server with what the program serves.
func (b *bench) startOthers(ctx context.Context) error {
	b.say("keeping pages as files for nginx")
	var err error
	if b.site, err = b.newSite(ctx); err != nil {
		return err
	}
	if b.serve().people > b.options.plain {
		b.report.missing(fmt.Sprintf("no tenant is small enough for the plain server (-plain %d)", b.options.plain))
		return nil
	}
	b.say("starting the plain server")
	b.plain, err = b.startPlain(b.serve(), b.site)
	return err
}

// A site is nginx serving files.
type site struct {
	*process
	dir string // of the files
	url string
}

// newSite starts nginx over a directory of pages, which are made as long as they
// are needed. There is a directory even where there is no nginx.
func (b *bench) newSite(ctx context.Context) (*site, error) {
	s := &site{dir: filepath.Join(b.dir, "pages")}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return nil, err
	}
	for _, w := range b.worlds {
		if err := s.keep(ctx, w, w == b.serve()); err != nil {
			return nil, fmt.Errorf("keeping pages as files: %w", err)
		}
	}
	nginx := look("nginx")
	if nginx == "" {
		b.report.missing("nginx is not installed: nothing is compared with it")
		return s, nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.url = "http://" + address
	config := filepath.Join(b.dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(nginxConfig(b.dir, s.dir, address)), 0o644); err != nil {
		return nil, err
	}
	// Its worker is another user's where it is root's.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return nil, err
	}
	server, _ := processors()
	if s.process, err = start(exec.Command(nginx, "-c", config, "-p", b.dir), server); err != nil {
		return nil, err
	}
	return s, s.await(ctx, s.url)
}

func (s *site) close() {
	if s.process != nil {
		s.stop()
	}
}

// nginxConfig has nginx serve files as fast as it can: one worker, as there is
// one processor for it, file handles kept open, nothing logged.
func nginxConfig(dir, pages, address string) string {
	return strings.NewReplacer("DIR", dir, "PAGES", pages, "ADDRESS", address).Replace(`daemon off;
user root;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  open_file_cache max=20000 inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path DIR/nginx-body;
  proxy_temp_path DIR/nginx-proxy;
  fastcgi_temp_path DIR/nginx-fastcgi;
  uwsgi_temp_path DIR/nginx-uwsgi;
  scgi_temp_path DIR/nginx-scgi;
  server {
    listen ADDRESS;
    root PAGES;
    default_type application/scim+json;
    gzip_static on;
  }
}
`)
}

// await waits until somebody answers at a URL.
func (p *process) await(ctx context.Context, url string) error {
	client := newClient()
	for range 5000 {
		if err := p.alive(); err != nil {
			return err
		}
		res, err := client.Get(url)
		if err == nil {
			return res.Body.Close()
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New(url + " does not answer")
}
