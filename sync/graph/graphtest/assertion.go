package graphtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// assertionType is the only client_assertion_type (RFC 7523, 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertionLife is the most that a certificate's assertion may live. Entra
// only advises 5 to 10 minutes (certificate-credentials.md); the simulated
// login insists, as advice is what clients forget.
const maxAssertionLife = 10 * time.Minute

// clockSkew is how far apart the two clocks may be.
const clockSkew = 5 * time.Minute

// jwt is a parsed assertion.
type jwt struct {
	header struct {
		Alg     string `json:"alg"`
		Typ     string `json:"typ"`
		X5T     string `json:"x5t"`
		X5TS256 string `json:"x5t#S256"`
	}
	claims struct {
		Aud any     `json:"aud"`
		Iss string  `json:"iss"`
		Sub string  `json:"sub"`
		JTI string  `json:"jti"`
		Nbf float64 `json:"nbf"`
		Exp float64 `json:"exp"`
	}
	signed    string
	signature []byte
}

func parseJWT(text string) (*jwt, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, false
	}
	j := &jwt{signed: parts[0] + "." + parts[1]}
	for i, into := range []any{&j.header, &j.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return nil, false
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	j.signature = signature
	return j, err == nil
}

// audience reports whether the aud claim, a string or a list, has want.
func (j *jwt) audience(want ...string) bool {
	switch aud := j.claims.Aud.(type) {
	case string:
		return slices.Contains(want, aud)
	case []any:
		return slices.ContainsFunc(aud, func(v any) bool { s, _ := v.(string); return slices.Contains(want, s) })
	}
	return false
}

func (j *jwt) verify(key *rsa.PublicKey) bool {
	sum := sha256.Sum256([]byte(j.signed))
	if j.header.Alg == "PS256" {
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], j.signature, nil) == nil
	}
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], j.signature) == nil
}

// checkAssertion checks a client assertion: of a certificate, or of a
// federated workload when the issuer is not the application itself.
func (a *app) checkAssertion(l *loginCall, text, typ string, now time.Time) *loginRefusal {
	if typ != assertionType {
		return refuseLogin(900144, "client_assertion_type")
	}
	j, ok := parseJWT(text)
	if !ok {
		return refuseLogin(50027, "Invalid JWT token. Unable to parse.")
	}
	if j.header.Alg != "PS256" && j.header.Alg != "RS256" {
		return refuseLogin(50027, fmt.Sprintf("'%s' is not a supported signature algorithm. Supported: PS256, RS256.", j.header.Alg))
	}
	if len(a.Federated) > 0 && !strings.EqualFold(j.claims.Iss, a.ClientID) {
		return a.checkFederated(j, now)
	}
	if !strings.EqualFold(j.claims.Iss, a.ClientID) || !strings.EqualFold(j.claims.Sub, a.ClientID) {
		return refuseLogin(700021, fmt.Sprintf("iss '%s', sub '%s'.", j.claims.Iss, j.claims.Sub))
	}
	if refused := a.checkSignature(j, now); refused != nil {
		return refused
	}
	if !j.audience(l.audiences()...) {
		return refuseLogin(700023, fmt.Sprintf("aud '%v'.", j.claims.Aud))
	}
	if refused := j.checkTime(now); refused != nil {
		return refused
	}
	return l.s.checkReplay(a.ClientID, j, now)
}

// audiences are the spellings of the token endpoint.
func (l *loginCall) audiences() []string {
	var all []string
	for _, b := range []string{l.base, l.s.LoginURL()} {
		for _, name := range []string{l.name, l.t.ID()} {
			all = append(all, b+"/"+name+"/oauth2/v2.0/token", b+"/"+name+"/v2.0")
		}
	}
	return all
}

// checkSignature finds the certificate by its thumbprint.
func (a *app) checkSignature(j *jwt, now time.Time) *loginRefusal {
	used := orElse(j.header.X5TS256, j.header.X5T)
	if j.header.Typ != "JWT" && j.header.Typ != "" || used == "" {
		return refuseLogin(50027, "The header needs typ JWT and x5t#S256 (or x5t).")
	}
	for _, cert := range a.Certificates {
		long, short := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw)
		if j.header.X5TS256 != "" && j.header.X5TS256 != encodePart(long[:]) ||
			j.header.X5TS256 == "" && j.header.X5T != encodePart(short[:]) {
			continue
		}
		key, ok := cert.PublicKey.(*rsa.PublicKey)
		switch {
		case now.After(cert.NotAfter) || now.Before(cert.NotBefore):
			return refuseLogin(700027, fmt.Sprintf("[Reason - The key used is expired., Thumbprint of key used by client: '%s']", thumbprint(short[:])))
		case !ok || !j.verify(key):
			return refuseLogin(700027, fmt.Sprintf("Client assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '%s']", thumbprint(short[:])))
		}
		return nil
	}
	return refuseLogin(700027, fmt.Sprintf("[Reason - The key was not found., Thumbprint of key used by client: '%s']", used))
}

func (j *jwt) checkTime(now time.Time) *loginRefusal {
	from, until := time.Unix(int64(j.claims.Nbf), 0), time.Unix(int64(j.claims.Exp), 0)
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }
	text := fmt.Sprintf("Current time: %s, assertion valid from %s, expiry time of assertion %s.", stamp(now), stamp(from), stamp(until))
	switch {
	case j.claims.Exp == 0, !now.Before(until.Add(clockSkew)), j.claims.Nbf != 0 && now.Before(from.Add(-clockSkew)):
		return refuseLogin(700024, text)
	case j.claims.Nbf == 0 && until.Sub(now) > maxAssertionLife+clockSkew, j.claims.Nbf != 0 && until.Sub(from) > maxAssertionLife:
		return refuseLogin(700024, "The assertion lives longer than 10 minutes. "+text)
	}
	return nil
}

// checkReplay wants a fresh jti for each request.
func (s *Server) checkReplay(clientID string, j *jwt, now time.Time) *loginRefusal {
	if j.claims.JTI == "" {
		return refuseLogin(50027, "The assertion has no jti.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, until := range s.logins {
		if now.After(until) {
			delete(s.logins, key)
		}
	}
	key := clientID + "/" + j.claims.JTI
	if _, used := s.logins[key]; used {
		return refuseLogin(50012, "The assertion was used before: its jti is not fresh.")
	}
	s.logins[key] = now.Add(maxAssertionLife + 2*clockSkew)
	return nil
}

// checkFederated matches the workload's token with those registered
// (workload-identity-federation: issuer, subject and audience, exactly).
func (a *app) checkFederated(j *jwt, now time.Time) *loginRefusal {
	refused := refuseLogin(700211, j.claims.Iss)
	for _, f := range a.Federated {
		switch {
		case f.Issuer != j.claims.Iss:
		case f.Subject != j.claims.Sub:
			refused = refuseLogin(700213, j.claims.Sub)
		case !j.audience(orElse(f.Audience, "api://AzureADTokenExchange")):
			refused = refuseLogin(700212, fmt.Sprint(j.claims.Aud))
		case f.Key != nil && !j.verify(f.Key):
			return refuseLogin(50012, "The signature of the federated token is not valid.")
		case j.claims.Exp == 0 || !now.Before(time.Unix(int64(j.claims.Exp), 0).Add(clockSkew)):
			return refuseLogin(500133, fmt.Sprintf("Current time: %s.", now.UTC().Format(time.RFC3339)))
		default:
			return nil
		}
	}
	return refused
}
