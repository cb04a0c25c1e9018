package graphtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// loginError is one of the login's refusals. The texts say what Microsoft's
// say (docs/identity-platform/reference-error-codes.md and answers seen); %s
// stands for what the request had.
type loginError struct {
	oauth  string // the "error" member
	status int
	text   string
}

const (
	invalidClient   = "invalid_client"
	invalidRequest  = "invalid_request"
	invalidGrant    = "invalid_grant"
	unauthorized    = "unauthorized_client"
	invalidScope    = "invalid_scope"
	invalidResource = "invalid_resource"
)

var loginErrors = map[int]loginError{
	7000215: {invalidClient, 401, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'."},
	7000222: {invalidClient, 401, "The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app."},
	7000218: {invalidClient, 401, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	7000112: {unauthorized, 400, "Application '%s' is disabled."},
	7000229: {invalidClient, 401, "The client application %s is missing service principal in the tenant. See instructions at https://go.microsoft.com/fwlink/?linkid=2225119"},
	700016:  {unauthorized, 400, "Application with identifier '%s' was not found in the directory. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."},
	700027:  {invalidClient, 401, "The certificate with identifier used to sign the client assertion is not registered on application. %s"},
	700030:  {invalidClient, 401, "Invalid certificate. The certificate's subject name does not match an authorized value. %s"},
	50012:   {invalidClient, 401, "Authentication failed. %s"},
	50027:   {invalidClient, 401, "JWT token is invalid or malformed. %s"},
	700021:  {invalidClient, 401, "Client assertion application identifier doesn't match 'client_id' parameter. %s"},
	700023:  {invalidClient, 401, "Client assertion audience claim does not match Realm issuer. %s"},
	700024:  {invalidClient, 401, "Client assertion is not within its valid time range. %s"},
	500133:  {invalidClient, 401, "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token. %s"},
	70021:   {invalidRequest, 400, "No matching federated identity record found for presented assertion. %s"},
	700211:  {invalidClient, 401, "No matching federated identity record found for presented assertion issuer '%s'."},
	700212:  {invalidClient, 401, "No matching federated identity record found for presented assertion audience '%s'."},
	700213:  {invalidClient, 401, "No matching federated identity record found for presented assertion subject '%s'."},
	700038:  {unauthorized, 400, "%s is not a valid application identifier."},
	90002:   {invalidRequest, 400, "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."},
	900023:  {invalidRequest, 400, "Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain."},
	900144:  {invalidRequest, 400, "The request body must contain the following parameter: '%s'."},
	900561:  {invalidRequest, 400, "The endpoint only accepts %s requests."},
	50059:   {invalidRequest, 400, "No tenant-identifying information found in either the request or implied by any provided credentials. %s"},
	90038:   {invalidRequest, 400, "Tenant '%s' request is being redirected to the National Cloud."},
	900432:  {invalidRequest, 400, "Confidential Client is not supported in Cross Cloud request. %s"},
	900382:  {invalidRequest, 400, "Confidential Client is not supported in Cross Cloud request. %s"},
	70003:   {"unsupported_grant_type", 400, "The app requested an unsupported grant type '%s'."},
	70011:   {invalidScope, 400, "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope %s is not valid."},
	1002012: {invalidScope, 400, "The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."},
	500011:  {invalidResource, 400, "The resource principal named %s was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant."},
	53003:   {invalidGrant, 400, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance. %s"},
	530032:  {invalidGrant, 400, "Blocked by security policy. %s"},
	65001:   {invalidGrant, 400, "The user or administrator has not consented to use the application with ID '%s'. Send an interactive authorization request for this user and resource."},
	650052:  {invalidClient, 401, "The app is trying to access a service that your organization '%s' lacks a service principal for."},
	650056:  {invalidClient, 401, "Misconfigured application. %s"},
	65004:   {"access_denied", 400, "The resource owner or authorization server denied the request."},
	90094:   {"access_denied", 400, "Admin consent is required for the permissions requested by this application. %s"},
	90093:   {"access_denied", 400, "This operation can only be performed by an administrator. %s"},
	90095:   {"access_denied", 400, "Admin consent is required for the permissions requested by this application. An admin consent request may be sent to the admin. %s"},
	50011:   {invalidRequest, 400, "The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal."},
	900971:  {invalidRequest, 400, "No reply address provided. %s"},
	70004:   {invalidRequest, 400, "The provided value for the input parameter 'redirect_uri' is not valid. %s"},
	50020:   {invalidRequest, 400, "User account from another identity provider does not exist in tenant '%s' and cannot access the application in that tenant. The account needs to be added as an external user in the tenant first."},
	16000:   {"interaction_required", 400, "Either multiple user identities are available for the current request or selected account is not supported for the scenario. %s"},
	500021:  {"access_denied", 400, "Access to '%s' tenant is denied."},
	500022:  {"access_denied", 400, "Access to '%s' tenant is denied."},
	90033:   {"temporarily_unavailable", 503, "A transient error has occurred. Please try again. %s"},
	90090:   {"temporarily_unavailable", 503, "A transient error occurred during authentication. %s"},
	50196:   {invalidGrant, 400, "The server terminated an operation because it encountered a client request loop. Please contact your app vendor. %s"},
	90013:   {invalidRequest, 400, "Invalid input received from the user. %s"},
}

// LoginErrors are the AADSTS numbers that [LoginRefuses] knows, in rising
// order.
func LoginErrors() []int {
	codes := make([]int, 0, len(loginErrors))
	for code := range loginErrors {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// loginRefusal is a refusal of the login before it is written.
type loginRefusal struct {
	code int
	loginError
}

func refuseLogin(code int, detail string) *loginRefusal {
	e, ok := loginErrors[code]
	if !ok {
		e = loginError{invalidRequest, 400, "The simulated login has no text for this number. %s"}
	}
	if strings.Contains(e.text, "%s") {
		e.text = strings.TrimSpace(fmt.Sprintf(e.text, detail))
	}
	return &loginRefusal{code, e}
}

// description is the text with its identifiers, as error_description has it.
func (l *loginCall) description(r *loginRefusal) string {
	return fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
		r.code, r.text, l.traceID, l.correlationID, l.timestamp())
}

func (l *loginCall) timestamp() string { return l.now.UTC().Format("2006-01-02 15:04:05Z") }

func (l *loginCall) refuse(w http.ResponseWriter, r *loginRefusal) {
	l.writeJSON(w, r.status, struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Timestamp     string `json:"timestamp"`
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
		URI           string `json:"error_uri"`
	}{r.oauth, l.description(r), []int{r.code}, l.timestamp(), l.traceID, l.correlationID,
		fmt.Sprintf("%s/error?code=%d", l.base, r.code)})
}
