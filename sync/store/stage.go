package store

import (
	"cmp"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A stage holds changes of a round that are not yet written. Its objects and
// edges are complete rows as they are to be.
type stage struct {
	ids     []stagedID              // in the order of their numbers
	objects map[int64]*stagedObject // slot -> row
	edges   map[ends]*stagedEdge    // both ends -> row
	known   map[string]int64        // id -> n, of all ids and of some written ones
	size    int                     // roughly, in bytes
	limit   int                     // how many written ids are in known

	// Where the properties lie: blocks that are used again once they are written.
	blocks [][]byte
	block  int // the one that takes the next
}

type stagedID struct {
	n  int64
	id string
}

type stagedObject struct {
	removed    *Removal
	properties []byte
}

// ends are the numbers n of an edge's two ids.
type ends struct{ group, member int64 }

type stagedEdge struct {
	m     int64
	typ   string
	ended bool
}

func newStage(limit int) stage {
	return stage{limit: limit, objects: make(map[int64]*stagedObject), edges: make(map[ends]*stagedEdge), known: make(map[string]int64)}
}

// written empties the stage after its rows went elsewhere.
func (st *stage) written() {
	st.ids, st.size, st.block = st.ids[:0], 0, 0
	clear(st.objects)
	clear(st.edges)
	for i := range st.blocks {
		st.blocks[i] = st.blocks[i][:0]
	}
}

// makeRoom writes the stage away when it is full.
func (r *round) makeRoom() error {
	if r.stage.size < r.db.stageLimit {
		return nil
	}
	if r.first {
		return r.db.transact(r.ctx, r.conn, func(*sql.Conn) error { return r.flush("main") })
	}
	if !r.spilled {
		if err := r.db.step(r.ctx, r.conn, "spill", stagingTables); err != nil {
			return err
		}
		r.spilled = true
	}
	return r.flush("temp")
}

// flush writes the stage to the tables of a schema.
func (r *round) flush(schema string) error {
	for _, write := range []func(string) error{r.flushIDs, r.flushObjects, r.flushEdges} {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := write(schema); err != nil {
			return err
		}
	}
	r.written = r.written || schema == "main"
	if r.seen != nil {
		r.addSeen()
	}
	r.stage.written()
	return nil
}

// addSeen tells the filter of a first round what the stage wrote.
func (r *round) addSeen() {
	for at := range r.stage.edges {
		r.seen.edges.add(r.seen.hashEdge(at))
	}
}

func (r *round) flushIDs(schema string) error {
	if err := r.db.fail("ids"); err != nil {
		return err
	}
	in := r.inserter(schema+".ids (ref, id)", "(?, ?)")
	for _, staged := range r.stage.ids {
		if err := in.add(r.ref(staged.n), encodeID(staged.id)); err != nil {
			return err
		}
	}
	return in.flush()
}

const upsertObject = ` ON CONFLICT DO UPDATE SET round = excluded.round,
	removed_at = excluded.removed_at, reason = excluded.reason, properties = excluded.properties`

func (r *round) flushObjects(schema string) error {
	if err := r.db.fail("objects"); err != nil {
		return err
	}
	table := schema + ".objects (slot, round, removed_at, reason, properties)"
	upsert := "INSERT INTO " + table + " VALUES (?, ?, ?, ?, ?)" + upsertObject
	in := r.inserter(table, fmt.Sprintf("(?, %d, NULL, NULL, ?)", r.number))
	for _, slot := range slices.Sorted(maps.Keys(r.stage.objects)) {
		o := r.stage.objects[slot]
		var err error
		if r.seen.firstTime(slot) && o.removed == nil {
			err = in.add(slot, o.properties)
		} else {
			at, reason := encodeRemoval(o.removed)
			err = r.exec(upsert, slot, int64(r.number), at, reason, o.properties)
		}
		if err != nil {
			return err
		}
	}
	return in.flush()
}

const upsertEdge = ` ON CONFLICT (m) DO UPDATE SET type = excluded.type, round = excluded.round, ended = excluded.ended`

func (r *round) flushEdges(schema string) error {
	if err := r.db.fail("edges"); err != nil {
		return err
	}
	table := schema + ".edges (m, grp, member, type, round, ended)"
	upsert := "INSERT INTO " + table + " VALUES (?, ?, ?, ?, ?, ?)" + upsertEdge
	in := r.inserter(table, fmt.Sprintf("(?, ?, ?, ?, %d, 0)", r.number))
	type row struct {
		ends
		*stagedEdge
	}
	rows := make([]row, 0, len(r.stage.edges))
	for at, e := range r.stage.edges {
		rows = append(rows, row{at, e})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.m, b.m) })
	first := edgeSpan(r.source).first
	for _, e := range rows {
		var err error
		if r.seen != nil && e.m >= r.seen.storedM && !e.ended {
			err = in.add(first+e.m, r.ref(e.group), r.ref(e.member), encodeType(e.typ))
		} else {
			err = r.exec(upsert, first+e.m, r.ref(e.group), r.ref(e.member), encodeType(e.typ), int64(r.number), e.ended)
		}
		if err != nil {
			return err
		}
	}
	if r.seen != nil {
		r.seen.storedM = r.nextM
	}
	return in.flush()
}

// An inserter puts rows that are new into a table, many with each statement: to
// begin and end one costs as much as a row.
type inserter struct {
	r         *round
	one, many string
	columns   int
	args      []any
}

// insertRows is how many rows go into a statement.
const insertRows = 32

// inserter inserts into the given columns rows of the given form.
func (r *round) inserter(table, row string) *inserter {
	into, columns := "INSERT INTO "+table+" VALUES ", strings.Count(row, "?")
	return &inserter{r, into + row, into + strings.Repeat(","+row, insertRows)[1:], columns, make([]any, 0, insertRows*columns)}
}

func (in *inserter) add(values ...any) error {
	if in.args = append(in.args, values...); len(in.args) < insertRows*in.columns {
		return nil
	}
	err := in.r.exec(in.many, in.args...)
	clear(in.args)
	in.args = in.args[:0]
	return err
}

// flush inserts what is left.
func (in *inserter) flush() error {
	for row := range slices.Chunk(in.args, in.columns) {
		if err := in.r.exec(in.one, row...); err != nil {
			return err
		}
	}
	return nil
}

// unspill moves what waits in the temp schema into the tables.
func (r *round) unspill(conn *sql.Conn) error {
	for _, move := range []string{
		"INSERT INTO main.ids (ref, id) SELECT ref, id FROM temp.ids ORDER BY ref",
		"INSERT INTO main.objects SELECT * FROM temp.objects WHERE true ORDER BY slot" + upsertObject,
		"INSERT INTO main.edges SELECT * FROM temp.edges WHERE true ORDER BY m" + upsertEdge,
	} {
		if err := r.db.step(r.ctx, conn, "unspill", move); err != nil {
			return err
		}
	}
	return nil
}

// ref is the key of an id in the tables.
func (r *round) ref(n int64) int64 { return refSpan(r.source).first + n }

// schemas are where rows of the source may be, beneath the stage, the latest
// first.
func (r *round) schemas() []string {
	switch {
	case r.spilled:
		return []string{"temp", "main"}
	case r.written:
		return []string{"main"}
	}
	return nil
}

// lookup gives the number of an id that is known to the source.
func (r *round) lookup(id string) (n int64, known bool, err error) {
	if r.seen != nil {
		small, known := r.seen.ids.Find(id)
		return int64(small), known, nil
	}
	if n, ok := r.stage.known[id]; ok {
		return n, true, nil
	}
	refs := refSpan(r.source)
	for _, schema := range r.schemas() {
		var ref int64
		found, err := r.one("SELECT ref FROM "+schema+".ids WHERE id = ? AND ref BETWEEN ? AND ?",
			[]any{encodeID(id), refs.first, refs.last}, &ref)
		if err != nil {
			return 0, false, err
		}
		if found {
			r.stage.remember(id, ref-refs.first)
			return ref - refs.first, true, nil
		}
	}
	return 0, false, nil
}

// remember keeps the number of an id. When there are too many it forgets the
// written ones, which can be looked up.
func (st *stage) remember(id string, n int64) {
	if len(st.known) >= st.limit+len(st.ids) {
		clear(st.known)
		for _, staged := range st.ids {
			st.known[staged.id] = staged.n
		}
	}
	st.known[id] = n
}

// refer gives the number of an id, a new one if need be.
func (r *round) refer(id string) (n int64, fresh bool, err error) {
	n, known, err := r.lookup(id)
	if known || err != nil {
		return n, false, err
	}
	if n = r.nextN; n >= 1<<refBits {
		return 0, false, errTooMany
	}
	r.nextN++
	r.stage.ids = append(r.stage.ids, stagedID{n, id})
	if r.seen != nil {
		r.seen.ids.Set(id, uint32(n))
	} else {
		r.stage.remember(id, n)
	}
	r.stage.size += 150 + len(id)
	return n, true, nil
}

// keep copies properties to where they stay until they are written.
func (st *stage) keep(properties []byte) []byte {
	room := func(b []byte) int { return cap(b) - len(b) }
	for st.block < len(st.blocks) && room(st.blocks[st.block]) < len(properties) {
		st.block++
	}
	if st.block == len(st.blocks) {
		st.blocks = append(st.blocks, make([]byte, 0, max(min(4<<10<<min(st.block, 6), 256<<10), len(properties), 1)))
	}
	b := &st.blocks[st.block]
	from := len(*b)
	*b = append(*b, properties...)
	return (*b)[from:len(*b):len(*b)]
}

func (st *stage) putObject(slot int64, o *stagedObject) {
	if st.objects[slot] == nil {
		st.size += 150
	}
	st.objects[slot] = o
	st.size += len(o.properties)
}

func (st *stage) putEdge(at ends, e *stagedEdge) {
	if st.edges[at] == nil {
		st.size += 150
	}
	st.edges[at] = e
}
