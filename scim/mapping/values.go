package mapping

import "bytes"

// An element is one value of an attribute of several.
type element struct {
	text    extent
	label   []byte
	primary bool
}

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
		before := len(r.elements)
		if at := r.gather(a, c); preferred < 0 {
			preferred = at
		}
		gave = len(r.elements) > before
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
	case Address:
		if r.isText(c, v) && routable(r.decode(v)) {
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
// there twice, since importers take the values as keys. It gives its place.
func (r *renderer) addElement(a *attribute, c *cell, text []byte) int {
	for i, e := range r.elements {
		if (a.primary || bytes.Equal(e.label, c.label)) && bytes.EqualFold(r.text[e.text.start:e.text.end], text) {
			return i
		}
	}
	e := element{text: extent{start: len(r.text)}, label: c.label, primary: c.primary}
	r.text = append(r.text, text...)
	e.text.end = len(r.text)
	r.elements = append(r.elements, e)
	return len(r.elements) - 1
}

// elect sees to it that exactly one element is primary, and puts it first: the
// one of a row that says so, else the preferred one, else the first.
func (r *renderer) elect(preferred int) {
	if r.elements[0].primary {
		return
	}
	at := max(preferred, 0)
	e := r.elements[at]
	e.primary = true
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
		if e.primary {
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

// unroutable are the domains that Microsoft gives every tenant, in its clouds:
// user principal names below them are seldom mailboxes.
var unroutable = [][]byte{
	[]byte("onmicrosoft.com"), []byte("onmicrosoft.us"), []byte("onmicrosoft.de"),
	[]byte("onmschina.cn"),
}

// routable says whether a user principal name can be taken for an e-mail
// address: one @ between a local part without the #EXT# of guests and a domain
// with a dot that is not one of Microsoft's own.
func routable(name []byte) bool {
	local, domain, ok := bytes.Cut(name, []byte("@"))
	if !ok || len(local) == 0 || bytes.ContainsAny(name, " \t\r\n") ||
		bytes.ContainsRune(domain, '@') || bytes.Contains(bytes.ToUpper(local), []byte("#EXT#")) {
		return false
	}
	if dot := bytes.IndexByte(domain, '.'); dot <= 0 || dot == len(domain)-1 {
		return false
	}
	for _, suffix := range unroutable {
		if below(domain, suffix) {
			return false
		}
	}
	return true
}

// below says whether a domain is the parent or lies below it.
func below(domain, parent []byte) bool {
	rest := len(domain) - len(parent)
	return rest >= 0 && bytes.EqualFold(domain[rest:], parent) && (rest == 0 || domain[rest-1] == '.')
}
