package graphtest

import (
	"sync"
	"time"
)

// Request is one entry of the journal. The inner requests of a batch have
// entries of their own, before that of the batch.
type Request struct {
	Time     time.Time
	Duration time.Duration // until the last byte was written
	Method   string
	Path     string
	Query    string // raw
	Status   int    // 0: the connection was broken before one was sent
	Bytes    int    // of the body, uncompressed
	Objects  int    // in the value array
	// AuthOK is whether the access token was accepted; for the token endpoint,
	// whether the credential was.
	AuthOK bool
	AppID  string // of the calling application; empty when not known
	// ResourceUnits is what the request cost by concepts/throttling-limits.md.
	ResourceUnits   int
	RequestID       string
	ClientRequestID string
	UserAgent       string
	Prefer          string
	Batched         bool
	Faults          []FaultKind // those that struck
}

// Journal is what the tenant was asked so far, oldest first.
func (t *Tenant) Journal() []Request { return t.journal.copy() }

// ClearJournal empties the journal.
func (t *Tenant) ClearJournal() { t.journal.clear() }

type journal struct {
	mu      sync.Mutex
	limit   int
	entries []Request
}

func (j *journal) add(r Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.limit > 0 && len(j.entries) >= j.limit {
		j.entries = append(j.entries[:0], j.entries[j.limit/2:]...)
	}
	j.entries = append(j.entries, r)
}

func (j *journal) copy() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Request(nil), j.entries...)
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
}
