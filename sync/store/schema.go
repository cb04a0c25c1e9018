package store

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID marks our database files ("SCIB", SQLite's application_id).
const applicationID = 0x53434942

// migrations are the steps that lead from an empty database to the present
// form; user_version counts those that were taken. A step that has been in a
// release is never changed. The meta table keeps its form for good, for older
// programs read it.
var migrations = []string{`
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value ANY
) WITHOUT ROWID;

-- One row for each source. round: the last committed one; before the first,
-- whatever the tables below hold for the source is of an unfinished round.
CREATE TABLE sources (
	number          INTEGER PRIMARY KEY,
	name            TEXT UNIQUE,           -- NULL: being dropped
	epoch           TEXT NOT NULL DEFAULT (lower(hex(randomblob(8)))),
	round           INTEGER NOT NULL DEFAULT 0,
	users           INTEGER NOT NULL DEFAULT 0,
	groups          INTEGER NOT NULL DEFAULT 0,
	tenant_id       TEXT NOT NULL DEFAULT '',
	consent_at      INTEGER,
	consent_by      TEXT NOT NULL DEFAULT '',
	frozen_at       INTEGER,
	held_round      INTEGER,
	held_at         INTEGER,
	held_detail     TEXT,
	approved_round  INTEGER NOT NULL DEFAULT 0,
	approved_at     INTEGER,
	approved_by     TEXT NOT NULL DEFAULT ''
);

CREATE TABLE cursors (
	source      INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	link        TEXT NOT NULL DEFAULT '',
	fingerprint TEXT NOT NULL DEFAULT '',
	at          INTEGER,
	full_at     INTEGER,
	PRIMARY KEY (source, kind)
) WITHOUT ROWID;

CREATE TABLE history (
	source INTEGER NOT NULL,
	n      INTEGER NOT NULL,
	record TEXT NOT NULL,
	PRIMARY KEY (source, n)
) WITHOUT ROWID;
` + roundTables("main") + `
CREATE INDEX ids_by_id ON ids (id);
CREATE UNIQUE INDEX edges_by_ends ON edges (grp, member);
CREATE INDEX edges_by_member ON edges (member);

-- What changed since a round. Nobody asks for the first: a picture that has
-- none yet reads everything. So a first round pays nothing for these.
CREATE INDEX objects_by_round ON objects (slot >> 32, round) WHERE round > 1;
CREATE INDEX edges_by_round ON edges (m >> 40, round) WHERE round > 1;
CREATE INDEX objects_removed ON objects (slot >> 32, removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX edges_ended ON edges (m >> 40, round) WHERE ended = 1;
`, `
-- Which clients have been shown people of which sources.
CREATE TABLE shown (
	client TEXT NOT NULL,
	source INTEGER NOT NULL,
	PRIMARY KEY (client, source)
) WITHOUT ROWID;
`, `
ALTER TABLE sources ADD COLUMN formerly TEXT NOT NULL DEFAULT '';
`, `
-- Of which tenant the objects are, as its tokens name it; '': that is not known.
ALTER TABLE sources ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
`}

// A first load goes without the indexes whose keys come in no order, since each
// page of them would be written again and again, and has them made from sorted
// keys when it commits. It asks neither of them anything (see seen).
//
// They are missing only as long as no source has a committed round: what drops
// them looks for that, and each first round that commits makes them. So whoever
// crashes in between leaves tables that hold nothing of anybody, and the next
// first round begins as this one did.
const (
	dropLoadIndexes = `
DROP INDEX IF EXISTS main.ids_by_id;
DROP INDEX IF EXISTS main.edges_by_member;`
	makeLoadIndexes = `
CREATE INDEX IF NOT EXISTS main.ids_by_id ON ids (id);
CREATE INDEX IF NOT EXISTS main.edges_by_member ON edges (member);`
)

// dropIndexes drops them if nothing is stored of any source.
func dropIndexes(ctx context.Context, conn *sql.Conn) error {
	var empty bool
	if err := conn.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM sources WHERE round > 0)
		AND NOT EXISTS (SELECT 1 FROM main.ids) AND NOT EXISTS (SELECT 1 FROM main.edges)`).Scan(&empty); err != nil || !empty {
		return err
	}
	_, err := conn.ExecContext(ctx, dropLoadIndexes)
	return err
}

// roundTables gives the tables that rounds write, in the given schema: main,
// or temp for the part of a round that waits there for its commit. The keys
// are explained in keys.go.
func roundTables(schema string) string {
	return `
CREATE TABLE ` + schema + `.ids (
	ref INTEGER PRIMARY KEY,
	id  NOT NULL                           -- 16 bytes for a GUID, else text
);
CREATE TABLE ` + schema + `.objects (
	slot       INTEGER PRIMARY KEY,
	round      INTEGER NOT NULL,
	removed_at INTEGER,                    -- NULL: present
	reason     TEXT,
	properties BLOB NOT NULL
);
CREATE TABLE ` + schema + `.edges (
	m      INTEGER PRIMARY KEY,
	grp    INTEGER NOT NULL,
	member INTEGER NOT NULL,
	type   NOT NULL,
	round  INTEGER NOT NULL,
	ended  INTEGER NOT NULL
);`
}

// stagingTables are the tables and indexes of the temp schema.
var stagingTables = roundTables("temp") + `
CREATE INDEX temp.staged_ids_by_id ON ids (id);
CREATE UNIQUE INDEX temp.staged_edges_by_ends ON edges (grp, member);`

// prepareFile brings the database to the present form, or says why it can't be
// used. Each step is one transaction, so that a crash leaves a whole version.
func prepareFile(ctx context.Context, conn *sql.Conn, opts Options, steps []string) error {
	version, err := fileVersion(ctx, conn, opts.Path)
	if err != nil {
		return err
	}
	if version > len(steps) {
		return newerFault(ctx, conn, opts.Path, version, len(steps))
	}
	if version < len(steps) && opts.ReadOnly {
		return fmt.Errorf("the state is of version %d and has to be brought to version %d: open it for writing once", version, len(steps))
	}
	for ; version < len(steps); version++ {
		if err := migrate(ctx, conn, opts, version+1, steps[version]); err != nil {
			return fmt.Errorf("migrating the state to version %d: %w", version+1, err)
		}
	}
	return nil
}

// fileVersion gives the file's user_version, 0 for an empty one, and refuses a
// database that is not ours.
func fileVersion(ctx context.Context, conn *sql.Conn, path string) (int, error) {
	var app, version, tables int
	err := conn.QueryRowContext(ctx, `SELECT
		(SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema)`).Scan(&app, &version, &tables)
	switch {
	case err != nil:
		return 0, err
	case app == applicationID && version > 0 && tables == 0:
		return 0, &FileError{Path: path, Fault: Corrupt, Detail: "its tables are gone"}
	case app == applicationID:
		return version, nil
	case app == 0 && version == 0 && tables == 0:
		return 0, nil
	}
	return 0, &FileError{Path: path, Fault: Foreign, Detail: "it belongs to another program"}
}

func migrate(ctx context.Context, conn *sql.Conn, opts Options, version int, step string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, step); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(
		"PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx,
		"INSERT OR REPLACE INTO meta (key, value) VALUES ('program', ?)", opts.Program); err != nil {
		return err
	}
	return tx.Commit()
}

// newerFault names the program that wrote a database of a later version.
func newerFault(ctx context.Context, conn *sql.Conn, path string, version, known int) error {
	var program string
	if err := conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'program'").Scan(&program); err != nil || program == "" {
		program = "a later scim-bridge"
	}
	return &FileError{Path: path, Fault: Newer, Program: program,
		Detail: fmt.Sprintf("it is of version %d, and this program knows up to %d", version, known)}
}
