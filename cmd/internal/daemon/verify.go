package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
	"scimbridge/sync/graph"
)

// verifyTime bounds how long a reload waits for Microsoft's word on the
// credential of one source.
const verifyTime = 15 * time.Second

// A laterError is a configuration that was not taken and may be taken later as it
// is: it is tried again by itself.
type laterError struct{ error }

func (e laterError) Unwrap() error { return e.error }

// verify tests every credential that is not the one in use, so that a wrong
// secret is refused with the file and not found out when the old one has gone. A
// credential that replaces a working one is used once it has passed the whole
// test, and not before: where Microsoft cannot be reached the old one stays, and
// the new one is tried again. Of a new source only what Microsoft refuses is
// refused; that consent is still missing is no fault of the file. At the start
// there is nothing to keep, and nothing is asked.
func (b *build) verify(ctx context.Context) error {
	if b.d.gen.Load() == nil {
		return nil
	}
	for i := range b.cfg.Sources {
		sc := b.cfg.Sources[i]
		s, old := b.next[sc.Name], b.d.sources[sc.Name]
		replaces := old != nil && old.client != nil
		if s == old || s.client == nil || replaces && old.tenant == s.tenant && sameLogin(old.cfg, s.cfg) {
			continue
		}
		if err := b.verifySource(ctx, i, s, replaces && old.worked()); err != nil {
			return err
		}
	}
	return nil
}

// worked tells whether the credential of a source has ever worked.
func (s *source) worked() bool {
	return s.imported || s.mirror != nil && !s.mirror.Status().LastSuccess.IsZero()
}

// verifySource verifies one. replaces tells that it takes the place of a
// credential that has worked.
func (b *build) verifySource(ctx context.Context, index int, s *source, replaces bool) error {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	fault := func(what, mend string) config.Fault {
		return b.cfg.Fault(fmt.Sprintf("sources[%d]", index), what, mend)
	}
	app, err := ConsentApp(b.cfg, index, s.tenant, b.d.opts.Version)
	if err != nil {
		return err
	}
	_, err = consent.Token(ctx, app)
	switch {
	case err == nil, errors.Is(err, graph.ErrOpaque):
	case consent.Lacking(err) && !replaces:
		return nil // it waits for consent
	case consent.Lacking(err):
		return laterError{fault("the new credential is not used before an administrator has consented: "+err.Error(),
			"grant admin consent under API permissions of the app registration; then it is taken by itself")}
	case errors.Is(err, graph.ErrCredentials) && replaces && !s.cfg.CertificateFile.IsZero():
		return laterError{fault("the new certificate is not used before Microsoft knows it: "+err.Error(),
			"upload it to the app registration, under Certificates & secrets; then it is taken by itself")}
	case errors.Is(err, graph.ErrCredentials), errors.Is(err, graph.ErrPermission):
		return fault("Microsoft refuses the credential: "+err.Error(), "put the right one into its file, or the old one back")
	case replaces:
		return laterError{fault("the new credential could not be verified, and the old one stays in use: "+err.Error(), "nothing: it is tried again by itself")}
	default:
		b.d.log.Warn("credential could not be verified", "source", s.name, "err", err)
		return nil
	}
	if !replaces {
		return nil
	}
	report := consent.Check(ctx, app)
	if report.OK() {
		b.d.log.Info("new credential has passed the test", "source", s.name)
		return nil
	}
	return laterError{fault("the new credential does not pass the test, and the old one stays in use: "+strings.TrimSuffix(report.FirstFault(), "."),
		"mend that; then it is taken by itself")}
}

// firstRetry and lastRetry are the times after which a configuration that may be
// taken later is tried again.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// retryLater has the configuration read again after a while, unless somebody else
// does before. d.reloading is held.
func (d *Daemon) retryLater() {
	d.retryWait = min(max(d.retryWait*2, firstRetry), lastRetry)
	attempt := d.attempts
	time.AfterFunc(d.retryWait, func() {
		d.reloading.Lock()
		stale := d.attempts != attempt
		d.reloading.Unlock()
		if !stale {
			_ = d.Reload(d.ctx) // it tells the log and the status
		}
	})
}
