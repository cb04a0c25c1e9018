package store

import (
	"context"
	"database/sql"
	"errors"
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
		return queryChangedObjects, []any{base, number<<kindBits | code, since}, nil
	}, scanObjects(kind))
}

// scanObjects scans the rows of a query, each into the same variables. A round
// is taken as the number that SQLite has: any other type goes by way of a text.
func scanObjects(kind Kind) func() func(scanner) (Object, error) {
	return func() func(scanner) (Object, error) {
		var (
			id         any
			round      int64
			at         *int64
			reason     *string
			properties []byte
		)
		into := []any{&id, &round, &at, &reason, &properties}
		return func(row scanner) (Object, error) {
			err := row.Scan(into...)
			obj := Object{Kind: kind, Round: uint64(round), Removed: decodeRemoval(at, reason), Properties: properties}
			if err == nil {
				obj.ID, err = decodeID(id)
			}
			return obj, err
		}
	}
}

// Edges implements [Store].
func (s *DB) Edges(ctx context.Context, source string, since uint64) iter.Seq2[Edge, error] {
	return stream(s, ctx, source, "reading memberships", func(number int64) (string, []any, error) {
		if since == 0 {
			in := edgeSpan(number)
			return queryEdges, []any{in.first, in.last}, nil
		}
		return queryChangedEdges, []any{number, since}, nil
	}, scanEdges)
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
	}, scanEdges)
}

func scanEdges() func(scanner) (Edge, error) {
	var (
		group, member, typ any
		round              int64
		removed            bool
	)
	into := []any{&group, &member, &typ, &round, &removed}
	return func(row scanner) (Edge, error) {
		if err := row.Scan(into...); err != nil {
			return Edge{}, err
		}
		edge := Edge{Round: uint64(round), Removed: removed}
		var errs [3]error
		edge.Group, errs[0] = decodeID(group)
		edge.Member, errs[1] = decodeID(member)
		edge.Type, errs[2] = decodeType(typ)
		return edge, errors.Join(errs[:]...)
	}
}

// stream gives the rows of a query on a committed source one by one, out of one
// consistent state. A failure is the last thing it gives.
func stream[T any](s *DB, ctx context.Context, source, doing string,
	query func(number int64) (string, []any, error), scan func() func(scanner) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.view(ctx, func(tx *sql.Tx) error {
			var number int64
			err := tx.QueryRowContext(ctx, "SELECT number FROM sources WHERE name = ? AND round > 0", source).Scan(&number)
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
			rows, err := tx.QueryContext(ctx, text, args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			return each(ctx, rows, scan(), yield)
		})
		if err != nil && !errors.Is(err, errStop) {
			var none T
			yield(none, s.wrap(doing, err))
		}
	}
}

// errStop: the reader has had enough.
var errStop = errors.New("stopped")

func each[T any](ctx context.Context, rows *sql.Rows, scan func(scanner) (T, error), yield func(T, error) bool) error {
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(row, nil) {
			return errStop
		}
	}
	return rows.Err()
}
