package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"scimbridge/sync/graph"
	"scimbridge/sync/store"
)

// sampleOf takes from the JSON of an object, as Graph or Graph Explorer gives
// it, the stored form, and the groups that it says it is in.
func sampleOf(object []byte) (properties []byte, groups []string, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return nil, nil, fmt.Errorf("it has to hold the JSON of one user or group, {…}: %w", err)
	}
	if _, list := all["value"]; list {
		return nil, nil, errors.New("it holds a list: keep one object of its value")
	}
	if raw, ok := all["memberOf"]; ok {
		if groups, err = idsIn(raw); err != nil {
			return nil, nil, err
		}
		delete(all, "memberOf")
	}
	var id string
	_ = json.Unmarshal(all["id"], &id) // the caller asks for it
	delete(all, "id")
	var list []graph.Property
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.Contains(name, "@odata.") {
			list = append(list, graph.Property{Name: name, Value: all[name]})
		}
	}
	if id == "" {
		return nil, nil, errors.New("the object has no id, which Graph gives to every user and group")
	}
	properties, err = merge(nil, strings.ToLower(id), list)
	return properties, groups, err
}

// idsIn reads a list of ids, or of objects that have one.
func idsIn(raw json.RawMessage) (ids []string, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("reading memberOf: %w", err)
	}
	ids = []string{}
	for _, one := range list {
		var id string
		if json.Unmarshal(one, &id) != nil {
			var object struct{ ID string }
			if err := json.Unmarshal(one, &object); err != nil {
				return nil, fmt.Errorf("reading memberOf: %w", err)
			}
			id = object.ID
		}
		ids = append(ids, strings.ToLower(id))
	}
	return ids, nil
}

// A sampleStore knows one object's groups, and nothing else. Only what a decider
// asks is answered.
type sampleStore struct {
	store.Store
	groups []string
}

func (s *sampleStore) Object(_ context.Context, _ string, kind store.Kind, id string) (store.Object, bool, error) {
	return store.Object{Kind: kind, ID: id}, kind == store.Group && slices.Contains(s.groups, id), nil
}

func (s *sampleStore) MemberOf(_ context.Context, _, member string) iter.Seq2[store.Edge, error] {
	return func(yield func(store.Edge, error) bool) {
		if slices.Contains(s.groups, member) {
			return
		}
		for _, g := range s.groups {
			if !yield(store.Edge{Group: g, Member: member}, nil) {
				return
			}
		}
	}
}
