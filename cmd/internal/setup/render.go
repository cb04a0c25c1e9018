package setup

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// noToken stands for the platform's token while there is none.
var noToken = strings.Repeat("0123456789abcdef", 4)

// render writes the configuration as answered so far. A draft has a client in any
// case, without which the rest can't be checked.
func (s *setup) render(asDraft bool) string {
	a := s.draft.Answers
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by scim-bridge setup %s on %s.\n# config.example.yaml explains every key. "+
		"An edit takes effect at once.\n", s.Version, time.Now().Format(time.DateOnly))
	section := func(indent, name string, keys ...[2]string) {
		for _, kv := range keys {
			if kv[1] != "" {
				if name != "" {
					b.WriteString(indent + name + ":\n")
					name, indent = "", indent+"  "
				}
				b.WriteString(indent + kv[0] + ": " + scalar(kv[1]) + "\n")
			}
		}
	}
	b.WriteString("scim:\n")
	section("  ", "", [2]string{"listen", a[keyListen]}, [2]string{"public_url", a[keyPublicURL]})
	section("  ", "tls", [2]string{"certificate_file", a[keyTLSCert]}, [2]string{"private_key_file", a[keyTLSKey]})
	s.renderClient(&b, asDraft)
	section("", "admin", [2]string{"listen", a[keyAdminListen]}, [2]string{"public_url", a[keyAdminURL]})
	section("", "state", [2]string{"directory", a[keyState]})
	s.renderSource(&b)
	return b.String()
}

func (s *setup) renderClient(b *strings.Builder, asDraft bool) {
	a := s.draft.Answers
	name, sum := a[keyClient], a[keyTokenSHA256]
	if name == "" && asDraft {
		name = "importer"
	}
	fmt.Fprintf(b, "  clients:\n    - name: %s\n", scalar(name))
	switch {
	case a[keyClientSecret] != "":
		fmt.Fprintf(b, "      oauth2:\n        client_id: %s\n        client_secret_file: %s\n", scalar(name), scalar(a[keyClientSecret]))
	case sum == "" && asDraft:
		fmt.Fprintf(b, "      token_sha256: %s\n", noToken)
	default:
		fmt.Fprintf(b, "      token_sha256: %s\n", scalar(sum))
	}
}

func (s *setup) renderSource(b *strings.Builder) {
	a := s.draft.Answers
	name := a[keySource]
	if name == "" {
		name = "m365"
	}
	fmt.Fprintf(b, "sources:\n  - name: %s\n", scalar(name))
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(b, "    %s: %s\n", key, scalar(value))
		}
	}
	if a[keyEnabled] == no {
		b.WriteString("    enabled: false    # true once the application is registered and consented to\n")
	}
	if a[keyCloud] != "global" {
		line("cloud", a[keyCloud])
	}
	line("tenant_id", a[keyTenantID])
	switch a[keyCredential] {
	case "managed-identity":
		if id := a[keyManagedID]; id != "" {
			fmt.Fprintf(b, "    managed_identity: {client_id: %s}\n", scalar(id))
		} else {
			b.WriteString("    managed_identity: {}\n")
		}
	case "secret":
		line("client_id", a[keyClientID])
		line("client_secret_file", a[keySecretFile])
	case "certificate", "new-certificate":
		line("client_id", a[keyClientID])
		line("certificate_file", a[keyCertificate])
		line("private_key_file", a[keyPrivateKey])
	default:
		line("client_id", a[keyClientID])
		line("federated_token_file", a[keyFederated])
	}
	line("login_url", a[keyLoginURL])
	line("graph_url", a[keyGraphURL])
	if a[keyGuests] == no {
		b.WriteString("    users:\n      guests: exclude\n")
	}
	if a[keyPreset] != "" && a[keyPreset] != "entra-default" {
		fmt.Fprintf(b, "    mapping: {preset: %s}\n", scalar(a[keyPreset]))
	}
	if a[keyGroups] == "later" {
		b.WriteString("    groups:\n      enabled: false    # true takes the permission GroupMember.Read.All\n")
	}
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9/.][A-Za-z0-9/._%+@~$-]*(:[A-Za-z0-9/._%+@~$-]+)*$`)

// scalar writes a value in YAML, in quotes where it could be taken for something
// else.
func scalar(text string) string {
	if plainScalar.MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return strconv.Quote(text)
}
