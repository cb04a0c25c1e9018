package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const sourceColumns = `number, name, epoch, round, users, groups, tenant_id, consent_at, consent_by,
	frozen_at, held_round, held_at, held_detail, approved_round, approved_at, approved_by, formerly, tenant`

// A scanner is a row, or the rows at one.
type scanner interface{ Scan(dest ...any) error }

func scanSource(row scanner) (number int64, src Source, err error) {
	var consentAt, frozenAt, heldAt, approvedAt *int64
	var heldRound *uint64
	var heldDetail sql.NullString
	err = row.Scan(&number, &src.Name, &src.Epoch, &src.Round, &src.Users, &src.Groups,
		&src.Consent.TenantID, &consentAt, &src.Consent.By, &frozenAt,
		&heldRound, &heldAt, &heldDetail,
		&src.Approved.Round, &approvedAt, &src.Approved.By, &src.Formerly, &src.Tenant)
	src.Consent.At = decodeTime(consentAt)
	src.Frozen = decodeTime(frozenAt)
	src.Approved.At = decodeTime(approvedAt)
	if heldRound != nil {
		src.Held = &Held{Round: *heldRound, Since: decodeTime(heldAt)}
		if heldDetail.Valid {
			src.Held.Detail = []byte(heldDetail.String)
		}
	}
	return number, src, err
}

// A querier is a connection, a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// loadSource gives a source's number and state. An unknown one has number -1.
func loadSource(ctx context.Context, q querier, name string) (int64, Source, error) {
	number, src, err := scanSource(q.QueryRowContext(ctx, "SELECT "+sourceColumns+" FROM sources WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return -1, Source{Name: name}, nil
	}
	if err != nil {
		return -1, Source{}, err
	}
	return number, src, loadCursors(ctx, q, number, &src)
}

func loadCursors(ctx context.Context, q querier, number int64, src *Source) error {
	rows, err := q.QueryContext(ctx, "SELECT kind, link, fingerprint, at, full_at FROM cursors WHERE source = ?", number)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var kind Kind
		var cursor Cursor
		var at, fullAt *int64
		if err := rows.Scan(&kind, &cursor.Link, &cursor.Fingerprint, &at, &fullAt); err != nil {
			return err
		}
		cursor.At = decodeTime(at)
		if cursor != (Cursor{}) {
			src.setCursor(kind, cursor)
		}
		if fullAt != nil {
			src.setFull(kind, decodeTime(fullAt))
		}
	}
	return rows.Err()
}

func (src *Source) setCursor(kind Kind, cursor Cursor) {
	if src.Cursors == nil {
		src.Cursors = make(map[Kind]Cursor)
	}
	src.Cursors[kind] = cursor
}

func (src *Source) setFull(kind Kind, at time.Time) {
	if src.LastFull == nil {
		src.LastFull = make(map[Kind]time.Time)
	}
	src.LastFull[kind] = at
}

// Source implements [Store].
func (s *DB) Source(ctx context.Context, name string) (src Source, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		_, src, err = loadSource(ctx, tx, name)
		return err
	})
	return src, s.wrap("reading the state of the source", err)
}

// Sources implements [Store].
func (s *DB) Sources(ctx context.Context) (all []Source, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		names, err := sourceNames(ctx, tx)
		for _, name := range names {
			_, src, err := loadSource(ctx, tx, name)
			if err != nil {
				return err
			}
			all = append(all, src)
		}
		return err
	})
	return all, s.wrap("reading the state of the sources", err)
}

func sourceNames(ctx context.Context, q querier) (names []string, err error) {
	rows, err := q.QueryContext(ctx, "SELECT name FROM sources WHERE name IS NOT NULL ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// view runs do on one consistent state.
func (s *DB) view(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return do(tx)
}

// Counts implements [Store].
func (s *DB) Counts(ctx context.Context, source string) (users, groups int, err error) {
	err = s.reads.QueryRowContext(ctx, "SELECT users, groups FROM sources WHERE name = ?", source).Scan(&users, &groups)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return users, groups, s.wrap("counting objects", err)
}

// SetConsent implements [Store].
func (s *DB) SetConsent(ctx context.Context, source string, consent Consent) error {
	return s.setSource(ctx, source, "recording the consent", "tenant_id = ?, consent_at = ?, consent_by = ?",
		consent.TenantID, encodeTime(consent.At), consent.By)
}

// SetTenant implements [Store].
func (s *DB) SetTenant(ctx context.Context, source, tenant string) error {
	return s.setSource(ctx, source, "recording the tenant", "tenant = ?", tenant)
}

// SetFrozen implements [Store].
func (s *DB) SetFrozen(ctx context.Context, source string, since time.Time) error {
	return s.setSource(ctx, source, "recording the freeze", "frozen_at = ?", encodeTime(since))
}

// SetHeld implements [Store].
func (s *DB) SetHeld(ctx context.Context, source string, held *Held) error {
	args := []any{nil, nil, nil}
	if held != nil {
		args[0], args[1] = held.Round, encodeTime(held.Since)
		if held.Detail != nil {
			args[2] = string(held.Detail)
		}
	}
	return s.setSource(ctx, source, "recording the held round", "held_round = ?, held_at = ?, held_detail = ?", args...)
}

// SetApproved implements [Store].
func (s *DB) SetApproved(ctx context.Context, source string, approval Approval) error {
	return s.setSource(ctx, source, "recording the approval", "approved_round = ?, approved_at = ?, approved_by = ?",
		approval.Round, encodeTime(approval.At), approval.By)
}

func (s *DB) setSource(ctx context.Context, source, doing, assignments string, args ...any) error {
	return s.wrap(doing, s.update(ctx, func(conn *sql.Conn) error {
		number, err := registerSource(ctx, conn, source)
		if err != nil {
			return err
		}
		return s.step(ctx, conn, "source", "UPDATE sources SET "+assignments+" WHERE number = ?", append(args, number)...)
	}))
}

// registerSource gives the number of a source, new if there is none yet. It
// runs within a write transaction.
func registerSource(ctx context.Context, conn *sql.Conn, name string) (number int64, err error) {
	if name == "" {
		return 0, errors.New("the source has no name")
	}
	err = conn.QueryRowContext(ctx, "SELECT number FROM sources WHERE name = ?", name).Scan(&number)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, err
	}
	err = conn.QueryRowContext(ctx,
		"INSERT INTO sources (number, name) SELECT coalesce(max(number) + 1, 0), ? FROM sources RETURNING number", name).Scan(&number)
	if err == nil && number >= maxSources {
		err = fmt.Errorf("more than %d sources were ever kept here", maxSources)
	}
	return number, err
}
