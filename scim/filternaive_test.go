package scim

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elimity-com/scim/schema"

	"scimbridge/scim/directory"
)

// The second opinion: filters, orders and projections done the plainest way,
// over decoded maps, with a parser of its own and the schemas as the maps that
// /Schemas shows. It shares no code with what it checks. Being slow is fine.

// A naive knows the attributes of one resource type.
type naive struct {
	typ        string
	core       string
	extensions []map[string]any // schemas
	attributes []any            // of the core schema and common
}

func newNaive(schemas []schema.Schema, t directory.Type) *naive {
	n := &naive{typ: t.String()}
	for _, s := range schemas {
		m := jsonMap(s.ToMap())
		id := m["id"].(string)
		switch {
		case id == "urn:ietf:params:scim:schemas:core:2.0:"+n.typ:
			n.core = id
			n.attributes = append(n.attributes, m["attributes"].([]any)...)
		case strings.HasSuffix(id, ":"+n.typ):
			n.extensions = append(n.extensions, m)
		}
	}
	n.attributes = append(n.attributes, map[string]any{"name": "schemas", "type": "string", "multiValued": true, "caseExact": false, "returned": "always"},
		map[string]any{"name": "meta", "type": "complex", "subAttributes": []any{ // RFC 7643 §3.1
			map[string]any{"name": "resourceType", "type": "string", "caseExact": true},
			map[string]any{"name": "created", "type": "dateTime"},
			map[string]any{"name": "lastModified", "type": "dateTime"},
			map[string]any{"name": "location", "type": "reference", "caseExact": true},
			map[string]any{"name": "version", "type": "string", "caseExact": true},
		}})
	return n
}

func jsonMap(v any) map[string]any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	return m
}

func defined(list any, name string) map[string]any {
	all, _ := list.([]any)
	for _, d := range all {
		if def := d.(map[string]any); strings.EqualFold(def["name"].(string), name) {
			return def
		}
	}
	return nil
}

// A naivePath is a resolved path: names to follow and the definition at each.
type naivePath struct {
	names []string
	defs  []map[string]any
}

func (p naivePath) def() map[string]any { return p.defs[len(p.defs)-1] }

// resolve gives all that a path may mean; the second is for extensions.
func (n *naive) resolve(path string) []naivePath {
	if strings.ContainsFunc(path, func(r rune) bool { return r > 127 }) {
		return nil // names are ASCII
	}
	for _, ext := range n.extensions {
		if strings.EqualFold(ext["id"].(string), path) {
			return []naivePath{extensionPath(ext)}
		}
	}
	urn, rest := "", path
	if i := strings.LastIndex(path, ":"); i >= 0 {
		urn, rest = path[:i], path[i+1:]
		if urn == "" {
			return nil
		}
	}
	parts := strings.SplitN(rest, ".", 2)
	var starts []naivePath
	if urn == "" || strings.EqualFold(urn, n.core) {
		if def := defined(n.attributes, parts[0]); def != nil {
			starts = append(starts, naivePath{}.with(def))
		}
	}
	if len(starts) == 0 {
		for _, ext := range n.extensions {
			if urn != "" && !strings.EqualFold(urn, ext["id"].(string)) {
				continue
			}
			if def := defined(ext["attributes"], parts[0]); def != nil {
				starts = append(starts, extensionPath(ext).with(def))
			}
		}
	}
	if len(parts) == 1 {
		return starts
	}
	var found []naivePath
	for _, s := range starts {
		if def := defined(s.def()["subAttributes"], parts[1]); def != nil {
			found = append(found, s.with(def))
		}
	}
	return found
}

func extensionPath(ext map[string]any) naivePath {
	return naivePath{[]string{ext["id"].(string)}, []map[string]any{{
		"name": ext["id"], "type": "complex", "extension": true, "subAttributes": ext["attributes"], "returned": "default"}}}
}

func (p naivePath) with(def map[string]any) naivePath {
	return naivePath{append(slices.Clone(p.names), def["name"].(string)), append(slices.Clone(p.defs), def)}
}

// values follows the names from v; an end where nothing is gives nil.
func naiveValues(v any, names []string) []any {
	if list, ok := v.([]any); ok {
		var all []any
		for _, e := range list {
			all = append(all, naiveValues(e, names)...)
		}
		if len(all) == 0 {
			all = []any{nil}
		}
		return all
	}
	if len(names) == 0 {
		return []any{v}
	}
	m, _ := v.(map[string]any)
	return naiveValues(m[names[0]], names[1:])
}

// --- filters ---

var naiveToken = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)`)

var errNaive = errors.New("refused")

func naiveTokens(s string) ([]string, error) {
	var tokens []string
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return tokens, nil
		}
		tok := naiveToken.FindString(s)
		if tok == "" {
			return nil, errNaive
		}
		tokens = append(tokens, tok)
		s = s[len(tok):]
	}
}

type naiveNode struct {
	kind  string // and, or, not, cmp, path
	args  []*naiveNode
	path  string
	op    string
	value string // literal as written
}

type naiveParser struct{ tokens []string }

func (p *naiveParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *naiveParser) eat() string {
	t := p.next()
	if len(p.tokens) > 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

func naiveParse(s string) (node *naiveNode, err error) {
	defer func() {
		if r := recover(); r == errNaive {
			err = errNaive
		} else if r != nil {
			panic(r)
		}
	}()
	tokens, err := naiveTokens(s)
	if err != nil {
		return nil, err
	}
	p := &naiveParser{tokens}
	node = p.binary("or")
	if len(p.tokens) > 0 {
		panic(errNaive)
	}
	return node, nil
}

func (p *naiveParser) binary(op string) *naiveNode {
	sub := func() *naiveNode {
		if op == "or" {
			return p.binary("and")
		}
		return p.unary()
	}
	n := sub()
	for strings.EqualFold(p.next(), op) {
		p.eat()
		n = &naiveNode{kind: op, args: []*naiveNode{n, sub()}}
	}
	return n
}

func (p *naiveParser) unary() *naiveNode {
	word := p.eat()
	switch {
	case word == "(":
		n := p.binary("or")
		p.must(")")
		return n
	case strings.EqualFold(word, "not") && p.next() == "(":
		return &naiveNode{kind: "not", args: []*naiveNode{p.unary()}}
	case word == "" || strings.ContainsAny(word[:1], `)[]"`):
		panic(errNaive)
	}
	if p.next() != "[" {
		return p.cmp(word)
	}
	p.eat()
	n := &naiveNode{kind: "path", path: word, args: []*naiveNode{p.binary("or")}}
	p.must("]")
	if strings.HasPrefix(p.next(), ".") {
		n.args = []*naiveNode{{kind: "and", args: []*naiveNode{n.args[0], p.cmp(p.eat()[1:])}}}
	}
	return n
}

func (p *naiveParser) must(tok string) {
	if p.eat() != tok {
		panic(errNaive)
	}
}

func (p *naiveParser) cmp(path string) *naiveNode {
	n := &naiveNode{kind: "cmp", path: path, op: strings.ToLower(p.eat())}
	if n.op != "pr" {
		n.value = p.eat()
		if l := strings.ToLower(n.value); l == "true" || l == "false" || l == "null" {
			n.value = l
		}
	}
	return n
}

// A naiveFilter evaluates a filter for a query over types.
type naiveFilter struct {
	node *naiveNode
}

// holds evaluates for a resource of type n.
func (f *naiveFilter) holds(n *naive, m map[string]any) bool {
	return f.eval(n, f.node, func(path string) (naivePath, bool) {
		found := n.resolve(path)
		if len(found) == 0 {
			return naivePath{}, false
		}
		return found[0], true
	}, m)
}

func (f *naiveFilter) eval(n *naive, node *naiveNode, resolve func(string) (naivePath, bool), m any) bool {
	switch node.kind {
	case "and":
		return f.eval(n, node.args[0], resolve, m) && f.eval(n, node.args[1], resolve, m)
	case "or":
		return f.eval(n, node.args[0], resolve, m) || f.eval(n, node.args[1], resolve, m)
	case "not":
		return !f.eval(n, node.args[0], resolve, m)
	case "path":
		p, ok := resolve(node.path)
		if !ok {
			return false
		}
		for _, e := range naiveValues(m, p.names) {
			if _, isMap := e.(map[string]any); !isMap {
				continue
			}
			if f.eval(n, node.args[0], func(sub string) (naivePath, bool) {
				at := naivePath{nil, p.defs}
				for _, name := range strings.Split(sub, ".") {
					at = at.with(defined(at.def()["subAttributes"], name))
				}
				return at, true
			}, e) {
				return true
			}
		}
		return false
	}
	p, ok := resolve(node.path)
	if !ok {
		return node.op == "ne" && node.value != "null" || node.op == "eq" && node.value == "null"
	}
	present := slices.ContainsFunc(naiveValues(m, p.names), naivePresent)
	switch {
	case node.op == "pr", node.op == "ne" && node.value == "null":
		return present
	case node.op == "eq" && node.value == "null":
		return !present
	}
	if p.def()["type"] == "complex" {
		p = p.with(defined(p.def()["subAttributes"], "value"))
	}
	return slices.ContainsFunc(naiveValues(m, p.names), func(v any) bool {
		return naiveCompare(p.def(), node.op, v, node.value)
	})
}

func naivePresent(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func naiveCompare(def map[string]any, op string, v any, literal string) bool {
	if v == nil {
		return op == "ne"
	}
	if literal == "true" || literal == "false" {
		return (v == (literal == "true")) == (op == "eq")
	}
	c := 0
	if num, ok := v.(json.Number); ok {
		a, _, _ := big.ParseFloat(string(num), 10, 200, big.ToNearestEven)
		b, _, _ := big.ParseFloat(literal, 10, 200, big.ToNearestEven)
		c = a.Cmp(b)
	} else {
		var want string
		if err := json.Unmarshal([]byte(literal), &want); err != nil {
			panic(literal)
		}
		have := v.(string)
		if def["type"] == "dateTime" && !slices.Contains([]string{"co", "sw", "ew"}, op) {
			a, okA := naiveTime(have)
			b, okB := naiveTime(want)
			if !okB {
				panic(want)
			}
			if !okA {
				return op == "ne"
			}
			c = a.Compare(b)
		} else {
			if exact, _ := def["caseExact"].(bool); !exact && def["type"] != "reference" && def["type"] != "binary" {
				have, want = strings.ToLower(have), strings.ToLower(want)
			}
			switch op {
			case "co":
				return strings.Contains(have, want)
			case "sw":
				return strings.HasPrefix(have, want)
			case "ew":
				return strings.HasSuffix(have, want)
			}
			c = slices.Compare([]rune(have), []rune(want))
		}
	}
	return map[string]bool{"eq": c == 0, "ne": c != 0, "gt": c > 0, "ge": c >= 0, "lt": c < 0, "le": c <= 0}[op]
}

var naiveTimeForm = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+\- ])(\d\d)(?::?(\d\d))?)?)?$`)

func naiveTime(s string) (time.Time, bool) {
	m := naiveTimeForm.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
	frac, _ := strconv.Atoi((m[7] + "000000000")[:9])
	day := time.Date(n(1), time.Month(n(2)), n(3), 0, 0, 0, 0, time.UTC)
	if day.Day() != n(3) || int(day.Month()) != n(2) || n(4) > 24 || n(5) > 59 || n(6) > 60 || n(9) > 14 || n(10) > 59 {
		return time.Time{}, false
	}
	hour := n(4)
	if hour == 24 {
		hour = 0
	}
	at := day.Add(time.Duration(hour)*time.Hour + time.Duration(n(5))*time.Minute + time.Duration(n(6))*time.Second + time.Duration(frac))
	offset := time.Duration(n(9))*time.Hour + time.Duration(n(10))*time.Minute
	if m[8] == "-" {
		offset = -offset
	}
	return at.Add(-offset), true
}

// --- orders ---

// naiveOrder sorts resources, each with its type's naive.
func naiveOrder(resources []map[string]any, of func(m map[string]any) *naive, sortBy string, descending bool) []string {
	type keyed struct {
		id  string
		key any
	}
	var all []keyed
	for _, m := range resources {
		k := keyed{id: m["id"].(string)}
		if found := of(m).resolve(sortBy); len(found) > 0 {
			p := found[0]
			if p.def()["type"] == "complex" {
				p = p.with(defined(p.def()["subAttributes"], "value"))
			}
			k.key = naiveKey(p.def(), naiveFirst(m, p.names))
		}
		all = append(all, k)
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		c := naiveKeyCompare(a.key, b.key)
		if descending {
			return -c
		}
		return c
	})
	var ids []string
	for _, k := range all {
		ids = append(ids, k.id)
	}
	return ids
}

func naiveFirst(v any, names []string) any {
	if list, ok := v.([]any); ok {
		if len(list) == 0 {
			return nil
		}
		v = list[0]
		for _, e := range list {
			if m, _ := e.(map[string]any); m["primary"] == true {
				v = e
				break
			}
		}
	}
	if len(names) == 0 {
		return v
	}
	m, _ := v.(map[string]any)
	return naiveFirst(m[names[0]], names[1:])
}

func naiveKey(def map[string]any, v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case bool:
		if v {
			return 1.0
		}
		return 0.0
	case string:
		if v == "" {
			return nil
		}
		if def["type"] == "dateTime" {
			if at, ok := naiveTime(v); ok {
				return at
			}
			return nil
		}
		if exact, _ := def["caseExact"].(bool); !exact {
			return strings.ToLower(v)
		}
		return v
	}
	return nil
}

func naiveKeyCompare(a, b any) int {
	if a == nil || b == nil {
		return map[[2]bool]int{{true, false}: 1, {false, true}: -1}[[2]bool{a == nil, b == nil}]
	}
	switch a := a.(type) {
	case float64:
		return int(big.NewFloat(a).Cmp(big.NewFloat(b.(float64))))
	case time.Time:
		return a.Compare(b.(time.Time))
	}
	return strings.Compare(a.(string), b.(string))
}

// --- projections ---

// naiveProject gives the projected resource: paths in full of every leaf are
// listed, then kept or not.
func (n *naive) project(m map[string]any, attributes, excluded []string) map[string]any {
	named := map[string]bool{}
	for _, path := range append(slices.Clone(attributes), excluded...) {
		if strings.EqualFold(path, n.core) {
			for _, def := range n.attributes {
				if d := def.(map[string]any); d["name"] != "schemas" {
					named[d["name"].(string)] = true
				}
			}
			continue
		}
		found := n.resolve(path)
		if len(found) > 1 && len(attributes) == 0 {
			continue
		}
		for _, p := range found {
			named[strings.Join(p.names, "|")] = true
		}
	}
	only := len(attributes) > 0
	top := append([]any{}, n.attributes...)
	for _, ext := range n.extensions {
		top = append(top, extensionPath(ext).defs[0])
	}
	out, _ := naiveCut(top, m, "", named, only, !only).(map[string]any)
	var urns []any
	for _, urn := range m["schemas"].([]any) {
		_, present := out[urn.(string)]
		if urn == n.core || present {
			urns = append(urns, urn)
		}
	}
	out["schemas"] = urns
	return out
}

// naiveCut keeps of v what is wanted; wanted says that what is not named is.
func naiveCut(defs []any, v any, prefix string, named map[string]bool, only, wanted bool) any {
	switch v := v.(type) {
	case []any:
		var kept []any
		for _, e := range v {
			if e = naiveCut(defs, e, prefix, named, only, wanted); e != nil {
				kept = append(kept, e)
			}
		}
		if kept == nil {
			return nil
		}
		return kept
	case map[string]any:
		kept := map[string]any{}
		for name, value := range v {
			def := defined(defs, name)
			if def == nil {
				if wanted {
					kept[name] = value
				}
				continue
			}
			path := strings.TrimPrefix(prefix+"|"+name, "|")
			under := slices.ContainsFunc(slices.Collect(maps.Keys(named)), func(s string) bool { return strings.HasPrefix(s, path+"|") })
			subWanted := wanted || only && named[path]
			switch def["returned"] {
			case "never":
				continue
			case "always":
				subWanted = true
			case "request":
				if !only || !named[path] && !under {
					continue
				}
			default:
				if !only && named[path] || only && !wanted && !named[path] && !under {
					continue
				}
			}
			subs, _ := def["subAttributes"].([]any)
			if len(subs) > 0 {
				value = naiveCut(subs, value, path, named, only, subWanted)
			}
			if value != nil {
				kept[name] = value
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	}
	return v
}
