package config

import (
	"encoding"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The JSON Schema of the file is made from what is there: the types by
// reflection, their doc comments and constants by reading the source, and the
// loader itself, which is asked what it takes.

// object is a JSON object; its members are written in the order of their names.
type object = map[string]any

// A generator writes the schema.
type generator struct {
	t      *testing.T
	docs   map[string]string   // Type or Type.Field -> its comment
	values map[string][]string // type -> its constants
	loader *loader
}

func newGenerator(t *testing.T) *generator {
	t.Helper()
	g := &generator{t: t, docs: map[string]string{}, values: map[string][]string{},
		loader: &loader{dir: "/etc/scim-bridge", lookup: func(string) (string, bool) { return "", false }}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok {
				g.read(decl)
			}
		}
	}
	return g
}

// read takes comments and constants of a declaration.
func (g *generator) read(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			doc := spec.Doc.Text()
			if doc == "" {
				doc = decl.Doc.Text()
			}
			g.docs[spec.Name.Name] = doc
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, name := range field.Names {
						g.docs[spec.Name.Name+"."+name.Name] = field.Doc.Text()
					}
				}
			}
		case *ast.ValueSpec:
			if of, ok := spec.Type.(*ast.Ident); ok && decl.Tok == token.CONST {
				g.addValues(of.Name, spec.Values)
			}
			for _, value := range spec.Values { // a list of them, in a variable
				if list, ok := value.(*ast.CompositeLit); ok {
					if array, ok := list.Type.(*ast.ArrayType); ok {
						if of, ok := array.Elt.(*ast.Ident); ok {
							g.addValues(of.Name, list.Elts)
						}
					}
				}
			}
		}
	}
}

// addValues takes the literals among values of a type.
func (g *generator) addValues(of string, values []ast.Expr) {
	for _, value := range values {
		lit, ok := value.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		if text, err := strconv.Unquote(lit.Value); err == nil && !slices.Contains(g.values[of], text) {
			g.values[of] = append(g.values[of], text)
		}
	}
}

// schema writes the schema of the whole file.
func (g *generator) schema() object {
	var cfg Config
	cfg.setDefaults()
	s := g.section(reflect.ValueOf(cfg), "")
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "Configuration of scim-bridge"
	s["description"] = prose(g.docs["Config"], "", "")
	return s
}

// section writes the schema of a struct; v has its defaults.
func (g *generator) section(v reflect.Value, path string) object {
	t := v.Type()
	properties := object{}
	var required []string
	for key, field := range fieldsOf(t) {
		name := t.Name() + "." + field.Name
		doc := g.docs[name]
		if doc == "" {
			g.t.Errorf("%s has no doc comment: it is the manual of its key", name)
		}
		at := strings.TrimPrefix(path+"."+key, ".")
		s := g.value(v.FieldByIndex(field.Index), at, doc)
		s["description"] = prose(doc, field.Name, key)
		properties[key] = s
		if needed.MatchString(doc) || strings.Contains(doc, "at least one.") && !strings.Contains(doc, "if given") || field.Type.Kind() == reflect.Struct && s["required"] != nil {
			required = append(required, key)
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[ruled]()) {
		rule := g.scalar(reflect.TypeFor[Expression](), path, "")
		rule["description"] = "A SCIM attribute path, with the expression in CEL that gives its value."
		s["additionalProperties"] = rule
	}
	g.exclusive(s, t)
	maps.Copy(s, relations[t.Name()])
	return s
}

var (
	needed = regexp.MustCompile(`(^|[.] |\n)Needed[.:]`)
	oneOf  = regexp.MustCompile(`exactly one of ([a-z0-9_, ]+)`)
	fromTo = regexp.MustCompile(`\b(\d+) to (\d+|max)\b`)
)

// exclusive writes that a section has exactly one of some keys, where the type's
// comment says so.
func (g *generator) exclusive(s object, t reflect.Type) {
	doc := strings.Join(strings.Fields(g.docs[t.Name()]), " ")
	m := oneOf.FindStringSubmatch(doc)
	if m == nil {
		return
	}
	fields := fieldsOf(t)
	var keys []string
	for _, word := range strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
		if _, ok := fields[word]; ok {
			keys = append(keys, word)
		}
	}
	if len(keys) < 2 && strings.Contains(doc, "of its two keys") {
		keys = nil
		for key := range fields {
			keys = append(keys, key)
		}
		slices.Sort(keys)
	}
	var choices []any
	for _, key := range keys {
		choices = append(choices, object{"required": []string{key}})
	}
	if len(choices) > 1 {
		s["oneOf"] = choices
	}
}

// value writes the schema of one setting, with its default.
func (g *generator) value(v reflect.Value, path, doc string) object {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		zero := reflect.New(t.Elem())
		if d, ok := zero.Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		s := g.value(zero.Elem(), path, doc)
		delete(s, "default")
		return s
	}
	if isScalar(reflect.New(t).Interface()) {
		s := g.scalar(t, path, doc)
		if d, ok := defaultOf(v); ok {
			s["default"] = d
		}
		return s
	}
	switch t.Kind() {
	case reflect.Slice:
		elem := reflect.New(t.Elem())
		if d, ok := elem.Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		items := g.value(elem.Elem(), path+"[]", doc)
		if !isScalar(elem.Interface()) {
			items["description"] = prose(g.docs[t.Elem().Name()], "", "")
		} else {
			delete(items, "default")
		}
		s := object{"type": "array", "items": items}
		if lower := strings.ToLower(doc); strings.Contains(lower, "at least one") || strings.Contains(strings.Join(strings.Fields(doc), " "), "empty list is a fault") {
			s["minItems"] = 1
		}
		return s
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.value(reflect.New(t.Elem()).Elem(), path+".*", doc)}
	case reflect.Struct:
		return g.section(v, path)
	}
	g.t.Fatalf("%s: the generator of the schema does not know how a %s is written: teach it in schemagen_test.go", path, t)
	return nil
}

const (
	guidPattern  = `^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`
	namePattern  = `^[a-z0-9][a-z0-9-]{0,62}$`
	urlPattern   = `^https?://[^/?#@\s]+(/[^?#\s]*)?$`
	rangePattern = `^\s*((>=|<=|>|<|==?)?\s*[0-9]+|[0-9]*\s*\.\.\s*[0-9]*)\s*$`
)

// patterns are of the settings that are text, but not any text.
var patterns = map[string]string{
	"scim.public_url":                      urlPattern,
	"scim.clients[].name":                  namePattern,
	"scim.clients[].basic.username":        `^[^:]+$`,
	"admin.public_url":                     urlPattern,
	"sources[].name":                       namePattern,
	"sources[].tenant_id":                  guidPattern[:len(guidPattern)-1] + `$|^([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+$`,
	"sources[].client_id":                  guidPattern,
	"sources[].managed_identity.client_id": guidPattern,
	"sources[].assigned_to":                guidPattern,
	"sources[].users.member_of[]":          guidPattern,
	"sources[].groups.exclude[]":           guidPattern,
	"sources[].login_url":                  urlPattern,
	"sources[].graph_url":                  urlPattern,
	"scim.clients[].sources[]":             namePattern,
}

// relations are what holds between the keys of a section.
var relations = map[string]object{
	"SCIM": {
		"if":   object{"required": []string{"listen"}, "properties": object{"listen": object{"pattern": "^(systemd$|unix:)"}}},
		"then": object{"required": []string{"public_url"}},
	},
	"Client": {
		"anyOf":        []any{having("token_file"), having("token_sha256"), having("tokens"), having("basic"), having("oauth2"), having("jwt")},
		"dependencies": object{"token_file": without("token_sha256", "tokens"), "token_sha256": without("tokens")},
	},
	"Source": {
		"dependencies": object{
			"certificate_file": []string{"private_key_file"}, "private_key_file": []string{"certificate_file"},
			"client_secret_file":   without("certificate_file", "federated_token_file", "managed_identity"),
			"federated_token_file": without("certificate_file", "managed_identity"),
			"managed_identity":     without("certificate_file", "client_id"),
		},
		"if": object{"required": []string{"enabled"}, "properties": object{"enabled": object{"const": false}}},
		"else": object{"anyOf": []any{having("client_id", "client_secret_file"), having("client_id", "certificate_file"),
			having("client_id", "federated_token_file"), having("managed_identity")}},
	},
	"Assertion": {
		"dependencies": object{"members": []string{"group"}, "max_removed": []string{"group"},
			"group": object{"anyOf": []any{having("members"), having("max_removed")}}},
	},
}

func having(keys ...string) object { return object{"required": keys} }

func without(keys ...string) object {
	var any []any
	for _, key := range keys {
		any = append(any, having(key))
	}
	return object{"not": object{"anyOf": any}}
}

// scalar writes the schema of a type that is a single value.
func (g *generator) scalar(t reflect.Type, path, doc string) object {
	text := func(pattern string) object { return object{"type": "string", "pattern": pattern} }
	switch p := reflect.New(t).Interface().(type) {
	case *bool:
		return object{"type": "boolean"}
	case *int:
		s := object{"type": "integer", "minimum": 0}
		if m := fromTo.FindStringSubmatch(doc); m != nil {
			s["minimum"], _ = strconv.Atoi(m[1])
			if most, err := strconv.Atoi(m[2]); err == nil {
				s["maximum"] = most
			}
		}
		return s
	case *float64:
		if strings.Contains(strings.ToLower(doc), "above 0") {
			return object{"type": "number", "exclusiveMinimum": 0}
		}
		return object{"type": "number", "minimum": 0}
	case *time.Duration:
		return text(`^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$|^0$`)
	case *slog.Level:
		return object{"type": "string", "enum": []string{"debug", "info", "warn", "error"}}
	case *netip.Prefix:
		return text(`^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`)
	case *Listen:
		return text(`^(systemd|unix:.+|.*:[0-9]{1,5})$`)
	case *Digest:
		return text(`^\s*[0-9A-Fa-f]{64}\s*$`)
	case *Limit:
		return object{"type": []string{"string", "integer"}, "minimum": 0, "pattern": `^(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?|\.[0-9]+)\s*%$|^[0-9]+$`}
	case *Range:
		return object{"type": []string{"string", "integer"}, "minimum": 0, "pattern": rangePattern}
	case located:
		return object{"type": "string", "minLength": 1}
	default:
		if t.Kind() != reflect.String {
			g.t.Fatalf("%s: the generator of the schema does not know how a %s is written: teach it in schemagen_test.go", path, t)
		}
		if values := g.accepted(p, t); len(values) > 0 {
			return object{"enum": values}
		}
	}
	if pattern, ok := patterns[path]; ok {
		return text(pattern)
	}
	return object{"type": "string", "minLength": 1}
}

// accepted gives the constants of a type that the loader takes, and true and
// false where it takes them for some of those.
func (g *generator) accepted(p any, t reflect.Type) (values []any) {
	if _, isText := p.(*string); isText {
		return nil
	}
	for _, text := range g.values[t.Name()] {
		if g.loader.parseScalar(text, p) == nil {
			values = append(values, text)
		}
	}
	if len(values) == 0 {
		return nil
	}
	for _, b := range []bool{true, false} {
		if g.loader.parseScalar(strconv.FormatBool(b), p) == nil {
			values = append(values, b)
		}
	}
	return values
}

// defaultOf gives a default as the file would have it.
func defaultOf(v reflect.Value) (any, bool) {
	switch d := v.Interface().(type) {
	case bool:
		return d, true
	case time.Duration:
		return brief(d), d != 0
	case slog.Level:
		return strings.ToLower(d.String()), true
	case Limit:
		return d.String(), d != Limit{}
	case encoding.TextMarshaler:
		if v.IsZero() {
			return nil, false
		}
		text, err := d.MarshalText()
		return string(text), err == nil
	}
	if v.IsZero() {
		return nil, false
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Int:
		return v.Int(), true
	}
	return nil, false
}

// prose makes a description of a doc comment: the field's name becomes the key's,
// and lines are joined, for an editor breaks them itself.
func prose(doc, field, key string) string {
	if rest, ok := strings.CutPrefix(doc, field+" "); ok && field != "" {
		doc = key + " " + rest
	}
	paragraphs := strings.Split(strings.TrimSpace(doc), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(p), " ")
	}
	return strings.Join(paragraphs, "\n\n")
}

// missingPatterns lists the settings that patterns is about and that are not there.
func missingPatterns() (missing []string) {
	paths := keyPaths(reflect.TypeFor[Config](), "")
	for path := range patterns {
		if !slices.Contains(paths, strings.TrimSuffix(path, "[]")) {
			missing = append(missing, path)
		}
	}
	slices.Sort(missing)
	return missing
}
