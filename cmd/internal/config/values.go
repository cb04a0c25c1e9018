package config

import (
	"encoding"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A problem is what is wrong with a value, and how to mend it: a [Fault] that
// does not yet know its place.
type problem struct {
	what, mend string
}

// A Listen says where to listen: Network is tcp, unix or systemd, and Address
// what net.Listen takes beside it (empty for systemd).
type Listen struct {
	Network, Address string
}

// String gives the form in which the file has it.
func (l Listen) String() string {
	switch l.Network {
	case "systemd":
		return "systemd"
	case "unix":
		return "unix:" + l.Address
	}
	return l.Address
}

// MarshalText is String.
func (l Listen) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Local reports whether only this machine can reach the listener: a unix
// socket or a loopback address. Of a socket that systemd passes this can't be
// known, so it is not local.
func (l Listen) Local() bool {
	if l.Network != "tcp" {
		return l.Network == "unix"
	}
	host, _, _ := net.SplitHostPort(l.Address)
	return loopback(host)
}

// loopback reports whether host, as in a URL without brackets, is this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func parseListen(text string) (Listen, *problem) {
	const mend = "write host:port (127.0.0.1:8880), unix:/path, or systemd"
	if text == "systemd" {
		return Listen{Network: "systemd"}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Listen{}, &problem{quote(text) + " is no address to listen on", mend}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Listen{}, &problem{quote(text) + " has no port number from 0 to 65535", mend}
	}
	if strings.ContainsAny(host, "/ \t@?#") {
		return Listen{}, &problem{quote(text) + " is no address to listen on", mend}
	}
	return Listen{Network: "tcp", Address: text}, nil
}

// A Cloud is one of Microsoft's national clouds.
type Cloud string

// The clouds.
const (
	CloudGlobal Cloud = "global" // worldwide, and GCC
	CloudUSGov  Cloud = "usgov"  // US government, GCC High (L4)
	CloudDoD    Cloud = "dod"    // US government, DoD (L5)
	CloudChina  Cloud = "china"  // operated by 21Vianet
)

// LoginURL is the base URL of the cloud's token and consent endpoints
// (learn.microsoft.com/graph/deployments).
func (c Cloud) LoginURL() string {
	switch c {
	case CloudUSGov, CloudDoD:
		return "https://login.microsoftonline.us"
	case CloudChina:
		return "https://login.chinacloudapi.cn"
	}
	return "https://login.microsoftonline.com"
}

// GraphURL is the base URL of the cloud's Microsoft Graph, without version
// (learn.microsoft.com/graph/deployments).
func (c Cloud) GraphURL() string {
	switch c {
	case CloudUSGov:
		return "https://graph.microsoft.us"
	case CloudDoD:
		return "https://dod-graph.microsoft.us"
	case CloudChina:
		return "https://microsoftgraph.chinacloudapi.cn"
	}
	return "https://graph.microsoft.com"
}

// Nested is what becomes of a group in a group.
type Nested string

// The kinds of Nested.
const (
	NestedMembers Nested = "members" // it is a member of type Group
	NestedFlatten Nested = "flatten" // its users are members
)

// A NameRule is what becomes of a change by which two people would have one
// userName.
type NameRule string

// The rules.
const (
	NamesReport NameRule = "report" // both are served, and it is told
	NamesHold   NameRule = "hold"   // the round is held until it is approved
)

// A LogFormat is how log lines are written.
type LogFormat string

// The log formats.
const (
	FormatAuto LogFormat = "auto" // by what stderr is
	FormatText LogFormat = "text"
	FormatJSON LogFormat = "json"
)

// parseOneOf gives the parser of a type that has few values.
func parseOneOf[T ~string](values ...T) func(string) (T, *problem) {
	return func(text string) (T, *problem) {
		names := make([]string, len(values))
		for i, v := range values {
			if text == string(v) {
				return v, nil
			}
			names[i] = string(v)
		}
		return "", &problem{quote(text) + " is not known", "write one of " + strings.Join(names, ", ")}
	}
}

// A Limit is how many of a set are too many: a share of it, or a number.
type Limit struct {
	Percent  float64 // 0 to 100, if Relative
	Count    int     // if not
	Relative bool
}

// Of gives the greatest number out of total that is within the limit.
func (l Limit) Of(total int) int {
	if !l.Relative {
		return l.Count
	}
	return int(math.Floor(float64(total) * l.Percent / 100))
}

// String gives the form in which the file has it.
func (l Limit) String() string {
	if l.Relative {
		return strconv.FormatFloat(l.Percent, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(l.Count)
}

// MarshalText is String.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func parseLimit(text string) (Limit, *problem) {
	const mend = "write a share of what is served such as 10%, or a whole number"
	if share, ok := strings.CutSuffix(text, "%"); ok {
		p, ok := parseDecimal(strings.TrimSpace(share))
		if !ok || p > 100 {
			return Limit{}, &problem{quote(text) + " is no share from 0% to 100%", mend}
		}
		return Limit{Percent: p, Relative: true}, nil
	}
	n, ok := parseCount(text)
	if !ok {
		return Limit{}, &problem{quote(text) + " is neither a share nor a number", mend}
	}
	return Limit{Count: n}, nil
}

// A Range is a span of numbers, both ends included.
type Range struct {
	Min, Max int // Max is math.MaxInt where there is no upper end
}

// Contains reports whether n is in the range.
func (r Range) Contains(n int) bool { return r.Min <= n && n <= r.Max }

// String gives the form in which the file has it.
func (r Range) String() string {
	switch {
	case r.Min == r.Max:
		return strconv.Itoa(r.Min)
	case r.Max == math.MaxInt:
		return fmt.Sprintf(">= %d", r.Min)
	case r.Min == 0:
		return fmt.Sprintf("<= %d", r.Max)
	}
	return fmt.Sprintf("%d..%d", r.Min, r.Max)
}

// MarshalText is String.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func parseRange(text string) (Range, *problem) {
	const mend = `write 9000..13000, ">= 3", "<= 20", or one number`
	r, ok := parseSpan(strings.TrimSpace(text))
	switch {
	case !ok:
		return Range{}, &problem{quote(text) + " is no range of numbers", mend}
	case r.Min > r.Max:
		return Range{}, &problem{quote(text) + " is a range that nothing is in", "put the smaller number first"}
	}
	return r, nil
}

// parseSpan reads the forms of a range; that of "< 0" has Max -1.
func parseSpan(text string) (r Range, ok bool) {
	if low, high, found := strings.Cut(text, ".."); found {
		r = Range{Min: 0, Max: math.MaxInt}
		lowOK, highOK := low == "" && high != "", high == "" && low != ""
		if low != "" {
			r.Min, lowOK = parseCount(strings.TrimSpace(low))
		}
		if high != "" {
			r.Max, highOK = parseCount(strings.TrimSpace(high))
		}
		return r, lowOK && highOK
	}
	number := strings.TrimLeft(text, "<>=")
	n, ok := parseCount(strings.TrimSpace(number))
	switch strings.TrimSuffix(text, number) {
	case ">=":
		return Range{Min: n, Max: math.MaxInt}, ok
	case ">":
		return Range{Min: n + 1, Max: math.MaxInt}, ok
	case "<=":
		return Range{Max: n}, ok
	case "<":
		return Range{Max: n - 1}, ok
	case "", "=", "==":
		return Range{Min: n, Max: n}, ok
	}
	return Range{}, false
}

// parseCount reads a whole number that is not negative and that a 32-bit
// machine can count to.
func parseCount(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

// parseDecimal reads a number that is not negative, in digits and at most one
// point: no exponents, hexadecimals, infinities.
func parseDecimal(text string) (float64, bool) {
	if strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// brief writes a duration as people do: 24h, not 24h0m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quote shows a value in a message, shortened where it is long.
func quote(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strconv.Quote(text)
}

var (
	_ encoding.TextMarshaler = Listen{}
	_ encoding.TextMarshaler = Limit{}
	_ encoding.TextMarshaler = Range{}
)
