package config

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxNodes is how many values a file may come to once its aliases are followed,
// and maxDepth how deep merged sections may nest: far above any real file, and
// low enough that a hostile one is refused at once.
const (
	maxNodes = 50_000
	maxDepth = 32
)

// decodeRoot fills l.cfg from the document.
//
// The decoding is our own, by reflection over the yaml tags, since the
// library's stops at the first unknown key, forgets the place of what it
// decoded, and says Go's types to people who write YAML.
func (l *loader) decodeRoot(root *yaml.Node) {
	l.places[""] = place{root.Line, root.Column}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		l.misfit("", "the file is empty", "start from config.example.yaml")
		return
	}
	l.value(root, reflect.ValueOf(l.cfg).Elem(), "")
}

// value decodes one node into v.
func (l *loader) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if l.visited++; l.visited >= maxNodes {
		if l.visited == maxNodes {
			l.opaque[""] = true
			l.faults = append(l.faults, l.at(path, fmt.Sprintf("the file comes to more than %d values", maxNodes), "use fewer aliases"))
		}
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		l.misfit(path, "there is no value", "give it one, or remove the key")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch p := v.Addr().Interface(); {
	case isScalar(p):
		l.texts[path] = textPlace{place{n.Line, n.Column}, n.Style, n.Value}
		l.scalar(n, p, path)
	case v.Kind() == reflect.Slice:
		l.list(n, v, path)
	case v.Kind() == reflect.Map:
		l.table(n, v, path)
	default:
		l.section(n, v, path)
	}
}

// list decodes a sequence.
func (l *loader) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		l.misfit(path, "there is "+kindOf(n)+" where a list belongs", "put a '-' before each entry, or write [a, b]")
		return
	}
	v.SetLen(0)
	for i, item := range n.Content {
		if l.visited >= maxNodes {
			return
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		at := fmt.Sprintf("%s[%d]", path, i)
		l.places[at] = place{item.Line, item.Column}
		elem := v.Index(i).Addr().Interface()
		if d, ok := elem.(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		if p, ok := elem.(interface{ setLine(int) }); ok {
			p.setLine(item.Line)
		}
		l.value(item, v.Index(i), at)
	}
}

// section decodes a mapping into a struct.
func (l *loader) section(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		l.misfit(path, "there is "+kindOf(n)+" where a section belongs", "write its keys under it, one per line")
		return
	}
	fields := fieldsOf(v.Type())
	l.pairs(n, path, 0, map[string]int{}, func(key, val *yaml.Node, at string) {
		field, ok := fields[key.Value]
		if to, has := v.Addr().Interface().(ruled); has && !ok {
			l.rule(key, val, to, v.Type(), at)
			return
		}
		if !ok {
			l.unknownKey(at, key.Value, v.Type())
			return
		}
		l.value(val, v.FieldByIndex(field.Index), at)
	})
}

// pairs calls use for each key of a mapping, those merged into it (<<) last and
// only where they are not there already. seen are the keys met, with their
// lines.
func (l *loader) pairs(n *yaml.Node, path string, depth int, seen map[string]int, use func(key, val *yaml.Node, at string)) {
	var merged []*yaml.Node
	own := map[string]bool{}
	for i := 0; i+1 < len(n.Content) && l.visited < maxNodes; i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, val)
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Tag == "!!null" {
			l.faults = append(l.faults, Fault{File: l.file, Line: key.Line, Column: key.Column, Path: path,
				Message: "there is " + kindOf(key) + " where a key belongs", Mend: "write 'key: value'"})
			continue
		}
		at := strings.TrimPrefix(path+"."+keyName(key.Value), ".")
		if line, again := seen[key.Value]; again {
			if own[key.Value] {
				l.faults = append(l.faults, Fault{File: l.file, Line: key.Line, Column: key.Column, Path: at,
					Message: fmt.Sprintf("the key is already on line %d", line), Mend: "keep one of them"})
			}
			continue
		}
		l.visited++
		seen[key.Value], own[key.Value] = key.Line, true
		l.places[at] = place{key.Line, key.Column}
		use(key, val, at)
	}
	for _, m := range merged {
		l.merge(m, path, depth+1, seen, use)
	}
}

// merge is pairs for what stands behind <<: a mapping, or a list of them.
func (l *loader) merge(n *yaml.Node, path string, depth int, seen map[string]int, use func(key, val *yaml.Node, at string)) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	l.visited++
	switch {
	case depth > maxDepth:
		l.fault(path, fmt.Sprintf("sections are merged more than %d deep", maxDepth), "use fewer <<")
	case n.Kind == yaml.MappingNode:
		l.pairs(n, path, depth, seen, use)
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if l.visited < maxNodes {
				l.merge(item, path, depth+1, seen, use)
			}
		}
	default:
		l.fault(path, "there is "+kindOf(n)+" behind <<", "write <<: *anchor, with the anchor (&anchor) on a section")
	}
}

// kindOf names what a node is, for people.
func kindOf(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
	}
	return "a single value"
}
