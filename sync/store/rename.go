package store

import (
	"context"
	"database/sql"
	"fmt"
)

// RenameSource implements [Store].
func (s *DB) RenameSource(ctx context.Context, from, to string) error {
	return s.wrap("renaming the source", s.exclusively(ctx, from, func(conn *sql.Conn, number int64) error {
		if err := s.reserve(to); err != nil {
			return err
		}
		defer s.unreserve(to)
		replaced, old, err := loadSource(ctx, conn, to)
		switch {
		case err != nil:
			return err
		case old.Round > 0:
			return fmt.Errorf("the source %s has rounds of its own", to)
		}
		if err := s.transact(ctx, conn, func(conn *sql.Conn) error { return s.rename(ctx, conn, number, replaced, from, to) }); err != nil {
			return err
		}
		if replaced < 0 {
			return nil
		}
		return s.sweepSource(ctx, conn, replaced)
	}))
}

// rename gives a source another name, in the place of one that has no rounds, if
// there is one: of that only the consent is kept.
func (s *DB) rename(ctx context.Context, conn *sql.Conn, number, replaced int64, from, to string) error {
	if replaced >= 0 {
		if err := s.step(ctx, conn, "rename", `UPDATE sources SET (tenant_id, consent_at, consent_by) = (r.tenant_id, r.consent_at, r.consent_by)
			FROM (SELECT * FROM sources WHERE number = ?1) AS r WHERE sources.number = ?2 AND r.consent_at IS NOT NULL`, replaced, number); err != nil {
			return err
		}
		if err := s.step(ctx, conn, "rename", "UPDATE OR IGNORE shown SET source = ? WHERE source = ?", number, replaced); err != nil {
			return err
		}
		if err := s.step(ctx, conn, "rename", "UPDATE sources SET name = NULL WHERE number = ?", replaced); err != nil {
			return err
		}
	}
	return s.step(ctx, conn, "rename", "UPDATE sources SET name = ?, formerly = ? WHERE number = ?", to, from, number)
}
