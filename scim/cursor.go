package scim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// cursorLife is how long a cursor is good after the page that it came with
// (RFC 9865 §4, cursorTimeout).
const cursorLife = time.Hour

// A cursor says where a cursor-paged query goes on. It grants nothing: the
// client is authenticated and its view restricted on every page anew
// (RFC 9865 §5.2).
type cursor struct {
	query    [16]byte  // of client and query, see bind
	view     string    // the ID of the unrestricted view
	position int       // of the next page's first resource in the result
	asked    int       // the count of the first page's request, -1 for none
	size     int       // resources a page
	issued   time.Time // in milliseconds
}

// bind makes one name of who asks what, so that a cursor or a walk serves no
// other client, no other permissions and no other query.
func bind(query []byte) [16]byte {
	sum := sha256.Sum256(query)
	return [16]byte(sum[:16])
}

// A sealer makes texts that only it can make or read, of unreserved characters
// (RFC 9865 §2, RFC 6750 §2.1).
type sealer struct{ aead cipher.AEAD }

// newSealer derives the sealing key for one purpose from a key that serves
// others too.
func newSealer(key []byte, purpose string) (*sealer, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of %ss: %w", purpose, err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("making the cipher of %ss: %w", purpose, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making the cipher of %ss: %w", purpose, err)
	}
	return &sealer{aead: aead}, nil
}

// seal makes a text.
func (s *sealer) seal(plain []byte) string {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, nil))
}

// open reads a text. It is false for all that seal did not make.
func (s *sealer) open(text string) (plain []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return nil, false
	}
	nonce, sealed := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	plain, err = s.aead.Open(nil, nonce, sealed, nil)
	return plain, err == nil
}

// cursorForm is the first byte of a sealed cursor's content.
const cursorForm = 1

// sealCursor makes the text of a cursor.
func (s *sealer) sealCursor(c cursor) string {
	plain := append([]byte{cursorForm}, c.query[:]...)
	plain = binary.AppendVarint(plain, c.issued.UnixMilli())
	plain = binary.AppendVarint(plain, int64(c.position))
	plain = binary.AppendVarint(plain, int64(c.asked))
	plain = binary.AppendVarint(plain, int64(c.size))
	return s.seal(append(plain, c.view...))
}

// openCursor reads the text of a cursor.
func (s *sealer) openCursor(text string) (c cursor, ok bool) {
	plain, ok := s.open(text)
	if !ok || len(plain) < 1+len(c.query) || plain[0] != cursorForm {
		return cursor{}, false
	}
	c.query = [16]byte(plain[1:])
	plain = plain[1+len(c.query):]
	var numbers [4]int64
	for i := range numbers {
		n, size := binary.Varint(plain)
		if size <= 0 {
			return cursor{}, false
		}
		numbers[i], plain = n, plain[size:]
	}
	c.issued = time.UnixMilli(numbers[0])
	c.position, c.asked, c.size = int(numbers[1]), int(numbers[2]), int(numbers[3])
	c.view = string(plain)
	return c, true
}
