// Package accesstokentest is an issuer of access tokens for tests: it signs what
// it is told to, publishes its keys, changes them, and goes down. It makes tokens
// and keys by hand, so that no mistake of a library hides in both sides.
package accesstokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// An Issuer is an authorization server, as an http.Handler and, for tests without
// sockets, as an http.RoundTripper.
type Issuer struct {
	// URL is the issuer's identifier, under which its documents lie.
	URL string
	// CacheControl is sent with the keys.
	CacheControl string

	mu       sync.Mutex
	keys     []key
	made     int
	down     bool
	extra    []map[string]any // further entries of the key set
	requests map[string]int   // by path
}

// A key is one that tokens are signed with.
type key struct {
	id      string
	private crypto.Signer
}

// New makes an issuer with one key.
func New(url string) *Issuer {
	i := &Issuer{URL: url, requests: make(map[string]int)}
	i.Rotate()
	return i
}

// smallKey and rsaKey are made once: it takes long.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	smallKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Rotate replaces all keys by a new one.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	i.add(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
}

// AddRSA adds an RSA key, which Token uses from then on; a small one is of 1024
// bits.
func (i *Issuer) AddRSA(small bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if small {
		i.add(smallKey())
		return
	}
	i.add(rsaKey())
}

// AddEd25519 adds a key for EdDSA, which Token uses from then on.
func (i *Issuer) AddEd25519() {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	i.add(must(private, err))
}

func (i *Issuer) add(private crypto.Signer) {
	i.made++
	i.keys = append(i.keys, key{fmt.Sprint("key-", i.made), private})
}

// Publish adds an entry to the published keys.
func (i *Issuer) Publish(entry map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.extra = append(i.extra, entry)
}

// SetDown has the issuer answer 503, or no longer.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Requests counts those for a path.
func (i *Issuer) Requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[path]
}

// The paths of the issuer's documents, below its own.
const (
	Discovery = "/.well-known/openid-configuration"
	Keys      = "/keys"
)

// ServeHTTP gives the documents.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, path, _ := strings.Cut(i.URL, "//")
	_, prefix, _ := strings.Cut(path, "/")
	path = strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/"), strings.TrimSuffix(prefix, "/"))
	path = "/" + strings.TrimPrefix(path, "/")
	i.requests[path]++
	switch {
	case i.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case path == Discovery:
		reply(w, map[string]string{"issuer": i.URL, "jwks_uri": strings.TrimSuffix(i.URL, "/") + Keys})
	case path == Keys:
		if i.CacheControl != "" {
			w.Header().Set("Cache-Control", i.CacheControl)
		}
		set := append([]map[string]any{}, i.extra...)
		for _, k := range i.keys {
			set = append(set, k.public())
		}
		reply(w, map[string]any{"keys": set})
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

// RoundTrip answers without a socket.
func (i *Issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	i.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// public is the key as it is published (RFC 7518 §6, RFC 8037).
func (k key) public() map[string]any {
	switch p := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		point := must(p.Bytes())
		return map[string]any{"kty": "EC", "crv": "P-256", "kid": k.id, "use": "sig", "alg": "ES256", "x": encode(point[1:33]), "y": encode(point[33:])}
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": k.id, "n": encode(p.N.Bytes()), "e": encode(big.NewInt(int64(p.E)).Bytes())}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": k.id, "x": encode(p)}
	}
	panic("unknown key")
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// Claims are those of a token that is good for ten minutes, with changes; nil
// takes one away.
func (i *Issuer) Claims(audience, subject string, changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": audience, "sub": subject, "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Token signs claims with the latest key. Changes are made to the header.
func (i *Issuer) Token(claims, changes map[string]any) string {
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	header := map[string]any{"alg": map[bool]string{true: "ES256", false: "RS256"}[isEC(k.private)], "kid": k.id, "typ": "at+jwt"}
	if _, ok := k.private.(ed25519.PrivateKey); ok {
		header["alg"] = "EdDSA"
	}
	maps.Copy(header, changes)
	maps.DeleteFunc(header, func(_ string, v any) bool { return v == nil })
	signed := encode(must(json.Marshal(header))) + "." + encode(must(json.Marshal(claims)))
	return signed + "." + encode(k.sign([]byte(signed)))
}

func isEC(private crypto.Signer) bool { _, ok := private.(*ecdsa.PrivateKey); return ok }

// sign makes the signature (RFC 7518 §3.3, §3.4; RFC 8037 §3.1).
func (k key) sign(data []byte) []byte {
	sum := sha256.Sum256(data)
	switch p := k.private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, p, sum[:])
		must(r, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		return must(rsa.SignPKCS1v15(rand.Reader, p, crypto.SHA256, sum[:]))
	case ed25519.PrivateKey:
		return ed25519.Sign(p, data)
	}
	panic("unknown key")
}

// Forge signs claims by HMAC with the published form of the latest key, which
// deceives who lets a token choose the algorithm.
func (i *Issuer) Forge(claims map[string]any) string {
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	signed := encode(must(json.Marshal(map[string]any{"alg": "HS256", "kid": k.id}))) + "." + encode(must(json.Marshal(claims)))
	mac := hmac.New(sha256.New, must(json.Marshal(k.public())))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}
