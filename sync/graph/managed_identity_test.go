package graph_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

// noAzure takes the environment of Azure away.
func noAzure(t *testing.T) {
	t.Helper()
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"} {
		t.Setenv(name, "")
	}
	// A proxy that is not there: whoever uses it fails.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	graph.SetArc(t, filepath.Join(t.TempDir(), "himds"), t.TempDir())
}

// platform serves as one of Azure's token endpoints.
func platform(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

const graphScope = "https://graph.microsoft.com/.default"

func TestManagedIdentityOfAVirtualMachine(t *testing.T) {
	noAzure(t)
	var query, header string
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform(t, func(w http.ResponseWriter, r *http.Request) {
		query, header = r.URL.Path+"?"+r.URL.RawQuery, r.Header.Get("Metadata")
		fmt.Fprint(w, `{"access_token":"abc","expires_in":"3599","expires_on":"1","resource":"x","token_type":"Bearer","client_id":"7D2E0000-1111-4222-8333-444455556666"}`)
	}))
	tok, err := graph.ManagedIdentity{ClientID: "7d2e0000-1111-4222-8333-444455556666"}.Token(t.Context(), graph.TokenRequest{Scope: graphScope})
	if err != nil {
		t.Fatal(err)
	}
	want := "/metadata/identity/oauth2/token?api-version=2018-02-01&client_id=7d2e0000-1111-4222-8333-444455556666&resource=https%3A%2F%2Fgraph.microsoft.com"
	if query != want || header != "true" {
		t.Errorf("asked %s with Metadata: %q, want %s", query, header, want)
	}
	if tok.AccessToken != "abc" || time.Until(tok.Expiry) < 50*time.Minute {
		t.Errorf("token %q until %v", tok.AccessToken, tok.Expiry)
	}
}

func TestManagedIdentityOfAppService(t *testing.T) {
	noAzure(t)
	at := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	t.Setenv("IDENTITY_HEADER", "853b9a84")
	t.Setenv("IDENTITY_ENDPOINT", platform(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != "853b9a84" || r.URL.Query().Get("api-version") != "2019-08-01" || r.URL.Query().Has("client_id") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"access_token":"abc","expires_on":"%d","token_type":"Bearer"}`, at.Unix())
	})+"/msi/token/")
	tok, err := graph.ManagedIdentity{}.Token(t.Context(), graph.TokenRequest{Scope: graphScope})
	if err != nil {
		t.Fatal(err)
	}
	if !tok.Expiry.Equal(at) {
		t.Errorf("token until %v, want %v", tok.Expiry, at)
	}
}

// arc is Azure Arc's agent with a key file; realm is the challenge it makes.
func arc(t *testing.T, realm string) {
	t.Helper()
	noAzure(t)
	t.Setenv("IMDS_ENDPOINT", "http://127.0.0.1:40342")
	t.Setenv("IDENTITY_ENDPOINT", platform(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Metadata") != "true":
			http.Error(w, "no", http.StatusBadRequest)
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", "Basic realm="+realm)
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("Authorization") != "Basic k3y":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, `{"access_token":"abc","expires_in":3600,"token_type":"Bearer"}`)
		}
	}))
}

func TestManagedIdentityOfArcProvesItself(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "1.key")
	if err := os.WriteFile(key, []byte("k3y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	arc(t, key)
	graph.SetArc(t, "", dir)
	tok, err := graph.ManagedIdentity{}.Token(t.Context(), graph.TokenRequest{Scope: graphScope})
	if err != nil || tok.AccessToken != "abc" {
		t.Fatalf("token %v, %v", tok, err)
	}
}

func TestManagedIdentityOfArcReadsNoOtherFile(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path, content string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "out.key"), "k3y")
	write(filepath.Join(dir, "sub", "in.key"), "k3y")
	write(filepath.Join(dir, "key.txt"), "k3y")
	write(filepath.Join(dir, "big.key"), strings.Repeat("k", 4097))
	if err := os.Symlink(filepath.Join(outside, "out.key"), filepath.Join(dir, "link.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	for what, realm := range map[string]string{
		"a file elsewhere":         filepath.Join(outside, "out.key"),
		"a way out by dots":        dir + "/../" + filepath.Base(outside) + "/out.key",
		"a directory below":        filepath.Join(dir, "sub", "in.key"),
		"another ending":           filepath.Join(dir, "key.txt"),
		"a link that leads out":    filepath.Join(dir, "link.key"),
		"a directory":              filepath.Join(dir, "dir.key"),
		"a file too large":         filepath.Join(dir, "big.key"),
		"a file that is not there": filepath.Join(dir, "none.key"),
		"a relative path":          "1.key",
		"nothing":                  "",
	} {
		t.Run(what, func(t *testing.T) {
			arc(t, realm)
			graph.SetArc(t, "", dir)
			tok, err := graph.ManagedIdentity{}.Token(t.Context(), graph.TokenRequest{Scope: graphScope})
			if tok != nil || !errors.Is(err, graph.ErrCredentials) {
				t.Errorf("token %v, error %v, want ErrCredentials", tok, err)
			}
		})
	}
}

func TestManagedIdentityRefusals(t *testing.T) {
	for what, row := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"an identity that the machine does not have": {400, `{"error":"invalid_request","error_description":"Identity not found"}`, graph.ErrCredentials},
		"a wrong header":                {403, `{"statusCode":403,"message":"forbidden"}`, graph.ErrCredentials},
		"a service that starts":         {404, ``, graph.ErrUnavailable},
		"a service that is updated":     {410, ``, graph.ErrUnavailable},
		"too many requests":             {429, ``, graph.ErrUnavailable},
		"a fault of the service":        {500, `<html>`, graph.ErrUnavailable},
		"a redirect":                    {302, ``, graph.ErrCredentials},
		"a challenge where none is due": {401, ``, graph.ErrCredentials},
	} {
		t.Run(what, func(t *testing.T) {
			noAzure(t)
			t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(row.status)
				fmt.Fprint(w, row.body)
			}))
			_, err := graph.ManagedIdentity{}.Token(t.Context(), graph.TokenRequest{Scope: graphScope})
			if !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
	t.Run("an answer without a token", func(t *testing.T) {
		noAzure(t)
		t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }))
		if _, err := (graph.ManagedIdentity{}).Token(t.Context(), graph.TokenRequest{Scope: graphScope}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a token of another identity", func(t *testing.T) {
		noAzure(t)
		t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform(t, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"access_token":"abc","expires_in":"10","client_id":"other"}`)
		}))
		if _, err := (graph.ManagedIdentity{ClientID: "mine"}).Token(t.Context(), graph.TokenRequest{Scope: graphScope}); !errors.Is(err, graph.ErrCredentials) {
			t.Errorf("got %v, want ErrCredentials", err)
		}
	})
}

func TestManagedIdentityNeedsNeitherTenantNorClient(t *testing.T) {
	noAzure(t)
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 3})
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform(t, func(w http.ResponseWriter, _ *http.Request) {
		claims := base64.RawURLEncoding.EncodeToString([]byte(`{"tid":"` + tenant.ID() + `","appid":"a","oid":"o","roles":["User.Read.All"]}`))
		fmt.Fprintf(w, `{"access_token":"e30.%s.sig","expires_in":"3599"}`, claims)
	}))
	client := newClient(t, nil, func(cfg *graph.Config) {
		cfg.Credential, cfg.TenantID, cfg.ClientID = graph.ManagedIdentity{}, "", ""
	})
	claims, err := client.Claims(t.Context())
	if err != nil || claims.TenantID != tenant.ID() || len(claims.Roles) != 1 {
		t.Errorf("claims %+v, %v", claims, err)
	}
}

func TestLatestBeginsWhereNothingHasChanged(t *testing.T) {
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 5, Calm: true}, 30, 4)
	client := serve(t, tenant, nil)
	cursor, err := client.Latest(t.Context(), graph.Users)
	if err != nil {
		t.Fatal(err)
	}
	added := tenant.SetUser(map[string]any{"displayName": "New", "userPrincipalName": "new@" + tenant.Domain()})
	p := newPicture()
	if _, err := p.apply(client.Changes(t.Context(), graph.Users, cursor)); err != nil {
		t.Fatal(err)
	}
	if len(p.props) != 1 || p.props[added] == nil {
		t.Errorf("got %d users, want only the new one", len(p.props))
	}
}

func TestAppCredentialsTellTheirEnd(t *testing.T) {
	end := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 5})
	client := serve(t, tenant, nil)
	tenant.UpdateApp("11111111-2222-4333-8444-555555555555", func(a *graphtest.App) {
		a.Secrets = []graphtest.Secret{{Value: "abcdef", Expires: end}}
	})
	if _, err := client.AppCredentials(t.Context()); !errors.Is(err, graph.ErrPermission) {
		t.Fatalf("without the permission: %v, want ErrPermission", err)
	}
	tenant.Grant("11111111-2222-4333-8444-555555555555", "User.Read.All", "Application.Read.All")
	client.ForgetToken()
	found, err := client.AppCredentials(t.Context())
	if err != nil || len(found) != 1 || found[0].Hint != "abc" || !found[0].Expires.Equal(end) {
		t.Errorf("got %+v, %v", found, err)
	}
}

func FuzzArcKeyPath(f *testing.F) {
	for _, seed := range []string{"Basic realm=/var/opt/azcmagent/tokens/1.key", `basic realm="/etc/shadow.key"`, "Basic realm=/var/opt/azcmagent/tokens/../../x.key", "Negotiate", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, challenge string) {
		// None of these files is there, so whatever it is, it is refused.
		if path, err := graph.ArcKeyPath(challenge); err == nil && filepath.Dir(path) != "/var/opt/azcmagent/tokens" {
			t.Errorf("%q leads to %s", challenge, path)
		}
	})
}
