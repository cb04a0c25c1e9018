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
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping/expr"

	"github.com/elimity-com/scim/schema"
)

// version counts the changes to the code of this package after which an object
// renders differently. Changes to the table count by themselves.
const version = 2

// Config says how to map. Without more than a base URL that is the default
// mapping.
type Config struct {
	// BaseURL is the URL of the SCIM endpoint, http or https, without a
	// trailing slash: "https://scim.example.com/scim/v2". It is what $ref of a
	// manager begins with.
	BaseURL string
	// Preset is the name of one of [Presets]; "" is the default mapping.
	Preset string
	// Users and Groups are the rules of the configuration.
	Users, Groups Rules
	// Schemas are extensions that the configuration declares.
	Schemas []Schema
	// Tables are lookup tables by name.
	Tables map[string]map[string]string
	// Setting is what the places of [Fault] begin with.
	Setting string
}

// A Mapper maps objects of Graph to records. It is safe for concurrent use.
type Mapper struct {
	users, groups *plan
	base          []byte // the base URL as the inside of a JSON string
	catalogue     catalogue
	rows          []Row
	fingerprint   string
	today         bool // a rule speaks of today
	schemas       []schema.Schema
	renderers     sync.Pool
}

// A Problem is a rule that could not give its value, because of what Graph
// holds. The person is served all the same.
type Problem struct {
	// Path is the path of the [Row].
	Path string
	// Reason says what is wrong with which property or rule. It holds no value.
	Reason string
	// Kept says that the value that was served last is served still; else the
	// attribute has no value for it, or the one that Reason names.
	Kept bool
}

// String gives the problem in one line.
func (p Problem) String() string {
	if p.Kept {
		return p.Path + ": " + p.Reason + "; the last good value is served"
	}
	return p.Path + ": " + p.Reason
}

// An Input is an object to be mapped.
type Input struct {
	// Object is a JSON object of Graph properties in any order, id included, in
	// which manager is {"id":"…"}.
	Object []byte
	// Inactive renders a user with active=false, whatever the account's state:
	// one who was removed and is kept for a while.
	Inactive bool
	// Previous is the [directory.Record.Body] that was served last, empty for
	// none. A value that can't be made is taken from it.
	Previous []byte
	// WasGone says that Previous is of one who was removed: its active says
	// nothing then.
	WasGone bool
	// HideManager maps a user as if she had no manager: one who is not served.
	// [directory.Record.Manager] names him all the same.
	HideManager bool
	// Now is what rules take for today's date.
	Now time.Time
	// Into is memory for the record's Body, which takes the place of what is in
	// it; nil: there is none yet.
	Into []byte
}

// New makes a mapper. What is wrong with rules and schemas comes as [Faults],
// all at once.
func New(cfg Config) (*Mapper, error) {
	if err := checkBaseURL(cfg.BaseURL); err != nil {
		return nil, fmt.Errorf("checking base URL: %w", err)
	}
	declared, faults := declare(cfg.Schemas)
	c := newCatalogue(declared)
	base := quoted(cfg.BaseURL)
	m := &Mapper{base: base[1 : len(base)-1]}
	for _, one := range []struct {
		typ     directory.Type
		rules   Rules
		setting string
		plan    **plan
	}{
		{directory.User, cfg.Users, cfg.Setting + ".", &m.users},
		{directory.Group, cfg.Groups, cfg.Setting + ".groups.", &m.groups},
	} {
		t, err := newTable(one.typ, c, cfg.Tables)
		if err != nil {
			return nil, err
		}
		t.preset(cfg.Preset, one.setting)
		t.apply(one.rules, one.setting)
		faults = append(faults, t.faults...)
		if *one.plan, err = compile(one.typ, t.rows); err != nil {
			return nil, fmt.Errorf("compiling the mapping of %ss: %w", one.typ, err)
		}
		(*one.plan).env = t.env
		m.rows = append(m.rows, t.rows...)
	}
	if len(faults) > 0 {
		return nil, distinctFaults(faults)
	}
	for _, row := range m.rows {
		m.today = m.today || row.rule != nil && row.rule.program.UsesToday()
	}
	m.catalogue, m.schemas = c, c.schemas(m.rows)
	m.fingerprint = fingerprint(cfg, m.rows)
	return m, nil
}

// distinctFaults drops faults that are there twice, such as an unknown preset.
func distinctFaults(faults Faults) Faults {
	var kept Faults
	for _, f := range faults {
		if !slices.Contains(kept, f) {
			kept = append(kept, f)
		}
	}
	return kept
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
		if row.rule != nil {
			fmt.Fprintf(h, "%q\t%v\n", row.Expression, row.rule.attribute().kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Tables)) {
		for _, k := range slices.Sorted(maps.Keys(cfg.Tables[name])) {
			fmt.Fprintf(h, "%q\t%q\t%q\n", name, k, cfg.Tables[name][k])
		}
	}
	return fmt.Sprintf("%d-%s", version, hex.EncodeToString(h.Sum(nil)[:12]))
}

// Fingerprint names the mapping. It changes whenever an unchanged object could
// be rendered differently, but for the passing of days.
func (m *Mapper) Fingerprint() string { return m.fingerprint }

// FingerprintAt is the Fingerprint of a day: where a rule speaks of today, the
// same object may be rendered differently on another.
func (m *Mapper) FingerprintAt(now time.Time) string {
	if !m.today {
		return m.fingerprint
	}
	return m.fingerprint + "@" + expr.Day(now).Format(time.DateOnly)
}

// Configured says whether anything of the mapping is an expression, of a preset
// or a rule.
func (m *Mapper) Configured() bool { return len(m.users.rules)+len(m.groups.rules) > 0 }

// Rows gives the rows that the mapper maps by, in the order in which they are
// rendered.
func (m *Mapper) Rows() []Row { return slices.Clone(m.rows) }

// Select lists the Graph properties that the mapping reads, sorted, for $select
// of a delta query: without id, which always comes, without manager, which is a
// relationship and asked for by the Graph client itself, and without what has
// to be read aside.
func (m *Mapper) Select() (users, groups []string) {
	users, _ = m.users.properties(expr.User)
	groups, _ = m.groups.properties(expr.Group)
	return users, groups
}

// Aside lists the properties of users that the mapping reads and that delta
// queries don't bring, sorted.
func (m *Mapper) Aside() []string {
	_, aside := m.users.properties(expr.User)
	return aside
}

// AsideDecides says whether a rule goes by the properties of Aside to say who is
// active, or by what name somebody is known: until they were read it must not be
// believed.
func (m *Mapper) AsideDecides() bool {
	return slices.ContainsFunc(m.users.rules, func(rule *compiledRule) bool {
		to := rule.target
		return to.entry.core && (to.name == "active" || to.name == "userName" || to.name == "externalId") &&
			slices.ContainsFunc(rule.program.Properties(), func(name string) bool {
				property, _ := expr.Lookup(expr.User, name)
				return property.Aside
			})
	})
}

// Permissions lists the application permissions that single properties of the
// mapping need, beside those for reading users and groups at all.
func (m *Mapper) Permissions() []string {
	var names []string
	for kind, p := range []*plan{expr.User: m.users, expr.Group: m.groups} {
		selected, aside := p.properties(expr.Kind(kind))
		for _, name := range append(selected, aside...) {
			if property, _ := expr.Lookup(expr.Kind(kind), name); property.Permission != "" && !slices.Contains(names, property.Permission) {
				names = append(names, property.Permission)
			}
		}
	}
	return names
}

// properties lists the properties at the top of an object.
func (p *plan) properties(kind expr.Kind) (selected, aside []string) {
	names := slices.Clone(p.wants.names)
	for _, row := range p.rules {
		names = append(names, row.program.Properties()...)
		if row.made != nil {
			names = append(names, row.made.Properties()...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name == "id" || name == "manager" {
			continue
		}
		if property, _ := expr.Lookup(kind, name); property.Aside {
			aside = append(aside, name)
		} else {
			selected = append(selected, name)
		}
	}
	return selected, aside
}

// User maps a user who was not served before, on the present day. The error is
// for what is no such object as [Input] says, or has no id; then there is no
// record.
func (m *Mapper) User(object []byte, forceInactive bool) (directory.Record, []Problem, error) {
	return m.Map(directory.User, Input{Object: object, Inactive: forceInactive, Now: time.Now()})
}

// Group maps a group, as User does a user.
func (m *Mapper) Group(object []byte) (directory.Record, []Problem, error) {
	return m.Map(directory.Group, Input{Object: object, Now: time.Now()})
}

// Map maps an object.
func (m *Mapper) Map(t directory.Type, in Input) (directory.Record, []Problem, error) {
	p := m.users
	if t == directory.Group {
		p = m.groups
	}
	r, _ := m.renderers.Get().(*renderer)
	if r == nil {
		r = &renderer{base: m.base}
	}
	defer func() {
		r.data, r.last, r.problems, r.into = nil, nil, nil, nil // the caller's
		m.renderers.Put(r)
	}()
	r.reset(p, in)
	if err := r.run(p); err != nil {
		return directory.Record{}, nil, fmt.Errorf("mapping %s: %w", strings.ToLower(t.String()), err)
	}
	rec := r.record(p) // may report problems, too
	return rec, r.problems, nil
}
