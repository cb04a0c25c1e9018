package graphtest

import (
	"fmt"
	"net/http"
	"strings"
)

// filter reads the $filter of a list: comparisons of one property with a
// literal (eq; ne and endsWith as advanced queries), startsWith, joined by
// "and" or by "or". Everything else that Graph knows is refused as
// unsupported, as the bridge has no use for it.
func (c *call) filter(k kind) (func(*object) bool, *refusal) {
	for _, name := range []string{"$search", "$orderby"} {
		if c.query.Has(name) {
			return nil, refuse(http.StatusBadRequest, codeUnsupported, "Sorting and searching are not supported for this query.")
		}
	}
	text := c.query.Get("$filter")
	if !c.query.Has("$filter") {
		return func(*object) bool { return true }, nil
	}
	joint := " and "
	if strings.Contains(text, " or ") {
		joint = " or "
	}
	var tests []func(*object) bool
	for term := range strings.SplitSeq(text, joint) {
		test, refused := c.term(k, strings.TrimSpace(term))
		if refused != nil {
			return nil, refused
		}
		tests = append(tests, test)
	}
	return func(o *object) bool {
		for _, test := range tests {
			if test(o) == (joint == " or ") {
				return joint == " or "
			}
		}
		return joint == " and "
	}, nil
}

// term is one comparison.
func (c *call) term(k kind, text string) (func(*object) bool, *refusal) {
	name, op, literal, ok := splitTerm(text)
	if !ok {
		return nil, refuse(http.StatusBadRequest, codeUnsupported, "Unsupported or invalid query filter clause specified for property '"+text+"'.")
	}
	if (op == "ne" || op == "endswith") && !(c.advanced() && c.query.Get("$count") == "true") {
		return nil, refuse(http.StatusBadRequest, codeUnsupported, fmt.Sprintf("Unsupported Query: operator '%s' needs the header ConsistencyLevel: eventual and $count=true.", op))
	}
	value := c.valueOf(k, name)
	if value == nil {
		return nil, refuse(http.StatusBadRequest, codeBadRequest, fmt.Sprintf("Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, typeNames[k]))
	}
	return func(o *object) bool {
		have, want := strings.ToLower(value(o)), strings.ToLower(literal)
		switch op {
		case "ne":
			return have != want
		case "startswith":
			return strings.HasPrefix(have, strings.TrimSuffix(want, `"`))
		case "endswith":
			return strings.HasSuffix(have, strings.TrimPrefix(want, `"`))
		}
		return have == want
	}, nil
}

// valueOf reads a property as JSON; one that was never set as null.
func (c *call) valueOf(k kind, name string) func(*object) string {
	if name == "id" {
		return func(o *object) string { return `"` + o.id + `"` }
	}
	i, ok := c.t.cats[k].index[name]
	if !ok || c.t.cats[k].flags[i]&(navigation|elsewhere|untracked) != 0 {
		return nil
	}
	return func(o *object) string {
		if v := c.t.pack.get(o.data, i); v != nil {
			return string(v)
		}
		return "null"
	}
}

// splitTerm gives the literal as JSON.
func splitTerm(text string) (name, op, literal string, ok bool) {
	for _, fn := range []string{"startswith", "endswith"} {
		if len(text) > len(fn) && strings.EqualFold(text[:len(fn)], fn) && text[len(fn)] == '(' && strings.HasSuffix(text, ")") {
			name, literal, ok = strings.Cut(text[len(fn)+1:len(text)-1], ",")
			literal, quoted := odataLiteral(strings.TrimSpace(literal))
			return strings.TrimSpace(name), fn, literal, ok && quoted
		}
	}
	words := strings.SplitN(text, " ", 3)
	if len(words) != 3 || words[1] != "eq" && words[1] != "ne" {
		return "", "", "", false
	}
	literal, ok = odataLiteral(words[2])
	return words[0], words[1], literal, ok
}

// odataLiteral turns 'it”s', true, false, null or a number into JSON.
func odataLiteral(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		inner := s[1 : len(s)-1]
		if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
			return "", false
		}
		return string(appendString(nil, strings.ReplaceAll(inner, "''", "'"))), true
	}
	if s == "" || strings.ContainsAny(s, "'\" ()") {
		return "", false
	}
	return s, true
}
