package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// hidden stands for every secret wherever one would be printed.
const hidden = "<secret>"

// A Secret is a value that is never printed: not by fmt under any verb, not by
// slog, JSON or YAML, and not as part of another value. The zero Secret is
// none.
type Secret struct {
	// A pointer, since fmt calls no method on what it reaches through an
	// unexported field of a foreign struct: there it prints an address.
	value *string
}

// NewSecret makes a Secret of a value.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal gives the value itself, "" for the zero Secret. What it returns is to
// be used and not kept.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether both are the same secret, in constant time for secrets
// of one length.
func (s Secret) Equal(o Secret) bool {
	return s.IsZero() == o.IsZero() && subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// Format writes "<secret>" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// String gives "<secret>".
func (s Secret) String() string { return hidden }

// GoString gives "<secret>".
func (s Secret) GoString() string { return hidden }

// LogValue gives "<secret>".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText gives "<secret>".
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalYAML gives "<secret>".
func (s Secret) MarshalYAML() (any, error) { return hidden, nil }

// A Digest is the SHA-256 of a secret that others present to us. It is printed
// no more than the secret, since that of a poor password gives it away.
type Digest struct {
	Secret
}

// digestOf gives the digest of a secret's bytes.
func digestOf(secret string) Digest {
	sum := sha256.Sum256([]byte(secret))
	return Digest{NewSecret(string(sum[:]))}
}

// Sum gives the 32 bytes; all are zero for the zero Digest.
func (d Digest) Sum() (sum [sha256.Size]byte) {
	copy(sum[:], d.Reveal())
	return sum
}

// parseDigest reads a digest in hexadecimal. The value is in no message: it may
// be the token itself, put there by mistake.
func parseDigest(text string) (Digest, *problem) {
	const mend = "take it from `scim-bridge token`, or from `printf %s TOKEN | sha256sum`"
	sum, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(sum) != sha256.Size {
		return Digest{}, &problem{"the value is not the 64 hexadecimal digits of a SHA-256", mend}
	}
	d := Digest{NewSecret(string(sum))}
	for _, nothing := range []string{"", "\n"} {
		if d.Equal(digestOf(nothing).Secret) {
			return Digest{}, &problem{"the value is the SHA-256 of nothing", mend}
		}
	}
	return d, nil
}

// A Path names a file or directory: environment variables are replaced, and it
// is relative to the process's working directory or absolute.
type Path string

// A File is a file that the configuration names, and what was in it.
type File struct {
	Path Path
	Data []byte
}

// IsZero reports whether no file is named.
func (f File) IsZero() bool { return f.Path == "" }

// String gives the path.
func (f File) String() string { return string(f.Path) }

// MarshalText gives the path.
func (f File) MarshalText() ([]byte, error) { return []byte(f.Path), nil }

// A SecretFile is a file that the configuration names, and the secret in it.
type SecretFile struct {
	Path   Path
	Secret Secret
}

// IsZero reports whether no file is named.
func (f SecretFile) IsZero() bool { return f.Path == "" }

// String gives the path.
func (f SecretFile) String() string { return string(f.Path) }

// MarshalText gives the path.
func (f SecretFile) MarshalText() ([]byte, error) { return []byte(f.Path), nil }

// A HashedFile is a file that the configuration names, with a secret that
// others present to us: only the SHA-256 of it is kept.
type HashedFile struct {
	Path   Path
	SHA256 Digest
}

// IsZero reports whether no file is named.
func (f HashedFile) IsZero() bool { return f.Path == "" }

// String gives the path.
func (f HashedFile) String() string { return string(f.Path) }

// MarshalText gives the path.
func (f HashedFile) MarshalText() ([]byte, error) { return []byte(f.Path), nil }
