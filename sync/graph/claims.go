package graph

import (
	"context"
	"errors"
	"fmt"
)

// ErrOpaque: the access token is none that can be read. It may be good all the
// same.
var ErrOpaque = errors.New("the access token cannot be read")

// Claims are what an access token says of itself. They explain, and nothing more:
// tokens are Graph's to read, and what is allowed is decided by Graph, request by
// request.
type Claims struct {
	TenantID string   `json:"tid"`
	ClientID string   `json:"appid"`
	ObjectID string   `json:"oid"`   // of the service principal
	Roles    []string `json:"roles"` // the application permissions granted
}

// Claims reads the access token in use. It asks for a token where there is none.
// A token that is no JWT is [ErrOpaque].
func (c *Client) Claims(ctx context.Context) (Claims, error) {
	tok, err := c.tokens.get(ctx)
	if err != nil {
		return Claims{}, err
	}
	var claims Claims
	if err := readClaims(tok.value, &claims); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrOpaque, err)
	}
	return claims, nil
}
