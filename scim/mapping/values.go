package mapping

import (
	"bytes"

	"scimbridge/scim/mapping/expr"
)

// An element is one value of an attribute of several.
type element struct {
	text    extent
	label   []byte
	primary claim
	own     bool // a rule of the configuration gives it, not only a row of ours
}

// A claim says how firmly a value is said to be the primary one.
type claim uint8

// The claims.
const (
	unclaimed claim = iota
	byRow           // of the default mapping, or of a preset
	byRule          // of the configuration
)

// claim is that of the cell's values.
func (c *cell) claim() claim {
	switch {
	case !c.primary:
		return unclaimed
	case c.own():
		return byRule
	}
	return byRow
}

// own says whether the cell is a rule of the configuration.
func (c *cell) own() bool { return c.rule != nil && c.rule.configured }

// valued writes an attribute of values, each with its type, and marks one of
// them as primary where the table wants that.
func (r *renderer) valued(a *attribute) {
	kept := len(r.text)
	r.elements = r.elements[:0]
	preferred, gave := -1, false
	for i := range a.cells {
		c := &a.cells[i]
		if c.again && gave {
			continue
		}
		before, said := len(r.elements), len(r.problems)
		if at := r.gather(a, c); preferred < 0 {
			preferred = at
		}
		if len(r.elements) == before && len(r.problems) > said {
			r.gatherPrevious(a, c)
		}
		gave = len(r.elements) > before
		if r.trace != nil {
			r.noteElements(c, r.elements[before:], said)
		}
	}
	if a.primary && len(r.elements) > 0 {
		r.elect(preferred)
	}
	r.writeElements(a)
	if a.index == byEmail {
		for _, e := range r.elements {
			r.emails = append(r.emails, e.text)
		}
	} else {
		r.text = r.text[:kept]
	}
}

// gather adds the values of a cell. It gives the place of the address that
// Exchange holds for the primary one (its prefix is SMTP: in capitals), or -1.
func (r *renderer) gather(a *attribute, c *cell) int {
	v, preferred := r.spans[c.slot], -1
	switch c.transform {
	case Each:
		r.each(c, v, func(e span) { r.addElement(a, c, r.decode(e)) })
	case SMTP:
		r.each(c, v, func(e span) {
			entry := r.decode(e)
			address := smtpAddress(entry)
			if len(address) == 0 {
				return
			}
			if at := r.addElement(a, c, address); preferred < 0 && bytes.HasPrefix(entry, []byte("SMTP:")) {
				preferred = at
			}
		})
	case Expression:
		r.gatherRule(a, c)
	case Address:
		if r.isText(c, v) && expr.Routable(string(r.decode(v))) {
			r.addElement(a, c, r.decode(v))
		}
	default:
		if r.isText(c, v) {
			r.addElement(a, c, r.decode(v))
		}
	}
	return preferred
}

// addElement adds a value, unless it is there: RFC 7643 §2.4 wants no pair of
// type and value twice, and where there is a primary no value at all should be
// there twice, since importers take the values as keys. What a rule of the
// configuration says of a value counts before what the other rows say. It gives
// its place.
func (r *renderer) addElement(a *attribute, c *cell, text []byte) int {
	for i := range r.elements {
		e := &r.elements[i]
		if (a.primary || bytes.Equal(e.label, c.label)) && bytes.EqualFold(r.text[e.text.start:e.text.end], text) {
			if c.own() && !e.own {
				e.label, e.own = c.label, true
				r.noteTakeover(c, quoted(string(r.text[e.text.start:e.text.end])))
			}
			e.primary = max(e.primary, c.claim())
			return i
		}
	}
	e := element{text: extent{start: len(r.text)}, label: c.label, primary: c.claim(), own: c.own()}
	r.text = append(r.text, text...)
	e.text.end = len(r.text)
	r.elements = append(r.elements, e)
	return len(r.elements) - 1
}

// elect sees to it that exactly one element is primary, and puts it first: the
// one of a rule that says so, else of a row that does, else the preferred one,
// else the first.
func (r *renderer) elect(preferred int) {
	at, most := max(preferred, 0), unclaimed
	for i := range r.elements {
		if claim := r.elements[i].primary; claim > most {
			at, most = i, claim
		}
		r.elements[i].primary = unclaimed
	}
	e := r.elements[at]
	e.primary = byRow
	copy(r.elements[1:at+1], r.elements[:at])
	r.elements[0] = e
}

// writeElements writes the attribute of the elements gathered.
func (r *renderer) writeElements(a *attribute) {
	if len(r.elements) == 0 {
		return
	}
	r.open(a.key, '[')
	for _, e := range r.elements {
		r.open(nil, '{')
		r.out = append(r.out, `"value":`...)
		r.out = appendString(r.out, r.text[e.text.start:e.text.end])
		r.out = append(append(r.out, `,"type":`...), e.label...)
		if e.primary != unclaimed {
			r.out = append(r.out, `,"primary":true`...)
		}
		r.out = append(r.out, '}')
	}
	r.out = append(r.out, ']')
}

// smtpAddress gives the address of an entry of proxyAddresses, or nothing for
// one of another scheme (SIP, X500, EUM, SPO, …).
func smtpAddress(entry []byte) []byte {
	scheme, address, ok := bytes.Cut(entry, []byte(":"))
	if !ok || !bytes.EqualFold(scheme, []byte("smtp")) {
		return nil
	}
	return bytes.TrimSpace(address)
}
