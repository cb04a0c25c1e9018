package graphtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is one request to Graph on its way.
type call struct {
	s         *Server
	r         *http.Request
	base      string
	now       time.Time
	requestID string
	query     url.Values // with every $ before a system option

	home    *Tenant // whose token it is, and whose journal it goes to
	t       *Tenant // the same, once the token is accepted
	claims  claims
	units   int
	percent float64 // of the throttling limit
	faults  []FaultKind
	line    *Fault
	batched bool
}

func (s *Server) newCall(r *http.Request) *call {
	c := &call{s: s, r: r, base: base(r), now: time.Now(), units: 1}
	if len(s.tenants) > 0 {
		c.now, c.requestID = s.tenants[0].opts.Now(), s.tenants[0].dice.guid()
	}
	return c
}

// clientRequestID is echoed when the client sent one; else it is ours.
func (c *call) clientRequestID() string {
	if id := c.r.Header.Get("client-request-id"); id != "" {
		return id
	}
	return c.requestID
}

func (c *call) setHeaders(h http.Header) {
	h.Set("request-id", c.requestID)
	h.Set("client-request-id", c.clientRequestID())
	h.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"GRAPHTEST"}}`)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Date", c.now.UTC().Format(http.TimeFormat))
	h.Set("OData-Version", "4.0")
	if c.t != nil {
		h.Set("x-ms-resource-unit", strconv.Itoa(c.units))
	}
	if c.percent > 0.8 {
		h.Set("x-ms-throttle-limit-percentage", strconv.FormatFloat(min(c.percent, 1.8), 'f', 1, 64))
	}
}

func (c *call) acceptsGzip() bool {
	return (c.t == nil || !c.t.opts.NoGzip) && strings.Contains(c.r.Header.Get("Accept-Encoding"), "gzip")
}

// answer authenticates, throttles and routes. It never writes anything, so
// that batches can use it.
func (s *Server) answer(c *call) *answer {
	a, refused := c.handle()
	if refused != nil {
		a = refused.answer(c.requestID, c.clientRequestID(), c.now)
	}
	a.line = c.line
	return a
}

func (c *call) handle() (*answer, *refusal) {
	if refused := c.authenticate(); refused != nil {
		return nil, refused
	}
	if refused := c.parseQuery(); refused != nil {
		return nil, refused
	}
	if refused := c.throttle(); refused != nil {
		return nil, refused
	}
	return c.route()
}

func (c *call) authenticate() *refusal {
	kind, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(kind, "Bearer") {
		return refuseToken("Access token is empty.")
	}
	t, claims, fault := c.s.verify(token)
	if fault != "" {
		return refuseToken(fault)
	}
	c.home, c.claims, c.now = t, claims, t.opts.Now()
	if c.now.Unix() >= claims.Expires {
		return refuseToken("Lifetime validation failed, the token is expired.")
	}
	c.t = t
	if !t.hasPrincipal(claims.AppID) {
		return refuse(http.StatusForbidden, codeNoIdentity, "The identity of the calling application could not be established.")
	}
	return nil
}

// parseQuery is strict: a query that cannot be read is refused, never read in
// part. System options may be written without their $
// (concepts/query-parameters.md).
func (c *call) parseQuery() *refusal {
	raw, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return refuse(http.StatusBadRequest, codeBadRequest, "The query string is not valid: "+err.Error())
	}
	c.query = url.Values{}
	for name, values := range raw {
		option := "$" + strings.TrimPrefix(name, "$")
		if !slices.Contains(systemOptions, strings.ToLower(option)) {
			if strings.HasPrefix(name, "$") {
				return refuse(http.StatusBadRequest, codeBadRequest, fmt.Sprintf("The query parameter '%s' is not supported.", name))
			}
			continue // custom options are ignored, as OData asks
		}
		if len(values) > 1 {
			return refuse(http.StatusBadRequest, codeBadRequest, fmt.Sprintf("Query option '%s' was specified more than once, but it must be specified at most once.", option))
		}
		c.query.Set(strings.ToLower(option), values[0])
	}
	return nil
}

var systemOptions = []string{"$select", "$filter", "$top", "$count", "$expand", "$orderby", "$search", "$skiptoken", "$deltatoken", "$format"}

// refusePossibly lets the armed faults strike: it notes those of the line for
// later and gives the first refusal.
func (c *call) refusePossibly(o occasion) (hits []Fault, refused *refusal) {
	hits = c.t.faults.strike(o)
	for _, f := range hits {
		c.faults = append(c.faults, f.Kind)
		if f.ofLine() && c.line == nil {
			c.line = &f
		}
		if r := f.refusal(c); r != nil && refused == nil {
			refused = r
		}
	}
	return hits, refused
}

// may reports whether the token has one of the roles.
func (c *call) may(roles ...string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(c.claims.Roles, role) })
}

// advanced reports whether the request asks for advanced query capabilities
// (concepts/aad-advanced-queries.md).
func (c *call) advanced() bool {
	return strings.EqualFold(c.r.Header.Get("ConsistencyLevel"), "eventual")
}

// preference finds an item of the Prefer headers; for those with a value, the
// value.
func (c *call) preference(name string) (string, bool) {
	for _, line := range c.r.Header.Values("Prefer") {
		for part := range strings.SplitSeq(line, ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if strings.EqualFold(strings.TrimSpace(key), name) {
				return strings.Trim(strings.TrimSpace(value), `"`), true
			}
		}
	}
	return "", false
}

func (c *call) entry(status int) Request {
	return Request{Time: c.now, Method: c.r.Method, Path: c.r.URL.Path, Query: c.r.URL.RawQuery,
		Status: status, AuthOK: c.t != nil, AppID: c.claims.AppID, ResourceUnits: c.units,
		RequestID: c.requestID, ClientRequestID: c.r.Header.Get("client-request-id"),
		UserAgent: c.r.UserAgent(), Prefer: strings.Join(c.r.Header.Values("Prefer"), ", "),
		Batched: c.batched, Faults: c.faults}
}

// enter writes the journal.
func (c *call) enter(a *answer, status int, took time.Duration) {
	e := c.entry(status)
	e.Bytes, e.Objects, e.Duration = len(a.body), a.objects, took
	if c.home == nil {
		c.s.journal.add(e)
		return
	}
	c.home.journal.add(e)
}
