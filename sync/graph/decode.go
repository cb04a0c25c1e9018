package graph

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxBroken is how many objects of a page may be broken before the page itself
// is taken for broken.
const maxBroken = 1000

// errMalformed marks a body that is not a page: cut off, not JSON, not of the
// form that delta queries answer in.
var errMalformed = errors.New("the answer is not a page of a delta query")

// decoder turns the body of one answer into a Page. Values are copied out of
// the body, which may be reused afterwards.
type decoder struct {
	scanner
	page Page
	next string // @odata.nextLink
	list bool   // of a list, which ends without a link, and has managers whole

	names   map[string]string // well-known names, to spare an allocation each
	values  slab[byte]
	ids     texts
	members slab[Member]
	props   slab[Property]

	// Of the object being read, reused by the next.
	scratch        []byte
	scratchMembers []Member
	scratchProps   []Property
	sortedProps    []Property

	order   []int    // how properties named orderOf are to be taken
	orderOf []string // in the order in which they were read
}

// decodePage decodes the body of an answer to a delta query. It gives the page,
// whose DeltaLink is set on the last one, and the link to the next, one of the
// two being empty. names are strings likely to occur as property names and
// member types; it may be nil. Errors wrap errMalformed.
//
// A name that occurs twice in an object counts with its last value. Of the
// page's own members (value and the two links) a second one is an error: either
// might be the one that was meant.
func decodePage(body []byte, names map[string]string) (*Page, string, error) {
	return decode(body, names, false)
}

// decodeList is decodePage for a list that is no delta query: its last page has
// no link at all.
//
// A list has all properties that are asked for, those without a value as null or
// []; they are left out, as a delta query does that reads in full.
func decodeList(body []byte, names map[string]string) (*Page, string, error) {
	page, next, err := decode(body, names, true)
	if err != nil {
		return nil, "", err
	}
	for i := range page.Changes {
		c := &page.Changes[i]
		c.Properties = slices.DeleteFunc(c.Properties, func(p Property) bool { return string(p.Value) == "null" || string(p.Value) == "[]" })
	}
	return page, next, nil
}

func decode(body []byte, names map[string]string, list bool) (*Page, string, error) {
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD")) // as encoding/json does
	}
	d := &decoder{
		scanner: scanner{data: body},
		list:    list,
		names:   names,
		values:  slab[byte]{chunk: 16 << 10},
		ids:     texts{chunk: 4 << 10},
		members: slab[Member]{chunk: 128},
		props:   slab[Property]{chunk: 256},
	}
	if err := d.decode(); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	return &d.page, d.next, nil
}

// decode reads the page's object: value, the links, and what else there is.
func (d *decoder) decode() error {
	if err := d.expect('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := d.envelope(seen); err != nil {
			return err
		}
	}
	if d.peek(); d.pos < len(d.data) {
		return d.fail("something follows the page")
	}
	return d.complete(seen)
}

// envelope reads one member of the page's object.
func (d *decoder) envelope(seen map[string]bool) error {
	raw, err := d.key()
	if err != nil {
		return err
	}
	name := string(raw)
	switch name {
	case "value", "@odata.nextLink", "@odata.deltaLink":
		if seen[name] {
			return fmt.Errorf("%s occurs twice", name)
		}
		seen[name] = true
	}
	switch name {
	case "value":
		return d.changes()
	case "@odata.nextLink":
		d.next, err = d.link(name)
		return err
	case "@odata.deltaLink":
		d.page.DeltaLink, err = d.link(name)
		return err
	}
	return d.skip(0)
}

// complete checks that the page has objects and exactly one link.
func (d *decoder) complete(seen map[string]bool) error {
	switch {
	case !seen["value"]:
		return errors.New("there is no value")
	case d.list && d.page.DeltaLink != "":
		return errors.New("there is a deltaLink in a list")
	case d.list:
		return nil
	case d.next != "" && d.page.DeltaLink != "":
		return errors.New("there are both a nextLink and a deltaLink")
	case d.next == "" && d.page.DeltaLink == "":
		return errors.New("there is neither a nextLink nor a deltaLink")
	}
	return nil
}

func (d *decoder) link(name string) (string, error) {
	if d.peek() != '"' {
		return "", fmt.Errorf("%s is not a string", name)
	}
	link, err := d.text()
	if err == nil && len(link) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	return string(link), err
}

// changes reads the array of objects.
func (d *decoder) changes() error {
	if d.peek() != '[' {
		return errors.New("value is not an array")
	}
	d.pos++
	for first := true; ; first = false {
		more, err := d.more(']', first)
		if err != nil || !more {
			return err
		}
		if err := d.change(); err != nil {
			return err
		}
	}
}

// change reads one object and adds it to the page's changes, or to its broken
// ones. Only a body that is not JSON is an error.
func (d *decoder) change() error {
	d.peek()
	start := d.pos
	var c Change
	reason, err := d.object(&c)
	if err != nil {
		return err
	}
	if reason == "" && c.ID == "" {
		reason = "it has no id"
	}
	if reason == "" {
		d.page.Changes = append(d.page.Changes, c)
		return nil
	}
	d.page.Broken = append(d.page.Broken, BrokenObject{ID: c.ID, Offset: start, Reason: reason})
	if len(d.page.Broken) > maxBroken {
		return fmt.Errorf("more than %d objects are broken, the last because %s", maxBroken, reason)
	}
	return nil
}

// object reads an object's members into c and gives the reason why it is
// broken, if it is.
func (d *decoder) object(c *Change) (reason string, err error) {
	if d.peek() != '{' {
		return "it is not an object", d.skip(0)
	}
	d.pos++
	d.scratchProps, d.scratchMembers = d.scratchProps[:0], d.scratchMembers[:0]
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if err != nil {
			return "", err
		}
		if !more {
			break
		}
		key, err := d.key()
		if err != nil {
			return "", err
		}
		fault, err := d.member(c, key)
		if err != nil {
			return "", err
		}
		if fault != "" {
			reason = fault
		}
	}
	c.Properties = d.props.clone(d.arranged())
	c.Members = d.members.clone(d.scratchMembers)
	return reason, nil
}

// member reads one member of an object, by its name.
func (d *decoder) member(c *Change, name []byte) (reason string, err error) {
	switch string(name) {
	case "id":
		c.ID, reason, err = d.id()
	case "@removed":
		c.Removed, reason, err = d.removed()
	case "members@delta":
		d.scratchMembers = d.scratchMembers[:0]
		reason, err = d.related("members@delta", d.addMember)
	case "manager@delta":
		reason, err = d.manager()
	case "manager":
		if d.list {
			return d.managerObject()
		}
		err = d.property("manager")
	default:
		if bytes.IndexByte(name, '@') >= 0 {
			return "", d.skip(0)
		}
		err = d.property(d.name(name))
	}
	return reason, err
}

// name gives a property name or a type as a string.
func (d *decoder) name(raw []byte) string {
	if name, ok := d.names[string(raw)]; ok {
		return name
	}
	return d.ids.clone(raw)
}

// property reads a value as it is.
func (d *decoder) property(name string) error {
	d.peek()
	start := d.pos
	d.spaced = false
	if err := d.skip(0); err != nil {
		return err
	}
	value := d.data[start:d.pos]
	if d.spaced {
		d.scratch = compact(d.scratch[:0], value)
		value = d.scratch
	}
	d.scratchProps = append(d.scratchProps, Property{name, d.values.clone(value)})
	return nil
}

// arranged gives the properties read by name, of those with one name the last.
// Graph lists the properties of all objects in much the same order, so the
// order found for one object mostly does for the next.
func (d *decoder) arranged() []Property {
	if !slices.EqualFunc(d.scratchProps, d.orderOf, func(p Property, name string) bool { return p.Name == name }) {
		d.findOrder()
	}
	d.sortedProps = d.sortedProps[:0]
	for _, i := range d.order {
		d.sortedProps = append(d.sortedProps, d.scratchProps[i])
	}
	return d.sortedProps
}

// findOrder finds out in which order the properties read are to be taken.
func (d *decoder) findOrder() {
	d.order, d.orderOf = d.order[:0], d.orderOf[:0]
	for i, p := range d.scratchProps {
		d.order, d.orderOf = append(d.order, i), append(d.orderOf, p.Name)
	}
	slices.SortFunc(d.order, func(i, j int) int {
		return cmp.Or(strings.Compare(d.orderOf[i], d.orderOf[j]), j-i) // the last of one name first
	})
	d.order = slices.CompactFunc(d.order, func(i, j int) bool { return d.orderOf[i] == d.orderOf[j] })
}

func (d *decoder) id() (id, reason string, err error) {
	if d.peek() != '"' {
		return "", "its id is not a string", d.skip(0)
	}
	raw, err := d.text()
	return d.ids.clone(raw), "", err
}
