package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Answers are what a set-up was told, by the key of the question, which is also
// the name of the flag that answers it. An answer may be empty: left out.
type Answers map[string]string

// The keys of the questions.
const (
	keySource       = "source"
	keyCloud        = "cloud"
	keyEnabled      = "enabled"
	keyGroups       = "groups"
	keyHidden       = "hidden-members"
	keyGuests       = "guests"
	keyConsent      = "consent"
	keyCredential   = "credential"
	keyMethod       = "method"
	keyClientID     = "client-id"
	keyTenantID     = "tenant-id"
	keySecretFile   = "client-secret-file"
	keyCertificate  = "certificate-file"
	keyPrivateKey   = "private-key-file"
	keyFederated    = "federated-token-file"
	keyManagedID    = "managed-identity-client-id"
	keyPlatform     = "platform"
	keyPreset       = "preset"
	keyClient       = "client"
	keyExpose       = "expose"
	keyListen       = "listen"
	keyPublicURL    = "public-url"
	keyTLSCert      = "tls-certificate-file"
	keyTLSKey       = "tls-private-key-file"
	keyTokenSHA256  = "token-sha256"
	keyAdminListen  = "admin-listen"
	keyAdminURL     = "admin-public-url"
	keyState        = "state-directory"
	keyLoginURL     = "login-url"
	keyGraphURL     = "graph-url"
	keyClientSecret = "oauth2-secret-file" // made here, never asked
	yes, no         = "yes", "no"
)

// A Flag is a question as a flag of the command.
type Flag struct{ Name, Usage string }

// Flags lists the questions that can be answered on the command line, in their
// order.
func Flags() []Flag {
	return []Flag{
		{keySource, "`NAME` of the tenant in commands, logs and metrics"},
		{keyCloud, "Microsoft's `CLOUD`: global, usgov, dod or china"},
		{keyEnabled, "enable the API integration: `yes` or no (then nothing is asked of Microsoft yet)"},
		{keyGroups, "import groups `now` or later"},
		{keyHidden, "list the permission to see hidden members of groups, too: `yes` or no"},
		{keyGuests, "serve guest users: `yes` or no"},
		{keyConsent, "how consent comes: `HOW` is elsewhere (admin center, command line; or there already), link (Microsoft's page) or mail (a text to send)"},
		{keyCredential, "`KIND` of credential: secret, new-certificate, certificate, federated or managed-identity"},
		{keyMethod, "how to show the registration: `HOW` is portal, az, powershell or done"},
		{keyClientID, "application (client) `ID`"},
		{keyTenantID, "directory (tenant) `ID` or domain"},
		{keySecretFile, "`FILE` with the client secret's value; a relative path begins in the folder of the configuration"},
		{keyCertificate, "certificate `FILE` in PEM"},
		{keyPrivateKey, "private key `FILE` of the certificate, in PEM"},
		{keyFederated, "`FILE` where the platform keeps the federated token"},
		{keyManagedID, "client `ID` of a user-assigned managed identity"},
		{keyPlatform, "identity `PLATFORM`: " + platformNames()},
		{keyPreset, "`MAPPING` of attributes: entra-default, okta or sailpoint (default: the platform's, where there is one)"},
		{keyClient, "`NAME` of the platform in logs and metrics (default: the platform)"},
		{keyExpose, "`HOW` platforms reach the endpoint: proxy, https or local"},
		{keyListen, "`ADDRESS` of the endpoint"},
		{keyPublicURL, "`URL` that the platform calls"},
		{keyTLSCert, "certificate `FILE` of the endpoint, for --expose https"},
		{keyTLSKey, "private key `FILE` of the endpoint"},
		{keyTokenSHA256, "SHA-256 in `HEX` of the platform's bearer token (default: a new token is made and printed)"},
		{keyAdminListen, "`ADDRESS` of the administrator's pages"},
		{keyAdminURL, "`URL` of the administrator's pages"},
		{keyState, "`DIRECTORY` of the daemon's state"},
		{keyLoginURL, "other base `URL` of Microsoft's login, for tests and proxies"},
		{keyGraphURL, "other base `URL` of Microsoft Graph, likewise"},
	}
}

// A draft is a set-up on its way: what is kept for going on later. There is no
// secret in it.
type draft struct {
	Version int       `json:"version"`
	Begun   time.Time `json:"begun"`
	Step    int       `json:"step"` // how many steps are done
	Answers Answers   `json:"answers"`
	// Made are the files that this set-up wrote, by their full paths: secrets
	// that Microsoft shows only once, keys.
	Made []string `json:"made,omitempty"`
}

const draftVersion = 1

// draftFile is where the draft of a configuration file is kept.
func draftFile(config string) string { return config + ".setup" }

// loadDraft reads a draft; nil: there is none.
func loadDraft(path string) (*draft, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what an earlier set-up kept: %w", err)
	}
	var d draft
	if err := json.Unmarshal(data, &d); err != nil || d.Version != draftVersion || d.Step < 0 || d.Step >= len(steps) || d.Answers == nil {
		return nil, fmt.Errorf("%s is not what a set-up of this version keeps: begin anew with --restart", path)
	}
	return &d, nil
}

// save keeps the draft for later.
func (d *draft) save(path string) error {
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("keeping the answers: %w", err)
	}
	return nil
}

// remove drops the draft, and with files also what the set-up wrote.
func (d *draft) remove(path string, files bool) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if files {
		for _, f := range d.Made {
			if e := os.Remove(f); !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}
	return err
}
