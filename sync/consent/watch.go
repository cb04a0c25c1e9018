package consent

import (
	"context"
	"time"

	"scimbridge/sync/graph"
)

const (
	firstLook = 3 * time.Second
	lookOften = 15 * time.Second // while somebody waits at a terminal
	lookLong  = 5 * time.Minute  // while a mailed link is on its way
)

// watch looks every now and then whether what a source needs has been granted,
// while a consent that was asked for has not come back: the administrator may
// have clicked in the admin center instead, or have a browser that cannot reach
// us. That takes a tenant that is known, so that nothing has to be believed of
// anybody: the token itself is the proof.
func (f *Flow) watch(source string, until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched[source] || f.ctx.Err() != nil {
		return
	}
	f.watched[source] = true
	f.jobs.Go(func() {
		ctx, cancel := context.WithDeadline(f.ctx, until)
		defer cancel()
		answer := f.lookOut(ctx, source)
		f.mu.Lock()
		delete(f.watched, source)
		f.mu.Unlock()
		if answer != nil {
			f.log.Info("the permissions have been granted", "source", source)
			f.Start(answer)
		}
	})
}

// lookOut waits until a token has all that is needed; nil: it did not come to
// that.
func (f *Flow) lookOut(ctx context.Context, source string) *Answer {
	deadline, _ := ctx.Deadline()
	most := lookOften
	if time.Until(deadline) > StateLifetime {
		most = lookLong
	}
	for wait := firstLook; ; wait = min(wait*3/2, most) {
		app, err := f.cfg.App(ctx, source)
		if err != nil || app.tenant() == "" {
			return nil
		}
		if tenant, granted := Granted(ctx, app); granted {
			return &Answer{Source: source, app: app, tenant: tenant, by: "the administrator, seen by the grant"}
		}
		if sleep(ctx, wait) != nil {
			return nil
		}
		if _, busy := f.Verifying(source); busy {
			return nil // the answer has come
		}
	}
}

// Token asks for a token, soon giving up, and gives what it says of itself. The
// error is as [graph.Client.Claims] has it.
func Token(ctx context.Context, app App) (graph.Claims, error) {
	if app.Graph.TenantID == "" {
		app.Graph.TenantID = app.Tenant
	}
	client, err := graph.New(brief(app.Graph))
	if err != nil {
		return graph.Claims{}, err
	}
	return client.Claims(ctx)
}

// Granted asks for a token and tells whether it has all that is needed, and of
// which tenant it is: whether there is anything left to consent to. It is false
// where the tenant is not known.
func Granted(ctx context.Context, app App) (tenant string, all bool) {
	claims, err := Token(ctx, app)
	if err != nil || !guid.MatchString(claims.TenantID) {
		return "", false
	}
	return claims.TenantID, len(Compare(app.Wants, claims.Roles).Missing) == 0
}

// Latest tells what became of the latest consent of a source whose answer came
// at or after since: the refusal of the answer, or how far it has settled. Both
// are nil where no answer has come.
func (f *Flow) Latest(source string, since time.Time) (*Refusal, *Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var job *Job
	for _, j := range f.running {
		if j.Source == source && !j.begun.Before(since) {
			job = j
		}
	}
	if e, ok := f.ended[source]; ok && !e.at.Before(since) && (job == nil || e.at.After(job.begun)) {
		return e.refusal, nil
	}
	return nil, job
}
