package directory_test

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

const baseURL = "https://scim.example.com/scim/v2"

// A thing is a resource of the naive model.
type thing struct {
	typ        directory.Type
	id         string
	userName   string
	externalID string
	display    string
	emails     []string
	title      string
	inactive   bool
	detached   bool
	manager    string // may be nobody's id
	hides      bool
	created    time.Time

	// What the model expects of the served form.
	order    int
	rendered string // without meta
	modified time.Time
	since    time.Time // detached, as it was last published
}

// record gives a thing as a mapping would.
func (x *thing) record() directory.Record {
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	var b strings.Builder
	fmt.Fprintf(&b, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:%s"],"id":%s`, x.typ, quote(x.id))
	if x.externalID != "" {
		fmt.Fprintf(&b, `,"externalId":%s`, quote(x.externalID))
	}
	if x.typ == directory.User {
		fmt.Fprintf(&b, `,"userName":%s`, quote(x.userName))
	}
	if x.display != "" {
		fmt.Fprintf(&b, `,"displayName":%s`, quote(x.display))
	}
	if x.title != "" {
		fmt.Fprintf(&b, `,"title":%s`, quote(x.title))
	}
	if len(x.emails) > 0 {
		b.WriteString(`,"emails":[`)
		for i, e := range x.emails {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"value":%s,"type":"work"}`, quote(e))
		}
		b.WriteByte(']')
	}
	if x.typ == directory.User {
		fmt.Fprintf(&b, `,"active":%t`, !x.inactive)
	}
	if x.manager != "" && !x.hides {
		fmt.Fprintf(&b, `,"manager":{"value":%s}`, quote(x.manager))
	}
	return directory.Record{
		Type: x.typ, ID: x.id, Body: []byte(b.String()), Active: !x.inactive, Detached: x.detached,
		UserName: x.userName, ExternalID: x.externalID, DisplayName: x.display, Emails: x.emails, Created: x.created,
		Manager: x.manager, HidesManager: x.hides,
	}
}

// A model is the directory as the simplest program would keep it.
type model struct {
	things  map[string]*thing
	members map[string]map[string]bool // group id -> member ids
	next    int

	parents map[string]map[string]bool  // the inverse of members; made by settle
	lists   map[directory.Type][]*thing // ordered's answers, until things change
}

func newModel() *model {
	return &model{things: map[string]*thing{}, members: map[string]map[string]bool{}}
}

func (m *model) attached(id string) bool { x := m.things[id]; return x != nil && !x.detached }

func (m *model) join(group, member string) {
	if g := m.things[group]; g == nil || g.typ != directory.Group || !m.attached(member) || group == member {
		return
	}
	if m.members[group] == nil {
		m.members[group] = map[string]bool{}
	}
	m.members[group][member] = true
}

func (m *model) leaveAll(id string) {
	for _, members := range m.members {
		delete(members, id)
	}
}

func (m *model) remove(id string) {
	m.leaveAll(id)
	delete(m.members, id)
	delete(m.things, id)
	m.lists = nil
}

func (m *model) ordered(t directory.Type) []*thing {
	if all, ok := m.lists[t]; ok {
		return all
	}
	var all []*thing
	for _, x := range m.things {
		if x.typ == t {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *thing) int { return cmp.Compare(a.order, b.order) })
	if m.lists == nil {
		m.lists = map[directory.Type][]*thing{}
	}
	m.lists[t] = all
	return all
}

func (m *model) directGroups(id string) map[string]bool { return m.parents[id] }

func (m *model) allGroups(id string) map[string]bool {
	all := map[string]bool{}
	var climb func(string)
	climb = func(id string) {
		for g := range m.directGroups(id) {
			if !all[g] {
				all[g] = true
				climb(g)
			}
		}
	}
	climb(id)
	return all
}

type link struct {
	Value, Ref, Display, Type string
}

func (l link) String() string {
	b := fmt.Sprintf(`{"value":%q,"$ref":%q`, l.Value, l.Ref)
	if l.Display != "" {
		d, _ := json.Marshal(l.Display)
		b += `,"display":` + string(d)
	}
	return b + fmt.Sprintf(`,"type":%q}`, l.Type)
}

// links gives a thing's groups or members.
func (m *model) links(x *thing) []link {
	var links []link
	add := func(id, kind string) {
		y := m.things[id]
		links = append(links, link{id, baseURL + y.typ.Endpoint() + "/" + id, y.display, kind})
	}
	// References go up with the order in which resources were first seen.
	byOrder := func(ids map[string]bool) []string {
		return slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return cmp.Compare(m.things[a].order, m.things[b].order) })
	}
	if x.typ == directory.Group {
		for _, id := range byOrder(m.members[x.id]) {
			add(id, m.things[id].typ.String())
		}
		return links
	}
	all := m.allGroups(x.id)
	for _, g := range byOrder(m.directGroups(x.id)) {
		add(g, "direct")
		delete(all, g)
	}
	for _, g := range byOrder(all) {
		add(g, "indirect")
	}
	return links
}

func (m *model) render(x *thing) string {
	body := "{" + string(x.record().Body)
	name := map[directory.Type]string{directory.User: "groups", directory.Group: "members"}[x.typ]
	if links := m.links(x); len(links) > 0 {
		texts := make([]string, len(links))
		for i, l := range links {
			texts[i] = l.String()
		}
		body += fmt.Sprintf(`,%q:[%s]`, name, strings.Join(texts, ","))
	}
	return body
}

// settle notes what a publication at a time changes.
func (m *model) settle(at time.Time) (changed int) {
	m.parents = map[string]map[string]bool{}
	for g, members := range m.members {
		for id := range members {
			if m.parents[id] == nil {
				m.parents[id] = map[string]bool{}
			}
			m.parents[id][g] = true
		}
	}
	for _, x := range m.things {
		if now := m.render(x); now != x.rendered {
			x.rendered, x.modified = now, at
			changed++
		}
		switch {
		case !x.detached:
			x.since = time.Time{}
		case x.since.IsZero():
			x.since = at
		}
	}
	return changed
}

// A world plays random changes to a model and a picture alike.
type world struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	opts    directory.Options
	picture *directory.Picture
	model   *model
	draft   *directory.Draft
	now     time.Time
	packed  int // compressed blocks that were looked at

	versions map[string]string // of what is served without meta -> its version
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), model: newModel(), versions: map[string]string{},
		opts: directory.Options{Dir: t.TempDir(), Source: "contoso", BaseURL: baseURL, Keep: 4},
		now:  time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
	}
	w.open()
	return w
}

func (w *world) open() {
	p, err := directory.Open(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	// Some worlds are written anew by nearly every draft, some by some, some never.
	p.SetLeastOverlay([]int{1, 8, 4096}[w.seed%3])
	p.SetFanOut(2 + int(w.seed/3%2))
	if w.seed%2 == 0 { // nor are its groups so large
		p.SetCut(2, 2, 3)
	}
	// In every other one what is made of everybody lies in files, as with many people.
	p.SetListsOnHeap(int(w.seed % 2))
	w.picture = p
}

func (w *world) put(x *thing) {
	if old := w.model.things[x.id]; old != nil {
		x.order, x.rendered, x.modified, x.since = old.order, old.rendered, old.modified, old.since
	} else {
		x.order = w.model.next
		w.model.next++
	}
	if x.detached {
		w.model.leaveAll(x.id)
	}
	w.model.things[x.id] = x
	w.model.lists = nil
	if err := w.draft.Put(x.record()); err != nil {
		w.t.Fatal(err)
	}
}

var words = []string{"Ada", "Zoë", `O"Brien`, "李", "back\\slash", "Ünal", "x"}

func (w *world) word() string { return words[w.rnd.IntN(len(words))] }

func (w *world) pick(t directory.Type) *thing {
	all := w.model.ordered(t)
	if len(all) == 0 {
		return nil
	}
	return all[w.rnd.IntN(len(all))]
}

func (w *world) pickAny() *thing {
	return w.pick(directory.Type(w.rnd.IntN(directory.NumTypes)))
}

// step makes one random change.
func (w *world) step() {
	switch n := w.rnd.IntN(20); {
	case n < 4:
		id := fmt.Sprintf("u-%d", w.rnd.Uint32())
		w.put(&thing{
			typ: directory.User, id: id, userName: w.word() + id, display: w.word(),
			emails: []string{strings.ToUpper(id) + "@example.com", w.word() + "@example.com"}[:w.rnd.IntN(3)],
		})
	case n < 5:
		id := fmt.Sprintf("g-%d", w.rnd.Uint32())
		w.put(&thing{typ: directory.Group, id: id, display: w.word(), created: time.Unix(1e9, 5e6).UTC()})
	case n < 8:
		if x := w.pickAny(); x != nil {
			y := *x
			switch w.rnd.IntN(5) {
			case 4:
				if x.typ == directory.User {
					y.manager, y.hides = w.someManager(), w.rnd.IntN(2) == 0
				}
			case 0:
				y.display = w.word()
			case 1:
				y.title = w.word()
			case 2:
				y.externalID = w.word()
			case 3:
				y.inactive = x.typ == directory.User && !y.inactive
				y.detached = y.inactive && w.rnd.IntN(2) == 0
			}
			w.put(&y)
		}
	case n < 9:
		if x := w.pickAny(); x != nil && (x.typ == directory.User || w.rnd.IntN(3) == 0) {
			w.model.remove(x.id)
			w.draft.Remove(x.id)
		}
	case n < 18:
		g, x := w.pick(directory.Group), w.pickAny()
		if g != nil && x != nil {
			w.model.join(g.id, x.id)
			w.draft.Join(g.id, x.id)
		}
	default:
		if g := w.pick(directory.Group); g != nil {
			for id := range w.model.members[g.id] {
				delete(w.model.members[g.id], id)
				w.draft.Leave(g.id, id)
				break
			}
		}
	}
}

// someManager gives a user's id, or one that nobody has, or none.
func (w *world) someManager() string {
	switch boss := w.pick(directory.User); {
	case boss == nil || w.rnd.IntN(6) == 0:
		return ""
	case w.rnd.IntN(4) == 0:
		return "u-who-is-not-there"
	default:
		return boss.id
	}
}

// manage puts right who names a manager, as the draft finds them.
func (w *world) manage() {
	w.t.Helper()
	var want []string
	for id, x := range w.model.things {
		if boss := w.model.things[x.manager]; x.manager != "" && x.hides == (boss != nil) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	got := w.draft.Misled()
	if !slices.Equal(got, want) {
		w.t.Fatalf("misled are %q, want %q", got, want)
	}
	for _, id := range got {
		y := *w.model.things[id]
		y.hides = !y.hides
		w.put(&y)
	}
	if left := w.draft.Misled(); len(left) > 0 {
		w.t.Fatalf("misled are still %q", left)
	}
}

// publish seals and publishes the draft.
func (w *world) publish() *directory.Snapshot {
	w.now = w.now.Add(time.Minute)
	w.manage()
	before := w.picture.Current()
	s, err := w.draft.Seal(w.t.Context(), w.now, directory.Tag{Round: uint64(w.now.Unix())})
	if err != nil {
		w.t.Fatal(err)
	}
	lenBefore := 0
	if before != nil {
		lenBefore = before.Len(directory.User) + before.Len(directory.Group)
	}
	changed := w.model.settle(w.now)
	c := [2]directory.Counts(s.Diff().Counts)
	if got := c[0].Added + c[0].Changed + c[0].Deactivated + c[0].Reactivated + c[1].Added + c[1].Changed; got != changed {
		w.t.Errorf("diff counts %d resources that look different, want %d: %+v", got, changed, c)
	}
	if got, want := c[0].Added+c[1].Added-c[0].Removed-c[1].Removed, len(w.model.things)-lenBefore; got-c[0].Purged-c[1].Purged != want {
		w.t.Errorf("diff counts %d more resources, want %d", got, want)
	}
	if err := w.picture.Publish(s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// check compares everything that a view gives with the model.
func (w *world) check() {
	w.t.Helper()
	v := directory.NewView(w.picture.Current())
	active, detached := 0, 0
	for _, x := range w.model.ordered(directory.User) {
		if !x.inactive {
			active++
		}
		if x.detached {
			detached++
		}
	}
	for range w.picture.Current().Detached(directory.User) {
		detached--
	}
	if got := w.picture.Current().Active(directory.User); got != active || detached != 0 {
		w.t.Errorf("%d users are active, want %d; %d detached ones are missing", got, active, detached)
	}
	for t := range directory.Type(directory.NumTypes) {
		want := w.model.ordered(t)
		if v.Len(t) != len(want) {
			w.t.Fatalf("%d %ss are served, want %d", v.Len(t), t, len(want))
		}
		var all []string
		for i, x := range want {
			r := v.At(t, i)
			w.checkResource(v, r, x)
			if r.Position() != i {
				w.t.Errorf("%s has position %d, want %d", x.id, r.Position(), i)
			}
			all = append(all, string(r.AppendJSON(nil)))
		}
		for range 5 {
			i := w.rnd.IntN(len(all) + 1)
			j := i + w.rnd.IntN(len(all)-i+1)
			var got strings.Builder
			for _, p := range v.Pieces(nil, t, i, j) {
				got.Write(p)
			}
			if got.String() != strings.Join(all[i:j], ",") {
				w.t.Fatalf("%ss %d to %d come as\n%s\nwant\n%s", t, i, j, got.String(), strings.Join(all[i:j], ","))
			}
			if packed := w.unpack(v.PackedPieces(nil, t, i, j)); packed != got.String() {
				w.t.Fatalf("%ss %d to %d, compressed, come as\n%s\nwant\n%s", t, i, j, packed, got.String())
			}
		}
		w.checkIndexes(v, t, want)
	}
}

// unpack gives the plain text of pieces.
func (w *world) unpack(pieces []directory.Piece) string {
	w.t.Helper()
	var text strings.Builder
	for _, p := range pieces {
		if p.Plain != nil {
			text.Write(p.Plain)
			continue
		}
		w.packed++
		lastBlock := []byte{1, 0, 0, 0xff, 0xff}
		plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(slices.Clip(p.Deflated), lastBlock...))))
		if err != nil || len(plain) != p.Size || crc32.ChecksumIEEE(plain) != p.CRC {
			w.t.Fatalf("a block of %d bytes with CRC %x gives %d bytes with %x: %v", p.Size, p.CRC, len(plain), crc32.ChecksumIEEE(plain), err)
		}
		text.Write(plain)
	}
	return text.String()
}

func (w *world) checkResource(v *directory.View, r directory.Resource, x *thing) {
	w.t.Helper()
	text := string(r.AppendJSON(nil))
	if !json.Valid([]byte(text)) {
		w.t.Fatalf("%s is invalid JSON: %s", x.id, text)
	}
	body, _, _ := strings.Cut(text, `,"meta":`)
	if body != x.rendered {
		w.t.Fatalf("%s is served as\n%s\nwant\n%s", x.id, body, x.rendered)
	}
	var served struct {
		Meta struct {
			ResourceType, Location, Version string
			Created, LastModified           time.Time
		}
		Groups, Members []json.RawMessage
		Active          *bool
	}
	if err := json.Unmarshal([]byte(text), &served); err != nil {
		w.t.Fatal(err)
	}
	meta := served.Meta
	if !meta.LastModified.Equal(x.modified) || !r.LastModified().Equal(x.modified) {
		w.t.Errorf("%s has lastModified %s and %s, want %s", x.id, meta.LastModified, r.LastModified(), x.modified)
	}
	if meta.Version != r.Version() || meta.ResourceType != x.typ.String() || meta.Location != baseURL+x.typ.Endpoint()+"/"+x.id {
		w.t.Errorf("%s has meta %+v", x.id, meta)
	}
	if known, ok := w.versions[body]; ok && known != meta.Version {
		w.t.Errorf("%s has version %s, and had %s when it was the same", x.id, meta.Version, known)
	}
	w.versions[body] = meta.Version
	if !x.created.IsZero() && !meta.Created.Equal(x.created) {
		w.t.Errorf("%s has created %s, want %s", x.id, meta.Created, x.created)
	}
	if x.detached && !r.DetachedSince().Equal(x.since) {
		w.t.Errorf("%s is detached since %s, want %s", x.id, r.DetachedSince(), x.since)
	}
	if r.ID() != x.id || r.Active() == x.inactive || r.Type() != x.typ {
		w.t.Errorf("%s: accessors give %s, %t, %s", x.id, r.ID(), r.Active(), r.Type())
	}
	if says, known := r.SaysActive(); known != (served.Active != nil) || known && says != *served.Active {
		w.t.Errorf("%s: its row says that active is %t, %t", x.id, says, known)
	}
	if byID, ok := v.ByID(x.id); !ok || byID.Position() != r.Position() || string(byID.AppendJSON(nil)) != text {
		w.t.Errorf("%s is not found by id", x.id)
	}
	links := append(served.Groups, served.Members...)
	i := 0
	for e := range r.Elements() {
		if i >= len(links) || string(e) != string(links[i]) {
			w.t.Errorf("%s has element %d %s", x.id, i, e)
		}
		i++
	}
	if i != len(links) {
		w.t.Errorf("%s has %d elements, want %d", x.id, i, len(links))
	}
	if y := w.pickAny(); y != nil {
		want := w.model.members[x.id][y.id] || x.typ == directory.User && w.model.allGroups(x.id)[y.id]
		if r.Linked(y.id) != want {
			w.t.Errorf("%s linked with %s: %t, want %t", x.id, y.id, !want, want)
		}
	}
	var doc map[string]json.RawMessage
	_ = json.Unmarshal([]byte(text), &doc)
	for _, name := range []string{"userName", "displayName", "title", "nothing", r.LinksName(), "meta"} {
		if got := string(r.Attribute(name)); got != string(doc[name]) {
			w.t.Errorf("%s has %s %s, want %s", x.id, name, got, doc[name])
		}
	}
}

func (w *world) checkIndexes(v *directory.View, t directory.Type, want []*thing) {
	w.t.Helper()
	if len(want) == 0 {
		return
	}
	x := want[w.rnd.IntN(len(want))]
	find := func(ix directory.Index, key string, has func(*thing) bool) {
		w.t.Helper()
		var positions []int
		for i, y := range want {
			if has(y) {
				positions = append(positions, i)
			}
		}
		if got := v.Find(t, ix, key); !slices.Equal(got, positions) {
			w.t.Errorf("index %d has %q of %s at %v, want %v", ix, key, t, got, positions)
		}
	}
	same := func(a, b string) bool { return directory.Fold(a) == directory.Fold(b) }
	if t == directory.User {
		find(directory.ByUserName, strings.ToUpper(x.userName), func(y *thing) bool { return same(y.userName, x.userName) })
		for _, e := range x.emails {
			find(directory.ByEmail, strings.ToLower(e), func(y *thing) bool {
				return slices.ContainsFunc(y.emails, func(f string) bool { return same(e, f) })
			})
		}
		if g := w.pick(directory.Group); g != nil {
			find(directory.ByGroup, g.id, func(y *thing) bool { return w.model.allGroups(y.id)[g.id] })
		}
	} else if y := w.pickAny(); y != nil {
		find(directory.ByMember, y.id, func(g *thing) bool { return w.model.members[g.id][y.id] })
	}
	if x.display != "" {
		find(directory.ByDisplayName, x.display, func(y *thing) bool { return same(x.display, y.display) })
	}
	if x.externalID != "" {
		find(directory.ByExternalID, x.externalID, func(y *thing) bool { return x.externalID == y.externalID })
	}
	var since []int
	for i, y := range want {
		if !y.modified.Before(x.modified) {
			since = append(since, i)
		}
	}
	if got := v.ModifiedSince(t, x.modified.Add(-time.Microsecond)); !slices.Equal(got, since) {
		w.t.Errorf("%ss changed since %s are at %v, want %v", t, x.modified, got, since)
	}
}
