package tests

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/scim/accesstoken/accesstokentest"
	"scimbridge/sync/graph/graphtest"
)

// Every kind of credential is used, rightly and wrongly; none of them, nor what was
// made of it, is in anything that the program says or keeps.
func TestNoCredentialOfAnyKindIsTold(t *testing.T) {
	issuer := accesstokentest.New("")
	issuing := httptest.NewServer(issuer)
	defer issuing.Close()
	issuer.URL = issuing.URL
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 5}, 20, 2))
	b := newBridge(t)
	secrets := make(map[string]string)
	for _, name := range []string{"first.token", "second.token", "basic.password", "oauth.secret", "admin.token"} {
		secrets[name] = "the-content-of-" + name
		b.write(name, secrets[name])
	}
	secrets["client.token"], secrets["tenant.secret"] = bridgeToken, clientSecret
	hashed := fmt.Sprintf("%x", sha256.Sum256([]byte("the-token-that-is-not-here")))
	secrets["the hash in the file"] = hashed
	b.write("config.yaml", strings.NewReplacer("admin:\n", "admin:\n  token_file: admin.token\n", "level: info", "level: debug").Replace(config(
		"    - {name: rotating, tokens: [{token_file: first.token}, {token_file: second.token}, {token_sha256: "+hashed+"}]}\n"+
			"    - {name: plain, basic: {username: plain, password_file: basic.password}}\n"+
			"    - {name: granted, oauth2: {client_id: granted, client_secret_file: oauth.secret}}\n"+
			"    - {name: gateway, jwt: {issuer: '"+issuer.URL+"', audience: scim, subject: gateway}}\n", tenant.source("contoso"))))
	b.start()
	said := new(strings.Builder)
	ask := func(want int, address, authorization string, form url.Values) string {
		t.Helper()
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != want {
			t.Errorf("%s %s: %s, %v", method, address, res.Status, err)
		}
		fmt.Fprintf(said, "%v %s\n", res.Header, body)
		return string(body)
	}
	basic := func(user, password string) string {
		secrets["basic of "+user] = base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		return "Basic " + secrets["basic of "+user]
	}
	b.ready()
	users, login := b.scim+"/Users?count=1", b.scim+"/oauth2/token"
	for _, good := range []string{"first.token", "second.token"} {
		ask(200, users, "Bearer "+secrets[good], nil)
	}
	ask(200, users, "Bearer the-token-that-is-not-here", nil)
	ask(200, users, basic("plain", secrets["basic.password"]), nil)
	ask(401, users, basic("granted", secrets["oauth.secret"]), nil)
	secrets["the token of the issuer"] = issuer.Token(issuer.Claims("scim", "gateway", nil), nil)
	ask(200, users, "Bearer "+secrets["the token of the issuer"], nil)
	secrets["a token of another"] = issuer.Token(issuer.Claims("mail", "gateway", nil), nil)
	ask(401, users, "Bearer "+secrets["a token of another"], nil)
	ask(400, login+"?client_secret="+secrets["oauth.secret"], "", url.Values{"grant_type": {"client_credentials"}})
	ask(401, login, "", url.Values{"grant_type": {"client_credentials"}, "client_id": {"granted"}, "client_secret": {secrets["basic.password"]}})

	// The answer with the new token is the only one that may have it.
	before := said.Len()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	answer := ask(200, login, "", url.Values{"grant_type": {"client_credentials"}, "client_id": {"granted"}, "client_secret": {secrets["oauth.secret"]}})
	if err := json.Unmarshal([]byte(answer), &granted); err != nil || granted.AccessToken == "" {
		t.Fatalf("no token: %s", answer)
	}
	kept := said.String()[:before]
	said.Reset()
	said.WriteString(kept)
	secrets["the token that was granted"] = granted.AccessToken
	ask(200, users, "Bearer "+granted.AccessToken, nil)

	ask(401, b.admin+"/", "Bearer "+secrets["first.token"], nil)
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/lookup?q=x", "/consent"} {
		ask(200, b.admin+path, "Bearer "+secrets["admin.token"], nil)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	for _, token := range []string{secrets["second.token"], secrets["admin.token"]} {
		res, err := browser.PostForm(b.admin+"/login", url.Values{"token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		said.Write(page)
	}
	home, err := url.Parse(b.admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range jar.Cookies(home) {
		secrets["the session"] = cookie.Value
	}
	if secrets["the session"] == "" {
		t.Error("the browser did not sign in")
	}
	for _, command := range [][]string{{"status"}, {"status", "--json"}, {"sync"}, {"check-config"}, {"explain", "nobody"}} {
		_, stdout, stderr := b.runDaemon(command...)
		said.WriteString(stdout + stderr)
	}
	said.WriteString(b.logged())
	if status := b.stop(); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	err = filepath.WalkDir(filepath.Join(b.dir, "state"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		said.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := said.String()
	for name, secret := range secrets {
		for form, text := range map[string]string{"": secret, "its hash": fmt.Sprintf("%x", sha256.Sum256([]byte(secret))), "written for URLs": url.QueryEscape(secret) + "&"} {
			if at := strings.Index(all, text); at >= 0 {
				t.Errorf("%s %s is told: …%s…", name, form, all[max(0, at-200):min(len(all), at+100)])
			}
		}
	}
}
