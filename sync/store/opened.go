package store

import (
	"context"
	"database/sql"
)

// Opened implements [Store].
func (s *DB) Opened(ctx context.Context) (bool, error) {
	var n int
	err := s.reads.QueryRowContext(ctx, "SELECT count(*) FROM meta WHERE key = 'opened'").Scan(&n)
	return n > 0, s.wrap("reading whether everybody was served", err)
}

// SetOpened implements [Store].
func (s *DB) SetOpened(ctx context.Context) error {
	return s.wrap("noting that everybody was served", s.update(ctx, func(conn *sql.Conn) error {
		return s.step(ctx, conn, "opened", "INSERT OR IGNORE INTO meta (key, value) VALUES ('opened', 1)")
	}))
}
