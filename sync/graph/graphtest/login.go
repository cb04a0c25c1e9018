package graphtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// loginCollection is the name of the token endpoint in faults.
const loginCollection = "token"

// loginCall is one request to the login on its way.
type loginCall struct {
	s             *Server
	r             *http.Request
	base          string
	now           time.Time
	traceID       string
	correlationID string
	name          string  // the tenant as the path names it
	t             *Tenant // nil: not found
}

// serveLogin routes {tenant}/oauth2/v2.0/token and {tenant}/v2.0/adminconsent
// (and the older {tenant}/adminconsent).
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	l := &loginCall{s: s, r: r, base: base(r), name: name, t: s.tenant(name), now: time.Now()}
	if len(s.tenants) > 0 {
		l.now, l.traceID = s.tenants[0].opts.Now(), s.tenants[0].dice.guid()
	}
	if l.t != nil {
		l.now = l.t.opts.Now()
	}
	l.correlationID = orElse(r.Header.Get("client-request-id"), l.traceID)
	w.Header().Set("x-ms-request-id", l.traceID)
	w.Header().Set("Date", l.now.UTC().Format(http.TimeFormat))
	w.Header().Set("Cache-Control", "no-store, no-cache")
	switch rest {
	case "oauth2/v2.0/token":
		l.serveToken(w)
	case "v2.0/adminconsent", "adminconsent":
		l.serveConsent(w)
	default:
		http.NotFound(w, r)
	}
}

func (l *loginCall) writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(v))
}

func (l *loginCall) serveToken(w http.ResponseWriter) {
	began := time.Now()
	entry := Request{Time: l.now, Method: l.r.Method, Path: l.r.URL.Path, Status: http.StatusOK,
		RequestID: l.traceID, ClientRequestID: l.r.Header.Get("client-request-id"), UserAgent: l.r.UserAgent()}
	defer func() {
		entry.Duration = time.Since(began)
		if l.t == nil {
			l.s.journal.add(entry)
			return
		}
		l.t.journal.add(entry)
	}()
	if l.t != nil {
		for _, f := range l.t.faults.strike(occasion{collection: loginCollection, first: true, last: true}) {
			entry.Faults = append(entry.Faults, f.Kind)
			if entry.Status = l.disturb(w, f); entry.Status != 0 {
				return
			}
			if f.Kind == FaultReset {
				panic(http.ErrAbortHandler)
			}
		}
	}
	token, refused := l.issue(&entry)
	if refused != nil {
		entry.Status = refused.status
		l.refuse(w, refused)
		return
	}
	entry.AuthOK, entry.Status = true, http.StatusOK
	lifetime := int(l.t.opts.TokenLifetime / time.Second)
	l.writeJSON(w, http.StatusOK, struct {
		Type     string `json:"token_type"`
		Expires  int    `json:"expires_in"`
		Extended int    `json:"ext_expires_in"`
		Token    string `json:"access_token"`
	}{"Bearer", lifetime, lifetime, token})
}

// disturb answers with a fault; 0: the fault does not answer.
func (l *loginCall) disturb(w http.ResponseWriter, f Fault) int {
	switch f.Kind {
	case FaultLogin:
		r := refuseLogin(f.AADSTS, "")
		l.refuse(w, r)
		return r.status
	case FaultThrottled, FaultStatus:
		status := http.StatusTooManyRequests
		if f.Kind == FaultStatus {
			status = f.Status
		}
		if v := f.retryAfter(l.now); v != "" {
			w.Header().Set("Retry-After", v)
		}
		w.Header().Set("Content-Type", "text/html; charset=us-ascii")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(htmlError(status)))
		return status
	case FaultSlow:
		select {
		case <-l.r.Context().Done():
		case <-time.After(f.Wait):
		}
	case FaultTruncated:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(`{"token_type":"Bearer","expires_in":3599,"access_`))
		return http.StatusOK
	}
	return 0
}

// issue checks a token request as Entra does, in its order, and gives the
// access token.
func (l *loginCall) issue(entry *Request) (string, *loginRefusal) {
	if refused := l.checkTenant(); refused != nil {
		return "", refused
	}
	form, refused := l.form()
	if refused != nil {
		return "", refused
	}
	clientID := form.Get("client_id")
	entry.AppID = clientID
	if !isGUID(clientID) {
		return "", refuseLogin(700038, clientID)
	}
	if refused := l.checkScope(form.Get("scope")); refused != nil {
		return "", refused
	}
	a, refused := l.t.authenticate(l, clientID, form)
	if refused != nil {
		return "", refused
	}
	return l.token(a, form.Get("client_assertion") != ""), nil
}

func (l *loginCall) checkTenant() *loginRefusal {
	switch {
	case l.t != nil:
		return nil
	case l.name == "common" || l.name == "organizations" || l.name == "consumers":
		return refuseLogin(50059, "")
	case !isGUID(l.name) && !strings.Contains(l.name, "."):
		return refuseLogin(900023, l.name)
	}
	return refuseLogin(90002, l.name)
}

func (l *loginCall) form() (url.Values, *loginRefusal) {
	if l.r.Method != http.MethodPost {
		return nil, refuseLogin(900561, "POST")
	}
	l.r.Body = http.MaxBytesReader(nil, l.r.Body, 1<<20)
	if err := l.r.ParseForm(); err != nil {
		return nil, refuseLogin(90013, err.Error())
	}
	form := l.r.PostForm
	for _, name := range []string{"grant_type", "client_id", "scope"} {
		if form.Get(name) == "" {
			return nil, refuseLogin(900144, name)
		}
		if len(form[name]) > 1 {
			return nil, refuseLogin(90013, "Parameter '"+name+"' is duplicated.")
		}
	}
	if form.Get("grant_type") != "client_credentials" {
		return nil, refuseLogin(70003, form.Get("grant_type"))
	}
	return form, nil
}

// resources are the bases that mean Graph: the national clouds', and ours.
func (l *loginCall) resources() []string {
	return []string{"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us",
		"https://microsoftgraph.chinacloudapi.cn", graphAppID, l.s.GraphURL(), l.base}
}

func (l *loginCall) checkScope(scope string) *loginRefusal {
	resource, ok := strings.CutSuffix(scope, "/.default")
	if !ok || strings.ContainsAny(scope, " \t") {
		return refuseLogin(1002012, scope)
	}
	if resource == "" || !slices.Contains(l.resources(), strings.TrimSuffix(resource, "/")) {
		return refuseLogin(500011, resource)
	}
	return nil
}

// authenticate finds the application and checks its credential.
func (t *Tenant) authenticate(l *loginCall, clientID string, form url.Values) (*app, *loginRefusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opts.Now()
	a := t.apps[strings.ToLower(clientID)]
	if a == nil {
		return nil, refuseLogin(700016, clientID)
	}
	if refused := a.checkCredential(l, form, now); refused != nil {
		return nil, refused
	}
	a.settle(now)
	a.asked++
	switch {
	case a.Disabled:
		return nil, refuseLogin(7000112, clientID)
	case !a.consented, a.spreading && a.Spread.Form == SpreadNoPrincipal:
		return nil, refuseLogin(7000229, clientID)
	case a.spreading && a.Spread.Form == SpreadNotFound:
		return nil, refuseLogin(700016, clientID)
	}
	snapshot := *a
	return &snapshot, nil
}

func (a *app) checkCredential(l *loginCall, form url.Values, now time.Time) *loginRefusal {
	if assertion := form.Get("client_assertion"); assertion != "" {
		return a.checkAssertion(l, assertion, form.Get("client_assertion_type"), now)
	}
	secret := form.Get("client_secret")
	if secret == "" {
		return refuseLogin(7000218, "")
	}
	if a.Secret != "" && secret == a.Secret {
		return nil
	}
	for _, s := range a.Secrets {
		if s.Value == secret && !s.Expires.IsZero() && !now.Before(s.Expires) {
			return refuseLogin(7000222, a.ClientID)
		}
		if s.Value == secret {
			return nil
		}
	}
	return refuseLogin(7000215, a.ClientID)
}

// claims are what Graph reads of an access token.
type claims struct {
	Audience string   `json:"aud"`
	Issuer   string   `json:"iss"`
	IssuedAt int64    `json:"iat"`
	Before   int64    `json:"nbf"`
	Expires  int64    `json:"exp"`
	AppName  string   `json:"app_displayname"`
	AppID    string   `json:"appid"`
	AppIDACR string   `json:"appidacr"`
	Type     string   `json:"idtyp"`
	ObjectID string   `json:"oid"`
	Roles    []string `json:"roles,omitempty"`
	Subject  string   `json:"sub"`
	TenantID string   `json:"tid"`
	UTI      string   `json:"uti"`
	Version  string   `json:"ver"`
}

// token makes the access token: a JWT in form, signed with a key of the
// tenant. Its roles are those granted now, and stay so until it expires.
func (l *loginCall) token(a *app, byAssertion bool) string {
	now := l.t.opts.Now()
	acr := "1"
	if byAssertion {
		acr = "2"
	}
	c := claims{Audience: graphAppID, Issuer: "https://sts.windows.net/" + l.t.ID() + "/",
		IssuedAt: now.Unix(), Before: now.Unix(), Expires: now.Add(l.t.opts.TokenLifetime).Unix(),
		AppName: a.Name, AppID: a.ClientID, AppIDACR: acr, Type: "app", ObjectID: a.principalID, Roles: a.granted,
		Subject: a.principalID, TenantID: l.t.ID(), UTI: l.t.dice.guid(), Version: "1.0"}
	signed := encodePart([]byte(`{"typ":"JWT","alg":"HS256","kid":"graphtest"}`)) + "." + encodePart(mustJSON(c))
	return signed + "." + encodePart(l.t.seal.sign(signed))
}

func encodePart(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (s sealer) sign(text string) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// verify finds the tenant that signed an access token. fault is Graph's
// message when none did.
func (s *Server) verify(token string) (t *Tenant, c claims, fault string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, c, "IDX14100: JWT is not well formed, there are no dots (.)."
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return nil, claims{}, "CompactToken parsing failed with error code: 80049217"
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if t = s.tenant(c.TenantID); err != nil || t == nil || !hmac.Equal(signature, t.seal.sign(parts[0]+"."+parts[1])) {
		return nil, claims{}, "Access token validation failure. Invalid signature."
	}
	if c.Audience != graphAppID {
		return nil, claims{}, fmt.Sprintf("Access token validation failure. Invalid audience %s.", c.Audience)
	}
	return t, c, ""
}
