package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// ManagedIdentity is the identity that Azure gives to a virtual machine, a
// container or an Arc-enabled server: the platform hands tokens out on this
// machine, so there is no secret, and no tenant or client id has to be known.
//
// The platform is told by the environment, as Azure's own libraries do it:
// Azure Arc by IDENTITY_ENDPOINT and IMDS_ENDPOINT, or by its agent on the disk;
// App Service, Functions and Container Apps by IDENTITY_ENDPOINT and
// IDENTITY_HEADER; otherwise the instance metadata service of virtual machines
// is asked (learn.microsoft.com/entra/identity/managed-identities-azure-resources).
type ManagedIdentity struct {
	// ClientID names a user-assigned identity; empty: the system-assigned one.
	ClientID string
}

const (
	// imdsBase is where virtual machines find their metadata. It answers on the
	// machine's own link only.
	imdsBase = "http://169.254.169.254"

	// metadataAttempt bounds one request to the platform.
	metadataAttempt = 20 * time.Second

	// metadataDial bounds the connecting: the platform is next door, or not
	// there at all.
	metadataDial = 3 * time.Second
)

// String implements [Credential].
func (m ManagedIdentity) String() string {
	if m.ClientID == "" {
		return "managed identity"
	}
	return "managed identity " + m.ClientID
}

// Token implements [Credential]. Of req only the scope is used.
func (m ManagedIdentity) Token(ctx context.Context, req TokenRequest) (*oauth2.Token, error) {
	// Graph's resource is its scope without the last part.
	resource := strings.TrimSuffix(req.Scope, "/.default")
	switch p := platformOf(os.Getenv); p.kind {
	case azureArc:
		return m.askArc(ctx, p, resource)
	case appService:
		return m.ask(ctx, p, p.request(resource, m.ClientID), nil)
	default:
		tok, err := m.ask(ctx, p, p.request(resource, m.ClientID), nil)
		var refused *LoginError
		if err != nil && !errors.As(err, &refused) {
			err = fmt.Errorf("%w: is this a machine in Azure, with an identity?", err)
		}
		return tok, err
	}
}

// A platformKind is one of the ways in which Azure hands out tokens.
type platformKind int

const (
	metadataService platformKind = iota
	appService
	azureArc
)

// A platform is where tokens are asked for, and how.
type platform struct {
	kind   platformKind
	url    string
	header http.Header
	query  url.Values
}

// arcAgent is the program of Azure Arc's agent; arcEndpoint is where it answers
// when the environment does not say.
var arcAgent = "/opt/azcmagent/bin/himds"

const arcEndpoint = "http://127.0.0.1:40342/metadata/identity/oauth2/token"

// platformOf tells the platform by the environment.
func platformOf(getenv func(string) string) platform {
	endpoint, secret := getenv("IDENTITY_ENDPOINT"), getenv("IDENTITY_HEADER")
	switch {
	case endpoint != "" && getenv("IMDS_ENDPOINT") != "":
		return arcPlatform(endpoint)
	case endpoint != "" && secret != "":
		return platform{kind: appService, url: endpoint,
			header: http.Header{"X-Identity-Header": {secret}}, query: url.Values{"api-version": {"2019-08-01"}}}
	}
	if _, err := os.Stat(arcAgent); err == nil {
		return arcPlatform(arcEndpoint)
	}
	base := firstOf(strings.TrimSuffix(getenv("AZURE_POD_IDENTITY_AUTHORITY_HOST"), "/"), imdsBase)
	return platform{kind: metadataService, url: base + "/metadata/identity/oauth2/token",
		header: http.Header{"Metadata": {"true"}}, query: url.Values{"api-version": {"2018-02-01"}}}
}

func arcPlatform(endpoint string) platform {
	return platform{kind: azureArc, url: endpoint,
		header: http.Header{"Metadata": {"true"}}, query: url.Values{"api-version": {"2020-06-01"}}}
}

// request gives the URL of a request for a token.
func (p platform) request(resource, clientID string) string {
	query := url.Values{"resource": {resource}}
	for name, values := range p.query {
		query[name] = values
	}
	if clientID != "" {
		query.Set("client_id", clientID)
	}
	joint := "?"
	if strings.Contains(p.url, "?") {
		joint = "&"
	}
	return p.url + joint + query.Encode()
}

// metadataClient speaks to the platform: on this machine, so without the proxy
// of the environment, and without following redirects, which could carry a
// secret header elsewhere.
var metadataClient = &http.Client{
	Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: metadataDial}).DialContext,
		ResponseHeaderTimeout: metadataAttempt,
		DisableKeepAlives:     true, // tokens are fetched once an hour
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask makes one request to the platform. With challenge, an answer 401 is handed
// to it instead of being an error.
func (m ManagedIdentity) ask(ctx context.Context, p platform, target string, challenge func(*http.Response) error) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataAttempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, m.unusable("identity_endpoint", "the platform's token address in IDENTITY_ENDPOINT is no URL")
	}
	req.Header = p.header.Clone()
	asked := time.Now()
	resp, err := metadataClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s for a token: %w", req.URL.Host, withoutURL(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return nil, fmt.Errorf("asking %s for a token: %w", req.URL.Host, err)
	}
	if resp.StatusCode == http.StatusUnauthorized && challenge != nil {
		return nil, challenge(resp)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, m.refused(resp, body)
	}
	return m.read(body, asked)
}

// withoutURL drops the URL from an HTTP client's error.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// read takes the token out of an answer. The platforms do not agree on the form
// of numbers, nor on whether expires_in comes.
func (m ManagedIdentity) read(body []byte, asked time.Time) (*oauth2.Token, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   loose  `json:"expires_in"`
		ExpiresOn   loose  `json:"expires_on"`
		ClientID    string `json:"client_id"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\uFEFF")), &answer); err != nil || answer.AccessToken == "" {
		return nil, errors.New("the platform's answer has no token in it")
	}
	if m.ClientID != "" && answer.ClientID != "" && !strings.EqualFold(answer.ClientID, m.ClientID) {
		return nil, m.unusable("identity", "the platform gave a token of another identity, "+clip(answer.ClientID))
	}
	tok := &oauth2.Token{AccessToken: answer.AccessToken, TokenType: answer.TokenType}
	if seconds, err := strconv.ParseInt(string(answer.ExpiresIn), 10, 32); err == nil {
		tok.Expiry = asked.Add(time.Duration(seconds) * time.Second)
	} else if at, err := strconv.ParseInt(string(answer.ExpiresOn), 10, 64); err == nil {
		tok.Expiry = time.Unix(at, 0)
	}
	return tok, nil
}

// refused makes an error of a refusal. That the identity was not found is final;
// 404, 410, 429 and 5xx are to be tried again by the documentation of the
// metadata service.
func (m ManagedIdentity) refused(resp *http.Response, body []byte) *LoginError {
	e := readLoginBody(body)
	e.Status, e.host, e.Presented = resp.StatusCode, resp.Request.URL.Host, ""
	if e.Code == "" {
		e.Code = "managed_identity"
	}
	if e.Description == "" {
		e.Description = clip(string(bytes.ToValidUTF8(body, []byte("?"))))
	}
	e.retryAfter = retryAfter(resp.Header)
	e.kind = ErrCredentials
	switch code := resp.StatusCode; {
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusNotFound, code == http.StatusGone:
		e.kind, e.temporary = ErrUnavailable, true
	}
	return e
}

// unusable is a fault of the set-up on this machine: nothing was refused.
func (m ManagedIdentity) unusable(code, what string) *LoginError {
	return &LoginError{Code: code, Description: what, host: "this machine", kind: ErrCredentials}
}
