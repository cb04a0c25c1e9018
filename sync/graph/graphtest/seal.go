package graphtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// sealer makes the opaque tokens of links and signs access tokens. Its key
// comes from the seed: tokens are reproducible, unreadable to clients, and
// worthless in another tenant.
type sealer struct {
	aead  cipher.AEAD
	key   [sha256.Size]byte // of access tokens
	nonce *atomic.Uint64
}

func newSealer(seed uint64, tenant string) sealer {
	key := sha256.Sum256(fmt.Appendf(nil, "graphtest links %d %s", seed, tenant))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 32 bytes is always right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return sealer{aead, sha256.Sum256(fmt.Appendf(nil, "graphtest access %d %s", seed, tenant)), new(atomic.Uint64)}
}

// The purposes of sealed tokens: one made for another does not open.
const (
	sealPage  = "page"
	sealDelta = "delta"
	sealList  = "list"
)

func (s sealer) seal(purpose string, v any) string {
	plain, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs of plain fields
	}
	nonce := make([]byte, s.aead.NonceSize())
	binary.BigEndian.PutUint64(nonce[4:], s.nonce.Add(1))
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte(purpose)))
}

// open reports whether token was sealed here for that purpose, and decodes it
// into v.
func (s sealer) open(purpose, token string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return false
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, raw[:n], raw[n:], []byte(purpose))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// pageToken is the inside of a $skiptoken of a delta query.
type pageToken struct {
	Kind  kind
	Round uint64
	Page  int
	At    time.Time
	Epoch int // of ExpirePageLinks
}

// deltaToken is the inside of a $deltatoken: all that the next round needs, so
// the tenant keeps nothing for it.
type deltaToken struct {
	Kind   kind
	Seq    uint64
	Select []string // nil: the default set
	IDs    []string `json:",omitempty"` // of $filter
	At     time.Time
	Epoch  int // of ExpireDeltaLinks
}

// listToken is the inside of a $skiptoken of a list.
type listToken struct {
	Path  string
	After uint32 // number of the last object shown, + 1
}

// dice is a source of chance that many requests may use.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (d *dice) init(seed, stream uint64) { d.rand = rand.New(rand.NewPCG(seed, stream)) }

func (d *dice) guid() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return newGUID(d.rand)
}

func (d *dice) float() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Float64()
}
