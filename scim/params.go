package scim

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
)

// params are the query parameters of RFC 7644 §3.4.2 and RFC 9865 §2, from a
// query string or a SearchRequest. Each says whether it was given where that
// differs from its zero value.
type params struct {
	filter    string
	sortBy    string
	sortOrder string

	attributes []string // nil where not given
	excluded   []string // nil where not given

	startIndex    int // 1 where not given
	hasStartIndex bool

	count      int // meaningful with hasCount
	hasCount   bool
	countFault *scimError // it is no number; told once it is known how the client pages

	cursor    string // empty asks for the first page
	hasCursor bool

	given []string // the names, as in RFC 7644, in the order given
	other bool     // something unknown was given too
}

// names is for the log: which parameters were given, never their values, and
// not the names of unknown ones.
func (p *params) names() string {
	names := strings.Join(p.given, ",")
	if p.other {
		return strings.TrimPrefix(names+",other", ",")
	}
	return names
}

// canonical holds the parameters' names by their lower-case form. RFC 7644
// does not say whether case matters in them; clients differ.
var canonical = map[string]string{
	"filter":             "filter",
	"sortby":             "sortBy",
	"sortorder":          "sortOrder",
	"attributes":         "attributes",
	"excludedattributes": "excludedAttributes",
	"startindex":         "startIndex",
	"count":              "count",
	"cursor":             "cursor",
}

// parseQuery reads a raw query string. given is where the names may go.
func parseQuery(raw string, given []string) (params, *scimError) {
	p := params{startIndex: 1, given: given}
	err := pairs(raw, func(name, value string) *scimError {
		if name == "" {
			p.other = true
			return nil
		}
		return p.set(name, value)
	})
	if err != nil {
		return params{}, err
	}
	return p, p.check()
}

// pairs calls f for each parameter of a raw query string, by its name as in
// RFC 7644; the empty name stands for unknown ones. It is strict: a parameter
// that the standard parser would drop (a bad escape, a stray semicolon) might
// be the filter, and without it the answer would be everybody.
func pairs(raw string, f func(name, value string) *scimError) *scimError {
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if strings.Contains(pair, ";") {
			return invalidSyntax("query string: write ; as %3B and separate parameters by &")
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return invalidSyntax("query string: a parameter's name has a bad percent-escape")
		}
		known := canonical[strings.ToLower(name)]
		if known == "filter" {
			rawValue = literalPlus(rawValue)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return invalidSyntax("query string: the value of " + shown(name) + " has a bad percent-escape")
		}
		if err := f(known, value); err != nil {
			return err
		}
	}
	return nil
}

// literalPlus escapes the plus signs of a filter that mean themselves. A client
// that writes %20 for a blank writes + for a plus (RFC 3986); one that writes +
// for a blank writes %2B for a plus (HTML forms). Only inside a string of the
// filter can a plus mean itself: outside it is always a blank.
func literalPlus(raw string) string {
	if !strings.Contains(raw, "%20") || !strings.Contains(raw, "+") {
		return raw
	}
	var b strings.Builder
	inString, escaped := false, false
	for len(raw) > 0 {
		token := raw[:1]
		if token == "%" && len(raw) >= 3 {
			token = raw[:3]
		}
		raw = raw[len(token):]
		switch {
		case inString && token == "+":
			token = "%2B"
			escaped = false
		case escaped:
			escaped = false
		case inString && (token == `\` || strings.EqualFold(token, "%5C")):
			escaped = true
		case token == `"` || token == "%22":
			inString = !inString
		}
		b.WriteString(token)
	}
	return b.String()
}

// set takes one parameter. Given twice, it is refused: which of two filters
// was meant cannot be known.
func (p *params) set(name, value string) *scimError {
	for _, seen := range p.given {
		if seen == name {
			return invalidValue(name + " is given more than once")
		}
	}
	p.given = append(p.given, name)
	var err *scimError
	switch name {
	case "filter":
		p.filter = value
		if strings.TrimSpace(value) == "" {
			return invalidFilter("filter is empty; leave it out to get everything")
		}
	case "sortBy":
		p.sortBy = strings.TrimSpace(value)
	case "sortOrder":
		p.sortOrder = strings.TrimSpace(value)
	case "attributes":
		p.attributes = splitNames(value)
	case "excludedAttributes":
		p.excluded = splitNames(value)
	case "startIndex":
		p.startIndex, err = parseInt(name, value)
		p.startIndex, p.hasStartIndex = max(p.startIndex, 1), true
	case "count":
		p.count, p.countFault = parseInt(name, value)
		p.count, p.hasCount = max(p.count, 0), true
	case "cursor":
		p.cursor, p.hasCursor = value, true
	}
	return err
}

// check refuses what contradicts itself.
func (p *params) check() *scimError {
	if p.countFault != nil {
		if p.hasCursor {
			p.countFault.scimType = "invalidCount" // RFC 9865 §2.3
		}
		return p.countFault
	}
	if p.hasCursor && p.hasStartIndex {
		return invalidValue("startIndex and cursor are two ways of paging; give one of them")
	}
	return nil
}

// parseInt reads an integer, clamped to 32 bits: clients keep these numbers in
// an int, and none is that great.
func parseInt(name, value string) (int, *scimError) {
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, invalidValue(fmt.Sprintf("%s must be an integer, not %s", name, shown(value)))
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil { // out of range: the sign is what is left
		n = math.MaxInt32
		if value[0] == '-' {
			n = math.MinInt32
		}
	}
	return int(min(max(n, math.MinInt32), math.MaxInt32)), nil
}

// splitNames splits a list of attribute names. An empty list is none.
func splitNames(value string) []string {
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// shown quotes a client's own value in an error, shortened.
func shown(value string) string {
	if len(value) > 40 {
		value = value[:40] + "…"
	}
	return strconv.QuoteToASCII(value)
}
