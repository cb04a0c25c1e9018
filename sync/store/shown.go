package store

import (
	"context"
	"database/sql"
)

// Shown implements [Store].
func (s *DB) Shown(ctx context.Context) (all map[string][]string, kept bool, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT count(*) > 0 FROM meta WHERE key = 'shown'").Scan(&kept); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT client, name FROM shown JOIN sources ON number = source WHERE name IS NOT NULL ORDER BY client, name")
		if err != nil {
			return err
		}
		defer rows.Close()
		all = make(map[string][]string)
		for rows.Next() {
			var client, source string
			if err := rows.Scan(&client, &source); err != nil {
				return err
			}
			all[client] = append(all[client], source)
		}
		return rows.Err()
	})
	return all, kept, s.wrap("reading what clients were shown", err)
}

// SetShown implements [Store].
func (s *DB) SetShown(ctx context.Context, client string, sources ...string) error {
	return s.wrap("noting what a client is shown", s.update(ctx, func(conn *sql.Conn) error {
		if err := s.step(ctx, conn, "shown", "INSERT OR IGNORE INTO meta (key, value) VALUES ('shown', 1)"); err != nil {
			return err
		}
		for _, source := range sources {
			number, err := registerSource(ctx, conn, source)
			if err != nil {
				return err
			}
			if err := s.step(ctx, conn, "shown", "INSERT OR IGNORE INTO shown (client, source) VALUES (?, ?)", client, number); err != nil {
				return err
			}
		}
		return nil
	}))
}

// SetHidden implements [Store].
func (s *DB) SetHidden(ctx context.Context, client string, sources ...string) error {
	return s.wrap("noting what a client is no longer shown", s.update(ctx, func(conn *sql.Conn) error {
		for _, source := range sources {
			if err := s.step(ctx, conn, "hidden", "DELETE FROM shown WHERE client = ? AND source IN (SELECT number FROM sources WHERE name = ?)", client, source); err != nil {
				return err
			}
		}
		return nil
	}))
}
