package graphtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind uint8

// The faults of refusal.
const (
	FaultAccessTokenExpired FaultKind = iota + 1 // 401, though the token is good
	FaultInsufficientClaims                      // 401 with a claims challenge (continuous access evaluation)
	FaultDenied                                  // 403 Authorization_RequestDenied
	FaultIdentityNotFound                        // 403 Authorization_IdentityNotFound
	FaultThrottled                               // 429
	FaultStatus                                  // 500, 502, 503, 504, 509: Fault.Status, Fault.HTML
	FaultRedirect                                // 302 to Fault.Target
	FaultGone                                    // 410 and its relatives: Fault.Form
	FaultPageExpired                             // 400 Directory_ExpiredPageToken
	FaultDeltaTokenRefused                       // 400 naming the token
	FaultLogin                                   // the login refuses with Fault.AADSTS
)

// The faults of the line and of the body.
const (
	FaultReset         FaultKind = iota + 40 // the connection breaks: Fault.Moment
	FaultSlow                                // the body drips in 16 pieces, Fault.Wait before each
	FaultTruncated                           // 200, and a body cut short that claims to be whole
	FaultTruncatedGzip                       // the compressed stream is cut short
	FaultNoLinks                             // neither nextLink nor deltaLink
	FaultBothLinks                           // nextLink and deltaLink
	FaultForeignLink                         // nextLink to the host of Fault.Target
	FaultLoopingLink                         // nextLink to the same page again
)

// The faults of the data.
const (
	FaultEmpty           FaultKind = iota + 80 // a round without any object
	FaultHalf                                  // a round without every other object
	FaultReplay                                // a later round repeats the changes of older ones
	FaultUnknownRemoval                        // @removed of an id never seen
	FaultStaleDuplicate                        // an object twice on a page, first with an old displayName
	FaultDanglingMember                        // a member that is never a user
	FaultRemovedAndAdded                       // a member removed and added in one entry
	FaultCaseTwin                              // a second object whose id differs by case only
	FaultBrokenObject                          // objects without id, with a number for it, and one that is no object
)

// Moment is when a connection breaks.
type Moment uint8

const (
	BeforeBody Moment = iota // not even a status arrives
	WithinBody               // half of the body arrives
	AfterBody                // all arrives but the end of the answer
)

// RetryForm is how an answer says when to come back (RFC 9110, 10.2.3; the
// sample in concepts/throttling.md has fractions).
type RetryForm uint8

const (
	RetrySeconds  RetryForm = iota // Retry-After: 2
	RetryFraction                  // Retry-After: 2.128
	RetryDate                      // Retry-After: Tue, 24 Nov 2026 04:00:02 GMT
	RetryNone                      // no header
)

// GoneForm is one of the ways to say that a deltaLink is no longer valid.
type GoneForm uint8

const (
	GoneSyncStateNotFound GoneForm = iota // 410 syncStateNotFound
	GoneLocation                          // 410 with Location: the initial request, with an empty token
	GoneResyncRequired                    // 410 resyncRequired
	GoneNested                            // 410, resyncChangesApplyDifferences in innerError.code
	GoneUpperCase                         // 410 SyncStateNotFound
	GoneBadRequest                        // 400 resyncChangesUploadDifferences
)

// Position is a page's place in its round.
type Position uint8

const (
	AnyPage Position = iota
	FirstPage
	MiddlePage
	LastPage
)

// RoundKind tells first rounds from later ones.
type RoundKind uint8

const (
	AnyRound   RoundKind = iota
	FirstRound           // full read
	LaterRound           // from a deltaLink
)

// Fault is something that goes wrong with requests that match it. Make one by
// its constructor, narrow it by its methods, and hand it to [Tenant.Inject]:
//
//	tenant.Inject(graphtest.Throttled(graphtest.RetryFraction, 2128*time.Millisecond).On("groups").At(graphtest.MiddlePage))
type Fault struct {
	Kind FaultKind

	// Collection is the first segment of the request's path below the version
	// ("users", "groups", "organization", …), or "token" for the login's token
	// endpoint. Empty: any but the login (for [FaultLogin]: the login).
	Collection string
	Round      RoundKind
	Page       Position // of delta queries
	// Request strikes only the so-many-th matching request; 0: each.
	Request int
	// Probability strikes by chance, from the seed; 0: always.
	Probability float64
	// Times is how often it strikes; 0: once; negative: until cleared.
	Times int

	Status int           // FaultStatus
	HTML   bool          // FaultStatus: a gateway's page instead of Graph's JSON
	Retry  RetryForm     // FaultThrottled, FaultStatus
	After  time.Duration // for Retry-After; 0: no header
	Form   GoneForm      // FaultGone
	Moment Moment        // FaultReset
	Wait   time.Duration // FaultSlow
	Target string        // FaultRedirect, FaultForeignLink: base URL
	AADSTS int           // FaultLogin
}

// On narrows the fault to a collection, or to "token".
func (f Fault) On(collection string) Fault { f.Collection = collection; return f }

// In narrows the fault to first or later rounds.
func (f Fault) In(round RoundKind) Fault { f.Round = round; return f }

// At narrows the fault to a page's place in its round.
func (f Fault) At(page Position) Fault { f.Page = page; return f }

// Nth narrows the fault to the n-th matching request, counted from 1.
func (f Fault) Nth(n int) Fault { f.Request = n; return f }

// Chance makes the fault strike by chance only.
func (f Fault) Chance(p float64) Fault { f.Probability = p; return f }

// Repeat sets how often the fault strikes.
func (f Fault) Repeat(times int) Fault { f.Times = times; return f }

// Forever lets the fault strike until it is cleared.
func (f Fault) Forever() Fault { f.Times = -1; return f }

// AccessTokenExpired is 401 in mid-round.
func AccessTokenExpired() Fault { return Fault{Kind: FaultAccessTokenExpired} }

// InsufficientClaims is 401 with a claims challenge.
func InsufficientClaims() Fault { return Fault{Kind: FaultInsufficientClaims} }

// Denied is 403 for want of a permission.
func Denied() Fault { return Fault{Kind: FaultDenied} }

// IdentityNotFound is 403 because the service principal is gone.
func IdentityNotFound() Fault { return Fault{Kind: FaultIdentityNotFound} }

// Throttled is 429 with Retry-After in a form.
func Throttled(form RetryForm, after time.Duration) Fault {
	return Fault{Kind: FaultThrottled, Retry: form, After: after}
}

// ThrottleStorm is so many 429s in a row.
func ThrottleStorm(times int, after time.Duration) Fault {
	return Throttled(RetrySeconds, after).Repeat(times)
}

// Status is a 5xx in Graph's JSON, or as a gateway's page of HTML.
func Status(status int, html bool) Fault { return Fault{Kind: FaultStatus, Status: status, HTML: html} }

// Unavailable is 503 with Retry-After in seconds.
func Unavailable(after time.Duration) Fault {
	return Fault{Kind: FaultStatus, Status: http.StatusServiceUnavailable, After: after}
}

// Redirect is 302 to another base.
func Redirect(target string) Fault { return Fault{Kind: FaultRedirect, Target: target} }

// Gone refuses a delta query in one of the forms that ask for a full read.
func Gone(form GoneForm) Fault { return Fault{Kind: FaultGone, Form: form} }

// PageExpired is 400 Directory_ExpiredPageToken.
func PageExpired() Fault { return Fault{Kind: FaultPageExpired} }

// DeltaTokenRefused is 400 with a text that names the token.
func DeltaTokenRefused() Fault { return Fault{Kind: FaultDeltaTokenRefused} }

// LoginRefuses makes the token endpoint refuse with an AADSTS number; see
// [LoginErrors] for those that are known.
func LoginRefuses(aadsts int) Fault {
	return Fault{Kind: FaultLogin, AADSTS: aadsts, Collection: loginCollection}
}

// Reset breaks the connection.
func Reset(moment Moment) Fault { return Fault{Kind: FaultReset, Moment: moment} }

// Slow lets the body drip.
func Slow(wait time.Duration) Fault { return Fault{Kind: FaultSlow, Wait: wait} }

// Truncated cuts the JSON short, with status 200 and a fitting length.
func Truncated() Fault { return Fault{Kind: FaultTruncated} }

// TruncatedGzip cuts the compressed body short.
func TruncatedGzip() Fault { return Fault{Kind: FaultTruncatedGzip} }

// NoLinks leaves nextLink and deltaLink out.
func NoLinks() Fault { return Fault{Kind: FaultNoLinks} }

// BothLinks sends nextLink and deltaLink.
func BothLinks() Fault { return Fault{Kind: FaultBothLinks} }

// ForeignLink sends a nextLink to another base.
func ForeignLink(target string) Fault { return Fault{Kind: FaultForeignLink, Target: target} }

// LoopingLink sends a nextLink to the page that is just being answered.
func LoopingLink() Fault { return Fault{Kind: FaultLoopingLink} }

// Empty answers a round with status 200, no object, and a deltaLink.
func Empty() Fault { return Fault{Kind: FaultEmpty, Round: FirstRound} }

// Half leaves every other object out of a full read.
func Half() Fault { return Fault{Kind: FaultHalf, Round: FirstRound} }

// Replay repeats some 200 older changes in a later round.
func Replay() Fault { return Fault{Kind: FaultReplay, Round: LaterRound} }

// UnknownRemoval removes an id that was never seen.
func UnknownRemoval() Fault { return Fault{Kind: FaultUnknownRemoval} }

// StaleDuplicate sends an object twice, the first time with an older value.
func StaleDuplicate() Fault { return Fault{Kind: FaultStaleDuplicate} }

// DanglingMember names a member that no collection ever has.
func DanglingMember() Fault {
	return Fault{Kind: FaultDanglingMember, Collection: collections[kindGroup]}
}

// RemovedAndAdded removes a member and adds it in the same entry.
func RemovedAndAdded() Fault {
	return Fault{Kind: FaultRemovedAndAdded, Collection: collections[kindGroup]}
}

// CaseTwin sends a second object whose id is the first one's in capitals.
func CaseTwin() Fault { return Fault{Kind: FaultCaseTwin} }

// BrokenObject sends entries that are no valid objects among valid ones.
func BrokenObject() Fault { return Fault{Kind: FaultBrokenObject} }

// Inject arms faults. Several may strike the same request; of those that
// refuse it, the one injected first wins.
func (t *Tenant) Inject(faults ...Fault) { t.faults.arm(faults) }

// ClearFaults disarms all faults.
func (t *Tenant) ClearFaults() { t.faults.clear() }

// faultBook holds the armed faults.
type faultBook struct {
	dice  dice
	mu    sync.Mutex
	armed []*armedFault
}

type armedFault struct {
	Fault
	matched, struck int
}

func (b *faultBook) arm(faults []Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range faults {
		b.armed = append(b.armed, &armedFault{Fault: f})
	}
}

func (b *faultBook) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = nil
}

// occasion is what faults are matched with.
type occasion struct {
	collection string
	round      RoundKind
	first      bool // page of the round; both are true of a single page
	last       bool
	planning   bool // the round is being planned: only faults of whole rounds
}

// strike gives the faults that hit this occasion, and counts them.
func (b *faultBook) strike(o occasion) []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	var hits []Fault
	for _, f := range b.armed {
		if !f.matches(o) {
			continue
		}
		f.matched++
		times := max(f.Times, 0)
		if f.Times == 0 {
			times = 1
		}
		if f.Request != 0 && f.matched != f.Request || f.Times >= 0 && f.struck >= times ||
			f.Probability != 0 && b.dice.float() >= f.Probability {
			continue
		}
		f.struck++
		hits = append(hits, f.Fault)
	}
	return hits
}

func (f *Fault) matches(o occasion) bool {
	if f.ofRound() != o.planning {
		return false
	}
	if f.Collection != o.collection && !(f.Collection == "" && o.collection != loginCollection) {
		return false
	}
	if f.Round != AnyRound && f.Round != o.round || f.ofDelta() && o.round == AnyRound {
		return false
	}
	switch f.Page {
	case FirstPage:
		return o.first || o.planning
	case MiddlePage:
		return o.round != AnyRound && !o.first && !o.last
	case LastPage:
		return o.last
	}
	return true
}

// ofRound tells faults that concern the plan of a round from those of one
// request.
func (f *Fault) ofRound() bool {
	switch f.Kind {
	case FaultEmpty, FaultHalf, FaultReplay, FaultUnknownRemoval:
		return true
	}
	return false
}

// ofDelta tells faults that only delta queries can have.
func (f *Fault) ofDelta() bool {
	switch f.Kind {
	case FaultGone, FaultPageExpired, FaultDeltaTokenRefused, FaultNoLinks, FaultBothLinks, FaultForeignLink, FaultLoopingLink:
		return true
	}
	return f.Kind >= FaultEmpty
}

// ofLine tells faults that the line has, and not Graph.
func (f *Fault) ofLine() bool { return f.Kind >= FaultReset && f.Kind <= FaultTruncatedGzip }

// refusal is the answer of a fault that refuses; nil for the others.
func (f *Fault) refusal(c *call) *refusal {
	switch f.Kind {
	case FaultAccessTokenExpired:
		return refuseToken("Lifetime validation failed, the token is expired.")
	case FaultInsufficientClaims:
		return refuseToken("Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp").
			with("WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ=="`)
	case FaultDenied:
		return refuseDenied()
	case FaultIdentityNotFound:
		return refuse(http.StatusForbidden, codeNoIdentity, "The identity of the calling application could not be established.")
	case FaultThrottled:
		return refuseThrottled(f.retryAfter(c.now))
	case FaultStatus:
		return f.statusRefusal(c.now)
	case FaultRedirect:
		return refuse(http.StatusFound, "Redirected", "").with("Location", f.Target+c.r.URL.RequestURI())
	case FaultGone:
		return f.Form.refusal(c)
	case FaultPageExpired:
		return refusePage()
	case FaultDeltaTokenRefused:
		return refuse(http.StatusBadRequest, codeBadRequest, "The deltaToken in the request is invalid or has expired.")
	}
	return nil
}

func (f *Fault) statusRefusal(now time.Time) *refusal {
	codes := map[int]string{500: "UnknownError", 502: "UnknownError", 503: "ServiceNotAvailable", 504: "UnknownError", 509: "activityLimitReached"}
	r := refuse(f.Status, codes[f.Status], http.StatusText(f.Status))
	if f.HTML {
		r.html = htmlError(f.Status)
	}
	if v := f.retryAfter(now); v != "" {
		r.with("Retry-After", v)
	}
	return r
}

func (f *Fault) retryAfter(now time.Time) string {
	if f.After <= 0 {
		return ""
	}
	switch f.Retry {
	case RetryFraction:
		return strconv.FormatFloat(f.After.Seconds(), 'f', 3, 64)
	case RetryDate:
		return now.Add(f.After).UTC().Format(http.TimeFormat)
	case RetryNone:
		return ""
	}
	return strconv.Itoa(int((f.After + time.Second - 1) / time.Second))
}

func (g GoneForm) refusal(c *call) *refusal {
	const lost = "The sync state generation is not found; generation=149;[highest=157][157][155][156]."
	const again = "Resync required. Replace any local items with the server's version (including deletes) if you're sure that the service was up to date with your local changes when you last sync'd."
	switch g {
	case GoneLocation:
		return refuse(http.StatusGone, "resyncRequired", again).with("Location", c.base+c.r.URL.Path+"?$deltatoken=")
	case GoneResyncRequired:
		return refuse(http.StatusGone, "resyncRequired", again)
	case GoneNested:
		r := refuse(http.StatusGone, "itemNotFound", again)
		r.inner = map[string]string{"code": "resyncChangesApplyDifferences"}
		return r
	case GoneUpperCase:
		return refuse(http.StatusGone, "SyncStateNotFound", lost)
	case GoneBadRequest:
		return refuse(http.StatusBadRequest, "resyncChangesUploadDifferences", again)
	}
	return refuse(http.StatusGone, "syncStateNotFound", lost)
}
