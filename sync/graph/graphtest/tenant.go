package graphtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Tenant is one simulated Microsoft Entra tenant: the directory, the
// applications registered in it, the faults it makes and the journal of what
// it was asked. All methods are safe for concurrent use.
//
// Methods that change the world panic on a mistake of the caller (an unknown
// id, a property that the type does not have): that is a fault of a test, not
// of Graph.
type Tenant struct {
	opts Options
	seal sealer

	mu      sync.RWMutex // guards everything below
	cats    [kinds]*catalogue
	pack    packer
	objects []*object         // by number
	lagging [2][]*object      // what plain and advanced lists show instead; nil: objects
	byID    map[string]uint32 // id -> number
	count   [kinds]int        // live objects
	deleted map[uint32]time.Time
	seq     uint64 // of the last change
	logs    [2]changeLog
	rounds  roundBook
	epoch   int // of deltaLinks: those of an earlier one are expired
	ids     *rand.Rand
	purges  *rand.Rand
	apps    map[string]*app // lower-case client id -> application

	faults  faultBook // has its own lock
	journal journal   // has its own lock
	dice    dice      // has its own lock
}

// NewTenant makes an empty tenant.
func NewTenant(opts Options) *Tenant {
	opts = opts.withDefaults()
	t := &Tenant{
		opts:    opts,
		seal:    newSealer(opts.Seed, opts.TenantID),
		pack:    packer{index: map[string]uint32{}},
		byID:    map[string]uint32{},
		deleted: map[uint32]time.Time{},
		ids:     rand.New(rand.NewPCG(opts.Seed, streamIDs)),
		purges:  rand.New(rand.NewPCG(opts.Seed, streamPurge)),
		apps:    map[string]*app{},
	}
	t.cats = [kinds]*catalogue{userCatalogue(), groupCatalogue(), otherCatalogue("device"),
		otherCatalogue("servicePrincipal"), otherCatalogue("orgContact")}
	t.logs[kindUser].lag, t.logs[kindGroup].lag = opts.UserLag, opts.GroupLag
	t.rounds.init(opts.Seed)
	t.faults.dice.init(opts.Seed, streamFaults)
	t.dice.init(opts.Seed, streamRequests)
	t.journal.limit = opts.JournalSize
	return t
}

// ID is the tenant's GUID.
func (t *Tenant) ID() string { return t.opts.TenantID }

// Name is the organization's display name.
func (t *Tenant) Name() string { return t.opts.Name }

// Domain is the verified default domain.
func (t *Tenant) Domain() string { return t.opts.Domain }

// InitialDomain is the tenant's onmicrosoft.com domain.
func (t *Tenant) InitialDomain() string {
	label, _, _ := strings.Cut(t.opts.Domain, ".")
	return label + ".onmicrosoft.com"
}

// Seed is the seed that reproduces this tenant.
func (t *Tenant) Seed() uint64 { return t.opts.Seed }

// answersTo reports whether name is this tenant's id or one of its domains.
func (t *Tenant) answersTo(name string) bool {
	return strings.EqualFold(name, t.opts.TenantID) || strings.EqualFold(name, t.opts.Domain) ||
		strings.EqualFold(name, t.InitialDomain())
}

// SetUser makes a user with these properties and returns its id: that of
// props["id"], or a new one. When a user of that id is there already, it is
// restored if need be and updated. A property given as nil is left unset.
// Graph's own rules (a unique userPrincipalName, …) are not enforced: tests
// need tenants in the middle of a swap.
func (t *Tenant) SetUser(props map[string]any) string { return t.set(kindUser, props) }

// UpdateUser changes properties; nil clears one, so that it comes as null from
// then on.
func (t *Tenant) UpdateUser(id string, props map[string]any) { t.update(kindUser, id, props) }

// RemoveUser moves the user to the recycle bin: @removed "changed". Memberships
// stay, as far as groups/delta tells.
func (t *Tenant) RemoveUser(id string) { t.retire(kindUser, id, removed) }

// PurgeUser deletes for good: @removed "deleted". The user leaves all groups;
// whether groups/delta says so is left to chance (by its documentation it
// does, by reports it may not), unless the tenant is calm: then it does.
func (t *Tenant) PurgeUser(id string) { t.retire(kindUser, id, purged) }

// RestoreUser takes the user out of the recycle bin, with the same id, manager
// and memberships.
func (t *Tenant) RestoreUser(id string) { t.restore(kindUser, id) }

// SwapUserPrincipalNames gives each of two users the other's sign-in name.
func (t *Tenant) SwapUserPrincipalNames(a, b string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := t.cats[kindUser].index["userPrincipalName"]
	first, second := t.must(kindUser, a), t.must(kindUser, b)
	x := t.pack.get(t.objects[first].data, name)
	y := t.pack.get(t.objects[second].data, name)
	t.change(first, map[string]any{"userPrincipalName": json.RawMessage(y)})
	t.change(second, map[string]any{"userPrincipalName": json.RawMessage(x)})
}

// SetManager makes manager the user's manager; "" takes the manager away.
func (t *Tenant) SetManager(id, manager string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.must(kindUser, id)
	o, to := t.objects[n], uint32(0)
	if manager != "" {
		to = t.must(kindUser, manager) + 1
	}
	if o.manager == to {
		return
	}
	old := o.manager
	o.manager = to
	t.note(kindUser, change{obj: n, what: managerSet, other: old})
}

// SetGroup makes a group as [Tenant.SetUser] makes a user.
func (t *Tenant) SetGroup(props map[string]any) string { return t.set(kindGroup, props) }

// UpdateGroup changes properties; nil clears one.
func (t *Tenant) UpdateGroup(id string, props map[string]any) { t.update(kindGroup, id, props) }

// RemoveGroup deletes a group as Entra does: Microsoft 365 groups (groupTypes
// has Unified) go to the recycle bin, all others at once for good.
func (t *Tenant) RemoveGroup(id string) {
	to := purged
	if t.isUnified(id) {
		to = removed
	}
	t.retire(kindGroup, id, to)
}

// PurgeGroup deletes a group for good, from the recycle bin or directly.
func (t *Tenant) PurgeGroup(id string) { t.retire(kindGroup, id, purged) }

// RestoreGroup takes a group out of the recycle bin, with its members.
func (t *Tenant) RestoreGroup(id string) { t.restore(kindGroup, id) }

// AddMember adds users, groups, devices, … to a group. One that is a member
// already is left as it is. Cycles of groups are allowed.
func (t *Tenant) AddMember(group string, members ...string) { t.link(group, members, true) }

// RemoveMember takes members out of a group.
func (t *Tenant) RemoveMember(group string, members ...string) { t.link(group, members, false) }

// AddObject makes a directory object of another type that can be a member:
// "device", "servicePrincipal" or "orgContact". It returns the id.
func (t *Tenant) AddObject(typ string, props map[string]any) string {
	for k := kindDevice; k < kinds; k++ {
		if typeNames[k] == typ {
			return t.set(k, props)
		}
	}
	panic(fmt.Sprintf("graphtest: %q is no type of member: want device, servicePrincipal or orgContact", typ))
}

// SetLag delays changes of "users" or "groups" in that collection's delta
// queries: a change made now shows in the round that begins after so many
// others have begun. 0 is at once. It makes users/delta and groups/delta
// disagree for a while, as they do in Graph. An object that is known already
// is shown as it is now, whatever the reason it is shown for.
func (t *Tenant) SetLag(collection string, rounds int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.logs[collectionKind(collection)].lag = rounds
}

func collectionKind(collection string) kind {
	for k, name := range collections {
		if name == collection {
			return kind(k)
		}
	}
	panic(fmt.Sprintf("graphtest: %q is no tracked collection: want users or groups", collection))
}

func (t *Tenant) set(k kind, props map[string]any) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, _ := props["id"].(string)
	n, known := t.byID[id]
	if known && t.objects[n].kind != k {
		panic(fmt.Sprintf("graphtest: %s is a %s, not a %s", id, typeNames[t.objects[n].kind], typeNames[k]))
	}
	if known && t.objects[n].state == live {
		t.change(n, props)
		return id
	}
	if id == "" {
		id = newGUID(t.ids)
	}
	if !known {
		n = t.add(&object{id: id, kind: k})
	}
	o := t.objects[n]
	o.state = live
	delete(t.deleted, n)
	o.data, _ = t.pack.set(t.cats[k], o.data, props)
	t.count[k]++
	t.noteCreated(n)
	return id
}

// add enters an object under the next number, without a trace in the log.
func (t *Tenant) add(o *object) uint32 {
	n := uint32(len(t.objects))
	if o.kind == kindGroup && o.group == nil {
		o.group = &links{}
	}
	t.objects = append(t.objects, o)
	t.byID[o.id] = n
	return n
}

func (t *Tenant) update(k kind, id string, props map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.change(t.must(k, id), props)
}

func (t *Tenant) change(n uint32, props map[string]any) {
	o := t.objects[n]
	data, changed := t.pack.set(t.cats[o.kind], o.data, props)
	if len(changed) == 0 {
		return
	}
	o.data = data
	t.note(o.kind, change{obj: n, what: updated, props: changed})
}

func (t *Tenant) retire(k kind, id string, to state) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.mustBeIn(k, id, to != purged)
	o := t.objects[n]
	if o.state == live {
		t.count[k]--
	}
	o.state = to
	t.deleted[n] = t.opts.Now()
	if to == purged {
		delete(t.deleted, n)
		t.forget(n)
	}
	t.note(k, change{obj: n, what: retired})
}

// forget takes an object that is gone for good out of all relationships.
func (t *Tenant) forget(n uint32) {
	told := t.opts.Calm || t.purges.IntN(2) == 0
	for g, o := range t.objects {
		switch {
		case o.group != nil && o.group.remove(n) && told:
			t.note(kindGroup, change{obj: uint32(g), what: memberRemoved, other: n})
		case o.manager == n+1:
			o.manager = 0
			if told {
				t.note(kindUser, change{obj: uint32(g), what: managerSet, other: n + 1})
			}
		}
	}
	o := t.objects[n]
	o.data, o.manager = nil, 0
	if o.group != nil {
		o.group = &links{}
	}
}

func (t *Tenant) restore(k kind, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.mustBeIn(k, id, false)
	o := t.objects[n]
	if o.state != removed {
		panic(fmt.Sprintf("graphtest: %s %s is not in the recycle bin", typeNames[k], id))
	}
	o.state = live
	delete(t.deleted, n)
	t.count[k]++
	t.noteCreated(n)
}

func (t *Tenant) link(group string, members []string, add bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.must(kindGroup, group)
	for _, id := range members {
		m, ok := t.byID[id]
		if !ok {
			panic(fmt.Sprintf("graphtest: no directory object %s to be a member", id))
		}
		if add && t.objects[g].group.add(m) {
			t.note(kindGroup, change{obj: g, what: memberAdded, other: m})
		} else if !add && t.objects[g].group.remove(m) {
			t.note(kindGroup, change{obj: g, what: memberRemoved, other: m})
		}
	}
}

func (t *Tenant) must(k kind, id string) uint32 { return t.mustBeIn(k, id, true) }

func (t *Tenant) mustBeIn(k kind, id string, alive bool) uint32 {
	n, ok := t.byID[id]
	if !ok || t.objects[n].kind != k || t.objects[n].state == purged || alive && t.objects[n].state != live {
		panic(fmt.Sprintf("graphtest: no %s %s", typeNames[k], id))
	}
	return n
}

func (t *Tenant) isUnified(id string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.must(kindGroup, id)
	types := t.pack.get(t.objects[n].data, t.cats[kindGroup].index["groupTypes"])
	return strings.Contains(string(types), `"Unified"`)
}
