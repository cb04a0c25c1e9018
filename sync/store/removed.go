package store

import (
	"context"
	"iter"
	"time"
)

const queryRemoved = selectObjects + `WHERE o.slot IN
	(SELECT slot FROM objects WHERE slot >> 32 = ? AND removed_at IS NOT NULL AND removed_at < ?) ORDER BY o.slot`

// Removed implements [Store].
func (s *DB) Removed(ctx context.Context, source string, kind Kind, before time.Time) iter.Seq2[Object, error] {
	return stream(s, ctx, source, "reading removed objects", func(number int64) (string, []any, error) {
		code, err := kindCode(kind)
		at, _ := encodeRemoval(&Removal{At: before})
		return queryRemoved, []any{refSpan(number).first, number<<kindBits | code, at}, err
	}, scanObjects(kind))
}
