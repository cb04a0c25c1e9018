// Package mapping turns the users and groups of Microsoft Graph into SCIM
// resources.
//
// The mapping is a table: [Rows] gives it, docs/mapping.md shows it, and
// nothing is rendered that is not a row of it. It is the mapping of Microsoft's
// own SCIM API, its extension schemas included, with the few differences that
// the document gives reasons for. [Mapper.Schemas] describes exactly what the
// rows can render, and what the directory adds.
//
// A person is never lost to a bad value: a value of an unexpected kind is left
// out and reported as a [Problem], and required attributes have a value to fall
// back on.
//
// The package knows JSON and SCIM's schemas. It knows nothing of how objects
// are fetched or stored, nor of scope, memberships and meta. Whoever holds an
// object's properties as JSON may call it, from several goroutines at once.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"scimbridge/scim/directory"

	"github.com/elimity-com/scim/schema"
)

// version counts the changes to the code of this package after which an object
// renders differently. Changes to the table count by themselves.
const version = 1

// Config says how to map.
type Config struct {
	// BaseURL is the URL of the SCIM endpoint, http or https, without a
	// trailing slash: "https://scim.example.com/scim/v2". It is what $ref of a
	// manager begins with.
	BaseURL string
}

// A Mapper maps objects of Graph to records. It is safe for concurrent use.
type Mapper struct {
	users, groups *plan
	base          []byte // the base URL as the inside of a JSON string
	fingerprint   string
	schemas       []schema.Schema
	renderers     sync.Pool
}

// A Problem is a rule that could not give its value, because of what Graph
// holds. The person is served all the same.
type Problem struct {
	// Path is the path of the [Row].
	Path string
	// Reason says what is wrong with which property. It holds no value.
	Reason string
}

// String gives the problem in one line.
func (p Problem) String() string { return p.Path + ": " + p.Reason }

// New makes the mapper of the default mapping.
func New(cfg Config) (*Mapper, error) {
	if err := checkBaseURL(cfg.BaseURL); err != nil {
		return nil, fmt.Errorf("checking base URL: %w", err)
	}
	users, err := compile(directory.User, userRows())
	if err != nil {
		return nil, fmt.Errorf("compiling the mapping of users: %w", err)
	}
	groups, err := compile(directory.Group, groupRows())
	if err != nil {
		return nil, fmt.Errorf("compiling the mapping of groups: %w", err)
	}
	base := quoted(cfg.BaseURL)
	return &Mapper{
		users:       users,
		groups:      groups,
		base:        base[1 : len(base)-1],
		fingerprint: fingerprint(cfg, Rows()),
		schemas:     schemas(),
	}, nil
}

// checkBaseURL refuses a URL that nothing can be put behind.
func checkBaseURL(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return err
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("%q is not an http or https URL", base)
	case u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(base, "/"):
		return fmt.Errorf("%q has a query, a fragment or a trailing slash", base)
	}
	return nil
}

// fingerprint names everything that a rendered form depends on beside the
// object.
func fingerprint(cfg Config, rows []Row) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s\n", version, cfg.BaseURL)
	for _, row := range rows {
		fmt.Fprintf(h, "%v\t%s\t%s\t%v\n", row.Type, row.Path, row.Property, row.Transform)
	}
	return fmt.Sprintf("%d-%s", version, hex.EncodeToString(h.Sum(nil)[:12]))
}

// Fingerprint names the mapping. It changes whenever an unchanged object could
// be rendered differently.
func (m *Mapper) Fingerprint() string { return m.fingerprint }

// Select lists the Graph properties that the mapping reads, sorted, for $select:
// without id, which always comes, and without manager, which is a relationship
// and asked for by the Graph client itself.
func (m *Mapper) Select() (users, groups []string) {
	return m.users.properties(), m.groups.properties()
}

// properties lists the properties at the top of an object.
func (p *plan) properties() []string {
	var names []string
	for _, name := range p.wants.names {
		if name != "id" && name != "manager" {
			names = append(names, name)
		}
	}
	return names
}

// User maps a user: a JSON object of Graph properties in any order, id
// included, in which manager is {"id":"…"}. With forceInactive the user is
// rendered with active=false, whatever the account's state: one who was removed
// and is kept for a while. The error is for what is no such object or has no
// id; then there is no record.
func (m *Mapper) User(object []byte, forceInactive bool) (directory.Record, []Problem, error) {
	rec, problems, err := m.render(m.users, object, forceInactive)
	if err != nil {
		return rec, nil, fmt.Errorf("mapping user: %w", err)
	}
	return rec, problems, nil
}

// Group maps a group, as User does a user.
func (m *Mapper) Group(object []byte) (directory.Record, []Problem, error) {
	rec, problems, err := m.render(m.groups, object, false)
	if err != nil {
		return rec, nil, fmt.Errorf("mapping group: %w", err)
	}
	return rec, problems, nil
}

// render maps an object by a plan.
func (m *Mapper) render(p *plan, object []byte, inactive bool) (directory.Record, []Problem, error) {
	r, _ := m.renderers.Get().(*renderer)
	if r == nil {
		r = &renderer{base: m.base}
	}
	defer func() {
		r.data, r.problems = nil, nil // the caller's
		m.renderers.Put(r)
	}()
	r.reset(p, object, inactive)
	if err := r.run(p); err != nil {
		return directory.Record{}, nil, err
	}
	rec := r.record(p) // may report problems, too
	return rec, r.problems, nil
}
