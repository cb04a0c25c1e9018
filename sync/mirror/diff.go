package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"scimbridge/scim/directory"
	"scimbridge/sync/store"
)

// A Diff says what changes between two pictures of a source, for people
// ([Diff.WriteText]) and, as JSON, for scripts.
type Diff struct {
	Source string `json:"source"`
	// From and To are the generations; To is that which publishing would make.
	From   uint64           `json:"from"`
	To     uint64           `json:"to"`
	Users  directory.Counts `json:"users"`
	Groups directory.Counts `json:"groups"`
	// Changes are the changes, losses first; Omitted says how many more there
	// are.
	Changes []Change `json:"changes"`
	Omitted int      `json:"omitted,omitempty"`
}

// A Change is what becomes of one resource.
type Change struct {
	Kind string `json:"kind"` // added, changed, removed, deactivated, reactivated, purged
	Type string `json:"type"` // User or Group
	ID   string `json:"id"`
	Name string `json:"name"`
	// Why says in plain words why a resource is lost, where it is, or what else
	// speaks against the change.
	Why string `json:"why,omitempty"`
	// Attributes are those that change, of a resource that stays.
	Attributes []AttributeChange `json:"attributes,omitempty"`
}

// An AttributeChange is the change of one attribute: its values before and
// after, absent where it has none; of groups and members who comes and goes.
type AttributeChange struct {
	Path    string          `json:"path"`
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
	Added   []string        `json:"added,omitempty"`
	Removed []string        `json:"removed,omitempty"`
}

// describe makes a Diff of what the directory tells. What a verdict speaks
// against comes first.
func (m *Mirror) describe(ctx context.Context, before, after *directory.Snapshot, d *directory.Diff, v Verdict, list int) (*Diff, error) {
	diff := &Diff{Source: m.cfg.Name, To: after.Generation(), Users: d.Counts[directory.User], Groups: d.Counts[directory.Group]}
	if before != nil {
		diff.From = before.Generation()
	}
	remarks := v.remarks(m.cfg.Name)
	for _, first := range []bool{true, false} {
		for c := range d.Changes() {
			if remark := remarks[shown(c).ID()]; (lost(c.Kind) || remark != "") != first {
				continue
			}
			if list > 0 && len(diff.Changes) == list {
				diff.Omitted++
				continue
			}
			change, err := m.describeChange(ctx, c)
			if err != nil {
				return nil, err
			}
			if change.Why == "" {
				change.Why = remarks[change.ID]
			}
			diff.Changes = append(diff.Changes, change)
		}
	}
	return diff, nil
}

func (m *Mirror) describeChange(ctx context.Context, c directory.ResourceChange) (Change, error) {
	gone, r := gone(c), shown(c)
	change := Change{Kind: c.Kind.String(), Type: c.Type.String(), ID: r.ID(), Name: name(r)}
	var err error
	if lost(c.Kind) {
		if change.Why, err = m.why(ctx, c); err != nil {
			return change, err
		}
	}
	if !gone && c.Kind != directory.Added {
		change.Attributes, err = attributeChanges(c.Before, c.After)
	}
	return change, err
}

func gone(c directory.ResourceChange) bool {
	return c.Kind == directory.Removed || c.Kind == directory.Purged
}

// shown is the form of a resource that tells who it is.
func shown(c directory.ResourceChange) directory.Resource {
	if gone(c) {
		return c.Before
	}
	return c.After
}

// name is what people know a resource by.
func name(r directory.Resource) string {
	for _, attribute := range []string{"userName", "displayName"} {
		var s string
		if json.Unmarshal(r.Attribute(attribute), &s) == nil {
			return s
		}
	}
	return ""
}

// why says why a resource is lost.
func (m *Mirror) why(ctx context.Context, c directory.ResourceChange) (string, error) {
	kind := store.User
	if c.Type == directory.Group {
		kind = store.Group
	}
	obj, known, err := m.cfg.Store.Object(ctx, m.cfg.Name, kind, c.Before.ID())
	switch {
	case err != nil:
		return "", fmt.Errorf("looking up why somebody goes: %w", err)
	case !known:
		return "the tenant, read anew, does not have it", nil
	case obj.Removed != nil && obj.Removed.Reason == vanished:
		return "missing from a full read of the tenant", nil
	case obj.Removed != nil && !isOutside(&obj):
		return "removed in the tenant", nil
	}
	return m.whyOut(ctx, obj)
}

// whyOut says why an object that is in the tenant is lost.
func (m *Mirror) whyOut(ctx context.Context, obj store.Object) (string, error) {
	d := newDecider(ctx, &m.cfg.Scope, m.cfg.Store, m.cfg.Name)
	decide := d.user
	if obj.Kind == store.Group {
		decide = d.group
	}
	result, err := decide(obj.Properties)
	var condition *conditionError
	switch {
	case errors.As(err, &condition):
	case err != nil:
		return "", err
	case result.Rule == ruleGroups:
		return "groups were turned off in the configuration", nil
	case !result.In:
		if err := d.blame(&result); err != nil {
			return "", err
		}
		return fmt.Sprintf("left the scope: %s (%s)", result.Text, result.Rule), nil
	}
	if obj.Kind == store.Group {
		return "no longer rendered", nil
	}
	t, err := traitsOf(obj.Properties)
	if err == nil && t.disabled() {
		return "the account was disabled in the tenant", nil
	}
	return "the mapping renders it as inactive", err
}

// attributeChanges compares two forms of a resource.
func attributeChanges(before, after directory.Resource) ([]AttributeChange, error) {
	a, err := attributes(before)
	if err != nil {
		return nil, err
	}
	b, err := attributes(after)
	if err != nil {
		return nil, err
	}
	paths := maps.Clone(a)
	maps.Copy(paths, b)
	var changes []AttributeChange
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if !bytes.Equal(a[path], b[path]) {
			changes = append(changes, AttributeChange{Path: path, Before: a[path], After: b[path]})
		}
	}
	links := AttributeChange{Path: after.LinksName()}
	has, will := linksOf(before), linksOf(after)
	links.Added, links.Removed = missing(will, has), missing(has, will)
	if len(links.Added)+len(links.Removed) > 0 {
		changes = append(changes, links)
	}
	return changes, nil
}

// attributes are a resource's attributes by path, those of extensions one by
// one.
func attributes(r directory.Resource) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(slices.Concat([]byte{'{'}, r.Head(), []byte{'}'}), &all); err != nil {
		return nil, fmt.Errorf("reading resource %s: %w", r.ID(), err)
	}
	for urn, extension := range maps.Clone(all) {
		if !strings.HasPrefix(urn, "urn:") {
			continue
		}
		delete(all, urn)
		var inner map[string]json.RawMessage
		if err := json.Unmarshal(extension, &inner); err != nil {
			return nil, fmt.Errorf("reading resource %s: %w", r.ID(), err)
		}
		for name, value := range inner {
			all[urn+":"+name] = value
		}
	}
	return all, nil
}

// linksOf gives a resource's groups or members: what identifies one, and how it
// is called.
func linksOf(r directory.Resource) map[string]string {
	links := make(map[string]string)
	for element := range r.Elements() {
		var link struct{ Value, Display, Type string }
		if json.Unmarshal(element, &link) != nil {
			continue // we have written it
		}
		shown := link.Display
		if shown == "" {
			shown = link.Value
		}
		if link.Type == "indirect" {
			shown += " (indirect)"
		}
		links[link.Value+" "+link.Type] = shown
	}
	return links
}

// missing gives the names of those in a and not in b.
func missing(a, b map[string]string) (names []string) {
	for key, name := range a {
		if _, ok := b[key]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// WriteText writes the diff for people: a line of counts, then a line for each
// change and one for each of its attributes.
func (d *Diff) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: generation %s to %s\n", d.Source, numberOf(d.From), numberOf(d.To))
	writeCounts(&b, "users ", d.Users)
	writeCounts(&b, "groups", d.Groups)
	for _, c := range d.Changes {
		c.writeText(&b)
	}
	if d.Omitted > 0 {
		fmt.Fprintf(&b, "… and %d more\n", d.Omitted)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// numberOf names a generation: there is none before the first, nor of a source that
// goes.
func numberOf(generation uint64) string {
	if generation == 0 {
		return "none"
	}
	return strconv.FormatUint(generation, 10)
}

func writeCounts(b *bytes.Buffer, noun string, c directory.Counts) {
	fmt.Fprintf(b, "  %s  %d added, %d changed, %d removed, %d turned inactive, %d active again, %d inactive ones gone\n",
		noun, c.Added, c.Changed, c.Removed, c.Deactivated, c.Reactivated, c.Purged)
}

// signs begin the lines of changes; all others begin with "~".
var signs = map[string]string{
	directory.Added.String(): "+", directory.Removed.String(): "-", directory.Purged.String(): "-",
	directory.Deactivated.String(): "!", directory.Reactivated.String(): "+",
}

func (c *Change) writeText(b *bytes.Buffer) {
	sign := signs[c.Kind]
	if sign == "" {
		sign = "~"
	}
	fmt.Fprintf(b, "%s %s %s %s (%s)", sign, strings.ToLower(c.Type), c.Kind, c.Name, c.ID)
	if c.Why != "" {
		fmt.Fprintf(b, ": %s", c.Why)
	}
	b.WriteByte('\n')
	for _, a := range c.Attributes {
		fmt.Fprintf(b, "    %s:", a.Path)
		if a.Before != nil || a.After != nil {
			fmt.Fprintf(b, " %s → %s", text(a.Before), text(a.After))
		}
		for _, name := range a.Added {
			fmt.Fprintf(b, " +%s", name)
		}
		for _, name := range a.Removed {
			fmt.Fprintf(b, " -%s", name)
		}
		b.WriteByte('\n')
	}
}

func text(value json.RawMessage) string {
	if value == nil {
		return "(none)"
	}
	return string(value)
}
