package daemon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tlsSection is for the section scim.
const tlsSection = "  tls: {certificate_file: tls.crt, private_key_file: tls.key}\n"

// keyPair makes a certificate for 127.0.0.1, signed by itself, and writes it and
// its key.
func keyPair(t *testing.T, dir, name string, now time.Time) (cert *x509.Certificate, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	for suffix, content := range map[string][]byte{".crt": certPEM, ".key": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return cert, pair
}

// serial asks over TLS, trusting one certificate, on a connection of its own.
func (w *world) serial(trust *x509.Certificate, present ...tls.Certificate) (*big.Int, error) {
	w.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(trust)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: present}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "https://"+w.daemon.SCIMAddr().String()+"/scim/v2/Users?count=30", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+clientToken)
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		w.t.Errorf("over TLS: %s %s", res.Proto, res.Status)
	}
	return res.TLS.PeerCertificates[0].SerialNumber, nil
}

func TestCertificatesReload(t *testing.T) {
	w := newWorld(t)
	first, _ := keyPair(t, w.dir, "tls", time.Now())
	w.configure("", "  clients:", tlsSection+"  clients:")
	w.start()
	if got, err := w.serial(first); err != nil || got.Cmp(first.SerialNumber) != 0 {
		t.Fatalf("got certificate %v, %v", got, err)
	}
	second, _ := keyPair(t, w.dir, "tls", time.Now())
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := w.serial(second); err != nil || got.Cmp(second.SerialNumber) != 0 {
		t.Errorf("after the reload got certificate %v, %v", got, err)
	}
	// A key that does not belong to the certificate is refused.
	if err := os.Rename(filepath.Join(w.dir, "tls.crt"), filepath.Join(w.dir, "old.crt")); err != nil {
		t.Fatal(err)
	}
	keyPair(t, w.dir, "other", time.Now())
	if err := os.Rename(filepath.Join(w.dir, "other.crt"), filepath.Join(w.dir, "tls.crt")); err != nil {
		t.Fatal(err)
	}
	if err := w.daemon.Reload(t.Context()); err == nil {
		t.Error("a certificate with another's key was taken")
	}
	if got, err := w.serial(second); err != nil || got.Cmp(second.SerialNumber) != 0 {
		t.Errorf("after the refused one got certificate %v, %v", got, err)
	}
}

func TestClientCertificates(t *testing.T) {
	w := newWorld(t)
	server, _ := keyPair(t, w.dir, "tls", time.Now())
	_, friend := keyPair(t, w.dir, "friend", time.Now())
	_, stranger := keyPair(t, w.dir, "stranger", time.Now())
	w.configure("", "  clients:", "  tls: {certificate_file: tls.crt, private_key_file: tls.key, client_ca_file: friend.crt}\n  clients:")
	w.start()
	if _, err := w.serial(server, friend); err != nil {
		t.Errorf("with the right certificate: %v", err)
	}
	for name, present := range map[string][]tls.Certificate{"none": nil, "a stranger's": {stranger}} {
		if _, err := w.serial(server, present...); err == nil {
			t.Errorf("with %s certificate the endpoint answers", name)
		}
	}
	// Who is let in is decided anew by a reload.
	if err := os.Rename(filepath.Join(w.dir, "stranger.crt"), filepath.Join(w.dir, "friend.crt")); err != nil {
		t.Fatal(err)
	}
	if err := w.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.serial(server, stranger); err != nil {
		t.Errorf("with the certificate that is right now: %v", err)
	}
	if _, err := w.serial(server, friend); err == nil {
		t.Error("the certificate that is no longer right is let in")
	}
}
