package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"scimbridge/sync/consent"
)

// questions asks one after another and stops at the first error.
func (s *setup) questions(ctx context.Context, list ...question) error {
	for _, q := range list {
		if _, err := s.ask(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// is tells whether a question was answered so.
func (s *setup) is(key, answer string) bool { return s.draft.Answers[key] == answer }

func (s *setup) tenant(ctx context.Context) error {
	for _, key := range []string{keyAdminListen, keyAdminURL, keyState, keyLoginURL, keyGraphURL} {
		if text, ok := s.given[key]; ok {
			path := map[string]string{keyAdminListen: "admin.listen", keyAdminURL: "admin.public_url", keyState: "state.directory",
				keyLoginURL: "sources[0].login_url", keyGraphURL: "sources[0].graph_url"}[key]
			if err := s.questions(ctx, question{key: key, label: strings.ReplaceAll(key, "-", " "), path: path, preset: text}); err != nil {
				return err
			}
		}
	}
	return s.questions(ctx,
		question{key: keySource, label: "Name", preset: "m365", path: "sources[0].name",
			about: "What is the tenant to be called in commands, logs and metrics? Lower-case letters, digits and hyphens."},
		question{key: keyCloud, label: "Cloud", preset: "global", about: "Which of Microsoft's clouds is it in?", options: []option{
			{"global", "Microsoft 365 worldwide, and GCC"}, {"usgov", "US government, GCC High (L4)"},
			{"dod", "US government, DoD (L5)"}, {"china", "Microsoft 365 operated by 21Vianet"}}},
		question{key: keyEnabled, label: "Enable API integration", preset: yes, options: yesNo,
			about: "Is the tenant to be read as soon as the daemon runs? With no, the file is written with enabled: false, and the app registration, consent and the test are left for later."},
	)
}

func (s *setup) contents(ctx context.Context) error {
	if err := s.questions(ctx, question{key: keyGuests, label: "Serve guests", preset: yes, options: yesNo,
		about: "Guests are users, too. Does the platform get them? users in the file, and docs/scope.md, have all the other rules of who is served."}, question{key: keyGroups, label: "Import groups", preset: "now", about: "Users are imported in any case. Groups, too?", options: []option{
		{"now", "groups and who is in them; needs one more permission"},
		{"later", "users only; may be turned on at any time"}}}); err != nil || s.is(keyGroups, "later") {
		return err
	}
	return s.questions(ctx, question{key: keyHidden, label: "Show hidden members", preset: no, options: yesNo,
		about: "A few groups may hide their members (visibility HiddenMembership). To see them takes one more permission, Member.Read.Hidden; without it these groups are imported as empty."})
}

// wants is what the permissions depend on.
func (s *setup) wants() consent.Wants {
	return consent.Wants{Groups: s.is(keyGroups, "now"), HiddenMembers: s.is(keyGroups, "now") && s.is(keyHidden, yes)}
}

func (s *setup) registration(ctx context.Context) error {
	if !s.is(keyEnabled, yes) {
		s.say("Left for later, as the API integration is not enabled.")
		return nil
	}
	if err := s.questions(ctx, question{key: keyCredential, label: "Credential", preset: "secret",
		about: "How does the daemon prove to Microsoft who it is?", options: []option{
			{"secret", "a client secret: quickest; expires after two years at most"},
			{"new-certificate", "a key that is made here and never leaves this machine; its certificate is uploaded. What Microsoft recommends"},
			{"certificate", "a certificate and key that are on this machine already"},
			{"federated", "workload identity federation: a token file of the platform (Kubernetes)"},
			{"managed-identity", "the identity of this Azure machine or container"}}}); err != nil {
		return err
	}
	if s.is(keyCredential, "managed-identity") {
		return s.managedIdentity(ctx)
	}
	if err := s.questions(ctx, question{key: keyConsent, label: "Consent", preset: "elsewhere",
		about: "A Privileged Role Administrator or Global Administrator has to consent. Where?", options: []option{
			{"elsewhere", "with the button in the admin center or by a command line, as shown next; or it is there already"},
			{"link", "on Microsoft's consent page, by a link that is shown here"},
			{"mail", "the same, by a text with a link to send to an administrator elsewhere; the answer is pasted back"}}}); err != nil {
		return err
	}
	if err := s.newCertificate(); err != nil {
		return err
	}
	if err := s.questions(ctx, question{key: keyMethod, label: "Show", preset: "portal", about: "How would you like to register the application?", options: []option{
		{"portal", "clicks in the admin center"}, {"az", "lines for the Azure CLI"},
		{"powershell", "lines for Microsoft Graph PowerShell"}, {"done", "it is registered; no need to show anything"}}}); err != nil {
		return err
	}
	s.print(s.instructions())
	if err := s.identify(ctx); err != nil {
		return err
	}
	return s.credential(ctx)
}

// identify asks for the two ids of the registration.
func (s *setup) identify(ctx context.Context) error {
	if err := s.questions(ctx, question{key: keyClientID, label: "Application (client) ID", path: "sources[0].client_id", check: lower}); err != nil {
		return err
	}
	return s.identifyTenant(ctx, !s.is(keyConsent, "elsewhere"))
}

func (s *setup) identifyTenant(ctx context.Context, optional bool) error {
	about := ""
	if optional {
		about = "Left out, the tenant is learnt from the consent."
	}
	return s.questions(ctx, question{key: keyTenantID, label: "Directory (tenant) ID", about: about, optional: optional, path: "sources[0].tenant_id",
		check: func(text string) (string, error) {
			if text = strings.ToLower(text); text == s.draft.Answers[keyClientID] {
				return "", errors.New("this is the client ID again; the tenant's is beside it on the overview page")
			}
			return text, nil
		}})
}

func lower(text string) (string, error) { return strings.ToLower(text), nil }

func (s *setup) managedIdentity(ctx context.Context) error {
	s.print(s.instructions())
	if err := s.questions(ctx, question{key: keyManagedID, label: "Client ID of a user-assigned identity", optional: true, path: "sources[0].managed_identity.client_id",
		about: "Left out, the system-assigned identity of the machine is used.", check: lower}); err != nil {
		return err
	}
	return s.identifyTenant(ctx, false)
}

// credential asks for the credential itself.
func (s *setup) credential(ctx context.Context) error {
	switch s.draft.Answers[keyCredential] {
	case "secret":
		return s.clientSecret(ctx)
	case "certificate":
		return s.questions(ctx,
			question{key: keyCertificate, label: "Certificate file", check: s.readable, about: "The certificate, in PEM. Relative paths begin in " + s.dir + "."},
			question{key: keyPrivateKey, label: "Private key file", check: s.readable, path: "sources[0].certificate_file"})
	case "federated":
		preset := ""
		if s.Env("AZURE_FEDERATED_TOKEN_FILE") != "" {
			preset = "${AZURE_FEDERATED_TOKEN_FILE}"
		}
		return s.questions(ctx, question{key: keyFederated, label: "Token file", preset: preset, path: "sources[0].federated_token_file",
			about: "Where the platform keeps the token."})
	}
	return nil // a new certificate has been made
}

// readable sees that a file is there.
func (s *setup) readable(text string) (string, error) {
	path := os.ExpandEnv(text)
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	f, err := os.Open(path)
	if err != nil && path != os.ExpandEnv(text) {
		return "", fmt.Errorf("%w (a relative path begins in the configuration's folder)", err)
	}
	if err != nil {
		return "", err
	}
	return text, f.Close()
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// clientSecret asks for the client secret and writes it where it belongs: it is
// in no other file.
func (s *setup) clientSecret(ctx context.Context) error {
	_, given := s.given[keySecretFile]
	if given || !s.interactive {
		return s.questions(ctx, question{key: keySecretFile, label: "Client secret file", check: s.readable, path: "sources[0].client_secret_file"})
	}
	if name := s.draft.Answers[keySecretFile]; name != "" {
		again, err := s.confirm(ctx, "The client secret is in "+filepath.Join(s.dir, name)+".", "Keep it", yes)
		if again || err != nil {
			return err
		}
		if err := s.dropFile(name); err != nil {
			return err
		}
		if _, err := s.keep(keySecretFile, ""); err != nil {
			return err
		}
	}
	secret, err := s.askSecret(ctx, "The client secret: its Value, which Microsoft shows once. It goes into a file that only the daemon can read.", "Secret value", checkSecret)
	if err != nil {
		return err
	}
	name, err := s.secretFile(s.draft.Answers[keySource]+".secret", []byte(secret+"\n"))
	if err != nil {
		return err
	}
	s.say("Written, mode 0600:\n  %s", filepath.Join(s.dir, name))
	_, err = s.keep(keySecretFile, name)
	return err
}

func checkSecret(text string) error {
	switch {
	case text == "":
		return errors.New("an answer is needed")
	case guid.MatchString(text):
		return errors.New("this is the secret's ID; the Value beside it is needed. If it is no longer shown, make a new secret")
	case strings.ContainsAny(text, " \t"), strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F || r > '~' }):
		return errors.New("a secret has no blanks and only plain characters in it; copy it with the button beside it")
	case len(text) < 16:
		return errors.New("this is too short for a secret; copy it with the button beside it")
	}
	return nil
}

// confirm asks a question that is not kept.
func (s *setup) confirm(ctx context.Context, about, label, preset string) (bool, error) {
	answer, err := s.ask(ctx, question{about: about, label: label, options: yesNo, preset: preset})
	return answer == yes, err
}

func (s *setup) platform(ctx context.Context) error {
	if err := s.questions(ctx, question{key: keyPlatform, label: "Platform", preset: "okta", about: "Which platform imports?", options: platformOptions()}); err != nil {
		return err
	}
	if err := s.mapping(ctx); err != nil {
		return err
	}
	preset := s.draft.Answers[keyPlatform]
	if preset == "other" {
		preset = "importer"
	}
	if err := s.questions(ctx,
		question{key: keyClient, label: "Name", preset: preset, path: "scim.clients[0].name", about: "Its name in logs and metrics."},
		question{key: keyExpose, label: "Endpoint", preset: "proxy", about: "How does the platform reach this machine?", options: []option{
			{"proxy", "through a TLS proxy or load balancer on this machine; the daemon listens on 127.0.0.1"},
			{"https", "the daemon speaks HTTPS itself, with a certificate of yours"},
			{"local", "not at all yet: HTTP on this machine only, for a first look"}}},
	); err != nil {
		return err
	}
	return s.endpoint(ctx)
}

// mapping asks for the preset, where the platform has one or one was given.
func (s *setup) mapping(ctx context.Context) error {
	own := s.chosen()
	if _, given := s.given[keyPreset]; own.preset == "" && !given {
		return nil
	}
	return s.questions(ctx, question{key: keyPreset, label: "Mapping", preset: cmp.Or(own.preset, "entra-default"),
		about: "How are attributes laid out? docs/mapping.md has the tables.", options: []option{
			{"okta", "what Okta demands: a name and a primary address for everybody, made up where Entra has none"},
			{"sailpoint", "the same for SailPoint, with a full name to correlate by"},
			{"entra-default", "as Microsoft's own SCIM API has it; nothing is made up"}}})
}

func (s *setup) endpoint(ctx context.Context) error {
	listen, about := "127.0.0.1:8880", ""
	if s.is(keyExpose, "https") {
		listen, about = ":8443", "Every address of the machine, if none is named. Ports below 1024 are closed to the daemon."
		if err := s.questions(ctx,
			question{key: keyTLSCert, label: "Certificate file", check: s.readable, about: "The endpoint's certificate with its chain, in PEM, readable by the daemon."},
			question{key: keyTLSKey, label: "Private key file", check: s.readable, path: "scim.tls.certificate_file"}); err != nil {
			return err
		}
	}
	if err := s.questions(ctx, question{key: keyListen, label: "Listen on", about: about, preset: listen, path: "scim.listen", check: s.free}); err != nil {
		return err
	}
	if s.is(keyExpose, "local") {
		return nil
	}
	url := "https://" + hostName()
	if _, port, err := net.SplitHostPort(s.draft.Answers[keyListen]); err == nil && s.is(keyExpose, "https") && port != "443" {
		url += ":" + port
	}
	return s.questions(ctx, question{key: keyPublicURL, label: "URL", preset: url + "/scim/v2", path: "scim.public_url",
		about: "The URL that the platform calls."})
}

// free refuses an address that the daemon will not get.
func (s *setup) free(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil || strings.HasPrefix(text, "unix:") {
		return text, nil // the configuration's check has words for it
	}
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 1024 {
		return "", fmt.Errorf("the daemon runs without the right to use port %d; take one from 1024, such as 8443, and let a proxy or the firewall forward", n)
	}
	if !s.interactive {
		return text, nil // it may be for another machine
	}
	l, err := net.Listen("tcp", text)
	if err != nil {
		return "", fmt.Errorf("nobody can listen there now: %w; choose another port, or end what uses it", err)
	}
	return text, l.Close()
}

// hostName is this machine's, or an example.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "scim.example.com"
	}
	return name
}
