package graphtest

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// graphAppID is Microsoft Graph's own application.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// graphRoles are the application permissions that the tenant knows, with their
// app-role ids.
var graphRoles = map[string]string{
	"User.Read.All":                         "df021288-bdef-4463-88db-98f22de89214",
	"GroupMember.Read.All":                  "98830695-27a2-44f7-8c18-0c3ebc9698f6",
	"Group.Read.All":                        "5b567255-7703-4780-807c-7be8301ae99b",
	"Member.Read.Hidden":                    "658aa5d8-239f-45c4-aa12-864f4fc7e490",
	"Organization.Read.All":                 "498476ce-e0fe-48b0-b801-37ba7e2685c6",
	"Directory.Read.All":                    "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
	"AuditLog.Read.All":                     "b0afded3-3588-46d8-8b3d-9842eff778da",
	"Application.Read.All":                  "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
	"Directory.ReadWrite.All":               "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
	"User.ReadWrite.All":                    "741f803b-c850-494e-b5df-cde7c675a1ca",
	"Group.ReadWrite.All":                   "62a82d76-70ea-41e2-9197-370581804d09",
	"User-LifeCycleInfo.Read.All":           "8556a004-db57-4d7a-8b82-97a13428e96f",
	"CustomSecAttributeAssignment.Read.All": "3b37c5a4-1226-493d-bec3-5d6c6b866f3f",
}

// App is an application registration and what the tenant has granted to it.
type App struct {
	// ClientID is the application (client) id. Empty: derived from the seed.
	ClientID string
	// Name is what consent pages show. Empty: "SCIM bridge".
	Name string

	// Secret is a client secret that does not expire. Empty: none.
	Secret string
	// Secrets are further client secrets.
	Secrets []Secret
	// Certificates may sign assertions (RSA keys only).
	Certificates []*x509.Certificate
	// Federated are the workload identities that may act as the application.
	Federated []FederatedCredential

	// Permissions are the application permissions that the registration lists:
	// what consent to /.default grants.
	Permissions []string
	// Granted are the permissions granted so far; nil: all of Permissions when
	// Consented.
	Granted []string
	// Consented is whether an administrator consented already.
	Consented bool
	// RedirectURIs are those registered; a consent request must name one
	// exactly.
	RedirectURIs []string
	// Disabled refuses tokens with AADSTS7000112.
	Disabled bool
	// Spread delays the effect of consent given on the page.
	Spread Spread
}

// Secret is one client secret.
type Secret struct {
	Value   string
	Expires time.Time // zero: never
}

// FederatedCredential names a workload of another identity provider.
type FederatedCredential struct {
	Issuer, Subject, Audience string
	// Key verifies the workload's token; nil: the signature is not looked at.
	Key *rsa.PublicKey
}

// SpreadForm is how the login answers while a grant spreads.
type SpreadForm uint8

const (
	SpreadNoPrincipal SpreadForm = iota // AADSTS7000229
	SpreadNotFound                      // AADSTS700016
	SpreadNoRoles                       // a token without the new roles: Graph answers 403
)

// Spread is how long consent takes to be felt: until Delay has passed and
// Requests tokens were asked for. The zero value is at once.
type Spread struct {
	Delay    time.Duration
	Requests int
	Form     SpreadForm
}

// app is an App in a tenant. The tenant's lock guards it.
type app struct {
	App
	principalID string // of its service principal in the tenant
	objectID    string // of the registration
	granted     []string
	assigned    []assignment // users and groups, in the order of assigning
	consented   bool
	spreading   bool // consented, but not felt yet
	since       time.Time
	asked       int // tokens asked for since
}

// AddApp registers an application, or replaces the registration of the same
// client id. It returns the client id.
func (t *Tenant) AddApp(a App) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.ClientID == "" {
		a.ClientID = newGUID(t.ids)
	}
	if a.Name == "" {
		a.Name = "SCIM bridge"
	}
	own := rand.New(rand.NewPCG(t.opts.Seed, seedOf(a.ClientID)))
	entry := &app{App: a, principalID: newGUID(own), objectID: newGUID(own), consented: a.Consented}
	if a.Consented {
		entry.granted = slices.Clone(a.Granted)
		if a.Granted == nil {
			entry.granted = slices.Clone(a.Permissions)
		}
	}
	t.apps[strings.ToLower(a.ClientID)] = entry
	return a.ClientID
}

// UpdateApp changes a registration: change may alter anything but ClientID,
// Consented and Granted, which [Tenant.Grant] and [Tenant.Revoke] set.
func (t *Tenant) UpdateApp(clientID string, change func(*App)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.mustApp(clientID).App)
}

// Grant consents to these permissions at once, in place of those granted so
// far; with none, to all that the registration lists.
func (t *Tenant) Grant(clientID string, permissions ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.mustApp(clientID)
	if len(permissions) == 0 {
		permissions = a.Permissions
	}
	a.consented, a.spreading, a.granted = true, false, slices.Clone(permissions)
}

// Revoke withdraws consent: the service principal is gone, the login refuses,
// and Graph does not know the identity of tokens that are still good.
func (t *Tenant) Revoke(clientID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.mustApp(clientID)
	a.consented, a.spreading, a.granted = false, false, nil
}

// Granted are the permissions that tokens of the application have now; nil
// when it has no service principal.
func (t *Tenant) Granted(clientID string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	a := t.apps[strings.ToLower(clientID)]
	if a == nil || !a.consented || a.spreading {
		return nil
	}
	return slices.Clone(a.granted)
}

func (t *Tenant) mustApp(clientID string) *app {
	a := t.apps[strings.ToLower(clientID)]
	if a == nil {
		panic(fmt.Sprintf("graphtest: no application %s", clientID))
	}
	return a
}

// consent is the administrator's Accept.
func (t *Tenant) consent(clientID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.mustApp(clientID)
	known := a.consented
	a.consented, a.since, a.asked = true, t.opts.Now(), 0
	a.spreading = a.Spread.Delay > 0 || a.Spread.Requests > 0
	if known && a.spreading && a.Spread.Form != SpreadNoRoles {
		a.spreading = false // the service principal is there: new roles show at once
	}
	if !a.spreading {
		a.granted = slices.Clone(a.Permissions)
	}
}

// settle ends the spreading of a grant when it has lasted long enough.
func (a *app) settle(now time.Time) {
	if a.spreading && now.Sub(a.since) >= a.Spread.Delay && a.asked >= a.Spread.Requests {
		a.spreading, a.granted = false, slices.Clone(a.Permissions)
	}
}

// hasPrincipal reports whether Graph knows the application in the tenant.
func (t *Tenant) hasPrincipal(clientID string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	a := t.apps[strings.ToLower(clientID)]
	return a != nil && a.consented && !(a.spreading && a.Spread.Form != SpreadNoRoles)
}

func seedOf(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	var v uint64
	for _, b := range sum[:8] {
		v = v<<8 | uint64(b)
	}
	return v
}

// thumbprint is a certificate's SHA-1 as the portal shows it.
func thumbprint(sum []byte) string { return strings.ToUpper(hex.EncodeToString(sum)) }
