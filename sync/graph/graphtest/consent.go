package graphtest

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// serveConsent is Microsoft's admin consent: GET shows the page, POST of its
// form answers to the redirect URI
// (docs/identity-platform/v2-admin-consent.md).
//
// The form's fields, for tests that post it themselves: action is "accept" or
// "cancel"; account is the id or domain of the tenant of whoever signs in
// (default: the path's tenant, or the first one); role is "admin" (default)
// or "user", who may not consent.
func (l *loginCall) serveConsent(w http.ResponseWriter) {
	q, err := url.ParseQuery(l.r.URL.RawQuery)
	if err != nil {
		l.page(w, refuseLogin(90013, err.Error()))
		return
	}
	account := l.t
	if l.r.Method == http.MethodPost {
		if name := l.r.PostFormValue("account"); name != "" {
			account = l.s.tenant(name)
		}
	}
	if account == nil && len(l.s.tenants) > 0 && l.name == "organizations" {
		account = l.s.tenants[0]
	}
	a, refused := l.consentRequest(q, account)
	switch {
	case refused != nil:
		l.page(w, refused)
	case l.r.Method == http.MethodPost:
		l.decide(w, q, a, account)
	default:
		l.show(w, a, account)
	}
}

// consentRequest checks what is shown as Microsoft's error page, never as a
// redirect: until the redirect URI is known to be registered, nothing may be
// sent there.
func (l *loginCall) consentRequest(q url.Values, account *Tenant) (*app, *loginRefusal) {
	switch {
	case l.name == "common" || l.name == "consumers":
		return nil, refuseLogin(90013, "Admin consent needs a tenant or 'organizations', not '"+l.name+"'.")
	case l.t == nil && l.name != "organizations":
		return nil, l.checkTenant()
	case account == nil:
		return nil, refuseLogin(90002, l.r.PostFormValue("account"))
	case l.t != nil && account != l.t:
		return nil, refuseLogin(50020, l.t.Name())
	}
	for _, name := range []string{"client_id", "redirect_uri"} {
		if q.Get(name) == "" {
			return nil, refuseLogin(900144, name)
		}
	}
	account.mu.RLock()
	defer account.mu.RUnlock()
	a := account.apps[strings.ToLower(q.Get("client_id"))]
	switch {
	case a == nil:
		return nil, refuseLogin(700016, q.Get("client_id"))
	case !slices.Contains(a.RedirectURIs, q.Get("redirect_uri")):
		return nil, refuseLogin(50011, q.Get("redirect_uri"))
	case strings.Contains(l.r.URL.Path, "v2.0") && q.Get("scope") == "":
		return nil, refuseLogin(900144, "scope")
	case q.Get("scope") != "" && l.checkScope(q.Get("scope")) != nil:
		return nil, refuseLogin(70011, q.Get("scope"))
	}
	snapshot := *a
	return &snapshot, nil
}

// decide is the administrator's click.
func (l *loginCall) decide(w http.ResponseWriter, q url.Values, a *app, account *Tenant) {
	answer := url.Values{"admin_consent": {"True"}}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	switch {
	case l.r.PostFormValue("action") != "accept":
		r := refuseLogin(65004, "")
		answer.Set("error", r.oauth)
		answer.Set("error_description", l.description(r))
	case l.r.PostFormValue("role") == "user":
		l.page(w, refuseLogin(90094, "Ask an administrator to grant permission to "+a.Name+"."))
		return
	default:
		account.consent(a.ClientID)
		answer.Set("tenant", account.ID())
		if q.Has("scope") {
			answer.Set("scope", q.Get("scope"))
		}
	}
	target := q.Get("redirect_uri")
	joint := "?"
	if strings.Contains(target, "?") {
		joint = "&"
	}
	http.Redirect(w, l.r, target+joint+answer.Encode(), http.StatusFound)
}

func (l *loginCall) show(w http.ResponseWriter, a *app, account *Tenant) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	accounts := []*Tenant{account}
	if l.t == nil {
		accounts = l.s.tenants
	}
	_ = consentPage.Execute(w, map[string]any{"App": a.App, "Accounts": accounts, "Chosen": account.ID()})
}

// page shows a refusal as the login's error page does, with status 200 (that
// is how Microsoft does it).
func (l *loginCall) page(w http.ResponseWriter, r *loginRefusal) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = errorPage.Execute(w, l.description(r))
}

var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Permissions requested</title>
<style>body{font:16px system-ui,sans-serif;max-width:30em;margin:4em auto;padding:0 1em}button{font:inherit;padding:.4em 1.5em}</style></head>
<body><h1>Permissions requested</h1>
<p>Simulated sign-in. Accept for your organization?</p>
<h2>{{.App.Name}}</h2><p><code>{{.App.ClientID}}</code></p>
<p>This app would like to:</p>
<ul>{{range .App.Permissions}}<li>{{.}}</li>{{end}}</ul>
<form method="post">
<p><label>Signed in at <select name="account">{{range .Accounts}}<option value="{{.ID}}"{{if eq .ID $.Chosen}} selected{{end}}>{{.Name}}</option>{{end}}</select></label>
<label>as <select name="role"><option value="admin" selected>Global Administrator</option><option value="user">user</option></select></label></p>
<p><button name="action" value="cancel">Cancel</button> <button name="action" value="accept">Accept</button></p>
</form></body></html>
`))

var errorPage = template.Must(template.New("error").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in to your account</title></head>
<body><h1>Sorry, but we’re having trouble signing you in.</h1><pre>{{.}}</pre></body></html>
`))
