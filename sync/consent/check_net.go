package consent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// reachTime bounds the look whether a host can be reached.
const reachTime = 15 * time.Second

// reach sees whether a base answers at all, whatever it answers: its name, the
// connection, TLS. It goes the way of all requests, by the proxy if there is one.
func (c *check) reach(name, base string) bool {
	ctx, cancel := context.WithTimeout(c.ctx, reachTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err != nil {
		c.fault("reach "+name, err, "write a URL such as https://host")
		return false
	}
	way := c.way(req)
	if c.proxy != nil && way == "" && !c.resolve(ctx, name, req.URL.Hostname()) {
		return false
	}
	client := &http.Client{
		Transport:     c.app.Graph.HTTPClient.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		c.report.passing = true
		c.fault("reach "+name, bare(err), c.unreached(err, req.URL.Host, way))
		return false
	}
	_, _ = io.CopyN(io.Discard, res.Body, 1<<10)
	res.Body.Close()
	detail := req.URL.Host + way
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		leaf := res.TLS.PeerCertificates[0]
		detail += fmt.Sprintf(", %s, certificate by %s until %s", tls.VersionName(res.TLS.Version), issuer(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	c.ok("reach "+name, detail, "")
	return true
}

// way tells of the proxy that a request goes by, "" for none.
func (c *check) way(req *http.Request) string {
	if c.proxy == nil {
		return "" // not known
	}
	proxy, err := c.proxy(req)
	if err != nil || proxy == nil {
		return ""
	}
	return " by the proxy " + proxy.Host
}

// resolve looks a name up, as the connection will.
func (c *check) resolve(ctx context.Context, name, host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		c.report.passing = true
		c.fault("resolve "+name, err, "check this machine's name resolution: resolvectl query "+host+" (or getent hosts "+host+"); behind a proxy set HTTPS_PROXY for the service")
		return false
	}
	more := ""
	if n := len(addresses) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	c.ok("resolve "+name, host+" is "+addresses[0]+more, "")
	return true
}

// unreached says what to do about a host that is not reached.
func (c *check) unreached(err error, host, way string) string {
	var unknown x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var invalid x509.CertificateInvalidError
	var refused *net.OpError
	switch {
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that this machine does not know; a proxy that looks into TLS does that: write its CA certificate into a file and name it in ca_file"
	case errors.As(err, &wrongHost):
		return "the certificate is another host's: something stands between, or the address is wrong"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "look at this machine's clock first (timedatectl); if it is right, the certificate has expired"
	case way != "":
		return "ask whoever runs the proxy to let this machine through to " + host + " (CONNECT, port 443)"
	case errors.As(err, &refused) && refused.Op == "dial":
		return "let this machine out to " + host + " in the firewall, or set HTTPS_PROXY for the service"
	}
	return "check firewall and proxy (HTTPS_PROXY) for " + host
}

// bare is an HTTP client's error without the URL.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func issuer(cert *x509.Certificate) string {
	if len(cert.Issuer.Organization) > 0 {
		return cert.Issuer.Organization[0]
	}
	return cert.Issuer.CommonName
}
