package storetest

import (
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/store"
)

// For a longer run: go test ./sync/store -histories 500. To repeat one:
// -histories 1 -seed N.
var (
	histories = flag.Int("histories", 5, "how many random histories to play in each form of a store")
	firstSeed = flag.Uint64("seed", rand.Uint64(), "the first random history's seed")
)

const steps = 400

// randomHistories plays histories on the store and the model side by side.
func randomHistories(t *testing.T, fresh func(t *testing.T) Opener) {
	number := *histories
	if testing.Short() {
		number = min(number, 1)
	}
	for i := range number {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			h := newHistory(t, fresh(t), seed)
			for h.step = range steps {
				h.play()
			}
			h.reopen()
			h.check()
		})
	}
}

// A game is one random history.
type game struct {
	t       *testing.T
	open    Opener
	rand    *rand.Rand
	step    int
	store   store.Store
	sources map[string]*modelSource // the known ones
	rounds  map[string]*openRound
	// The order of objects at the last look, by source and kind.
	order map[string][]string
}

type openRound struct {
	tx store.Tx
	*modelRound
}

func newHistory(t *testing.T, open Opener, seed uint64) *game {
	h := &game{t: t, open: open, rand: rand.New(rand.NewPCG(seed, 0)),
		sources: make(map[string]*modelSource), rounds: make(map[string]*openRound), order: make(map[string][]string)}
	h.store = open(t)
	t.Cleanup(func() { h.store.Close() })
	return h
}

func pick[T any](h *game, from ...T) T { return from[h.rand.IntN(len(from))] }

func (h *game) source() string { return pick(h, "a", "a", "b", "c") }

func (h *game) kind() store.Kind { return pick(h, store.User, store.User, store.Group) }

func (h *game) id() string {
	n := h.rand.IntN(12)
	guid := fmt.Sprintf("0f3c8a52-1d0e-4b5c-9b57-5f0a1c2d3e%02x", n)
	return pick(h, guid, guid, guid, strings.ToUpper(guid), fmt.Sprintf("id %d", n))
}

func (h *game) properties() []byte {
	text := fmt.Sprintf(`{"n":%d}`, h.rand.IntN(3))
	return []byte(text + strings.Repeat(" ", pick(h, 0, 0, 0, 5000)))
}

func (h *game) time() time.Time {
	return pick(h, time.Time{}, noon.Add(time.Duration(h.rand.IntN(1000))*time.Microsecond))
}

func (h *game) removal() store.Removal {
	return store.Removal{At: h.time(), Reason: pick(h, "changed", "deleted", "")}
}

// known gives the model of a source, which is known from now on.
func (h *game) known(name string) *modelSource {
	if h.sources[name] == nil {
		h.sources[name] = newModelSource(name)
	}
	return h.sources[name]
}

func (h *game) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("step %d: %v", h.step, err)
	}
}

func (h *game) same(what string, got, want any) {
	h.t.Helper()
	same(h.t, fmt.Sprintf("step %d: %s", h.step, what), got, want)
}

// play makes one step: most of them within a round.
func (h *game) play() {
	name := h.source()
	r := h.rounds[name]
	switch n := h.rand.IntN(100); {
	case n == 0:
		h.reopen()
	case n < 4:
		h.check()
	case n < 12:
		h.update(name)
	case n < 18:
		h.tidy(name, r)
	case r == nil:
		tx, err := h.store.Begin(h.t.Context(), name)
		h.must(err)
		h.rounds[name] = &openRound{tx, h.known(name).begin()}
	case n < 26:
		h.end(name, r)
	default:
		for range 1 + h.rand.IntN(8) {
			h.change(r)
		}
	}
}

func (h *game) reopen() {
	h.must(h.store.Close())
	clear(h.rounds)
	h.store = h.open(h.t)
}

// update makes one small update.
func (h *game) update(name string) {
	ctx, m := h.t.Context(), h.known(name)
	switch h.rand.IntN(5) {
	case 0:
		m.Consent = store.Consent{TenantID: pick(h, "", "t"), At: h.time(), By: pick(h, "", "x")}
		h.must(h.store.SetConsent(ctx, name, m.Consent))
	case 1:
		m.Frozen = h.time()
		h.must(h.store.SetFrozen(ctx, name, m.Frozen))
	case 2:
		m.Held = pick(h, nil, &store.Held{Round: h.rand.Uint64N(9), Since: h.time(), Detail: pick(h, nil, []byte("{}"))})
		h.must(h.store.SetHeld(ctx, name, m.Held))
	case 3:
		m.Approved = store.Approval{Round: h.rand.Uint64N(9), At: h.time(), By: pick(h, "", "x")}
		h.must(h.store.SetApproved(ctx, name, m.Approved))
	case 4:
		record := store.RoundRecord{Source: name, Round: h.rand.Uint64N(9), Started: noon, Outcome: "published"}
		h.must(h.store.AddRound(ctx, record))
		m.history = append(m.history, record)
	}
}

// tidy forgets, prunes or drops, which an open round forbids.
func (h *game) tidy(name string, r *openRound) {
	ctx, m := h.t.Context(), h.sources[name]
	var err error
	var do func()
	switch n := h.rand.IntN(10); {
	case n == 0:
		err, do = h.store.DropSource(ctx, name), func() {
			delete(h.sources, name)
			maps.DeleteFunc(h.order, func(key string, _ []string) bool { return strings.HasPrefix(key, name+" ") })
		}
	case n < 6:
		kind, ids := h.kind(), []string{h.id(), h.id(), h.id(), h.id()}
		err, do = h.store.Forget(ctx, name, kind, ids...), func() { m.forget(kind, ids); h.lose(name, kind, ids) }
	default:
		upTo := h.rand.Uint64N(10)
		err, do = h.store.Prune(ctx, name, upTo), func() { m.prune(upTo) }
	}
	if r != nil {
		if !errors.Is(err, store.ErrBusy) {
			h.t.Fatalf("step %d: got %v, want ErrBusy", h.step, err)
		}
		return
	}
	h.must(err)
	if m != nil {
		do()
	}
}

// end commits or rolls back.
func (h *game) end(name string, r *openRound) {
	delete(h.rounds, name)
	if h.rand.IntN(4) == 0 {
		h.must(r.tx.Rollback())
		return
	}
	for _, kind := range []store.Kind{store.User, store.Group} {
		if r.reading[kind] {
			h.endFull(r, kind)
		}
	}
	h.same("Changed", r.tx.Changed(), r.changed)
	h.must(r.tx.Commit())
	r.commit(h.known(name))
	h.checkSource(name)
}

// change makes one change within a round.
func (h *game) change(r *openRound) {
	kind, id, other := h.kind(), h.id(), h.id()
	var got, want bool
	var err error
	switch n := h.rand.IntN(20); {
	case n < 7:
		properties := h.properties()
		got, err = r.tx.Put(kind, id, properties)
		want = r.put(kind, id, properties)
	case n < 9:
		removal := h.removal()
		got, err = r.tx.Remove(kind, id, removal)
		want = r.remove(kind, id, removal)
	case n < 14:
		typ := pick(h, "user", "user", "group", "device", "somethingNew")
		got, err = r.tx.Join(id, other, typ)
		want = r.join(id, other, typ)
	case n < 16:
		got, err = r.tx.Leave(id, other)
		want = r.leave(id, other)
	case n < 17:
		cursor := store.Cursor{Link: pick(h, "", "l"), Fingerprint: pick(h, "", "f"), At: h.time()}
		err = r.tx.SetCursor(kind, cursor)
		r.cursors[kind] = cursor
	case n < 18 && !r.reading[kind]:
		err = r.tx.BeginFull(kind)
		r.beginFull(kind)
	case n < 18:
		h.endFull(r, kind)
	case n < 19 && r.reading[kind]:
		h.checkFull(r, kind, id)
	default:
		h.checkInside(r, kind, id)
	}
	h.must(err)
	h.same("changed", got, want)
}

func (h *game) endFull(r *openRound, kind store.Kind) {
	removal := store.Removal{At: noon, Reason: "vanished"}
	objects, edges, err := r.tx.EndFull(kind, removal)
	h.must(err)
	wantObjects, wantEdges := r.endFull(kind, removal)
	h.same("removed by the full read", []int{objects, edges}, []int{wantObjects, wantEdges})
}

// checkFull looks into a full read, and now and then gives it up.
func (h *game) checkFull(r *openRound, kind store.Kind, id string) {
	seen, err := r.tx.Seen(kind, id)
	h.must(err)
	h.same("seen", seen, r.seen[objectKey{kind, id}])
	objects, edges, err := r.tx.Unseen(kind)
	h.must(err)
	wantObjects, wantEdges := r.unseen(kind)
	h.same("unseen", []int{objects, edges}, []int{wantObjects, wantEdges})
	ids := make(map[string]bool)
	h.must(r.tx.UnseenIDs(kind, func(id string) error {
		unseen, err := r.tx.Seen(kind, id)
		ids[id] = !unseen
		return err
	}))
	h.same("ids unseen", len(ids), objects)
	for id, unseen := range ids {
		h.same("unseen "+id, unseen && r.objects[objectKey{kind, id}].Removed == nil, true)
	}
	if h.rand.IntN(4) == 0 {
		h.must(r.tx.AbortFull(kind))
		r.reading[kind] = false
	}
}

func (h *game) checkInside(r *openRound, kind store.Kind, id string) {
	got, ok, err := r.tx.Object(kind, id)
	h.must(err)
	want, known := r.objects[objectKey{kind, id}]
	h.same("object inside", got, want)
	h.same("known inside", ok, known)
	h.same("round", r.tx.Round(), r.number)
}

// check compares everything that the store gives with the model.
func (h *game) check() {
	all, err := h.store.Sources(h.t.Context())
	h.must(err)
	var want []store.Source
	for i, name := range slices.Sorted(maps.Keys(h.sources)) {
		if i < len(all) {
			h.sources[name].adopt(all[i])
		}
		want = append(want, h.sources[name].state())
	}
	h.same("sources", all, want)
	for _, name := range []string{"a", "b", "c"} {
		h.checkSource(name)
	}
}

func (h *game) checkSource(name string) {
	ctx, m := h.t.Context(), h.sources[name]
	if m == nil {
		m = newModelSource(name)
	}
	src, err := h.store.Source(ctx, name)
	h.must(err)
	m.adopt(src)
	h.same("source", src, m.state())
	users, groups, err := h.store.Counts(ctx, name)
	h.must(err)
	h.same("counts", []int{users, groups}, []int{src.Users, src.Groups})

	since := h.rand.Uint64N(m.Round + 2)
	for _, kind := range []store.Kind{store.User, store.Group} {
		all := h.streamed(h.store.Objects(ctx, name, kind, 0), m.changedSince(kind, 0))
		h.sameOrder(name+" "+string(kind), all)
		some := h.streamed(h.store.Objects(ctx, name, kind, since), m.changedSince(kind, since))
		h.same("order of changes", some, slices.DeleteFunc(all, func(id string) bool { return !slices.Contains(some, id) }))
		h.checkObject(m, kind, h.id())
		before := h.time()
		h.streamed(h.store.Removed(ctx, name, kind, before), m.removedBefore(kind, before))
	}
	h.checkEdges(m, since)
	h.checkHistory(m)
}

func (h *game) checkObject(m *modelSource, kind store.Kind, id string) {
	got, ok, err := h.store.Object(h.t.Context(), m.Name, kind, id)
	h.must(err)
	want, known := m.objects[objectKey{kind, id}]
	h.same("object", got, want)
	h.same("known", ok, known)
}

// streamed compares a stream of objects with a set and gives the ids in order.
func (h *game) streamed(seq iter.Seq2[store.Object, error], want map[string]store.Object) (order []string) {
	h.t.Helper()
	got := make(map[string]store.Object)
	for o, err := range seq {
		h.must(err)
		got[o.ID] = o
		order = append(order, o.ID)
	}
	h.same("objects", got, want)
	h.same("number of objects", len(order), len(want))
	return order
}

// sameOrder checks that what was there at the last look has kept its order.
func (h *game) sameOrder(what string, now []string) {
	h.t.Helper()
	only := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return !slices.Contains(other, id) })
	}
	h.same("order of "+what, only(now, h.order[what]), only(h.order[what], now))
	h.order[what] = slices.Clone(now)
}

// lose takes forgotten ids out of the order, for they may come back elsewhere.
func (h *game) lose(name string, kind store.Kind, ids []string) {
	key := name + " " + string(kind)
	h.order[key] = slices.DeleteFunc(h.order[key], func(id string) bool {
		_, known := h.sources[name].objects[objectKey{kind, id}]
		return slices.Contains(ids, id) && !known
	})
}

func (h *game) checkEdges(m *modelSource, since uint64) {
	ctx, name := h.t.Context(), m.Name
	compare := func(what string, seq iter.Seq2[store.Edge, error], want func(store.Edge) bool) {
		h.t.Helper()
		got := make(map[edgeKey]store.Edge)
		n := 0
		for e, err := range seq {
			h.must(err)
			got[edgeKey{e.Group, e.Member}] = e
			n++
		}
		expected := m.edgesWhere(want)
		h.same(what, got, expected)
		h.same("number of "+what, n, len(expected))
	}
	id := h.id()
	compare("edges", h.store.Edges(ctx, name, 0), func(store.Edge) bool { return true })
	compare("changed edges", h.store.Edges(ctx, name, since), func(e store.Edge) bool { return e.Round > since })
	compare("members", h.store.Members(ctx, name, id), func(e store.Edge) bool { return e.Group == id && !e.Removed })
	compare("memberships", h.store.MemberOf(ctx, name, id), func(e store.Edge) bool { return e.Member == id && !e.Removed })
}

func (h *game) checkHistory(m *modelSource) {
	got, err := h.store.Rounds(h.t.Context(), m.Name, 1<<20)
	h.must(err)
	want := slices.Clone(m.history)
	slices.Reverse(want)
	h.same("history", got, want)
}
