package scim

import (
	"bytes"
	"slices"
	"strings"
)

// Most filters hold for few, and a look at every member of a resource to find the
// one that is asked about costs far more than the comparison. So a test that
// holds for values alone, never for their absence, is first tried on whatever in
// the JSON has the attribute's name, at any depth: the name is searched for as
// bytes are, many at a time. Where nothing so named passes, the attribute does not
// either. Where something does, the JSON is walked to see whether it is the
// attribute.

// maxNeedles is the most tests of a filter that are tried so. Where there are more,
// one walk over the resource serves them all for less.
const maxNeedles = 6

// A needle searches for the members of a name.
type needle struct {
	text  string // the name as it stands before a value: `"title":`
	pivot int    // which of its bytes is the rarest
	alone bool   // the first member so named is the attribute, unless that is absent
}

// common are the bytes of names in the order in which they are frequent in
// rendered resources; others are rarer than all of these.
const common = `"eao:tsrnim0cldup-fb1y24xhA5gvN39PE7kCUTS8wjM6DLBROIGV_XHqWZJ$zFK`

func newNeedle(name string) needle {
	n := needle{text: `"` + name + `":`}
	rarest := -1
	for i := range len(n.text) {
		rank := strings.IndexByte(common, n.text[i])
		if rank < 0 {
			rank = len(common)
		}
		if rank > rarest {
			n.pivot, rarest = i, rank
		}
	}
	return n
}

// next gives where the value of the next member so named begins whose name is not
// before b[from], or -1.
func (n *needle) next(b []byte, from int) int {
	for at := from + n.pivot; at < len(b); at++ {
		skip := bytes.IndexByte(b[at:], n.text[n.pivot])
		if skip < 0 {
			return -1
		}
		at += skip
		start := at - n.pivot
		// Mostly a look at one byte says that it is something else.
		if end := start + len(n.text); end <= len(b) && b[start] == '"' && string(b[start:end]) == n.text {
			return end
		}
	}
	return -1
}

// rulesOut says that the test holds for no value of a member so named in b, at
// any depth. Where it is false there may be one.
func (n *needle) rulesOut(b []byte, t *test) bool {
	for at := n.next(b, 0); at >= 0; at = n.next(b, at) {
		if t.any(b[at:skipValue(b, at)], nil) {
			return false
		}
		if n.alone {
			break
		}
	}
	return true
}

// seek gives a test of an attribute's values its needle, if it is of use: a test
// that holds for absent ones cannot be ruled out by what is there.
func (c *compiler) seek(p *valueTest, attr *attribute) {
	if p.test.op != opNotEqual && attr.place == inHead {
		p.needle = &attr.needle
		c.needles++
	}
}

// addNeedles makes the attributes' needles, once all attributes are there.
func (ta *typeAttributes) addNeedles() {
	for _, top := range ta.top {
		top.addNeedles()
		// The mapping renders the core schema's attributes before extensions.
		top.needle.alone = !slices.ContainsFunc(ta.top, func(other *attribute) bool {
			return top.extension || !other.extension && other.hasPart(top.name)
		})
	}
}

func (a *attribute) addNeedles() {
	a.needle = newNeedle(a.name)
	for _, s := range a.subs {
		s.addNeedles()
	}
}

// hasPart says whether a sub-attribute, of any depth, is rendered by that name.
func (a *attribute) hasPart(name string) bool {
	return slices.ContainsFunc(a.subs, func(s *attribute) bool { return s.name == name || s.hasPart(name) })
}

// What the predicates say of a resource without walking it: possible is false
// where the predicate holds for no element of the head, whichever it is.

func (c constant) possible([]byte) bool { return bool(c) }

func (p *allParts) possible(head []byte) bool {
	for _, part := range p.parts {
		if !part.possible(head) {
			return false
		}
	}
	return true
}

func (p *anyParts) possible(head []byte) bool {
	for _, part := range p.parts {
		if part.possible(head) {
			return true
		}
	}
	return false
}

func (p *valueTest) possible(head []byte) bool {
	return p.needle == nil || !p.needle.rulesOut(head, p.test)
}

func (p *elementTest) possible(head []byte) bool { return p.filter.possible(head) }
func (*notPart) possible([]byte) bool            { return true }
func (*modifiedTest) possible([]byte) bool       { return true }
func (*linksTest) possible([]byte) bool          { return true }
func (*linkedElement) possible([]byte) bool      { return true }
