package consent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"scimbridge/sync/graph"
)

// A Report is what a credential test found, step by step.
type Report struct {
	Source string `json:"source"`
	Steps  []Step `json:"steps"`

	// TenantID and Organization are the tenant's id and name, as far as they
	// could be read.
	TenantID     string `json:"tenantID,omitempty"`
	Organization string `json:"organization,omitempty"`
	// Granted are the application permissions in the token; nil where it could
	// not be read.
	Granted []string `json:"granted,omitempty"`
	// Needed are the permissions that the source needs.
	Needed []Permission `json:"needed,omitempty"`
	// Comparison is Granted against Needed; nil where Granted is.
	Comparison *Comparison `json:"comparison,omitempty"`

	// passing tells that what is wrong may pass by itself: a grant that has not
	// spread, a service that is down.
	passing bool
}

// A Step is one thing that was tried.
type Step struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	// Mend says what to do, of a step that is not OK; of one that is, what
	// might be better.
	Mend string `json:"mend,omitempty"`
}

// OK tells that every step is.
func (r *Report) OK() bool {
	for _, s := range r.Steps {
		if !s.OK {
			return false
		}
	}
	return true
}

// FirstFault gives the first step that is not OK in one line.
func (r *Report) FirstFault() string {
	for _, s := range r.Steps {
		if !s.OK {
			return strings.TrimSuffix(s.Name+": "+s.Detail+"; "+s.Mend, "; ")
		}
	}
	return ""
}

// maxOffset is how far the clock may be off: assertions live for minutes.
const maxOffset = 2 * time.Minute

// Check tests a credential as the mirror will use it, and stops where going on
// makes no sense: at the network, at the token. It takes as long as Microsoft
// takes to answer, and ends with ctx.
func Check(ctx context.Context, app App) *Report {
	c := &check{ctx: ctx, app: app, report: &Report{Source: app.Source, Needed: Needed(app.Wants)}}
	if app.Graph.TenantID == "" {
		app.Graph.TenantID = app.Tenant
	}
	if app.Graph.TenantID == "" && !app.managed() { // an identity of the platform's brings its tenant
		c.fault("tenant", errors.New("it is not known which tenant to read"), "write the Directory (tenant) ID into tenant_id")
		return c.report
	}
	if app.Graph.HTTPClient == nil {
		// One for all, so that what is reached is what is asked.
		transport := graph.NewTransport(app.Graph.RootCAs)
		defer transport.CloseIdleConnections()
		c.proxy, app.Graph.HTTPClient = transport.Proxy, &http.Client{Transport: transport}
	}
	client, err := graph.New(brief(app.Graph))
	if err != nil {
		c.fault("settings", err, "mend them in the configuration")
		return c.report
	}
	c.client, c.app = client, app
	if c.reach("login", app.Graph.LoginURL) && c.reach("Graph", app.Graph.GraphURL) && c.token() {
		c.credential()
		c.organization()
		c.collection(graph.Users)
		if app.Wants.Groups {
			c.collection(graph.Groups)
		}
		c.clock()
	}
	return c.report
}

// brief has a client give up soon: somebody is waiting for the answer.
func brief(cfg graph.Config) graph.Config {
	cfg.Retry = graph.Retry{Tries: 2, Base: 500 * time.Millisecond, Max: 2 * time.Second, Total: 20 * time.Second, Attempt: 15 * time.Second}
	return cfg
}

type check struct {
	ctx    context.Context
	app    App
	client *graph.Client
	report *Report
	roles  []string // granted, as far as the token tells
	// proxy tells by which proxy a request goes; nil: the transport is not ours.
	proxy func(*http.Request) (*url.URL, error)
}

func (c *check) ok(name, detail, better string) {
	c.report.Steps = append(c.report.Steps, Step{Name: name, OK: true, Detail: detail, Mend: better})
}

func (c *check) fault(name string, err error, mend string) {
	c.report.Steps = append(c.report.Steps, Step{Name: name, Detail: clip(err.Error()), Mend: mend})
	c.report.passing = c.report.passing || errors.Is(err, graph.ErrPermission) || errors.Is(err, graph.ErrUnavailable)
}

// token asks for a token and looks at what it says was granted.
func (c *check) token() bool {
	claims, err := c.client.Claims(c.ctx)
	switch {
	case errors.Is(err, graph.ErrOpaque):
		c.ok("token", "granted, but it can't be read; the requests below decide", "")
		return true
	case err != nil:
		c.fault("token", err, mend(err, &c.app))
		return false
	}
	c.ok("token", "tenant "+claims.TenantID, "")
	comparison := Compare(c.app.Wants, claims.Roles)
	c.roles, c.report.TenantID, c.report.Granted, c.report.Comparison = claims.Roles, claims.TenantID, claims.Roles, &comparison
	if len(comparison.Missing) > 0 {
		missing := strings.Join(names(comparison.Missing), " and ")
		c.fault("permissions", fmt.Errorf("%w: %s", graph.ErrPermission, missing),
			"App registrations > the application > API permissions > Add a permission > Microsoft Graph > Application permissions: add "+missing+", then Grant admin consent")
		return true
	}
	c.ok("permissions", strings.Join(claims.Roles, ", "), comparison.Advice())
	return true
}

// organization shows the tenant's name, where that may be read.
func (c *check) organization() {
	org, err := c.client.Organization(c.ctx)
	switch {
	case err == nil:
		c.report.Organization = org.DisplayName
		c.ok("organization", org.DisplayName, "")
	case errors.Is(err, graph.ErrPermission):
		c.ok("organization", "its name is not shown without Organization.Read.All, which is not needed", "")
	default:
		c.fault("organization", err, mend(err, &c.app))
	}
}

// collection reads what a round begins with.
func (c *check) collection(k graph.Kind) {
	n, err := c.client.Count(c.ctx, k)
	if err != nil {
		c.fault(k.String(), err, mend(err, &c.app))
		return
	}
	sample, err := c.client.FirstPage(c.ctx, k)
	if err != nil {
		c.fault(k.String(), err, mend(err, &c.app))
		return
	}
	c.ok(k.String(), fmt.Sprintf("%d; one page of %d was read", n, sample.Objects), "")
	if _, err := c.client.Latest(c.ctx, k); err != nil {
		c.fault(k.String()+" by delta", err, mend(err, &c.app))
		return
	}
	c.ok(k.String()+" by delta", "a delta link was given", "")
	if k == graph.Groups {
		c.members(&sample)
	}
}

// members sees whether memberships are shown.
func (c *check) members(sample *graph.Sample) {
	const name = "memberships"
	members, read := 0, 0
	for _, group := range sample.Groups {
		n, err := c.client.Members(c.ctx, group)
		if err != nil {
			c.fault(name, err, mend(err, &c.app))
			return
		}
		members, read = members+n, read+1
		if n > 0 {
			break
		}
	}
	detail := fmt.Sprintf("%d members were seen in the first %d groups", members, read)
	switch read {
	case 0:
		detail = "there is no group to look into"
	case 1:
		detail = fmt.Sprintf("%d members were seen in the first group", members)
	}
	better := ""
	if c.roles != nil && !slices.Contains(c.roles, hiddenRead.Name) {
		switch {
		case sample.Hidden > 0:
			better = fmt.Sprintf("%d of the first %d groups hide their members, and would be served without any: add %s if they matter",
				sample.Hidden, sample.Objects, hiddenRead.Name)
		default:
			detail += "; groups that hide their members would be served without any (Member.Read.Hidden shows them)"
		}
	}
	c.ok(name, detail, better)
}

func (c *check) clock() {
	offset := c.client.Status().ClockOffset
	if offset.Abs() > maxOffset {
		c.fault("clock", fmt.Errorf("it differs from Microsoft's by %s", offset.Round(time.Second)), "set this machine's clock (timedatectl); assertions and tokens depend on it")
		return
	}
	c.ok("clock", fmt.Sprintf("within %s of Microsoft's", max(offset.Abs().Round(time.Second), time.Second)), "")
}
