package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

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
		*Listen, *Digest, *Cloud, *Nested, *NameRule, *Scope, *Guests, *Read, *GroupType, *Expression, *Preset, *ResourceName, *AttributeType, *LogFormat, *Limit, *Range, located:
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
	if _, long := p.(*Expression); !long && strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7F }) {
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
	case *Scope:
		return into(p, parseOneOf(ScopeAll, ScopeAssigned), text)
	case *Guests:
		return into(p, parseGuests, text)
	case *Read:
		return into(p, parseOneOf(ReadAll, ReadFiltered), text)
	case *GroupType:
		return into(p, parseOneOf(groupTypes...), text)
	case *Expression:
		*p = Expression(text)
	case *Preset:
		return into(p, parseOneOf(PresetEntraDefault, PresetOkta, PresetSailPoint), text)
	case *ResourceName:
		return into(p, parseOneOf(ResourceUser, ResourceGroup), text)
	case *AttributeType:
		return into(p, parseOneOf(TypeString, TypeBoolean, TypeInteger, TypeDecimal, TypeDateTime, TypeBinary, TypeReference, TypeComplex), text)
	case *NameRule:
		return into(p, parseOneOf(NamesReport, NamesHold), text)
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
