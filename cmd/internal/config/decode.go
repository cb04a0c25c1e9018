package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// maxNodes is how many values a file may come to once its aliases are followed,
// and maxDepth how deep merged sections may nest: far above any real file, and
// low enough that a hostile one is refused at once.
const (
	maxNodes = 50_000
	maxDepth = 32
)

// decodeRoot fills l.cfg from the document.
//
// The decoding is our own, by reflection over the yaml tags, since the
// library's stops at the first unknown key, forgets the place of what it
// decoded, and says Go's types to people who write YAML.
func (l *loader) decodeRoot(root *yaml.Node) {
	l.places[""] = place{root.Line, root.Column}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		l.misfit("", "the file is empty", "start from config.example.yaml")
		return
	}
	l.value(root, reflect.ValueOf(l.cfg).Elem(), "")
}

// value decodes one node into v.
func (l *loader) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if l.visited++; l.visited >= maxNodes {
		if l.visited == maxNodes {
			l.opaque[""] = true
			l.faults = append(l.faults, l.at(path, fmt.Sprintf("the file comes to more than %d values", maxNodes), "use fewer aliases"))
		}
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		l.misfit(path, "there is no value", "give it one, or remove the key")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch p := v.Addr().Interface(); {
	case isScalar(p):
		l.scalar(n, p, path)
	case v.Kind() == reflect.Slice:
		l.list(n, v, path)
	default:
		l.section(n, v, path)
	}
}

// list decodes a sequence.
func (l *loader) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		l.misfit(path, "there is "+kindOf(n)+" where a list belongs", "put a '-' before each entry, or write [a, b]")
		return
	}
	v.SetLen(0)
	for i, item := range n.Content {
		if l.visited >= maxNodes {
			return
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		at := fmt.Sprintf("%s[%d]", path, i)
		l.places[at] = place{item.Line, item.Column}
		elem := v.Index(i).Addr().Interface()
		if d, ok := elem.(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		if p, ok := elem.(interface{ setLine(int) }); ok {
			p.setLine(item.Line)
		}
		l.value(item, v.Index(i), at)
	}
}

// section decodes a mapping into a struct.
func (l *loader) section(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		l.misfit(path, "there is "+kindOf(n)+" where a section belongs", "write its keys under it, one per line")
		return
	}
	fields := fieldsOf(v.Type())
	l.pairs(n, path, 0, map[string]int{}, func(key, val *yaml.Node, at string) {
		field, ok := fields[key.Value]
		if !ok {
			l.unknownKey(at, key.Value, v.Type())
			return
		}
		l.value(val, v.FieldByIndex(field.Index), at)
	})
}

// pairs calls use for each key of a mapping, those merged into it (<<) last and
// only where they are not there already. seen are the keys met, with their
// lines.
func (l *loader) pairs(n *yaml.Node, path string, depth int, seen map[string]int, use func(key, val *yaml.Node, at string)) {
	var merged []*yaml.Node
	own := map[string]bool{}
	for i := 0; i+1 < len(n.Content) && l.visited < maxNodes; i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, val)
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Tag == "!!null" {
			l.faults = append(l.faults, Fault{File: l.file, Line: key.Line, Column: key.Column, Path: path,
				Message: "there is " + kindOf(key) + " where a key belongs", Mend: "write 'key: value'"})
			continue
		}
		at := strings.TrimPrefix(path+"."+keyName(key.Value), ".")
		if line, again := seen[key.Value]; again {
			if own[key.Value] {
				l.faults = append(l.faults, Fault{File: l.file, Line: key.Line, Column: key.Column, Path: at,
					Message: fmt.Sprintf("the key is already on line %d", line), Mend: "keep one of them"})
			}
			continue
		}
		l.visited++
		seen[key.Value], own[key.Value] = key.Line, true
		l.places[at] = place{key.Line, key.Column}
		use(key, val, at)
	}
	for _, m := range merged {
		l.merge(m, path, depth+1, seen, use)
	}
}

// merge is pairs for what stands behind <<: a mapping, or a list of them.
func (l *loader) merge(n *yaml.Node, path string, depth int, seen map[string]int, use func(key, val *yaml.Node, at string)) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	l.visited++
	switch {
	case depth > maxDepth:
		l.fault(path, fmt.Sprintf("sections are merged more than %d deep", maxDepth), "use fewer <<")
	case n.Kind == yaml.MappingNode:
		l.pairs(n, path, depth, seen, use)
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if l.visited < maxNodes {
				l.merge(item, path, depth+1, seen, use)
			}
		}
	default:
		l.fault(path, "there is "+kindOf(n)+" behind <<", "write <<: *anchor, with the anchor (&anchor) on a section")
	}
}

// located is a value that is a path.
type located interface{ setPath(Path) }

func (p *Path) setPath(to Path)       { *p = to }
func (f *File) setPath(to Path)       { f.Path = to }
func (f *SecretFile) setPath(to Path) { f.Path = to }
func (f *HashedFile) setPath(to Path) { f.Path = to }

// isScalar reports whether parseScalar knows the type that p points to.
func isScalar(p any) bool {
	switch p.(type) {
	case *string, *bool, *int, *float64, *time.Duration, *slog.Level, *netip.Prefix,
		*Listen, *Digest, *Cloud, *Nested, *LogFormat, *Limit, *Range, located:
		return true
	}
	return false
}

// scalar decodes a scalar into what p points to. Whatever type YAML sees in it
// does not matter: its text does, so that quotes make no difference.
func (l *loader) scalar(n *yaml.Node, p any, path string) {
	if n.Kind != yaml.ScalarNode {
		l.misfit(path, "there is "+kindOf(n)+" where a single value belongs", "write the value behind the key")
		return
	}
	if tag := n.ShortTag(); !strings.HasPrefix(tag, "!!") || tag == "!!binary" {
		l.fault(path, "the tag "+quote(tag)+" means nothing here", "remove it")
		return
	}
	if n.Value == "" {
		l.fault(path, "the value is empty", "give it one, or remove the key")
		return
	}
	if strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		l.fault(path, "the value has line breaks or control characters", "write it on one line")
		return
	}
	if problem := l.parseScalar(n.Value, p); problem != nil {
		l.fault(path, problem.what, problem.mend)
	}
}

func (l *loader) parseScalar(text string, p any) *problem {
	switch p := p.(type) {
	case *string:
		*p = text
	case *bool:
		return into(p, parseBool, text)
	case *int:
		return into(p, parseInt, text)
	case *float64:
		return into(p, parseNumber, text)
	case *time.Duration:
		return into(p, parseDuration, text)
	case *slog.Level:
		return into(p, parseLevel, text)
	case *netip.Prefix:
		return into(p, parsePrefix, text)
	case *Listen:
		return into(p, l.listen, text)
	case *Digest:
		return into(p, parseDigest, text)
	case *Cloud:
		return into(p, parseOneOf(CloudGlobal, CloudUSGov, CloudDoD, CloudChina), text)
	case *Nested:
		return into(p, parseOneOf(NestedMembers, NestedFlatten), text)
	case *LogFormat:
		return into(p, parseOneOf(FormatAuto, FormatText, FormatJSON), text)
	case *Limit:
		return into(p, parseLimit, text)
	case *Range:
		return into(p, parseRange, text)
	case located:
		var to Path
		if problem := into(&to, l.path, text); problem != nil {
			return problem
		}
		p.setPath(to)
	}
	return nil
}

// into parses text into *p, which keeps its default where text is wrong.
func into[T any](p *T, parse func(string) (T, *problem), text string) *problem {
	v, problem := parse(text)
	if problem == nil {
		*p = v
	}
	return problem
}

// listen is parseListen with the path of a unix socket resolved.
func (l *loader) listen(text string) (Listen, *problem) {
	const mostBytes = 107 // sockaddr_un.sun_path, unix(7), less its final zero
	file, ok := strings.CutPrefix(text, "unix:")
	if !ok {
		return parseListen(text)
	}
	at, problem := l.path(file)
	if problem == nil && len(at) > mostBytes {
		problem = problemf("use a shorter one, such as /run/scim-bridge/scim.sock",
			"the path %s is longer than the %d bytes that a socket may have", quote(string(at)), mostBytes)
	}
	return Listen{Network: "unix", Address: string(at)}, problem
}

var (
	anyVariable = regexp.MustCompile(`\$\{[^}]*\}?`)
	variable    = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)
)

// path replaces the environment variables in a path and resolves it against
// the directory of the file.
func (l *loader) path(text string) (Path, *problem) {
	var wrong *problem
	full := anyVariable.ReplaceAllStringFunc(text, func(v string) string {
		if !variable.MatchString(v) {
			wrong = problemf("write ${NAME}", "%s is no environment variable", quote(v))
			return ""
		}
		name := v[2 : len(v)-1]
		value, ok := l.lookup(name)
		if !ok || value == "" {
			wrong = problemf("set it, or write the path itself", "the environment variable %s is not set", name)
		}
		return value
	})
	switch {
	case wrong != nil:
		return "", wrong
	case full == "":
		return "", problemf("write one", "the path is empty")
	case strings.ContainsRune(full, 0):
		return "", problemf("check the environment variables in it", "the path has a zero byte")
	case filepath.IsAbs(full):
		return Path(filepath.Clean(full)), nil
	}
	return Path(filepath.Join(l.dir, full)), nil
}

func problemf(mend, format string, args ...any) *problem {
	return &problem{fmt.Sprintf(format, args...), mend}
}

func parseBool(text string) (bool, *problem) {
	if text != "true" && text != "false" {
		return false, problemf("write true or false", "%s is neither true nor false", quote(text))
	}
	return text == "true", nil
}

func parseInt(text string) (int, *problem) {
	n, ok := parseCount(text)
	if !ok {
		return 0, problemf("write digits only, such as 20", "%s is no whole number from 0 to %d", quote(text), math.MaxInt32)
	}
	return n, nil
}

func parseNumber(text string) (float64, *problem) {
	f, ok := parseDecimal(text)
	if !ok {
		return 0, problemf("write one such as 50 or 0.5", "%s is no number", quote(text))
	}
	return f, nil
}

var otherUnit = regexp.MustCompile(`^(\d{1,4})\s*(|d|days?|w|weeks?)$`)

func parseDuration(text string) (time.Duration, *problem) {
	d, err := time.ParseDuration(text)
	switch m := otherUnit.FindStringSubmatch(text); {
	case err == nil && d >= 0:
		return d, nil
	case err == nil:
		return 0, problemf("write one such as 30s, 5m or 24h", "%s is negative", quote(text))
	case m != nil && m[2] == "":
		return 0, problemf(fmt.Sprintf("write %ss, %sm or %sh", m[1], m[1], m[1]), "%s has no unit", quote(text))
	case m != nil:
		var n int
		fmt.Sscan(m[1], &n)
		hours := 24 * n
		if m[2][0] == 'w' {
			hours *= 7
		}
		return 0, problemf(fmt.Sprintf("write %dh", hours), "%s is in a unit that is not known here", quote(text))
	}
	return 0, problemf("write one such as 30s, 5m or 24h", "%s is no duration", quote(text))
}

func parseLevel(text string) (slog.Level, *problem) {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, problemf("write one of debug, info, warn, error", "%s is not known", quote(text))
}

func parsePrefix(text string) (netip.Prefix, *problem) {
	const mend = "write one such as 203.0.113.0/24, 203.0.113.7 or 2001:db8::/32"
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, problemf(mend, "%s is neither an address nor a network", quote(text))
	case p != p.Masked():
		return netip.Prefix{}, problemf(fmt.Sprintf("write %v for the network, or %v for the one address", p.Masked(), p.Addr()),
			"%s is an address inside a network", quote(text))
	}
	return p, nil
}

// kindOf names what a node is, for people.
func kindOf(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
	}
	return "a single value"
}
