// Package accesstoken checks access tokens that an authorization server of
// somebody else issued: signed JWTs (RFC 7519, RFC 9068), whose keys the issuer
// publishes (RFC 7517, found by RFC 8414 or OpenID Connect Discovery).
//
// An [Issuers] keeps the keys, fetches them again from time to time and where a
// token names a key that is not known, and outlives reloads; a [Verifier] is
// what one client's tokens have to be. Nothing is ever let in because an issuer
// does not answer: known keys serve on for [maxAge], and after that nobody is
// let in.
//
// It is used by scim, and knows nothing of SCIM.
package accesstoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// ErrUnavailable is wrapped where a token can't be judged, since the keys of its
// issuer can't be had.
var ErrUnavailable = errors.New("the keys of the token's issuer can't be fetched")

// ErrForeign is wrapped where a token is none of the issuer, so that it may be
// that of another client, or none at all.
var ErrForeign = errors.New("the token is none of this issuer")

// A Fault is why a token of the issuer is refused. Its text has nothing of the
// token in it.
type Fault string

func (f Fault) Error() string { return string(f) }

// The faults of tokens.
const (
	errSignature = Fault("the token's signature is not that of a key of the issuer")
	errExpired   = Fault("the token has expired")
	errTooEarly  = Fault("the token is not valid yet; compare the clocks")
	errNoExpiry  = Fault("the token has no end (claim exp)")
	errAudience  = Fault("the token is meant for another audience")
	errSubject   = Fault("the token is that of another subject")
	errClaims    = Fault("the token lacks a claim that is asked for")
	errBound     = Fault("the token is bound to a key (claim cnf), which a bearer token is not")
	errKind      = Fault("the token is no access token (header typ)")
)

const (
	// leeway is how far the clocks of issuer and daemon may be apart.
	leeway = time.Minute
	// maxToken bounds a token, in bytes.
	maxToken = 16 << 10
)

// algorithms are those with which tokens may be signed: by a key pair. Secret
// keys (HS256) would let whoever checks tokens make some.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// A Claim is a value that a claim of the token must have, or have among others:
// in a list, and in scope and scp among the words.
type Claim struct{ Name, Value string }

// Config says which tokens are good.
type Config struct {
	// Issuer is the claim iss, to the letter.
	Issuer string
	// Audience must be among the claim aud.
	Audience string
	// Subject is the claim sub; empty: any.
	Subject string
	// Claims must all be there.
	Claims []Claim
	// JWKSURL is where the issuer publishes its keys; empty: found by discovery.
	JWKSURL string
}

// A Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	Config
	keys *keySet
}

// Verify says why a token is not good, or nil. The error wraps ErrForeign where
// it is none of the issuer, ErrUnavailable where it can't be judged, and is a
// [Fault] otherwise.
func (v *Verifier) Verify(ctx context.Context, token string) error {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return ErrForeign
	}
	t, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	var said jwt.Claims
	if err := t.UnsafeClaimsWithoutVerification(&said); err != nil || said.Issuer != v.Issuer {
		return ErrForeign
	}
	header := t.Headers[0]
	if !accessToken(header) {
		return errKind
	}
	keys, err := v.keys.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return err
	}
	for _, key := range keys {
		claims := new(jwt.Claims)
		all := make(map[string]json.RawMessage)
		if t.Claims(key.Key, claims, &all) == nil {
			return v.judge(claims, all, time.Now())
		}
	}
	return errSignature
}

// accessToken says whether the header's type, where there is one, is that of an
// access token (RFC 9068 §2.1) or just of a JWT, as many issuers have it.
func accessToken(header jose.Header) bool {
	kind, ok := header.ExtraHeaders[jose.HeaderType]
	if !ok {
		return true
	}
	text, _ := kind.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return text == "jwt" || text == "at+jwt"
}

// judge checks the claims of a token whose signature is good.
func (v *Verifier) judge(claims *jwt.Claims, all map[string]json.RawMessage, now time.Time) error {
	switch {
	case claims.Expiry == nil:
		return errNoExpiry
	case !now.Before(claims.Expiry.Time().Add(leeway)):
		return errExpired
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(leeway)),
		claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(leeway)):
		return errTooEarly
	case v.Audience == "" || !claims.Audience.Contains(v.Audience):
		return errAudience
	case v.Subject != "" && claims.Subject != v.Subject:
		return errSubject
	case all["cnf"] != nil:
		return errBound // RFC 8705 §3, RFC 9449 §7.1
	}
	for _, c := range v.Claims {
		if !has(all[c.Name], c) {
			return errClaims
		}
	}
	return nil
}

// has says whether a claim's JSON value is, or holds, what is asked for.
func has(raw json.RawMessage, want Claim) bool {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		return slices.ContainsFunc(list, func(one json.RawMessage) bool { return is(one, want.Value) })
	}
	if is(raw, want.Value) {
		return true
	}
	var words string
	if want.Name != "scope" && want.Name != "scp" || json.Unmarshal(raw, &words) != nil {
		return false
	}
	return slices.Contains(strings.Fields(words), want.Value)
}

// is compares a string, or a number or a truth value as it is written.
func is(raw json.RawMessage, want string) bool {
	var text string
	if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
		return text == want
	}
	return want != "null" && len(raw) > 0 && raw[0] != '{' && raw[0] != '[' && string(raw) == want
}
