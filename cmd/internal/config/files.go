package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// maxFile is the largest secret or certificate file that is read, in bytes.
const maxFile = 1 << 20

// A purpose is what a secret is for, which limits what may be in it.
type purpose int

const (
	oneLine purpose = iota // text on one line
	bearer                 // what a bearer token may be, RFC 6750 §2.1
	pemKey                 // a private key in PEM
)

// readFile reads a file that the configuration names, or notes why it can't be
// read. ok is whether there is content to look at. Where the path is not given
// or itself at fault there is none, and nothing is noted.
func (l *loader) readFile(path string, file Path, mend string) (data []byte, mode fs.FileMode, ok bool) {
	if file == "" || l.isBroken(path) {
		return nil, 0, false
	}
	data, mode, err := readRegular(string(file))
	in := Input{Path: string(file)}
	if err == nil {
		in.Sum = sha256.Sum256(data)
	}
	l.inputs = append(l.inputs, in)
	if err != nil {
		l.faultIn(path, fmt.Sprintf("%s can't be read: %s", file, cause(err)), mend, in)
		return nil, 0, false
	}
	return data, mode, true
}

// readRegular reads a regular file of at most maxFile bytes. It opens nothing
// else: a named pipe would block for ever.
func readRegular(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, 0, err
	case info.IsDir():
		return nil, 0, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, 0, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return data, info.Mode(), err
}

// cause gives what went wrong with a file without naming the file again.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// secret reads a secret into f.
func (l *loader) secret(path string, f *SecretFile, why purpose) {
	mend := "write the secret into it, alone, and let the daemon's user read it"
	if why == pemKey {
		mend = "write the private key into it, in PEM, and let the daemon's user read it"
	}
	data, mode, ok := l.readFile(path, f.Path, mend)
	if !ok {
		return
	}
	in := Input{Path: string(f.Path), Sum: sha256.Sum256(data)}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if p := unfit(text, why); p != nil {
		l.faultIn(path, string(f.Path)+" "+p.what, p.mend, in)
		return
	}
	if mode.Perm()&0o007 != 0 {
		l.warn(path, fmt.Sprintf("everyone on this machine has access to %s (mode %04o)", f.Path, mode.Perm()), "chmod o= "+string(f.Path))
	}
	f.Secret = NewSecret(text)
}

// unfit says why a text can't be the secret, without showing any of it.
func unfit(text string, why purpose) *problem {
	alone := "write the secret into it, alone"
	switch {
	case text == "":
		return &problem{"is empty", alone}
	case why == pemKey:
		return nil // the check of the key pair says what is wrong
	case strings.HasPrefix(text, "\uFEFF") || strings.ContainsRune(text, 0):
		return &problem{"has a byte order mark or zero bytes", "save it as UTF-8 without a byte order mark"}
	case strings.Contains(text, "\n"):
		return &problem{"has more than one line", alone}
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return &problem{"has control characters in it", alone}
	case strings.TrimSpace(text) != text:
		return &problem{"has blanks before or after the secret", alone}
	case why == bearer && strings.ContainsFunc(text, notToken):
		return &problem{"has characters that no bearer token can have", "use letters, digits and -._~+/= only, or make one with `scim-bridge token`"}
	}
	return nil
}

// notToken reports whether a bearer token can't have the character (b64token
// in RFC 6750 §2.1).
func notToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/=", r)
}

// hashed reads a secret that others present to us and keeps its hash in f.
func (l *loader) hashed(path string, f *HashedFile, why purpose) {
	const short = 16
	s := SecretFile{Path: f.Path}
	l.secret(path, &s, why)
	if s.Secret.IsZero() {
		return
	}
	if n := len(s.Secret.Reveal()); why == bearer && n < short {
		l.warn(path, fmt.Sprintf("the token has %d characters only, which can be guessed", n), "make one with `scim-bridge token`")
	}
	f.SHA256 = digestOf(s.Secret.Reveal())
}

func (l *loader) checkTLS(t *TLS) {
	const section = "scim.tls"
	const pem = "write a certificate into it, in PEM, and let the daemon's user read it"
	l.need(section, "certificate_file", "write the path of the server's certificate")
	l.need(section, "private_key_file", "write the path of the certificate's private key")
	t.CertificateFile.Data, _, _ = l.readFile(section+".certificate_file", t.CertificateFile.Path, pem)
	l.secret(section+".private_key_file", &t.PrivateKeyFile, pemKey)
	l.checkPair(section, t.CertificateFile, t.PrivateKeyFile)
	t.ClientCAFile.Data = l.authorities(section+".client_ca_file", t.ClientCAFile.Path)
}

// authorities reads a file with certificates of authorities.
func (l *loader) authorities(path string, file Path) []byte {
	const pem = "write a certificate into it, in PEM, and let the daemon's user read it"
	data, _, ok := l.readFile(path, file, pem)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		l.faultIn(path, string(file)+" has no certificate in it", pem, Input{string(file), sha256.Sum256(data)})
	}
	return data
}

// checkPair checks that certificate and key are such and belong together.
func (l *loader) checkPair(section string, cert File, key SecretFile) {
	at := section + ".certificate_file"
	if cert.Data == nil || key.Secret.IsZero() {
		return
	}
	in := Input{string(cert.Path), sha256.Sum256(cert.Data)}
	pair, err := keyPair(cert, key)
	if err != nil {
		l.faultIn(at, fmt.Sprintf("%s and %s are no pair: %s", cert.Path, key.Path, strings.TrimPrefix(err.Error(), "tls: ")),
			"put the certificate and its own key there, in PEM, the key not encrypted", in)
		return
	}
	if end := pair.Leaf.NotAfter; end.Before(l.now) {
		l.warn(at, "the certificate has expired on "+end.UTC().Format(time.DateOnly), "renew it")
	}
}

func keyPair(cert File, key SecretFile) (tls.Certificate, error) {
	return tls.X509KeyPair(cert.Data, []byte(key.Secret.Reveal()))
}

// KeyPair gives the server's certificate. It does not fail on what Load gave.
func (t TLS) KeyPair() (tls.Certificate, error) { return keyPair(t.CertificateFile, t.PrivateKeyFile) }

// KeyPair gives the source's certificate. It does not fail on what Load gave,
// where the source has one.
func (s Source) KeyPair() (tls.Certificate, error) {
	return keyPair(s.CertificateFile, s.PrivateKeyFile)
}

// checkCredential checks that a source has one kind of credential, and reads
// it.
func (l *loader) checkCredential(section string, s *Source) {
	const kinds = "client_secret_file, certificate_file with private_key_file, federated_token_file, managed_identity"
	var given []string
	for _, key := range []string{"client_secret_file", "certificate_file", "private_key_file", "federated_token_file", "managed_identity"} {
		if l.given(section + "." + key) {
			given = append(given, key)
		}
	}
	switch both := strings.Join(given, " and "); {
	case len(given) == 0 && s.Enabled:
		l.fault(section, "the source has no credential", "add one of "+kinds)
	case both == "certificate_file":
		l.need(section, "private_key_file", "write the path of the certificate's private key")
	case both == "private_key_file":
		l.need(section, "certificate_file", "write the path of the key's certificate")
	case len(given) > 1 && both != "certificate_file and private_key_file":
		l.fault(section, "the source has "+both, "keep one of "+kinds)
	}
	if s.Enabled {
		l.readCredential(section, s)
		return
	}
	// A source that is off may have lost its credential: that is no reason to
	// refuse the file.
	before := len(l.faults)
	l.readCredential(section, s)
	l.warnings = append(l.warnings, l.faults[before:]...)
	l.faults = l.faults[:before]
}

func (l *loader) readCredential(section string, s *Source) {
	l.secret(section+".client_secret_file", &s.ClientSecretFile, oneLine)
	if guid.MatchString(s.ClientSecretFile.Secret.Reveal()) {
		l.warn(section+".client_secret_file", string(s.ClientSecretFile.Path)+" looks like the id of a secret", "write the secret's value into it, which Microsoft shows once")
	}
	s.CertificateFile.Data, _, _ = l.readFile(section+".certificate_file", s.CertificateFile.Path,
		"write the certificate into it, in PEM, and let the daemon's user read it")
	l.secret(section+".private_key_file", &s.PrivateKeyFile, pemKey)
	l.checkPair(section, s.CertificateFile, s.PrivateKeyFile)
	if at := section + ".federated_token_file"; s.FederatedTokenFile != "" && !l.isBroken(at) {
		if _, _, err := readRegular(string(s.FederatedTokenFile)); err != nil {
			in := Input{Path: string(s.FederatedTokenFile)}
			l.faultIn(at, fmt.Sprintf("%s can't be read: %s", s.FederatedTokenFile, cause(err)), "check that the platform puts the token there", in)
		}
	}
}
