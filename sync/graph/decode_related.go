package graph

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// removed reads the value of an object's @removed: {"reason": "changed"} or
// "deleted". Anything else is a reason to distrust the object: a removal that
// was not meant would be the worst of misreadings.
func (d *decoder) removed() (removed, reason string, err error) {
	if d.peek() != '{' {
		return "", "its @removed is not an object", d.skip(0)
	}
	d.pos++
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if err != nil {
			return "", "", err
		}
		if !more {
			break
		}
		key, err := d.key()
		if err != nil {
			return "", "", err
		}
		if string(key) != "reason" || d.peek() != '"' {
			if err := d.skip(0); err != nil {
				return "", "", err
			}
			continue
		}
		why, err := d.text()
		if err != nil {
			return "", "", err
		}
		removed = removalReason(why)
	}
	if removed == "" {
		reason = "its @removed has no known reason"
	}
	return removed, reason, nil
}

func removalReason(raw []byte) string {
	switch {
	case bytes.EqualFold(raw, []byte(RemovedChanged)):
		return RemovedChanged
	case bytes.EqualFold(raw, []byte(RemovedDeleted)):
		return RemovedDeleted
	}
	return ""
}

// related reads an array of references (members@delta, manager@delta) and calls
// add with each. null is as good as absent.
func (d *decoder) related(name string, add func(Member)) (reason string, err error) {
	switch d.peek() {
	case 'n':
		return "", d.skip(0)
	case '[':
		d.pos++
	default:
		return "its " + name + " is not an array", d.skip(0)
	}
	for first := true; ; first = false {
		more, err := d.more(']', first)
		if err != nil {
			return "", err
		}
		if !more {
			return reason, nil
		}
		m, fault, err := d.reference()
		if err != nil {
			return "", err
		}
		if fault != "" {
			reason = "an entry of its " + name + " is broken: " + fault
			continue
		}
		add(m)
	}
}

// reference reads one entry: {"@odata.type", "id", "@removed"?}.
func (d *decoder) reference() (m Member, reason string, err error) {
	if d.peek() != '{' {
		return m, "it is not an object", d.skip(0)
	}
	d.pos++
	for first := true; ; first = false {
		more, err := d.more('}', first)
		if err != nil {
			return m, "", err
		}
		if !more {
			break
		}
		key, err := d.key()
		if err != nil {
			return m, "", err
		}
		fault, err := d.referenceMember(&m, key)
		if err != nil {
			return m, "", err
		}
		if fault != "" {
			reason = fault
		}
	}
	if reason == "" && m.ID == "" {
		reason = "it has no id"
	}
	return m, reason, nil
}

func (d *decoder) referenceMember(m *Member, key []byte) (reason string, err error) {
	switch string(key) {
	case "id":
		m.ID, reason, err = d.id()
		return reason, err
	case "@odata.type":
		if d.peek() != '"' {
			return "its @odata.type is not a string", d.skip(0)
		}
		raw, err := d.text()
		m.Type = d.name(bytes.TrimPrefix(raw, []byte("#microsoft.graph.")))
		return "", err
	case "@removed":
		if d.peek() != '{' {
			return "its @removed is not an object", d.skip(0)
		}
		m.Removed = true
		return "", d.skip(0)
	}
	return "", d.skip(0)
}

func (d *decoder) addMember(m Member) { d.scratchMembers = append(d.scratchMembers, m) }

// manager reads manager@delta into a property "manager". A change of manager
// comes as two entries, the old one marked as removed, in no promised order: so
// a removal counts only for the one that it names, and whoever is left is the
// manager.
func (d *decoder) manager() (reason string, err error) {
	current, entries := "", 0
	reason, err = d.related("manager@delta", func(m Member) {
		entries++
		switch {
		case !m.Removed:
			current = m.ID
		case strings.EqualFold(m.ID, current):
			current = ""
		}
	})
	if entries == 0 {
		return reason, err
	}
	d.setManager(current)
	return reason, err
}

// managerObject reads the manager that $expand brings: of the whole object, or
// null, only the id.
func (d *decoder) managerObject() (reason string, err error) {
	if d.peek() == 'n' {
		d.setManager("")
		return "", d.skip(0)
	}
	m, fault, err := d.reference()
	if err != nil {
		return "", err
	}
	if fault != "" {
		return "its manager is broken: " + fault, nil
	}
	d.setManager(m.ID)
	return "", nil
}

// setManager makes a property of a manager's id, null where there is none.
func (d *decoder) setManager(current string) {
	value := append(d.scratch[:0], "null"...)
	if current != "" {
		value = append(value[:0], `{"id":`...)
		value = appendQuoted(value, current)
		value = append(value, '}')
	}
	d.scratch = value
	d.scratchProps = append(d.scratchProps, Property{"manager", d.values.clone(value)})
}

// appendQuoted appends s as a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if !plain[s[i]] || s[i] >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string can always be marshalled
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
