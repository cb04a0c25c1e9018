package graphtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// filter reads the $filter of a list, as strict as Microsoft's tables of what is
// filtered by default and what takes advanced query parameters
// (concepts/aad-advanced-queries.md, includes/filter-directory-objects.md):
// comparisons of one property with literals (eq, ne, in), startsWith, endsWith,
// not, and, or, parentheses. Everything else that Graph knows is refused as
// unsupported, as the bridge has no use for it.
func (c *call) filter(k kind) (func(*object) bool, *refusal) {
	for _, name := range []string{"$search", "$orderby"} {
		if c.query.Has(name) {
			return nil, refuse(http.StatusBadRequest, codeUnsupported, "Sorting and searching are not supported for this query.")
		}
	}
	if !c.query.Has("$filter") {
		return func(*object) bool { return true }, nil
	}
	text := c.query.Get("$filter")
	p := &filterParser{c: c, kind: k, tokens: filterTokens(text)}
	test, refused := p.or()
	switch {
	case refused != nil:
		return nil, refused
	case len(p.tokens) > 0:
		return nil, p.invalid()
	case p.alternatives > maxAlternatives:
		return nil, refuse(http.StatusBadRequest, codeUnsupported, fmt.Sprintf(
			"Too many child clauses specified in search filter expression containing 'OR' operators: %d. Max allowed: %d.", p.alternatives, maxAlternatives))
	}
	return test, nil
}

// maxAlternatives is how many comparisons may be joined by or, or listed by in.
const maxAlternatives = 15

// Users' properties by what the documentation has them filtered with by default.
// Those of neither take advanced query parameters for every operator; null takes
// them always.
const (
	filteredByDefault = `accountEnabled ageGroup city consentProvidedForMinor country createdDateTime creationType
		department displayName employeeId givenName id isResourceAccount jobTitle mail mailNickname
		onPremisesSecurityIdentifier onPremisesSyncEnabled onPremisesUserPrincipalName state surname usageLocation
		userPrincipalName userType`
	noListByDefault = `id employeeId isResourceAccount createdDateTime` // in
	prefixByDefault = `city country department displayName employeeId givenName mail mailNickname
		onPremisesUserPrincipalName state surname usageLocation userPrincipalName`
)

type filterParser struct {
	c            *call
	kind         kind
	tokens       []string
	alternatives int
}

// filterTokens splits a filter into words, literals, parentheses and commas.
func filterTokens(text string) (tokens []string) {
	for text = strings.TrimLeft(text, " "); text != ""; text = strings.TrimLeft(text, " ") {
		end := strings.IndexAny(text, " (),'")
		switch {
		case end < 0:
			end = len(text)
		case text[0] == '\'':
			end = literalEnd(text)
		case end == 0:
			end = 1
		}
		tokens, text = append(tokens, text[:end]), text[end:]
	}
	return tokens
}

// literalEnd is where a text in quotes ends, in which a quote is doubled.
func literalEnd(text string) int {
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		if i+1 == len(text) || text[i+1] != '\'' {
			return i + 1
		}
		i++
	}
	return len(text)
}

func (p *filterParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *filterParser) take(token string) bool {
	if len(p.tokens) == 0 || !strings.EqualFold(p.tokens[0], token) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *filterParser) invalid() *refusal {
	return refuse(http.StatusBadRequest, codeUnsupported, "Unsupported or invalid query filter clause specified near '"+p.peek()+"'.")
}

// needsAdvanced refuses what works by default in no way.
func (p *filterParser) needsAdvanced(what string) *refusal {
	if p.c.advanced() && p.c.query.Get("$count") == "true" {
		return nil
	}
	return refuse(http.StatusBadRequest, codeUnsupported, fmt.Sprintf("Unsupported Query: %s needs the header ConsistencyLevel: eventual and $count=true.", what))
}

func (p *filterParser) or() (func(*object) bool, *refusal) {
	one, refused := p.and()
	if refused != nil {
		return nil, refused
	}
	for p.take("or") {
		if p.alternatives == 0 {
			p.alternatives = 1
		}
		p.alternatives++
		other, refused := p.and()
		if refused != nil {
			return nil, refused
		}
		first := one
		one = func(o *object) bool { return first(o) || other(o) }
	}
	return one, nil
}

func (p *filterParser) and() (func(*object) bool, *refusal) {
	one, refused := p.not()
	if refused != nil {
		return nil, refused
	}
	for p.take("and") {
		other, refused := p.not()
		if refused != nil {
			return nil, refused
		}
		first := one
		one = func(o *object) bool { return first(o) && other(o) }
	}
	return one, nil
}

func (p *filterParser) not() (func(*object) bool, *refusal) {
	negated := p.take("not")
	if negated {
		if refused := p.needsAdvanced("operator 'not'"); refused != nil {
			return nil, refused
		}
	}
	var one func(*object) bool
	var refused *refusal
	if p.take("(") {
		if one, refused = p.or(); refused == nil && !p.take(")") {
			refused = p.invalid()
		}
	} else {
		one, refused = p.term()
	}
	if refused != nil || !negated {
		return one, refused
	}
	return func(o *object) bool { return !one(o) }, nil
}

// term is one comparison.
func (p *filterParser) term() (func(*object) bool, *refusal) {
	if len(p.tokens) < 2 {
		return nil, p.invalid()
	}
	name, op := p.tokens[0], strings.ToLower(p.tokens[1])
	if fn := strings.ToLower(name); (fn == "startswith" || fn == "endswith") && op == "(" {
		return p.function(fn)
	}
	if p.tokens = p.tokens[2:]; op != "eq" && op != "ne" && op != "in" {
		return nil, p.invalid()
	}
	literals, refused := p.literals(op)
	if refused != nil {
		return nil, refused
	}
	value, refused := p.valueOf(name)
	if refused == nil {
		refused = p.allows(name, op, literals)
	}
	if refused != nil {
		return nil, refused
	}
	return func(o *object) bool {
		return slices.Contains(literals, strings.ToLower(value(o))) == (op != "ne")
	}, nil
}

// literals reads what is compared with: one, or a list for in.
func (p *filterParser) literals(op string) (all []string, refused *refusal) {
	if op == "in" && !p.take("(") {
		return nil, p.invalid()
	}
	for {
		literal, ok := odataLiteral(p.peek())
		if !ok {
			return nil, p.invalid()
		}
		p.tokens = p.tokens[1:]
		all = append(all, strings.ToLower(literal))
		switch {
		case op != "in", p.take(")"):
			p.alternatives = max(p.alternatives, len(all))
			return all, nil
		case !p.take(","):
			return nil, p.invalid()
		}
	}
}

// allows refuses a comparison that takes advanced query parameters.
func (p *filterParser) allows(name, op string, literals []string) *refusal {
	plain := p.kind != kindUser || inList(filteredByDefault, name)
	switch {
	case op == "ne":
		return p.needsAdvanced("operator 'ne'")
	case slices.Contains(literals, "null") && p.kind == kindUser:
		return p.needsAdvanced("comparison of '" + name + "' with null")
	case !plain || op == "in" && p.kind == kindUser && inList(noListByDefault, name):
		return p.needsAdvanced("filter by '" + name + "'")
	}
	return nil
}

func inList(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

// function reads startsWith(name,'x') and endsWith.
func (p *filterParser) function(fn string) (func(*object) bool, *refusal) {
	p.tokens = p.tokens[2:]
	name := p.peek()
	value, refused := p.valueOf(name)
	if refused != nil {
		return nil, refused
	}
	p.tokens = p.tokens[1:]
	if !p.take(",") {
		return nil, p.invalid()
	}
	literal, ok := odataLiteral(p.peek())
	if !ok || !strings.HasPrefix(literal, `"`) {
		return nil, p.invalid()
	}
	p.tokens = p.tokens[1:]
	if !p.take(")") {
		return nil, p.invalid()
	}
	if fn == "endswith" || p.kind == kindUser && !inList(prefixByDefault, name) {
		if refused := p.needsAdvanced("operator '" + fn + "' of '" + name + "'"); refused != nil {
			return nil, refused
		}
	}
	want := strings.ToLower(literal)
	return func(o *object) bool {
		have := strings.ToLower(value(o))
		if fn == "startswith" {
			return strings.HasPrefix(have, strings.TrimSuffix(want, `"`))
		}
		return strings.HasSuffix(have, strings.TrimPrefix(want, `"`))
	}, nil
}

// valueOf reads a property as JSON; one that was never set as null.
func (p *filterParser) valueOf(name string) (func(*object) string, *refusal) {
	if name == "id" {
		return func(o *object) string { return `"` + o.id + `"` }, nil
	}
	t := p.c.t
	i, ok := t.cats[p.kind].index[name]
	if !ok || t.cats[p.kind].flags[i]&(navigation|elsewhere|untracked) != 0 {
		if strings.Contains(name, "/") {
			return nil, p.invalid()
		}
		return nil, refuse(http.StatusBadRequest, codeBadRequest, fmt.Sprintf("Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, typeNames[p.kind]))
	}
	return func(o *object) string {
		if v := t.pack.get(o.data, i); v != nil {
			return string(v)
		}
		return "null"
	}, nil
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
	if s == "" || strings.ContainsAny(s, "'\" (),") {
		return "", false
	}
	return s, true
}
