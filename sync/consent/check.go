package consent

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// firstFault gives the first step that is not OK in one line.
func (r *Report) firstFault() string {
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
	if app.Graph.TenantID == "" {
		c.fault("tenant", errors.New("it is not known which tenant to read"), "write the Directory (tenant) ID into tenant_id")
		return c.report
	}
	client, err := graph.New(brief(app.Graph))
	if err != nil {
		c.fault("settings", err, "mend them in the configuration")
		return c.report
	}
	c.client, c.app = client, app
	if c.reach("login", app.Graph.LoginURL) && c.reach("Graph", app.Graph.GraphURL) && c.token() {
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
}

func (c *check) ok(name, detail, better string) {
	c.report.Steps = append(c.report.Steps, Step{Name: name, OK: true, Detail: detail, Mend: better})
}

func (c *check) fault(name string, err error, mend string) {
	c.report.Steps = append(c.report.Steps, Step{Name: name, Detail: clip(err.Error()), Mend: mend})
	c.report.passing = c.report.passing || errors.Is(err, graph.ErrPermission) || errors.Is(err, graph.ErrUnavailable)
}

// reach sees whether a base answers at all, whatever it answers. It goes the way
// of all requests, by the proxy if there is one.
func (c *check) reach(name, base string) bool {
	ctx, cancel := context.WithTimeout(c.ctx, 15*time.Second)
	defer cancel()
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.app.Graph.HTTPClient != nil {
		client.Transport = c.app.Graph.HTTPClient.Transport
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err == nil {
		var res *http.Response
		if res, err = client.Do(req); err == nil {
			_, _ = io.CopyN(io.Discard, res.Body, 1<<10)
			res.Body.Close()
			c.ok("reach "+name, host, "")
			return true
		}
	}
	c.report.passing = true
	c.fault("reach "+name, err, "check name resolution, firewall and proxy (HTTPS_PROXY) for "+host+", and the certificates of a proxy that looks into TLS (SSL_CERT_FILE)")
	return false
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
	detail := fmt.Sprint(n)
	if k == graph.Groups && c.roles != nil && !slices.Contains(c.roles, hiddenRead.Name) {
		detail += "; members of groups with hidden membership are seen with Member.Read.Hidden only"
	}
	c.ok(k.String(), detail, "")
	if _, err := c.client.Latest(c.ctx, k); err != nil {
		c.fault(k.String()+" by delta", err, mend(err, &c.app))
		return
	}
	c.ok(k.String()+" by delta", "", "")
}

func (c *check) clock() {
	offset := c.client.Status().ClockOffset
	if offset.Abs() > maxOffset {
		c.fault("clock", fmt.Errorf("it differs from Microsoft's by %s", offset.Round(time.Second)), "set this machine's clock (timedatectl); assertions and tokens depend on it")
		return
	}
	c.ok("clock", "", "")
}

// mend says what to do about an error. What Microsoft's login says is explained
// by the error itself.
func mend(err error, app *App) string {
	var login *graph.LoginError
	switch {
	case errors.As(err, &login):
		return "see Microsoft's words; the credential is " + app.Graph.Credential.String()
	case errors.Is(err, graph.ErrCredentials):
		return "replace the credential; it is " + app.Graph.Credential.String()
	case errors.Is(err, graph.ErrPermission):
		return "App registrations > the application > API permissions: list " + strings.Join(names(Needed(app.Wants)), ", ") + " and Grant admin consent; a new grant takes some minutes"
	}
	return "try again later; https://status.cloud.microsoft tells whether it is Microsoft's side"
}
