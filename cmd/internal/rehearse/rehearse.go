// Package rehearse plays an identity platform before the real one comes: it
// makes the requests that the platform makes when it imports, checks the answers
// as the platform does, and holds everybody who was read against what the
// platform demands of a user or a group. What it would reject, or take for
// somebody else, is reported by name, with the attribute and how to mend it.
//
// It only reads, by SCIM alone: it knows nothing of pictures, configuration or
// the daemon, and can be pointed at any SCIM endpoint.
package rehearse

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Effects are what a platform does about what it finds, the worst first.
const (
	Rejected   = "rejected"   // it does not take the user or group
	Mismatched = "mismatched" // it takes them for somebody else, or two for one
	Warning    = "warning"    // it takes them, but not all of it
)

// A Platform is an identity platform whose import can be rehearsed.
type Platform struct {
	// Name is what --as takes, Title how people call it.
	Name, Title string
	// Header goes with every request.
	Header http.Header
	// Sequence makes the platform's requests, in its order; it hands the users
	// and groups that it reads to the judge.
	sequence func(s *session)
	rules    []rule
}

// Platforms lists those there are, by name.
func Platforms() []*Platform {
	return []*Platform{okta(), ping(), sailpoint(), sap()}
}

// Names gives their names, for a usage text.
func Names() []string {
	var names []string
	for _, p := range Platforms() {
		names = append(names, p.Name)
	}
	return names
}

// Find gives the platform of a name, or says which there are.
func Find(name string) (*Platform, error) {
	for _, p := range Platforms() {
		if strings.EqualFold(p.Name, name) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("there is no platform %q to rehearse; there are: %s", name, strings.Join(Names(), ", "))
}

// An Endpoint is what is rehearsed against.
type Endpoint struct {
	// URL is the base URL, without a slash at its end.
	URL string
	// Authorization is the header of that name.
	Authorization string
	// Transport makes the requests; nil is the ordinary one.
	Transport http.RoundTripper
}

// A Report is what a rehearsal found.
type Report struct {
	Platform string `json:"platform"`
	Title    string `json:"title"`
	Endpoint string `json:"endpoint"`
	Client   string `json:"client,omitempty"` // as whom it was read; empty: as nobody in particular
	Stored   bool   `json:"stored,omitempty"` // from the stored picture, since no daemon ran
	// Stale are the sources that are served by another mapping or scope than the file
	// has: what was rehearsed is not what the file will give.
	Stale   []string      `json:"stale,omitempty"`
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsedNanoseconds"`

	Users       int `json:"users"`
	ActiveUsers int `json:"activeUsers"`
	Groups      int `json:"groups"`

	Requests []Request `json:"requests"`
	// Findings are ordered by effect and then as the platform's rules are.
	Findings []Finding `json:"findings"`
}

// A Request is a request of the platform, or several alike, and what became of
// it.
type Request struct {
	What    string        `json:"what"` // what the platform wants by it
	Request string        `json:"request"`
	Times   int           `json:"times"` // how often: the pages of an import
	OK      bool          `json:"ok"`
	Detail  string        `json:"detail"`
	Elapsed time.Duration `json:"elapsedNanoseconds"`
}

// A Finding is what the platform would object to, and in whom.
type Finding struct {
	Rule      string `json:"rule"`
	Effect    string `json:"effect"`
	Type      string `json:"type"` // User or Group
	Attribute string `json:"attribute"`
	What      string `json:"what"`
	Why       string `json:"why"`
	Mend      string `json:"mend,omitempty"`
	// Mapping are lines for the mapping of the source that mend it.
	Mapping []MappingLine `json:"mapping,omitempty"`

	Count    int        `json:"count"`    // users or groups
	Inactive int        `json:"inactive"` // of them users who are not active
	Named    []Resource `json:"named"`
	Omitted  int        `json:"omitted,omitempty"` // more than are named
}

// A MappingLine is a key of a source's mapping and its expression.
type MappingLine struct {
	Path       string `json:"path"`
	Expression string `json:"expression"`
}

// String writes the line as it stands in the configuration file.
func (m MappingLine) String() string {
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	return quoted(m.Path) + ": " + quoted(m.Expression)
}

// A Resource is a user or group that a finding is about.
type Resource struct {
	ID          string `json:"id"`
	Source      string `json:"source,omitempty"` // where it is from; empty: not known
	Name        string `json:"name"`             // userName, or the group's displayName
	DisplayName string `json:"displayName,omitempty"`
	Active      bool   `json:"active"`
	Value       string `json:"value,omitempty"` // what is wrong; empty: nothing is there
}

// OK says whether the platform would take everybody for whom they are.
func (r *Report) OK() bool {
	bad := func(f Finding) bool { return f.Effect != Warning }
	failed := func(q Request) bool { return !q.OK }
	return !slices.ContainsFunc(r.Findings, bad) && !slices.ContainsFunc(r.Requests, failed)
}

// Options say how a rehearsal is done.
type Options struct {
	Platform *Platform
	Endpoint Endpoint
	// Limit bounds how many users or groups a finding names; 0 names all.
	Limit int
	// Source names the source that a user or group with an id is from. Nil: that
	// is not known.
	Source func(id string) string
	// Made gives the attributes of the user with an id whose values the mapping
	// made up from others, since the source has none. Nil: that is not known.
	Made func(ctx context.Context, id string) (attributes []string, err error)
}

// Run rehearses. The error says that there could be no rehearsal; what the
// platform would not like is in the report.
func Run(ctx context.Context, opts Options) (*Report, error) {
	s := newSession(ctx, opts)
	s.checkURL()
	opts.Platform.sequence(s)
	s.judge.settle(s)
	if err := cmp.Or(ctx.Err(), s.unreachable); err != nil {
		return nil, err
	}
	r := &s.report
	r.Findings = s.judge.findings()
	r.Users, r.ActiveUsers, r.Groups = s.judge.users, s.judge.active, s.judge.groups
	r.Elapsed = time.Since(r.Started)
	return r, nil
}

// A Rule describes a demand of a platform, for the documentation.
type Rule struct {
	Name, Effect, Attribute, What, Why string
	Mapping                            []MappingLine
}

// Rules lists what the platform demands.
func (p *Platform) Rules() []Rule {
	var all []Rule
	for _, r := range p.rules {
		all = append(all, Rule{r.name, r.effect, r.attribute, r.what, r.why, r.mapping})
	}
	return all
}
