package store

import (
	"context"
	"database/sql"
	"encoding/json"
)

// AddRound implements [Store].
func (s *DB) AddRound(ctx context.Context, record RoundRecord) error {
	return s.wrap("recording a round", s.update(ctx, func(conn *sql.Conn) error {
		number, err := registerSource(ctx, conn, record.Source)
		if err != nil {
			return err
		}
		text, err := json.Marshal(record)
		if err != nil {
			return err
		}
		var n int64
		if err := conn.QueryRowContext(ctx, `INSERT INTO history (source, n, record)
			SELECT ?1, coalesce(max(n), 0) + 1, ?2 FROM history WHERE source = ?1 RETURNING n`,
			number, string(text)).Scan(&n); err != nil {
			return err
		}
		return s.step(ctx, conn, "history", "DELETE FROM history WHERE source = ? AND n <= ?", number, n-History)
	}))
}

// Rounds implements [Store].
func (s *DB) Rounds(ctx context.Context, source string, limit int) (records []RoundRecord, err error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT record FROM history
		WHERE source = (SELECT number FROM sources WHERE name = ?) ORDER BY n DESC LIMIT ?`, source, max(limit, 0))
	if err != nil {
		return nil, s.wrap("reading the history", err)
	}
	defer rows.Close()
	for rows.Next() {
		var text []byte
		record := RoundRecord{Source: source}
		if err := rows.Scan(&text); err != nil {
			return nil, s.wrap("reading the history", err)
		}
		if err := json.Unmarshal(text, &record); err != nil {
			return nil, s.wrap("reading the history", err)
		}
		records = append(records, record)
	}
	return records, s.wrap("reading the history", rows.Err())
}
