package mapping_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	"github.com/google/go-cmp/cmp"
)

const baseURL = "https://scim.example.com/scim/v2"

// naive reads the mapping table in the plainest way: with encoding/json, maps
// and no regard for speed. It shares nothing with the package but Rows.
type naive struct {
	object    map[string]any
	inactive  bool
	resource  map[string]any
	schemas   []any
	emails    []any
	preferred string // the address that Exchange calls primary
	created   time.Time
	problems  []string
}

var (
	pathForm = regexp.MustCompile(`^(?:(urn:.*):)?([^.:\[\]]+)(?:\[type eq "(\w+)"( and primary eq true)?\])?(?:\.(.+))?$`)
	dateForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	upnForm  = regexp.MustCompile(`^[^@ \t\r\n]+@[^@. \t\r\n][^@ \t\r\n]*\.[^@ \t\r\n]*[^@ \t\r\n]$`)
	msDomain = regexp.MustCompile(`(?i)[@.](onmicrosoft\.com|onmicrosoft\.us|onmicrosoft\.de|onmschina\.cn)$`)
	endDot   = regexp.MustCompile(`^[^.]+\.$`)
)

// evaluate gives what the table says of an object.
func evaluate(t directory.Type, object map[string]any, inactive bool) *naive {
	n := &naive{object: object, inactive: inactive, resource: map[string]any{}}
	core := mapping.UserSchema
	if t == directory.Group {
		core = mapping.GroupSchema
	}
	n.schemas = []any{core}
	last, gave := "", false
	for _, row := range mapping.Rows() {
		if row.Type != t || (row.Path == last && gave) {
			continue
		}
		last, gave = row.Path, n.row(row)
	}
	n.electPrimary()
	n.resource["schemas"] = n.schemas
	return n
}

// row puts the values of a row into the resource.
func (n *naive) row(row mapping.Row) bool {
	values, isArray := n.values(row)
	if len(values) == 0 {
		return false
	}
	if row.Transform == mapping.Created {
		n.created, _ = time.Parse(time.RFC3339, values[0].(string))
		return true
	}
	m := pathForm.FindStringSubmatch(row.Path)
	urn, name, label, primary, sub := m[1], m[2], m[3], m[4] != "", m[5]
	at := n.resource
	if urn != "" {
		if at[urn] == nil {
			at[urn] = map[string]any{}
			n.schemas = append(n.schemas, urn)
		}
		at = at[urn].(map[string]any)
	}
	switch {
	case name == "emails":
		return n.addEmails(values, label, primary)
	case label != "" && sub == "value":
		for _, v := range values {
			addOnce(at, name, v.(string), label)
		}
	case label != "":
		if at[name] == nil {
			at[name] = []any{map[string]any{"type": label}}
		}
		at[name].([]any)[0].(map[string]any)[sub] = values[0]
	case sub != "":
		if at[name] == nil {
			at[name] = map[string]any{}
		}
		at[name].(map[string]any)[sub] = values[0]
	case isArray:
		at[name] = values
	default:
		at[name] = values[0]
	}
	return true
}

// addOnce appends a value with its type, unless it is there.
func addOnce(at map[string]any, name, value, label string) {
	list, _ := at[name].([]any)
	for _, e := range list {
		e := e.(map[string]any)
		if e["type"] == label && strings.EqualFold(e["value"].(string), value) {
			return
		}
	}
	at[name] = append(list, map[string]any{"value": value, "type": label})
}

// addEmails appends addresses that are not there yet.
func (n *naive) addEmails(values []any, label string, primary bool) bool {
	before := len(n.emails)
	for _, v := range values {
		known := slices.ContainsFunc(n.emails, func(e any) bool {
			return strings.EqualFold(e.(map[string]any)["value"].(string), v.(string))
		})
		if known {
			continue
		}
		e := map[string]any{"value": v, "type": label}
		if primary {
			e["primary"] = true
		}
		n.emails = append(n.emails, e)
	}
	return len(n.emails) > before
}

// electPrimary marks one address and puts it first.
func (n *naive) electPrimary() {
	if len(n.emails) == 0 {
		return
	}
	at := slices.IndexFunc(n.emails, func(e any) bool { return e.(map[string]any)["primary"] == true })
	if at < 0 && n.preferred != "" {
		at = slices.IndexFunc(n.emails, func(e any) bool {
			return strings.EqualFold(e.(map[string]any)["value"].(string), n.preferred)
		})
	}
	e := n.emails[max(at, 0)].(map[string]any)
	e["primary"] = true
	n.emails = slices.Delete(n.emails, max(at, 0), max(at, 0)+1)
	n.emails = slices.Insert(n.emails, 0, any(e))
	n.resource["emails"] = n.emails
}

// empty says whether a value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// values gives the values of a row, in SCIM's kinds, and whether they are meant
// as an array.
func (n *naive) values(row mapping.Row) ([]any, bool) {
	v, ok := any(n.object), true
	for name := range strings.SplitSeq(row.Property, ".") {
		var within map[string]any
		if within, ok = v.(map[string]any); !ok && !empty(v) {
			return nil, n.problem(row)
		}
		v = within[name]
	}
	switch row.Transform {
	case mapping.OrTrue:
		b, ok := v.(bool)
		if !ok && !empty(v) {
			n.problem(row)
		}
		return []any{(b || !ok) && !n.inactive}, false
	case mapping.OrID:
		if s, _ := v.(string); s != "" {
			return []any{s}, false
		}
		n.problem(row)
		return []any{n.object["id"]}, false
	}
	if empty(v) {
		return nil, false
	}
	if row.Transform == mapping.Boolean {
		if b, ok := v.(bool); ok {
			return []any{b}, false
		}
		return nil, n.problem(row)
	}
	if row.Transform == mapping.Each || row.Transform == mapping.SMTP {
		return n.list(row, v)
	}
	s, ok := v.(string)
	if !ok {
		return nil, n.problem(row)
	}
	return n.single(row, s)
}

// single gives the value of a row that takes one string.
func (n *naive) single(row mapping.Row, s string) ([]any, bool) {
	switch row.Transform {
	case mapping.DateTime, mapping.Created:
		if _, err := time.Parse(time.RFC3339, s); err != nil || !dateForm.MatchString(s) {
			return nil, n.problem(row)
		}
	case mapping.Address:
		_, domain, _ := strings.Cut(s, "@")
		if !upnForm.MatchString(s) || msDomain.MatchString(s) || endDot.MatchString(domain) ||
			strings.Contains(strings.ToUpper(s), "#EXT#") {
			return nil, false
		}
	case mapping.Reference:
		return []any{baseURL + "/Users/" + escapePath(s)}, false
	}
	return []any{s}, false
}

// escapePath escapes everything but RFC 3986's unreserved characters and those
// that a path segment may hold in Go's view ($ & + = : @).
func escapePath(s string) string {
	const keep = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~$&+=:@"
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			const digits = "0123456789ABCDEF"
			b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
		}
	}
	return b.String()
}

// list gives the values of a row that takes an array.
func (n *naive) list(row mapping.Row, v any) ([]any, bool) {
	array, ok := v.([]any)
	if !ok {
		return nil, n.problem(row)
	}
	var values []any
	reported := false
	for _, e := range array {
		s, ok := e.(string)
		if !ok && !empty(e) && !reported {
			reported = true
			n.problem(row)
		}
		if row.Transform == mapping.SMTP {
			s = n.smtp(s)
		}
		if s != "" {
			values = append(values, s)
		}
	}
	return values, true
}

// smtp gives the address of an entry of proxyAddresses.
func (n *naive) smtp(s string) string {
	if len(s) < 5 || !strings.EqualFold(s[:5], "smtp:") {
		return ""
	}
	address := strings.TrimSpace(s[5:])
	if n.preferred == "" && strings.HasPrefix(s, "SMTP:") {
		n.preferred = address
	}
	return address
}

// problem notes a row that failed.
func (n *naive) problem(row mapping.Row) bool {
	n.problems = append(n.problems, row.Path)
	return false
}

// render maps an object by the package.
func render(t testing.TB, m *mapping.Mapper, typ directory.Type, object []byte, inactive bool) (directory.Record, []mapping.Problem, error) {
	t.Helper()
	if typ == directory.Group {
		return m.Group(object)
	}
	return m.User(object, inactive)
}

// newMapper makes the mapper of the tests.
func newMapper(t testing.TB) *mapping.Mapper {
	t.Helper()
	m, err := mapping.New(mapping.Config{BaseURL: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// decode reads an object as the naive evaluator wants it.
func decode(object []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber() // so that no number is too big
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return v, nil
}

// checkRecord compares a record and its problems with the naive evaluation of
// the object, and checks what must hold of any record.
func checkRecord(t *testing.T, typ directory.Type, object []byte, inactive bool, rec directory.Record, problems []mapping.Problem) {
	t.Helper()
	source, err := decode(object)
	if err != nil {
		t.Fatalf("decoding object: %v", err)
	}
	want := evaluate(typ, source, inactive)
	got, err := decode([]byte("{" + string(rec.Body) + "}"))
	if err != nil {
		t.Fatalf("body is no JSON in braces: %v\n%s", err, rec.Body)
	}
	if diff := cmp.Diff(want.resource, got); diff != "" {
		t.Errorf("body (-table +rendered):\n%s\nof %s", diff, object)
	}
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
	}
	slices.Sort(paths)
	slices.Sort(want.problems)
	if diff := cmp.Diff(want.problems, paths); diff != "" {
		t.Errorf("problems (-table +reported):\n%s\nof %s", diff, object)
	}
	checkForm(t, rec.Body)
	checkFields(t, typ, want, rec)
}

// checkForm checks that a body is compact ASCII that starts with schemas and id.
func checkForm(t *testing.T, body []byte) {
	t.Helper()
	for i, c := range body {
		if c < 0x20 || c >= 0x80 {
			t.Errorf("byte %#x at %d of %q", c, i, body)
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte("{"+string(body)+"}")); err != nil || compact.Len() != len(body)+2 {
		t.Errorf("body is not compact: %s", body)
	}
	if !regexp.MustCompile(`^"schemas":\["urn:[^\]]*"\],"id":"`).Match(body) {
		t.Errorf("body does not begin with schemas and id: %s", body)
	}
}

// checkFields compares the record's fields with the resource.
func checkFields(t *testing.T, typ directory.Type, want *naive, rec directory.Record) {
	t.Helper()
	text := func(name string) string { s, _ := want.resource[name].(string); return s }
	expected := directory.Record{
		Type: typ, ID: text("id"), Body: rec.Body, Active: true,
		UserName: text("userName"), DisplayName: text("displayName"), ExternalID: text("externalId"),
		Created: want.created.UTC(),
	}
	if typ == directory.User {
		expected.Active = want.resource["active"].(bool)
		extension, _ := want.resource[mapping.EnterpriseUserSchema].(map[string]any)
		manager, _ := extension["manager"].(map[string]any)
		expected.Manager, _ = manager["value"].(string)
	}
	for _, e := range want.emails {
		expected.Emails = append(expected.Emails, e.(map[string]any)["value"].(string))
	}
	if diff := cmp.Diff(expected, rec); diff != "" {
		t.Errorf("record (-table +rendered):\n%s", diff)
	}
}
