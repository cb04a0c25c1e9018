package graph

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// assertionLifetime is how long an assertion is good for. Microsoft advises 5
// to 10 minutes at most.
const assertionLifetime = 10 * time.Minute

// Certificate is a credential whose public half was uploaded to the app
// registration: for each token it signs an assertion
// (learn.microsoft.com/entra/identity-platform/certificate-credentials).
type Certificate struct {
	leaf *x509.Certificate
	key  crypto.Signer
}

// NewCertificate reads a certificate and its RSA private key from PEM. Further
// certificates of a chain are not needed, and ignored.
func NewCertificate(certPEM, keyPEM []byte) (*Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("reading the certificate: its key is not an RSA key, which Microsoft asks for")
	}
	return &Certificate{leaf: pair.Leaf, key: key}, nil
}

// Expires is when the certificate expires.
func (c *Certificate) Expires() time.Time { return c.leaf.NotAfter }

// Thumbprint is the SHA-1 of the certificate in capital hexadecimal digits, as
// the Entra admin center shows it next to the upload.
func (c *Certificate) Thumbprint() string { return fmt.Sprintf("%X", sha1.Sum(c.leaf.Raw)) }

// String implements [Credential].
func (c *Certificate) String() string { return "certificate with thumbprint " + c.Thumbprint() }

// Token implements [Credential].
func (c *Certificate) Token(ctx context.Context, req TokenRequest) (*oauth2.Token, error) {
	jwt, err := c.assertion(req, time.Now())
	if err != nil {
		return nil, &LoginError{Code: "client_assertion", Description: err.Error(), kind: ErrCredentials}
	}
	tok, err := req.askWithAssertion(ctx, jwt)
	var refused *LoginError
	if errors.As(err, &refused) {
		refused.Presented = c.presented()
	}
	return tok, err
}

func (c *Certificate) presented() string {
	return fmt.Sprintf("a %s, valid from %s to %s", c,
		c.leaf.NotBefore.UTC().Format(time.DateOnly), c.leaf.NotAfter.UTC().Format(time.DateOnly))
}

// assertion signs that we are the client, for this token endpoint and a few
// minutes from now.
func (c *Certificate) assertion(req TokenRequest, now time.Time) (string, error) {
	thumbprint := sha256.Sum256(c.leaf.Raw)
	header, _ := json.Marshal(map[string]string{
		"alg": "PS256", "typ": "JWT", "x5t#S256": b64.EncodeToString(thumbprint[:]),
	})
	claims, _ := json.Marshal(map[string]any{
		"aud": req.URL, "iss": req.ClientID, "sub": req.ClientID, "jti": newGUID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
	signed := b64.EncodeToString(header) + "." + b64.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := c.key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{
		SaltLength: rsa.PSSSaltLengthEqualsHash, // RFC 7518 §3.5
		Hash:       crypto.SHA256,
	})
	if err != nil {
		return "", fmt.Errorf("signing the assertion: %w", err)
	}
	return signed + "." + b64.EncodeToString(signature), nil
}
