package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (l *loader) checkClients(clients []Client) {
	if len(clients) == 0 {
		l.fault("scim.clients", "there is no client", "add at least one, with a name and a token_file")
	}
	names := map[string]int{}
	proofs := proofs{}
	for i := range clients {
		section, c := "scim.clients["+strconv.Itoa(i)+"]", &clients[i]
		l.checkName(section, c.Name, names)
		l.checkProofs(section, c, proofs)
		l.checkClientSources(section, c)
		if l.given(section+".allow") && len(c.Allow) == 0 {
			l.fault(section+".allow", "the list is empty", "write networks, or remove the key to allow every address")
		}
		l.checkRate(section+".requests_per_second", c.RequestsPerSecond)
	}
}

// checkRate notes a fault if a rate that is given is none.
func (l *loader) checkRate(path string, rate float64) {
	if l.given(path) && !l.isBroken(path) && (rate <= 0 || rate > 1e6) {
		l.fault(path, fmt.Sprintf("%v is no rate above 0 up to 1000000", rate), "remove the key for no limit")
	}
}

// checkClientSources checks the names of a client's sources, and that it sees
// no tenant twice.
func (l *loader) checkClientSources(section string, c *Client) {
	list := section + ".sources"
	if l.given(list) && len(c.Sources) == 0 {
		l.fault(list, "the list is empty", "write names of sources, or remove the key for all of them")
	}
	for i, name := range c.Sources {
		at := fmt.Sprintf("%s[%d]", list, i)
		switch {
		case !slices.ContainsFunc(l.cfg.Sources, func(s Source) bool { return s.Name == name }):
			l.fault(at, "there is no source named "+quote(name), "write the name of one of sources")
		case slices.Index(c.Sources, name) < i:
			l.fault(at, "the source "+quote(name)+" is in the list already", "remove it")
		}
	}
	tenants := map[string]string{} // :: tenant -> name of the source
	for i, s := range l.cfg.Sources {
		if s.TenantID == "" || len(c.Sources) > 0 && !slices.Contains(c.Sources, s.Name) {
			continue
		}
		tenant := strings.ToLower(s.TenantID)
		if first, ok := tenants[tenant]; ok && first != s.Name {
			l.fault(fmt.Sprintf("sources[%d].tenant_id", i), "the tenant is that of the source "+first+", and the client "+c.Name+" would see everyone twice",
				"remove one of the sources, or give each client 'sources' with one of them")
		}
		tenants[tenant] = s.Name
	}
}

// proofs are the credentials of clients met so far, each with the client's
// name: two clients with one credential could not be told apart.
type proofs map[string]string

// take notes a fault at path if another client, or another entry of this one,
// has the credential.
func (p proofs) take(l *loader, path, kind, value, client string) {
	if value == "" {
		return
	}
	if other, ok := p[kind+value]; ok {
		l.fault(path, "the "+kind+" is that of the client "+other+", too", "give each its own")
		return
	}
	p[kind+value] = client
}

// checkProofs reads and checks how a client proves itself.
func (l *loader) checkProofs(section string, c *Client, taken proofs) {
	bearers := 0
	for _, key := range []string{"token_file", "token_sha256", "tokens"} {
		if l.given(section + "." + key) {
			bearers++
		}
	}
	switch {
	case bearers > 1:
		l.fault(section, "the client has more than one of token_file, token_sha256 and tokens", "put them all into tokens")
	case bearers == 0 && c.Basic == nil && c.OAuth2 == nil && c.JWT == nil:
		l.fault(section, "the client has no way to prove itself", "add token_file, token_sha256, tokens, basic, oauth2 or jwt")
	case l.given(section+".tokens") && len(c.Tokens) == 0:
		l.fault(section+".tokens", "the list is empty", "write at least one token_file or token_sha256")
	}
	single := Token{File: c.TokenFile, SHA256: c.TokenSHA256}
	l.checkToken(section, &single, c.Name, taken)
	c.TokenFile = single.File
	for i := range c.Tokens {
		at := fmt.Sprintf("%s.tokens[%d]", section, i)
		if l.given(at+".token_file") == l.given(at+".token_sha256") {
			l.fault(at, "the entry has not exactly one of token_file and token_sha256", "give each token a '-' of its own")
		}
		l.checkToken(at, &c.Tokens[i], c.Name, taken)
	}
	if c.Basic != nil {
		l.checkBasic(section+".basic", c.Basic, c.Name, taken)
	}
	if c.OAuth2 != nil {
		at := section + ".oauth2"
		l.need(at, "client_id", "write the client id that the platform will use")
		l.need(at, "client_secret_file", "write the path of a file with the secret, alone")
		l.hashed(at+".client_secret_file", &c.OAuth2.ClientSecretFile, oneLine)
		taken.take(l, at+".client_id", "client id", c.OAuth2.ClientID, c.Name)
	}
	if c.JWT != nil {
		l.checkJWT(section+".jwt", c.JWT, c.Name, taken)
	}
}

func (l *loader) checkJWT(section string, j *JWT, client string, taken proofs) {
	l.need(section, "issuer", "write the claim iss of the issuer's tokens, such as https://login.microsoftonline.com/TENANT/v2.0")
	l.need(section, "audience", "write what is in the claim aud of the client's tokens, such as api://scim-bridge")
	l.checkIssuerURL(section+".issuer", j.Issuer)
	l.checkIssuerURL(section+".jwks_url", j.JWKSURL)
	switch claims := section + ".claims"; {
	case !l.given(section+".subject") && !l.given(claims):
		l.fault(section, "whoever gets a token of the issuer for this audience would be the client", "add subject, or claims such as {claim: azp, value: CLIENT-ID}")
	case l.given(claims) && len(j.Claims) == 0:
		l.fault(claims, "the list is empty", "write at least one {claim: NAME, value: VALUE}, or remove the key")
	}
	for i, c := range j.Claims {
		at := fmt.Sprintf("%s.claims[%d]", section, i)
		l.need(at, "claim", "write the claim's name")
		l.need(at, "value", "write what the claim must be, or have in it")
		if key := map[string]string{"iss": "issuer", "aud": "audience", "sub": "subject"}[c.Claim]; key != "" {
			l.fault(at+".claim", "the claim "+c.Claim+" has a key of its own", "write it as "+key)
		}
	}
	if j.Issuer != "" && j.Audience != "" {
		claims := slices.SortedFunc(slices.Values(j.Claims), func(a, b JWTClaim) int { return strings.Compare(a.Claim+"="+a.Value, b.Claim+"="+b.Value) })
		taken.take(l, section, "kind of token", fmt.Sprintf("%q %q %q %q", j.Issuer, j.Audience, j.Subject, claims), client)
	}
}

// checkIssuerURL checks a URL that keys are fetched from: whoever could change
// them on the way could sign tokens.
func (l *loader) checkIssuerURL(path, text string) {
	if !l.given(path) || l.isBroken(path) {
		return
	}
	l.baseURL(path, text)
	if plainHTTP(text) {
		l.fault(path, quote(text)+" would be read in the clear, and whoever changes the keys on the way can sign tokens", "write an https URL")
	}
}

func (l *loader) checkToken(section string, t *Token, client string, taken proofs) {
	l.hashed(section+".token_file", &t.File, bearer)
	taken.take(l, section+".token_file", "token", t.File.SHA256.Reveal(), client)
	taken.take(l, section+".token_sha256", "token", t.SHA256.Reveal(), client)
}

func (l *loader) checkBasic(section string, b *Basic, client string, taken proofs) {
	l.need(section, "username", "write the user name that the platform will use")
	l.need(section, "password_file", "write the path of a file with the password, alone")
	if strings.Contains(b.Username, ":") {
		l.fault(section+".username", "a user name of HTTP Basic can't have a colon", "choose another")
	}
	l.hashed(section+".password_file", &b.PasswordFile, oneLine)
	taken.take(l, section+".username", "user name", b.Username, client)
}

// TokenSums gives the SHA-256 of every bearer token of the client.
func (c Client) TokenSums() [][32]byte {
	var sums [][32]byte
	for _, t := range append([]Token{{File: c.TokenFile, SHA256: c.TokenSHA256}}, c.Tokens...) {
		for _, d := range []Digest{t.File.SHA256, t.SHA256} {
			if !d.IsZero() {
				sums = append(sums, d.Sum())
			}
		}
	}
	return sums
}
