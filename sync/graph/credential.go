package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Credential proves to Microsoft that a request for a token comes from the
// application. It is asked for a token each time one is needed, never more than
// once at a time, and does not keep tokens itself.
type Credential interface {
	// Token asks for one access token, once. A refusal is a [*LoginError]; any
	// other error counts as passing, and the client asks again.
	Token(ctx context.Context, req TokenRequest) (*oauth2.Token, error)

	// String names the credential for people, without anything secret.
	String() string
}

// TokenRequest says what a credential is to ask for.
type TokenRequest struct {
	URL        string // the tenant's token endpoint
	ClientID   string
	Scope      string       // {Graph}/.default
	HTTPClient *http.Client // does not follow redirects
}

// ask makes the request of the client credentials flow, with what proves the
// client's identity: a secret or further parameters.
func (r TokenRequest) ask(ctx context.Context, secret string, proof url.Values) (*oauth2.Token, error) {
	flow := clientcredentials.Config{
		ClientID:       r.ClientID,
		ClientSecret:   secret,
		TokenURL:       r.URL,
		Scopes:         []string{r.Scope},
		EndpointParams: proof,
		AuthStyle:      oauth2.AuthStyleInParams,
	}
	tok, err := flow.Token(context.WithValue(ctx, oauth2.HTTPClient, r.HTTPClient))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return nil, parseLoginError(refused.Response, refused.Body)
	}
	return tok, err
}

// askWithAssertion is ask with a signed JWT as proof (RFC 7523 §2.2).
func (r TokenRequest) askWithAssertion(ctx context.Context, jwt string) (*oauth2.Token, error) {
	return r.ask(ctx, "", url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {jwt},
	})
}

// ClientSecret is the value of a client secret of the app registration. It
// shows itself in no output.
type ClientSecret string

// Token implements [Credential].
func (s ClientSecret) Token(ctx context.Context, req TokenRequest) (*oauth2.Token, error) {
	return req.ask(ctx, string(s), nil)
}

// String implements [Credential].
func (s ClientSecret) String() string { return "client secret" }

// GoString keeps the secret out of %#v.
func (s ClientSecret) GoString() string { return s.String() }

// LogValue keeps the secret out of logs.
func (s ClientSecret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of JSON and YAML.
func (s ClientSecret) MarshalText() ([]byte, error) { return []byte("<secret>"), nil }

// FederatedToken is the path of a file with a token of another issuer that the
// app registration trusts (workload identity federation). The file is read
// anew for each request, since its token is replaced every now and then.
type FederatedToken string

// maxAssertion bounds the file of a federated token, in bytes.
const maxAssertion = 64 << 10

// Token implements [Credential].
func (f FederatedToken) Token(ctx context.Context, req TokenRequest) (*oauth2.Token, error) {
	jwt, err := f.read()
	if err != nil {
		return nil, &LoginError{Code: "federated_token", Description: err.Error(), kind: ErrCredentials}
	}
	tok, err := req.askWithAssertion(ctx, jwt)
	var refused *LoginError
	if errors.As(err, &refused) {
		refused.Presented = describeAssertion(jwt)
	}
	return tok, err
}

func (f FederatedToken) read() (string, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return "", fmt.Errorf("reading the federated token: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxAssertion+1))
	if err != nil {
		return "", fmt.Errorf("reading the federated token: %w", err)
	}
	if jwt := strings.TrimSpace(string(data)); jwt != "" && len(data) <= maxAssertion {
		return jwt, nil
	}
	return "", fmt.Errorf("reading the federated token: %s has no token in it", string(f))
}

// String implements [Credential].
func (f FederatedToken) String() string { return "federated token " + string(f) }

// describeAssertion gives what of a federated token has to agree with the
// registration.
func describeAssertion(jwt string) string {
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience any    `json:"aud"`
	}
	if err := readClaims(jwt, &claims); err != nil {
		return "a federated token that cannot be read: " + err.Error()
	}
	return clip(fmt.Sprintf("a federated token with issuer %q, subject %q and audience %q",
		claims.Issuer, claims.Subject, fmt.Sprint(claims.Audience)))
}

// b64 is the encoding of JWTs (RFC 7515 §2).
var b64 = base64.RawURLEncoding
