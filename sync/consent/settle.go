package consent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/sync/graph"
)

// A Stage is how far a consent has come.
type Stage string

// The stages.
const (
	Spreading Stage = "waiting for the grant to spread"
	Testing   Stage = "testing the credential"
	Done      Stage = "done"
	Failed    Stage = "failed"
)

// A Progress is where a consent stands.
type Progress struct {
	Stage  Stage
	Since  time.Time // the beginning of the wait
	Tries  int
	Next   time.Time // of the next try; zero: one is under way, or none follows
	Last   string    // what the last try met
	Report *Report   // of the test, once there is one
	Err    error     // why it failed
	Until  time.Time // when patience ends
}

// Ended tells that nothing more will happen.
func (p *Progress) Ended() bool { return p.Stage == Done || p.Stage == Failed }

const (
	firstWait = 2 * time.Second
	longWait  = 20 * time.Second

	// settled is after what time a token that has some roles, but not all that
	// are needed, will not get more: Microsoft grants all of them at once, but a
	// token of an earlier consent may be handed out for a while.
	settled = 3 * time.Minute
)

// Settle waits until the grant of an answer has spread, tests the credential and
// has the consent saved. It tells of each step; tell may be nil. The error is a
// *Refusal, ctx's, or what Config.Save gives.
//
// Microsoft needs seconds to minutes until a new grant is in every token: until
// then tokens are refused, or lack the roles, or Graph answers 403. None of that
// is final before Config.Patience has passed.
func (f *Flow) Settle(ctx context.Context, answer *Answer, tell func(Progress)) (*Report, error) {
	if tell == nil {
		tell = func(Progress) {}
	}
	s := &settling{flow: f, answer: answer, app: answer.app, tell: tell, p: Progress{Stage: Spreading, Since: time.Now()}}
	if s.app.Graph.TenantID == "" {
		s.app.Graph.TenantID = answer.tenant
	}
	report, err := s.run(ctx)
	s.p.Next, s.p.Stage, s.p.Err = time.Time{}, Done, nil
	if err != nil {
		s.p.Stage, s.p.Err = Failed, err
		f.log.Error("consent was not taken", "source", answer.Source, "err", err)
	} else {
		f.log.Info("consent is given and tested", "source", answer.Source, "tenant", answer.tenant)
	}
	tell(s.p)
	return report, err
}

// settling is one Settle at work.
type settling struct {
	flow   *Flow
	answer *Answer
	app    App
	tell   func(Progress)
	p      Progress
	client *graph.Client
	roles  time.Time // since when the token has roles, but not all
	fault  string    // the last refusal of a token, in full
}

func (s *settling) run(ctx context.Context) (_ *Report, err error) {
	if s.client, err = graph.New(brief(s.app.Graph)); err != nil {
		return nil, err
	}
	deadline := s.p.Since.Add(s.flow.cfg.Patience)
	s.p.Until = deadline
	for wait := firstWait; ; wait = min(wait*3/2, longWait) {
		s.p.Tries++
		s.p.Next = time.Time{}
		s.tell(s.p)
		report, done, err := s.try(ctx)
		if done || err != nil || ctx.Err() != nil {
			return report, errors.Join(err, ctx.Err())
		}
		if time.Now().Add(wait).After(deadline) {
			return report, s.tooLate()
		}
		s.p.Stage, s.p.Next = Spreading, time.Now().Add(wait)
		s.tell(s.p)
		if err := sleep(ctx, wait); err != nil {
			return report, err
		}
	}
}

func (s *settling) tooLate() *Refusal {
	r := refuse(NotSpread, s.answer.Source, fmt.Sprintf("consent was given, but Microsoft did not let us in within %s", s.flow.cfg.Patience),
		"wait a while and run scim-bridge test, or ask for consent again (which changes nothing that was granted)")
	r.Microsoft = clip(cmp.Or(s.fault, s.p.Last))
	return r
}

// try looks once whether the grant has spread, and if so tests and saves. An
// error is final; without done it is worth another try.
func (s *settling) try(ctx context.Context) (_ *Report, done bool, _ error) {
	// A token keeps the roles that it was issued with.
	s.client.ForgetToken()
	claims, err := s.client.Claims(ctx)
	if err != nil && !errors.Is(err, graph.ErrOpaque) {
		return nil, false, s.refused(err)
	}
	if claims.TenantID != "" && !strings.EqualFold(claims.TenantID, s.answer.tenant) {
		return nil, false, refuse(WrongTenant, s.answer.Source,
			fmt.Sprintf("consent was given in tenant %s, but %s is tenant %s", s.answer.tenant, s.app.Graph.TenantID, strings.ToLower(claims.TenantID)),
			"sign in with an account of the right tenant; or, if the other one is meant, write it into tenant_id")
	}
	if err == nil {
		if missing := Compare(s.app.Wants, claims.Roles).Missing; len(missing) > 0 {
			return nil, false, s.lacking(missing, claims.Roles)
		}
	}
	s.p.Stage = Testing
	s.tell(s.p)
	report := Check(ctx, s.app)
	s.p.Report = report
	switch {
	case ctx.Err() != nil:
		return report, false, ctx.Err()
	case report.OK():
		grant := Grant{TenantID: s.answer.tenant, At: time.Now(), By: s.answer.by}
		return report, true, s.save(ctx, grant)
	case report.passing:
		s.p.Last = report.FirstFault()
		return report, false, nil
	}
	r := refuse(TestFailed, s.answer.Source, "consent was given, but the test found a fault", report.FirstFault())
	r.Report = report
	return report, false, r
}

func (s *settling) save(ctx context.Context, grant Grant) error {
	if err := s.flow.cfg.Save(ctx, s.answer.Source, grant); err != nil {
		return fmt.Errorf("keeping the consent: %w", err)
	}
	s.flow.mu.Lock()
	_, handedOff := s.flow.handOffs[s.answer.from]
	delete(s.flow.handOffs, s.answer.from)
	s.flow.mu.Unlock()
	if handedOff {
		s.flow.remember()
	}
	return nil
}

// lacking deals with a token that lacks roles.
func (s *settling) lacking(missing []Permission, roles []string) error {
	s.fault = ""
	s.p.Last = "the token does not have " + strings.Join(names(missing), " and ") + " yet"
	if len(roles) == 0 {
		s.roles = time.Time{}
		return nil
	}
	if s.roles.IsZero() {
		s.roles = time.Now()
	}
	if time.Since(s.roles) < settled {
		return nil
	}
	return refuse(Unlisted, s.answer.Source,
		"consent was given to "+strings.Join(roles, ", ")+" only; "+strings.Join(names(missing), " and ")+" is missing",
		"add it to the app registration (API permissions > Add a permission > Microsoft Graph > Application permissions), then ask for consent again")
}

// wrongCredential are the numbers that say that the credential itself is wrong,
// which no waiting mends.
var wrongCredential = []int{7000215, 7000222, 7000218, 700027, 700030, 50012, 700024, 500133, 70021, 700211, 700212, 700213, 7000112}

// refused deals with a token that was not given.
func (s *settling) refused(err error) error {
	var login *graph.LoginError
	if errors.As(err, &login) && errors.Is(err, graph.ErrCredentials) {
		final := login.Status == 0 || slices.ContainsFunc(login.Numbers, func(n int) bool { return slices.Contains(wrongCredential, n) })
		if final {
			r := refuse(Credential, s.answer.Source, "consent was given, but the credential is refused", mend(err, &s.app))
			r.Microsoft = clip(err.Error())
			return r
		}
	}
	s.p.Last, s.fault = clip(err.Error()), clip(err.Error())
	if errors.As(err, &login) && len(login.Numbers) > 0 {
		s.p.Last = fmt.Sprintf("the login does not give a token yet (AADSTS%d)", login.Numbers[0])
	}
	return nil
}

// A Job is a consent that settles in the background.
type Job struct {
	// ID is random: it is in the address of the page that shows the job.
	ID     string
	Source string

	begun  time.Time
	flow   *Flow
	tenant string
	p      Progress // guarded by flow.mu
}

// Tenant is the tenant that the job is about, as the answer named it.
func (j *Job) Tenant() string { return j.tenant }

// Progress tells where the job stands.
func (j *Job) Progress() Progress {
	j.flow.mu.Lock()
	defer j.flow.mu.Unlock()
	return j.p
}

// Start settles an answer in the background. Where one of the same source and
// tenant is at it already, that one is given.
func (f *Flow) Start(answer *Answer) *Job {
	id, _ := secret()
	now := time.Now()
	j := &Job{ID: id, Source: answer.Source, begun: now, flow: f, tenant: answer.tenant, p: Progress{Stage: Spreading, Since: now}}
	f.mu.Lock()
	for _, r := range f.running {
		if r.Source == j.Source && r.tenant == j.tenant && !r.p.Ended() {
			f.mu.Unlock()
			return r
		}
	}
	f.running = append(f.running, j)
	if len(f.running) > maxJobs {
		f.running = f.running[1:]
	}
	f.mu.Unlock()
	f.jobs.Go(func() {
		// The progress tells how it ends, and so does the log.
		_, _ = f.Settle(f.ctx, answer, func(p Progress) {
			f.mu.Lock()
			defer f.mu.Unlock()
			j.p = p
		})
	})
	return j
}

// Job gives a job by its id; nil where there is none.
func (f *Flow) Job(id string) *Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.running {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// Verifying tells whether a consent of the source is settling at the moment, and
// where the latest one stands.
func (f *Flow) Verifying(source string) (Progress, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range slices.Backward(f.running) {
		if j.Source == source {
			return j.p, !j.p.Ended()
		}
	}
	return Progress{}, false
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
