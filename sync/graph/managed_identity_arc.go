package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/oauth2"
)

// arcTokens is where Azure Arc's agent puts the files that prove that a process
// may ask for tokens.
var arcTokens = "/var/opt/azcmagent/tokens"

// maxArcKey bounds such a file, in bytes.
const maxArcKey = 4096

// askArc asks Azure Arc's agent, which first wants to see that we can read a
// file: its answer 401 names the file, and the second request carries what is in
// it. Whoever answers on that port could name any file, so only files of the
// agent's own directory are read
// (learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication).
func (m ManagedIdentity) askArc(ctx context.Context, p platform, resource string) (*oauth2.Token, error) {
	var key string
	target := p.request(resource, m.ClientID)
	tok, err := m.ask(ctx, p, target, func(resp *http.Response) (err error) {
		if key, err = arcKey(resp.Header.Get("WWW-Authenticate")); err != nil {
			return m.unusable("arc_challenge", err.Error())
		}
		return nil
	})
	if err != nil || tok != nil {
		return tok, err
	}
	p.header = p.header.Clone()
	p.header.Set("Authorization", "Basic "+key)
	return m.ask(ctx, p, target, nil)
}

// arcKey reads the file that a challenge names.
func arcKey(challenge string) (string, error) {
	path, err := arcKeyPath(challenge)
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the agent's key: %w; this user has to be in the group himds", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("reading the agent's key: %s is no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxArcKey+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the agent's key: %w", err)
	case len(data) > maxArcKey:
		return "", fmt.Errorf("reading the agent's key: %s is larger than %d bytes", path, maxArcKey)
	}
	return strings.TrimSpace(string(data)), nil
}

// arcKeyPath takes the path out of a challenge: Basic realm=PATH. It must be a
// file ending in .key right in the agent's directory, links followed.
func arcKeyPath(challenge string) (string, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(challenge), " ")
	name, path, found := strings.Cut(strings.TrimSpace(rest), "=")
	if !strings.EqualFold(scheme, "Basic") || !strings.EqualFold(strings.TrimSpace(name), "realm") || !found {
		return "", errors.New("the agent's challenge has not the form that is documented")
	}
	path = strings.Trim(strings.TrimSpace(path), `"`)
	if filepath.Dir(path) != filepath.Clean(arcTokens) || filepath.Clean(path) != path || !strings.HasSuffix(path, ".key") {
		return "", fmt.Errorf("the agent's challenge names a file that is not one of %s", filepath.Join(arcTokens, "*.key"))
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("reading the agent's key: %w; this user has to be in the group himds", err)
	}
	if root, err := filepath.EvalSymlinks(arcTokens); err != nil || filepath.Dir(real) != root {
		return "", fmt.Errorf("the agent's challenge names a link that leads out of %s", arcTokens)
	}
	return real, nil
}
