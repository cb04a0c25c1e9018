package graphtest

import (
	"math/rand/v2"
	"time"
)

// Options are the knobs of one simulated tenant. The zero value is a tenant
// that behaves as nastily as Graph does on an ordinary day.
type Options struct {
	// TenantID is the directory's GUID. Empty: derived from Seed.
	TenantID string
	// Name is the organization's display name. Empty: "Fernwood Instruments".
	Name string
	// Domain is the verified default domain. Empty: "fernwood.example". The
	// initial domain is made from its first label (fernwood.onmicrosoft.com).
	Domain string

	// Seed makes everything reproducible: ids, names, orders, page borders,
	// faults by chance. Tests should log it.
	Seed uint64
	// Calm switches the harmless nastiness off: objects come in the order of
	// their creation, each once, pages are full but the last, and a round has
	// exactly [Tenant.Pages] pages.
	Calm bool

	// PageSize is how many objects (or parts of big groups) a delta page has
	// at most; 0 means Graph's 200. A client may ask for less with
	// "Prefer: odata.maxpagesize", never for more.
	PageSize int
	// MembersPerPart is how many links one entry of a group carries at most
	// before the rest follows in further entries; 0 means Graph's 500.
	MembersPerPart int

	// Now is the tenant's clock; nil means time.Now.
	Now func() time.Time
	// TokenLifetime is how long an access token is good; 0 means 3599 s.
	TokenLifetime time.Duration
	// DeltaLifetime is how long a deltaLink is good; 0 means the documented
	// seven days.
	DeltaLifetime time.Duration
	// PageLifetime is how long a nextLink is good; 0 means 20 minutes.
	PageLifetime time.Duration
	// ExpiredDelta is how an expired deltaLink is refused.
	ExpiredDelta GoneForm

	// UserLag and GroupLag delay the appearance of changes in users/delta and
	// groups/delta by so many rounds of that collection; see [Tenant.SetLag].
	UserLag, GroupLag int

	// Throttle switches Graph's token bucket of resource units on. ResourceUnits
	// overrides the documented quota of units per ten seconds (0: 3,500, 5,000
	// or 8,000 by the number of users).
	Throttle      bool
	ResourceUnits int

	// NoGzip makes the tenant ignore Accept-Encoding.
	NoGzip bool
	// JournalSize bounds the journal; the older half goes when it is full.
	// 0 means 100,000 requests.
	JournalSize int
}

// Graph's and the login's documented sizes and lifetimes.
const (
	defaultPageSize       = 200
	defaultMembersPerPart = 500
	defaultTokenLifetime  = 3599 * time.Second
	defaultDeltaLifetime  = 7 * 24 * time.Hour
	defaultPageLifetime   = 20 * time.Minute
	defaultJournalSize    = 100_000
)

func (o Options) withDefaults() Options {
	if o.TenantID == "" {
		o.TenantID = newGUID(rand.New(rand.NewPCG(o.Seed, streamTenantID)))
	}
	if o.Name == "" {
		o.Name = "Fernwood Instruments"
	}
	if o.Domain == "" {
		o.Domain = "fernwood.example"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.PageSize = orDefault(o.PageSize, defaultPageSize)
	o.MembersPerPart = orDefault(o.MembersPerPart, defaultMembersPerPart)
	o.TokenLifetime = orDefault(o.TokenLifetime, defaultTokenLifetime)
	o.DeltaLifetime = orDefault(o.DeltaLifetime, defaultDeltaLifetime)
	o.PageLifetime = orDefault(o.PageLifetime, defaultPageLifetime)
	o.JournalSize = orDefault(o.JournalSize, defaultJournalSize)
	return o
}

func orDefault[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Each use of chance has a stream of its own, so that adding a die in one
// place does not change what falls in another.
const (
	streamTenantID uint64 = iota + 1
	streamIDs
	streamCompany
	streamRounds
	streamFaults
	streamRequests
	streamEvents
	streamPurge
)

const hexDigits = "0123456789abcdef"

// newGUID makes a version 4 GUID in Graph's spelling: lower case, no braces.
func newGUID(r *rand.Rand) string {
	var b [16]byte
	for i, v := range [2]uint64{r.Uint64(), r.Uint64()} {
		for j := range 8 {
			b[i*8+j] = byte(v >> (8 * j))
		}
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	out := make([]byte, 0, 36)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hexDigits[c>>4], hexDigits[c&15])
	}
	return string(out)
}

// isGUID reports whether s is spelt as a GUID, in either case.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}
