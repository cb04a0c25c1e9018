package consent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Config says what a Flow works with.
type Config struct {
	// App gives a source as it is configured at the moment.
	App func(ctx context.Context, source string) (App, error)
	// Save keeps a consent that has passed the test, and has the source start.
	Save func(ctx context.Context, source string, grant Grant) error
	// Remember keeps the mailed links that are good, each time that they change;
	// nil: they end with the Flow. Open are those that an earlier Flow had kept.
	Remember func([]OpenLink) error
	Open     []OpenLink
	// Log gets what happens, without anything secret; nil: nothing is logged.
	Log *slog.Logger
	// Patience is how long a grant may take to spread; 0 means 10 minutes.
	Patience time.Duration
}

// A Grant is an administrator's consent that was verified.
type Grant struct {
	TenantID string
	At       time.Time
	By       string // the way it came: Microsoft's redirect does not tell who
}

const (
	// StateLifetime is how long Microsoft's page may take to answer.
	StateLifetime = 10 * time.Minute
	// MailedLifetime is how long a link is good that is sent to somebody else.
	MailedLifetime = 72 * time.Hour

	// maxLive bounds the states that are open for one source: the oldest goes
	// when there are more. Who can open them is an administrator, or a program
	// gone wild.
	maxLive = 32
	// maxOver bounds those remembered to tell a replay from a forgery.
	maxOver = 1024
	// maxJobs bounds the consents whose outcome can still be asked for.
	maxJobs = 64

	defaultPatience = 10 * time.Minute
)

// A Flow keeps the consents of a process that are on their way. It is safe for
// concurrent use; what it holds lives in memory only.
type Flow struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // of the jobs
	cancel context.CancelFunc
	jobs   sync.WaitGroup

	remembering sync.Mutex // orders the calls of Remember

	mu       sync.Mutex
	live     map[[32]byte]*asked // :: hash of the state -> what was asked
	over     map[[32]byte]Reason // :: hash of a state that is no longer good -> why
	overList [][32]byte          // the same, the oldest first
	handOffs map[[32]byte]handOff
	running  []*Job           // the oldest first
	ended    map[string]ended // source -> its last answer that was refused
	watched  map[string]bool  // sources that are being watched
}

// ended is an answer that was refused.
type ended struct {
	at      time.Time
	refusal *Refusal
}

// asked is one visit to Microsoft's page that has not come back.
type asked struct {
	source  string
	app     string // fingerprint of the registration
	begun   time.Time
	expires time.Time
	by      string
	mailed  bool     // it outlasts the process
	handOff [32]byte // the hand-off it came from; zero: none
}

// A handOff is a link for somebody else.
type handOff struct {
	source  string
	expires time.Time
}

// New makes a Flow. Close it after use.
func New(cfg Config) *Flow {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	f := &Flow{cfg: cfg, log: cfg.Log, live: map[[32]byte]*asked{}, over: map[[32]byte]Reason{}, handOffs: map[[32]byte]handOff{},
		ended: map[string]ended{}, watched: map[string]bool{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.restore(cfg.Open, time.Now())
	return f
}

// Close ends what is under way and waits for it.
func (f *Flow) Close() {
	f.cancel()
	f.jobs.Wait()
}

// A Link is an address to open.
type Link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// Begin opens a consent: the address of Microsoft's page for whoever sits at the
// browser now. by says for the record how the consent came. Where the tenant is
// known, a grant that is given elsewhere meanwhile counts as the answer, so call
// it only where [Granted] says that there is something left to consent to.
func (f *Flow) Begin(ctx context.Context, source, by string) (Link, error) {
	link, err := f.BeginAgain(ctx, source, by)
	if err == nil {
		f.watch(source, link.Expires)
	}
	return link, err
}

// BeginAgain is Begin for a source that may have all that it needs: only
// Microsoft's answer counts.
func (f *Flow) BeginAgain(ctx context.Context, source, by string) (Link, error) {
	return f.begin(ctx, source, by, StateLifetime, [32]byte{})
}

// BeginMailed is Begin for a link that is sent to an administrator whose browser
// cannot reach us: it is good for longer, and its answer is pasted back.
func (f *Flow) BeginMailed(ctx context.Context, source string) (Link, error) {
	link, err := f.begin(ctx, source, "a mailed link", MailedLifetime, [32]byte{})
	if err == nil {
		f.remember()
		f.watch(source, link.Expires)
	}
	return link, err
}

func (f *Flow) begin(ctx context.Context, source, by string, lifetime time.Duration, from [32]byte) (Link, error) {
	app, err := f.cfg.App(ctx, source)
	if err != nil {
		return Link{}, err
	}
	if err := app.askable(); err != nil {
		return Link{}, err
	}
	state, key := secret()
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidy(now, source)
	f.live[key] = &asked{
		source: source, app: app.fingerprint(), begun: now, expires: now.Add(lifetime), by: by,
		mailed: lifetime == MailedLifetime, handOff: from,
	}
	f.log.Info("consent is asked for", "source", source, "by", by)
	return Link{URL: app.page(state), Expires: now.Add(lifetime)}, nil
}

// askable says why there is no consent page for a source, if so.
func (a *App) askable() error {
	switch {
	case a.managed():
		return refuse(NoPage, a.Source, "a managed identity is granted its permissions by command lines, not on a page",
			"have an administrator run them: scim-bridge consent prints them")
	case a.Graph.ClientID == "":
		return refuse(NoPage, a.Source, "the source has no client_id", "register an application and write its id into the configuration")
	case a.RedirectURI == "":
		return refuse(NoPage, a.Source, "there is no address that Microsoft could send the browser back to",
			"set admin.public_url, for example http://localhost:8881")
	}
	return nil
}

// fingerprint stands for what the administrator was asked about.
func (a *App) fingerprint() string {
	return strings.Join([]string{a.Graph.LoginURL, a.Graph.GraphURL, a.Graph.ClientID, a.Graph.TenantID, a.RedirectURI}, "\n")
}

// secret makes 128 random bits for an address, and the key that they are kept
// under.
func secret() (text string, key [32]byte) {
	b := make([]byte, 16)
	rand.Read(b)
	text = base64.RawURLEncoding.EncodeToString(b)
	return text, sha256.Sum256([]byte(text))
}

// tidy drops what has expired, and the oldest where a source has too many. f.mu
// is held.
func (f *Flow) tidy(now time.Time, source string) {
	var oldest [32]byte
	count := 0
	for key, a := range f.live {
		if now.After(a.expires) {
			f.retire(key, Expired)
			continue
		}
		if a.source != source {
			continue
		}
		if count++; count == 1 || a.givesWay(f.live[oldest]) {
			oldest = key
		}
	}
	if count >= maxLive {
		f.retire(oldest, Expired)
	}
	for key, h := range f.handOffs {
		if now.After(h.expires) {
			delete(f.handOffs, key)
		}
	}
}

// givesWay says whether one of two is to go before the other: the older, and one
// of a browser that can ask again before one that was mailed.
func (a *asked) givesWay(to *asked) bool {
	if a.mailed != to.mailed {
		return to.mailed
	}
	return a.begun.Before(to.begun)
}

// retire ends a state and remembers why. f.mu is held.
func (f *Flow) retire(key [32]byte, why Reason) {
	delete(f.live, key)
	f.over[key] = why
	f.overList = append(f.overList, key)
	if len(f.overList) > maxOver {
		delete(f.over, f.overList[0])
		f.overList = f.overList[1:]
	}
}

// take uses a state up.
func (f *Flow) take(state string) (*asked, *Refusal) {
	key := sha256.Sum256([]byte(state))
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.live[key]
	why, known := f.over[key]
	switch {
	case a != nil && time.Now().After(a.expires):
		f.retire(key, Expired)
		r := refuse(Expired, a.source, "the link has expired", againNext)
		f.ended[a.source] = ended{time.Now(), r}
		return nil, r
	case a != nil:
		f.retire(key, Replayed)
		return a, nil
	case known && why == Expired:
		return nil, refuse(Expired, "", "the link has expired", againNext)
	case known:
		return nil, refuse(Replayed, "", "this answer was used already", "look at the status of the source; if it still waits for consent, ask again")
	}
	return nil, refuse(Forged, "", "this answer belongs to no consent that was asked for here",
		"if you asked for one, the program was restarted since: ask again; if you did not, somebody sent you a made-up address, and nothing was changed")
}

// An Answer is Microsoft's, checked as far as it can be without asking Microsoft:
// it belongs to a consent that was asked for, and says that it was given.
type Answer struct {
	Source string
	app    App
	tenant string // as the address says it; not believed before a token proves it
	by     string
	from   [32]byte
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// Answer checks the query of Microsoft's redirect. The state in it is used up
// whatever else is in the answer. The error is a *Refusal, or what Config.App
// gives.
func (f *Flow) Answer(ctx context.Context, query url.Values) (*Answer, error) {
	for _, name := range []string{"state", "tenant", "error", "error_description", "admin_consent"} {
		if len(query[name]) > 1 {
			return nil, refuse(Malformed, "", "the answer says "+name+" more than once", againNext)
		}
	}
	if query.Get("state") == "" {
		return nil, refuse(Malformed, "", "the answer has no state, so it belongs to no consent that was asked for here", againNext)
	}
	a, refused := f.take(query.Get("state"))
	if refused != nil {
		f.log.Warn("answer to consent is refused", "reason", string(refused.Reason), "source", refused.Source)
		return nil, refused
	}
	if a.mailed {
		f.remember()
	}
	answer, err := f.read(ctx, a, query)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		f.log.Warn("answer to consent is refused", "reason", string(refusal.Reason), "source", a.source, "microsoft", refusal.Microsoft)
		refusal.HandedOff = a.handOff != [32]byte{}
		f.mu.Lock()
		f.ended[a.source] = ended{time.Now(), refusal}
		f.mu.Unlock()
	}
	return answer, err
}

func (f *Flow) read(ctx context.Context, a *asked, query url.Values) (*Answer, error) {
	app, err := f.cfg.App(ctx, a.source)
	if err != nil {
		return nil, err
	}
	tenant := query.Get("tenant")
	switch {
	case app.fingerprint() != a.app:
		return nil, refuse(Changed, a.source, "the configuration of the source changed since the link was made", againNext)
	case query.Get("error") != "" || query.Get("error_description") != "":
		// admin_consent=True comes even then: it proves nothing.
		return nil, refusedByMicrosoft(&app, query.Get("error"), query.Get("error_description"))
	case !strings.EqualFold(query.Get("admin_consent"), "true"), !guid.MatchString(tenant):
		return nil, refuse(Malformed, a.source, "Microsoft's answer says neither that consent was given nor that it was not", againNext)
	}
	if refused := app.expects(tenant); refused != nil {
		return nil, refused
	}
	return &Answer{Source: a.source, app: app, tenant: strings.ToLower(tenant), by: a.by, from: a.handOff}, nil
}

// expects refuses a tenant that is not the one the source is about.
func (a *App) expects(tenant string) *Refusal {
	want, where := a.Graph.TenantID, "the configuration names"
	if !guid.MatchString(want) {
		// A domain is compared by way of a token, later.
		want, where = a.Tenant, "the source was consented to before in"
	}
	if want == "" || strings.EqualFold(want, tenant) {
		return nil
	}
	return refuse(WrongTenant, a.Source, "consent was given in tenant "+strings.ToLower(tenant)+", but "+where+" "+want,
		"sign in with an account of the right tenant; or, if the other one is meant, write it into tenant_id")
}

// HandOff makes a link for an administrator elsewhere, to a page of ours that
// says what is asked and why. page is the address of such pages, to which the
// link's secret is appended. It is good until somebody consents by it, or for
// [MailedLifetime].
func (f *Flow) HandOff(ctx context.Context, source, page string) (Link, error) {
	app, err := f.cfg.App(ctx, source)
	if err != nil {
		return Link{}, err
	}
	if err := app.askable(); err != nil {
		return Link{}, err
	}
	text, key := secret()
	now := time.Now()
	link := Link{URL: page + text, Expires: now.Add(MailedLifetime)}
	f.mu.Lock()
	f.tidy(now, source)
	full := len(f.handOffs) >= maxLive
	if !full {
		f.handOffs[key] = handOff{source, link.Expires}
	}
	f.mu.Unlock()
	if full {
		return Link{}, refuse(Refused, source, "there are too many links already", "wait until some have expired")
	}
	f.remember()
	f.watch(source, link.Expires)
	return link, nil
}

// HandedOff gives the source that a hand-off's secret is about.
func (f *Flow) HandedOff(ctx context.Context, text string) (App, error) {
	f.mu.Lock()
	h, ok := f.handOffs[sha256.Sum256([]byte(text))]
	f.mu.Unlock()
	if !ok || time.Now().After(h.expires) {
		return App{}, refuse(Expired, "", "this link has been used, or has expired", "ask whoever sent it for a new one")
	}
	return f.cfg.App(ctx, h.source)
}

// BeginHandedOff is Begin for the administrator who opened a hand-off.
func (f *Flow) BeginHandedOff(ctx context.Context, text string) (Link, error) {
	app, err := f.HandedOff(ctx, text)
	if err != nil {
		return Link{}, err
	}
	return f.begin(ctx, app.Source, "a handed-off link", StateLifetime, sha256.Sum256([]byte(text)))
}
