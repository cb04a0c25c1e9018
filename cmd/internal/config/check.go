package config

import (
	"fmt"
	"net"
	neturl "net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// check sets the defaults that depend on other settings, reads the files that
// the configuration names, and notes what is wrong.
func (l *loader) check() {
	l.checkSCIM(&l.cfg.SCIM)
	l.checkAdmin(&l.cfg.Admin)
	l.checkState(l.cfg.State)
	l.checkSources(l.cfg.Sources)
	l.checkClients(l.cfg.SCIM.Clients)
	l.checkSchemas(l.cfg.Schemas)
}

// need notes a fault if the section has no such key.
func (l *loader) need(section, key, mend string) {
	if at := section + "." + key; !l.given(at) {
		l.fault(at, "the key is missing", mend)
	}
}

// within notes a fault if n is not from low to high.
func (l *loader) within(path string, n, low, high int) {
	if n < low || n > high {
		l.fault(path, fmt.Sprintf("%d is not from %d to %d", n, low, high), "write a number in between")
	}
}

func (l *loader) checkSCIM(s *SCIM) {
	if l.given("scim.trusted_proxies") && len(s.TrustedProxies) == 0 {
		l.fault("scim.trusted_proxies", "the list is empty", "write the proxies' addresses, or remove the key to trust none")
	}
	if s.TLS != nil {
		l.checkTLS(s.TLS)
	}
	l.checkPageSize(&s.PageSize)
	const url = "scim.public_url"
	scheme := "http"
	if s.TLS != nil {
		scheme = "https"
	}
	if l.given(url) {
		s.PublicURL = l.baseURL(url, s.PublicURL)
	} else if base := baseOf(s.Listen, scheme); base != "" {
		s.PublicURL = base + "/scim/v2"
	} else {
		l.fault(url, "the key is missing, and can't be made of scim.listen", "write the URL that clients call, such as https://scim.example.com/scim/v2")
	}
	if s.Listen.Network == "tcp" && !s.Listen.Local() && s.TLS == nil && !strings.HasPrefix(s.PublicURL, "https:") {
		l.warn("scim.listen", "tokens and personal data cross the network in the clear",
			"set scim.tls, or listen on 127.0.0.1 behind a proxy")
	}
}

// baseOf makes a base URL of a listener's address, "" if it has none that a
// URL can have. A listener on all addresses is at least on localhost.
func baseOf(listen Listen, scheme string) string {
	host, port, err := net.SplitHostPort(listen.Address)
	if listen.Network != "tcp" || err != nil {
		return ""
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// baseURL checks a base URL and drops a slash at its end.
func (l *loader) baseURL(path, text string) string {
	const mend = "write one such as https://host/path"
	u, err := neturl.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(text, " \\"):
		l.fault(path, quote(text)+" is no http or https URL", mend)
	case u.User != nil:
		l.fault(path, "the URL has a user name or password in it", mend)
	case strings.ContainsAny(text, "?#"):
		l.fault(path, quote(text)+" has a query or fragment", mend)
	}
	return strings.TrimRight(text, "/")
}

// plainHTTP reports whether a URL would be reached over a network in the clear.
func plainHTTP(text string) bool {
	u, err := neturl.Parse(text)
	return err == nil && u.Scheme == "http" && !loopback(u.Hostname())
}

func (l *loader) checkPageSize(p *PageSize) {
	const section, most = "scim.page_size", 1_000_000
	switch givenDefault, givenMax := l.given(section+".default"), l.given(section+".max"); {
	case givenMax && !givenDefault:
		p.Default = min(p.Default, p.Max)
	case givenDefault && !givenMax:
		p.Max = max(p.Default, p.Max)
	}
	if l.given(section + ".max") {
		l.within(section+".max", p.Max, 1, most)
	}
	if l.given(section + ".default") {
		l.within(section+".default", p.Default, 1, most)
	}
	if p.Default > p.Max && !l.isBroken(section+".max") {
		l.fault(section+".default", fmt.Sprintf("%d is more than max, which is %d", p.Default, p.Max), "lower it, or raise max")
	}
}

func (l *loader) checkAdmin(a *Admin) {
	const listen, url = "admin.listen", "admin.public_url"
	l.hashed("admin.token_file", &a.TokenFile, bearer)
	if !a.Listen.Local() && !l.given("admin.token_file") {
		l.fault(listen, "others may reach this listener, and there is no admin.token_file",
			"set admin.token_file, or listen on 127.0.0.1:8881 or unix:/path")
	}
	if _, port, _ := net.SplitHostPort(a.Listen.Address); a.Listen == l.cfg.SCIM.Listen && a.Listen.Network != "systemd" && port != "0" {
		l.fault(listen, a.Listen.String()+" is scim.listen, too", "choose another port")
	}
	switch {
	case l.given(url):
		a.PublicURL = l.baseURL(url, a.PublicURL)
	case a.Listen.Network == "tcp" && a.Listen.Local():
		_, port, _ := net.SplitHostPort(a.Listen.Address)
		a.PublicURL = "http://localhost:" + port
	default:
		a.PublicURL = baseOf(a.Listen, "http")
	}
	if u, err := neturl.Parse(a.PublicURL); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" {
		l.warn(url, "Microsoft takes redirect URIs with http for the host localhost only", "write an https URL, or http://localhost:PORT")
	}
}

func (l *loader) checkState(s State) {
	if l.given("state.keep_generations") {
		l.within("state.keep_generations", s.KeepGenerations, 1, 10_000)
	}
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// checkName checks the name of a source or client; taken maps the names met to
// the lines where they stand.
func (l *loader) checkName(section, text string, taken map[string]int) {
	at := section + ".name"
	l.need(section, "name", "give it one of lower-case letters, digits and hyphens")
	if l.isBroken(at) {
		return
	}
	if !validName.MatchString(text) {
		l.fault(at, quote(text)+" is no name", "write 1 to 63 lower-case letters, digits and hyphens, no hyphen first")
		return
	}
	if line, ok := taken[text]; ok {
		l.fault(at, fmt.Sprintf("the name %s is taken by the one on line %d", text, line), "choose another")
		return
	}
	taken[text] = l.places[at].line
}

func (l *loader) checkSources(sources []Source) {
	if len(sources) == 0 {
		l.fault("sources", "there is no source", "add at least one Microsoft tenant")
	}
	taken := map[string]int{}
	for i := range sources {
		section := fmt.Sprintf("sources[%d]", i)
		l.checkName(section, sources[i].Name, taken)
		if sources[i].Name == "callback" {
			l.fault(section+".name", `"callback" is the address of Microsoft's redirect, /consent/callback`, "choose another")
		}
		l.checkSource(section, &sources[i])
	}
}

func (l *loader) checkSource(section string, s *Source) {
	l.checkTenant(section, s)
	l.checkCredential(section, s)
	l.checkURLs(section, s)
	s.CAFile.Data = l.authorities(section+".ca_file", s.CAFile.Path)
	l.checkTimes(section, s)
	l.checkRate(section+".requests_per_second", s.RequestsPerSecond)
	l.checkScope(section, s)
	l.checkMapping(section+".mapping", &s.Mapping)
	for i, a := range s.Assert {
		l.checkAssertion(fmt.Sprintf("%s.assert[%d]", section, i), a)
	}
}

var (
	guid   = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	domain = regexp.MustCompile(`^(?i)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
)

func (l *loader) checkTenant(section string, s *Source) {
	tenant, client := section+".tenant_id", section+".client_id"
	switch {
	case !l.given(tenant) || l.isBroken(tenant):
	case slices.Contains([]string{"common", "organizations", "consumers"}, strings.ToLower(s.TenantID)):
		l.fault(tenant, quote(s.TenantID)+" is no single tenant", "leave the key out: the tenant is learnt when the administrator consents")
	case !guid.MatchString(s.TenantID) && !domain.MatchString(s.TenantID):
		l.fault(tenant, quote(s.TenantID)+" is neither a tenant id nor a domain", "copy the Directory (tenant) ID of the app registration's overview")
	}
	s.TenantID = strings.ToLower(s.TenantID)
	l.checkGUID(client, s.ClientID)
	s.ClientID = strings.ToLower(s.ClientID)
	if s.ClientID != "" && s.ClientID == s.TenantID {
		l.fault(client, "the value is that of tenant_id", "copy the Application (client) ID of the app registration's overview")
	}
	if s.ManagedIdentity != nil {
		l.checkGUID(section+".managed_identity.client_id", s.ManagedIdentity.ClientID)
		s.ManagedIdentity.ClientID = strings.ToLower(s.ManagedIdentity.ClientID)
		if l.given(client) {
			l.fault(client, "the key has no meaning beside managed_identity", "move it into managed_identity, or remove it")
		}
	} else if s.Enabled {
		l.need(section, "client_id", "copy the Application (client) ID of the app registration's overview")
	}
}

func (l *loader) checkGUID(path, text string) {
	if l.given(path) && !l.isBroken(path) && !guid.MatchString(text) {
		l.fault(path, quote(text)+" is no application id", "copy the Application (client) ID of the app registration's overview")
	}
}

// checkURLs checks the base URLs and sets those of the cloud where there are
// none.
func (l *loader) checkURLs(section string, s *Source) {
	for _, u := range []struct {
		key    string
		value  *string
		preset string
	}{
		{"login_url", &s.LoginURL, s.Cloud.LoginURL()},
		{"graph_url", &s.GraphURL, s.Cloud.GraphURL()},
	} {
		at := section + "." + u.key
		if !l.given(at) {
			*u.value = u.preset
			continue
		}
		if l.isBroken(at) {
			continue
		}
		*u.value = l.baseURL(at, *u.value)
		if plainHTTP(*u.value) {
			l.warn(at, "credentials cross the network in the clear", "write an https URL")
		}
	}
}

// checkTimes checks the durations of a source.
func (l *loader) checkTimes(section string, s *Source) {
	// Graph's delta links of users and groups live seven days.
	const least, most = time.Second, 144 * time.Hour
	interval, full := section+".interval", section+".full_every"
	if s.Interval < least || s.Interval > most {
		l.fault(interval, brief(s.Interval)+" is not from 1s to 144h", "write a duration in between, such as 5m")
	}
	if !l.given(full) {
		s.FullEvery = max(s.FullEvery, s.Interval)
	}
	if s.FullEvery < s.Interval && !l.isBroken(interval) {
		l.fault(full, fmt.Sprintf("%s is less than interval, which is %s", brief(s.FullEvery), brief(s.Interval)), "write a longer one, such as 24h")
	}
}

func (l *loader) checkAssertion(section string, a Assertion) {
	var kinds []string
	for _, key := range []string{"must_exist", "users", "groups", "group"} {
		if l.given(section + "." + key) {
			kinds = append(kinds, key)
		}
	}
	about := l.given(section+".members") || l.given(section+".max_removed")
	switch {
	case len(kinds) > 1:
		l.fault(section, "the entry has "+strings.Join(kinds, " and "), "give each a '-' of its own")
	case len(kinds) == 0 && about:
		l.fault(section, "the entry does not say which group", "add 'group: NAME' to it")
	case len(kinds) == 0:
		l.fault(section, "the entry asserts nothing", "write must_exist, users, groups, or group with members or max_removed")
	case about && kinds[0] != "group":
		l.fault(section, "members and max_removed belong to a group, and the entry has "+kinds[0], "give them a '-' of their own, with 'group: NAME'")
	case kinds[0] == "group" && !about:
		l.fault(section, "the entry says nothing of the group", "add members or max_removed to it")
	case kinds[0] == "must_exist" && len(a.MustExist) == 0:
		l.fault(section+".must_exist", "the list is empty", "write user names, or remove the entry")
	}
}
