package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
)

// The ends of credentials: of certificates, which tell by themselves, and of
// client secrets where Graph tells. They are shown in status and metrics, and
// logged 30, 7 and 1 days ahead.

const (
	// expiryLook is how often it is looked for something to say; nothing is
	// asked for that of anybody.
	expiryLook = 5 * time.Second
	// secretLook is how often Graph is asked when a secret ends.
	secretLook = 12 * time.Hour
)

// warnAhead are the times before an end at which it is logged, the longest first.
var warnAhead = []time.Duration{30 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour, 0}

// secretEnds has what Graph told of the client secrets.
type secretEnds struct {
	mu  sync.Mutex
	all map[string]secretEnd // :: source -> the end of its secret
}

type secretEnd struct {
	of  *source // which asked: a new secret makes a new source
	at  time.Time
	end time.Time // zero: not known, or never
}

// watchCredentials keeps the ends current and warns of them, until ctx ends.
func (d *Daemon) watchCredentials(ctx context.Context) {
	tick := time.NewTicker(expiryLook)
	defer tick.Stop()
	w := expiryWarner{told: map[string]toldEnd{}}
	for {
		d.askSecretEnds(ctx)
		w.warn(d.log, d.credentials(), time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askSecretEnds asks when the secrets end that nobody has been asked about for a
// while: of sources that are in order, so that no error is doubled.
func (d *Daemon) askSecretEnds(ctx context.Context) {
	sources := d.gen.Load().sources
	d.secrets.mu.Lock()
	maps.DeleteFunc(d.secrets.all, func(name string, _ secretEnd) bool { return sources[name] == nil })
	d.secrets.mu.Unlock()
	for name, s := range sources {
		if s.mirror == nil || s.cfg.ClientSecretFile.IsZero() || s.mirror.Status().LastSuccess.IsZero() {
			continue
		}
		d.secrets.mu.Lock()
		last := d.secrets.all[name]
		d.secrets.mu.Unlock()
		if last.of == s && time.Since(last.at) < secretLook {
			continue
		}
		next := secretEnd{of: s, at: time.Now()}
		app, err := d.ConsentApp(ctx, name)
		if err == nil {
			asking, cancel := context.WithTimeout(ctx, verifyTime)
			next.end, err = consent.Ends(asking, s.client, app)
			cancel()
		}
		if err != nil {
			d.log.Debug("end of the client secret is not known", "source", name, "err", err)
			next.end = last.end
		}
		d.secrets.mu.Lock()
		d.secrets.all[name] = next
		d.secrets.mu.Unlock()
	}
}

// credentials are the credentials whose ends are known.
func (d *Daemon) credentials() []admin.CredentialStatus {
	gen := d.gen.Load()
	all := expiries(gen.cfg)
	d.secrets.mu.Lock()
	defer d.secrets.mu.Unlock()
	for _, sc := range gen.cfg.Sources {
		if known := d.secrets.all[sc.Name]; !known.end.IsZero() && known.of == gen.sources[sc.Name] {
			all = append(all, admin.CredentialStatus{Name: "sources." + sc.Name, Kind: "client secret", Expires: known.end})
		}
	}
	return all
}

// expiries are the ends of the certificates in use, of which the chain's first
// is the one that counts.
func expiries(cfg *config.Config) []admin.CredentialStatus {
	var all []admin.CredentialStatus
	add := func(name string, f config.File) {
		if cert := firstCertificate(f.Data); cert != nil {
			all = append(all, admin.CredentialStatus{Name: name, Kind: "certificate", Expires: cert.NotAfter})
		}
	}
	if cfg.SCIM.TLS != nil {
		add("scim.tls", cfg.SCIM.TLS.CertificateFile)
	}
	for _, s := range cfg.Sources {
		add("sources."+s.Name, s.CertificateFile)
	}
	return all
}

// An expiryWarner logs each end once for each of warnAhead.
type expiryWarner struct{ told map[string]toldEnd }

type toldEnd struct {
	end   time.Time
	steps int // of warnAhead that have been told
}

func (w *expiryWarner) warn(log *slog.Logger, all []admin.CredentialStatus, now time.Time) {
	for _, c := range all {
		left := c.Expires.Sub(now)
		steps := 0
		for steps < len(warnAhead) && left <= warnAhead[steps] {
			steps++
		}
		if last := w.told[c.Name]; last.end.Equal(c.Expires) && last.steps >= steps {
			continue
		}
		w.told[c.Name] = toldEnd{c.Expires, steps}
		if steps == 0 {
			continue
		}
		level, text := slog.LevelWarn, "credential ends soon"
		if left <= 0 {
			level, text = slog.LevelError, "credential has ended"
		}
		log.Log(context.Background(), level, text, "name", c.Name, "kind", c.Kind, "expires", c.Expires.UTC().Format(time.RFC3339),
			"left", daysLeft(left), "mend", renewWords(c))
	}
}

// daysLeft words the time until an end.
func daysLeft(left time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case left <= 0:
		return "none"
	case left < 2*day:
		return fmt.Sprintf("%d hours", int(left.Hours()))
	}
	return fmt.Sprintf("%d days", int(left/day))
}

// renewWords says how a credential is renewed.
func renewWords(c admin.CredentialStatus) string {
	if !strings.HasPrefix(c.Name, "sources.") {
		return "put a new certificate and its key into the files of scim.tls"
	}
	return "make a new " + c.Kind + " in the app registration, under Certificates & secrets, and put it into the file; it is used once Microsoft takes it"
}
