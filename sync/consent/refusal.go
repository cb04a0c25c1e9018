package consent

import (
	"regexp"
	"strconv"
	"strings"
)

// A Reason is why a consent came to nothing.
type Reason string

// The reasons.
const (
	Declined         Reason = "declined"          // the administrator said no
	NotAdministrator Reason = "not-administrator" // who signed in may not consent
	WrongTenant      Reason = "wrong-tenant"      // another tenant than the one expected
	WrongAccount     Reason = "wrong-account"     // an account of another tenant
	Blocked          Reason = "blocked"           // Conditional Access, tenant restrictions
	Unregistered     Reason = "unregistered"      // redirect URI or application unknown
	Unlisted         Reason = "unlisted"          // granted, but not all that is needed
	Forged           Reason = "forged"            // a state that is not ours
	Replayed         Reason = "replayed"          // a state that was used before
	Expired          Reason = "expired"           // a state that grew too old
	Malformed        Reason = "malformed"         // an answer that is none
	Refused          Reason = "refused"           // something else, in Microsoft's words
	Credential       Reason = "credential"        // consent is given, but the credential is wrong
	NotSpread        Reason = "not-spread"        // the grant did not arrive in time
	TestFailed       Reason = "test-failed"       // consent is given, but the test finds faults
	NoPage           Reason = "no-page"           // there is no consent page for this source
	Changed          Reason = "changed"           // the configuration changed meanwhile
)

// A Refusal is a consent that came to nothing, in words for people.
type Refusal struct {
	Reason Reason `json:"reason"`
	// Source is the source that it was about; empty where that is not known.
	Source string `json:"source,omitempty"`
	// What happened, in one sentence without a full stop.
	What string `json:"what"`
	// Next is what to do now, likewise.
	Next string `json:"next,omitempty"`
	// Microsoft has Microsoft's own words, where there are any: they come from
	// outside, and are bounded and on one line.
	Microsoft string `json:"microsoft,omitempty"`
	// HandedOff tells that the answer came by a hand-off: whoever reads this is
	// not the one who runs the program.
	HandedOff bool `json:"handedOff,omitempty"`
	// Report is the test's, for TestFailed.
	Report *Report `json:"report,omitempty"`
}

// Error gives all of it on one line.
func (r *Refusal) Error() string {
	text := r.What
	if r.Next != "" {
		text += ": " + r.Next
	}
	if r.Microsoft != "" {
		text += " (" + r.Microsoft + ")"
	}
	return text
}

func refuse(reason Reason, source, what, next string) *Refusal {
	return &Refusal{Reason: reason, Source: source, What: what, Next: next}
}

// againNext is the next step where only asking again is left.
const againNext = "ask for consent again"

// reasons tells by Microsoft's error numbers what was wrong on the consent page
// (learn.microsoft.com/entra/identity-platform/reference-error-codes).
var reasons = map[int]Reason{
	65004: Declined,
	90093: NotAdministrator, 90094: NotAdministrator, 90095: NotAdministrator,
	50020: WrongAccount, 16000: WrongAccount,
	53003: Blocked, 530032: Blocked, 53000: Blocked, 500021: Blocked, 500022: Blocked,
	50011: Unregistered, 900971: Unregistered, 70004: Unregistered, 700016: Unregistered,
}

// refusedByMicrosoft makes a refusal of an answer with an error in it. OAuth's
// error code decides; the numbers in the description only explain.
func refusedByMicrosoft(app *App, code, description string) *Refusal {
	r := &Refusal{Source: app.Source, Microsoft: clip(strings.TrimSpace(code + ": " + description))}
	for _, number := range numbers(description) {
		if reason, ok := reasons[number]; ok {
			r.Reason = reason
			break
		}
	}
	if r.Reason == "" && (code == "access_denied" || code == "consent_declined") {
		r.Reason = Declined
	}
	if r.Reason == "" && code == "permission_denied" {
		r.Reason = NotAdministrator
	}
	r.What, r.Next = wordsFor(app, r.Reason)
	if r.Reason == "" {
		r.Reason = Refused
	}
	return r
}

func wordsFor(app *App, reason Reason) (what, next string) {
	switch reason {
	case Declined:
		return "the administrator declined",
			"tell the administrator what is asked and why: " + describe(Needed(app.Wants)) + ", and nothing is written; then ask again"
	case NotAdministrator:
		return "who signed in may not consent for the whole organization",
			"a Privileged Role Administrator or a Global Administrator has to open the link (an Application Administrator may not grant these permissions)"
	case WrongAccount:
		return "who signed in belongs to another tenant", "sign in with an account of the tenant that is to be read" + orTenant(app)
	case Blocked:
		return "a policy of the tenant or of the network forbids the sign-in",
			"the sign-in logs of Microsoft Entra name the policy (Conditional Access, tenant restrictions); sign in from a device and network that it allows"
	case Unregistered:
		return "Microsoft does not know the application, or not its redirect URI",
			"check client_id; in the app registration, under Authentication > Web, add exactly this redirect URI: " + app.RedirectURI
	}
	return "Microsoft did not grant consent", "read Microsoft's words, mend it, and ask again"
}

func orTenant(app *App) string {
	if t := app.tenant(); t != "" {
		return ", " + t
	}
	return ""
}

// describe names permissions and why they are needed.
func describe(list []Permission) string {
	var parts []string
	for _, p := range list {
		if !p.Optional {
			parts = append(parts, p.Name+" "+p.Why)
		}
	}
	return strings.Join(parts, " and ")
}

var aadsts = regexp.MustCompile(`AADSTS([0-9]{4,9})`)

// numbers finds the AADSTS numbers of a text.
func numbers(text string) (all []int) {
	for _, match := range aadsts.FindAllStringSubmatch(text, 8) {
		if n, err := strconv.Atoi(match[1]); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// clip bounds a text from outside and keeps it on one line, without control
// characters.
func clip(text string) string {
	const limit = 600
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
