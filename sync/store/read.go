package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Object implements [Store].
func (s *DB) Object(ctx context.Context, source string, kind Kind, id string) (obj Object, ok bool, err error) {
	code, err := place(kind, id)
	if err != nil {
		return Object{}, false, s.wrap("reading an object", err)
	}
	var at *int64
	var reason *string
	obj = Object{Kind: kind, ID: id}
	err = s.reads.QueryRowContext(ctx, `SELECT o.round, o.removed_at, o.reason, o.properties
		FROM sources s
		CROSS JOIN ids i ON i.id = ? AND i.ref BETWEEN s.number << 32 AND s.number << 32 | 0xffffffff
		CROSS JOIN objects o ON o.slot = (s.number << 4 | ?) << 32 | (i.ref & 0xffffffff)
		WHERE s.name = ? AND s.round > 0`,
		encodeID(id), code, source).Scan(&obj.Round, &at, &reason, &obj.Properties)
	if errors.Is(err, sql.ErrNoRows) {
		return Object{}, false, nil
	}
	if err != nil {
		return Object{}, false, s.wrap("reading an object", err)
	}
	obj.Removed = decodeRemoval(at, reason)
	return obj, true, nil
}

// What is common to all reads of objects. The ids come after the objects, or
// the order would be lost.
const selectObjects = `SELECT i.id, o.round, o.removed_at, o.reason, o.properties
	FROM objects o CROSS JOIN ids i ON i.ref = ? + (o.slot & 0xffffffff) `

const selectEdges = `SELECT g.id, m.id, e.type, e.round, e.ended
	FROM edges e CROSS JOIN ids g ON g.ref = e.grp CROSS JOIN ids m ON m.ref = e.member `

// The reads of objects and memberships, all of them or what changed. The inner
// queries give the keys in order, so that no sorting of whole rows is needed.
// "round > 1" is what lets SQLite use the index.
const (
	queryObjects        = selectObjects + "WHERE o.slot BETWEEN ? AND ? ORDER BY o.slot"
	queryChangedObjects = selectObjects + `WHERE o.slot IN
		(SELECT slot FROM objects WHERE slot >> 32 = ? AND round > 1 AND round > ?) ORDER BY o.slot`
	queryEdges        = selectEdges + "WHERE e.m BETWEEN ? AND ? ORDER BY e.m"
	queryChangedEdges = selectEdges + `WHERE e.m IN
		(SELECT m FROM edges WHERE m >> 40 = ? AND round > 1 AND round > ?) ORDER BY e.m`
	queryMembers  = selectEdges + "WHERE e.grp = (SELECT ref FROM ids WHERE id = ? AND ref BETWEEN ? AND ?) AND e.ended = 0 ORDER BY e.member"
	queryMemberOf = selectEdges + "WHERE e.member = (SELECT ref FROM ids WHERE id = ? AND ref BETWEEN ? AND ?) AND e.ended = 0 ORDER BY e.m"
)

// Objects implements [Store].
func (s *DB) Objects(ctx context.Context, source string, kind Kind, since uint64) iter.Seq2[Object, error] {
	return stream(s, ctx, source, "reading objects", func(number int64) (string, []any, error) {
		code, err := kindCode(kind)
		if err != nil {
			return "", nil, err
		}
		base := refSpan(number).first
		if since == 0 {
			in := kindSpan(number, code)
			return queryObjects, []any{base, in.first, in.last}, nil
		}
		return queryChangedObjects, []any{base, number<<kindBits | code, int64(since)}, nil
	}, scanObjects(kind))
}

// scanObjects scans the rows of a query.
func scanObjects(kind Kind) func(row []driver.Value) (Object, error) {
	return func(row []driver.Value) (Object, error) {
		round, ok := row[1].(int64)
		at, okAt := nullable[int64](row[2])
		reason, okReason := nullable[string](row[3])
		properties, okProperties := bytesOf(row[4])
		if !ok || !okAt || !okReason || !okProperties {
			return Object{}, fmt.Errorf("an object is stored as %T, %T, %T, %T", row[1], row[2], row[3], row[4])
		}
		obj := Object{Kind: kind, Round: uint64(round), Removed: decodeRemoval(at, reason), Properties: properties}
		var err error
		obj.ID, err = decodeID(row[0])
		return obj, err
	}
}

func nullable[T any](stored driver.Value) (*T, bool) {
	if stored == nil {
		return nil, true
	}
	v, ok := stored.(T)
	return &v, ok
}

// bytesOf takes a text as well: an administrator's own statement leaves one.
func bytesOf(stored driver.Value) ([]byte, bool) {
	if text, ok := stored.(string); ok {
		return []byte(text), true
	}
	b, ok := stored.([]byte)
	return b, ok
}

// Edges implements [Store].
func (s *DB) Edges(ctx context.Context, source string, since uint64) iter.Seq2[Edge, error] {
	return stream(s, ctx, source, "reading memberships", func(number int64) (string, []any, error) {
		if since == 0 {
			in := edgeSpan(number)
			return queryEdges, []any{in.first, in.last}, nil
		}
		return queryChangedEdges, []any{number, int64(since)}, nil
	}, scanEdge)
}

// Members implements [Store].
func (s *DB) Members(ctx context.Context, source, group string) iter.Seq2[Edge, error] {
	return s.edgesOf(ctx, source, group, queryMembers)
}

// MemberOf implements [Store].
func (s *DB) MemberOf(ctx context.Context, source, member string) iter.Seq2[Edge, error] {
	return s.edgesOf(ctx, source, member, queryMemberOf)
}

func (s *DB) edgesOf(ctx context.Context, source, id, query string) iter.Seq2[Edge, error] {
	return stream(s, ctx, source, "reading memberships", func(number int64) (string, []any, error) {
		if id == "" {
			return "", nil, errNoID
		}
		in := refSpan(number)
		return query, []any{encodeID(id), in.first, in.last}, nil
	}, scanEdge)
}

func scanEdge(row []driver.Value) (Edge, error) {
	round, ok := row[3].(int64)
	ended, okEnded := row[4].(int64)
	if !ok || !okEnded {
		return Edge{}, fmt.Errorf("a membership is stored as %T, %T", row[3], row[4])
	}
	edge := Edge{Round: uint64(round), Removed: ended != 0}
	var errs [3]error
	edge.Group, errs[0] = decodeID(row[0])
	edge.Member, errs[1] = decodeID(row[1])
	edge.Type, errs[2] = decodeType(row[2])
	return edge, errors.Join(errs[:]...)
}

// stream gives the rows of a query on a committed source one by one, out of one
// consistent state. A failure is the last thing it gives.
func stream[T any](s *DB, ctx context.Context, source, doing string,
	query func(number int64) (string, []any, error), scan func(row []driver.Value) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.withConn(ctx, s.reads, func(conn *sql.Conn) error {
			tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
			if err != nil {
				return err
			}
			defer tx.Rollback()
			var number int64
			err = tx.QueryRowContext(ctx, "SELECT number FROM sources WHERE name = ? AND round > 0", source).Scan(&number)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			text, args, err := query(number)
			if err != nil {
				return err
			}
			return conn.Raw(func(c any) error { return each(ctx, c.(driver.QueryerContext), text, args, scan, yield) })
		})
		if err != nil && !errors.Is(err, errStop) {
			var none T
			yield(none, s.wrap(doing, err))
		}
	}
}

// errStop: the reader has had enough.
var errStop = errors.New("stopped")

// each takes the rows from the driver itself: database/sql would copy each
// object once more.
func each[T any](ctx context.Context, c driver.QueryerContext, text string, args []any,
	scan func(row []driver.Value) (T, error), yield func(T, error) bool) error {
	rows, err := c.QueryContext(ctx, text, named(nil, args))
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		item, err := scan(row)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(item, nil) {
			return errStop
		}
	}
}

// named appends arguments to dst as a driver takes them. They are of the types
// that it takes.
func named(dst []driver.NamedValue, args []any) []driver.NamedValue {
	for _, arg := range args {
		dst = append(dst, driver.NamedValue{Ordinal: len(dst) + 1, Value: arg})
	}
	return dst
}
