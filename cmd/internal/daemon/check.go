package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
)

// EndpointReport is the name of the report about the endpoint: no source can be
// called so.
const EndpointReport = "scim endpoint"

// CheckEndpoint tests the side of the identity platforms: the listener, the
// certificate, each client's token. Where the daemon runs it is asked; where it
// does not, its address has to be free.
func CheckEndpoint(ctx context.Context, cfg *config.Config) *consent.Report {
	c := &endpointCheck{ctx: ctx, cfg: cfg, report: &consent.Report{Source: EndpointReport}}
	c.listener()
	c.certificate()
	for _, client := range cfg.SCIM.Clients {
		c.client(client)
	}
	return c.report
}

type endpointCheck struct {
	ctx    context.Context
	cfg    *config.Config
	report *consent.Report
	http   *http.Client // nil: the daemon was not found
	base   string
	served *x509.Certificate // by the running daemon
}

func (c *endpointCheck) ok(name, detail, better string) {
	c.report.Steps = append(c.report.Steps, consent.Step{Name: name, OK: true, Detail: detail, Mend: better})
}

func (c *endpointCheck) fault(name, detail, mend string) {
	c.report.Steps = append(c.report.Steps, consent.Step{Name: name, Detail: detail, Mend: mend})
}

const listenerStep = "listener"

// listener sees who listens at the endpoint's address.
func (c *endpointCheck) listener() {
	l := c.cfg.SCIM.Listen
	if l.Network == "systemd" {
		c.ok(listenerStep, "a socket of systemd's", "systemctl status scim-bridge.socket tells whether it listens")
		return
	}
	if _, port, _ := net.SplitHostPort(l.Address); l.Network == "tcp" && port == "0" {
		c.ok(listenerStep, "any free port", "")
		return
	}
	client, base := c.dialer(l)
	var conf struct{ Schemas []string }
	status, err := c.get(client, base+"/ServiceProviderConfig", "", &conf)
	switch {
	case err == nil && (status == http.StatusOK && strings.Contains(strings.Join(conf.Schemas, " "), "ServiceProviderConfig") || status == http.StatusUnauthorized):
		c.http, c.base = client, base
		c.ok(listenerStep, "the daemon answers at "+l.String(), "")
	case err == nil:
		c.fault(listenerStep, fmt.Sprintf("something answers %d at %s, and it is not a SCIM endpoint", status, l), "find it with ss -ltnp, and end it or choose another scim.listen")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
		c.free(l)
	default:
		c.fault(listenerStep, clipped(err), "find out what listens there with ss -ltnp; where the daemon runs, its log says more")
	}
}

// free sees whether the daemon could listen.
func (c *endpointCheck) free(l config.Listen) {
	if l.Network == "unix" {
		c.ok(listenerStep, l.String()+": the daemon does not run", "")
		return
	}
	probe, err := new(net.ListenConfig).Listen(c.ctx, l.Network, l.Address)
	if err != nil && !errors.Is(err, os.ErrPermission) {
		c.fault(listenerStep, clipped(err), "choose an address of this machine that is free for scim.listen")
		return
	}
	if err == nil {
		probe.Close()
	}
	c.ok(listenerStep, l.String()+" is free; the daemon does not run", "")
}

// dialer gives a client that reaches the listener whatever the name of the
// endpoint, and the base to ask.
func (c *endpointCheck) dialer(l config.Listen) (*http.Client, string) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, l.Network, reachableAddress(l))
		},
		// Which certificate is served is looked at below, against the file's.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
			c.served = s.PeerCertificates[0]
			return nil
		}},
		ResponseHeaderTimeout: 10 * time.Second,
	}
	base, scheme := "/scim/v2", "http"
	host := "localhost"
	if u, err := url.Parse(c.cfg.SCIM.PublicURL); err == nil {
		base, host = strings.TrimSuffix(u.Path, "/"), u.Host
	}
	if c.cfg.SCIM.TLS != nil {
		scheme = "https"
	}
	return &http.Client{Transport: transport, Timeout: 15 * time.Second}, scheme + "://" + host + base
}

// reachableAddress is where a listener is reached from this machine.
func reachableAddress(l config.Listen) string {
	host, port, err := net.SplitHostPort(l.Address)
	if ip := net.ParseIP(host); err == nil && l.Network == "tcp" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return l.Address
}

// get asks the daemon, with a token unless that is empty.
func (c *endpointCheck) get(client *http.Client, address, token string, into any) (int, error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && into != nil {
		_ = json.Unmarshal(body, into) // what it is not shows in what is missing
	}
	return res.StatusCode, err
}

// certificate sees whether the certificate is in force and fits its name, and
// whether the daemon serves it.
func (c *endpointCheck) certificate() {
	const name = "certificate"
	if c.cfg.SCIM.TLS == nil {
		if strings.HasPrefix(c.cfg.SCIM.PublicURL, "https:") {
			c.ok(name, "none here; the proxy in front of "+c.cfg.SCIM.PublicURL+" has it", "")
			return
		}
		c.ok(name, "none: plain HTTP", "")
		return
	}
	leaf := firstCertificate(c.cfg.SCIM.TLS.CertificateFile.Data)
	if leaf == nil {
		c.fault(name, "it can't be read", "write it into scim.tls.certificate_file, in PEM")
		return
	}
	host := ""
	if u, err := url.Parse(c.cfg.SCIM.PublicURL); err == nil {
		host = u.Hostname()
	}
	left := time.Until(leaf.NotAfter)
	until := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case left < 0:
		c.fault(name, "it expired on "+until, "renew it; platforms refuse it")
	case leaf.VerifyHostname(host) != nil:
		c.fault(name, leaf.VerifyHostname(host).Error(), "get one for "+host+", the host of scim.public_url")
	case c.served != nil && !bytes.Equal(c.served.Raw, leaf.Raw):
		c.fault(name, "the daemon serves another one than is in the file", "scim-bridge reload; the log says why it was not taken")
	case left < soon:
		c.ok(name, "until "+until, fmt.Sprintf("it ends in %d days: renew it", int(left.Hours()/24)))
	default:
		c.ok(name, "for "+host+", until "+until, "")
	}
}

// soon is when the end of a credential is worth a word.
const soon = 30 * 24 * time.Hour

// firstCertificate is the first one of a PEM file; nil: there is none.
func firstCertificate(data []byte) *x509.Certificate {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			return cert
		}
	}
	return nil
}

// client sees whether the tokens of a client are accepted.
func (c *endpointCheck) client(client config.Client) {
	name := "client " + client.Name
	var files []config.HashedFile
	for _, t := range append([]config.Token{{File: client.TokenFile}}, client.Tokens...) {
		if !t.File.IsZero() {
			files = append(files, t.File)
		}
	}
	for _, f := range files {
		step := name
		if len(files) > 1 {
			step += ", " + string(f.Path)
		}
		c.token(step, f)
	}
	if len(files) > 0 {
		return
	}
	switch {
	case len(client.TokenSums()) > 0:
		c.ok(name, "the hash of its token is in the file; the token itself is not on this machine", "")
	default:
		c.ok(name, "it does not use a token of ours", "")
	}
}

func (c *endpointCheck) token(step string, f config.HashedFile) {
	data, err := os.ReadFile(string(f.Path))
	if err != nil {
		c.fault(step, clipped(err), "put the token there, or run this as a user who may read it")
		return
	}
	better := ""
	if info, err := os.Stat(string(f.Path)); err == nil && info.Mode().Perm()&0o007 != 0 {
		better = "everyone on this machine can read the token: chmod o= " + string(f.Path)
	}
	if c.http == nil {
		c.ok(step, "its token is in "+string(f.Path), better)
		return
	}
	status, err := c.get(c.http, c.base+"/Users?count=0", strings.TrimRight(string(data), "\r\n"), nil)
	switch {
	case err != nil:
		c.fault(step, clipped(err), "look at the daemon's log")
	case status == http.StatusUnauthorized:
		c.fault(step, "the running daemon does not accept the token in "+string(f.Path), "scim-bridge reload; the log says why it was not taken")
	case status == http.StatusForbidden:
		c.ok(step, "its token is in force; this machine's address is not among clients[].allow", better)
	case status == http.StatusServiceUnavailable:
		c.ok(step, "its token is in force; there is nothing to serve yet", better)
	default:
		c.ok(step, "its token is in force", better)
	}
}

// clipped is an error on one line, without the URL of a request.
func clipped(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
