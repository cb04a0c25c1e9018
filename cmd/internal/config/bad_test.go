package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/cmd/internal/config"
)

// TestBadFilesAreRefusedWithPlaceAndMend has one file per mistake, each otherwise right, and
// the exact message. @ stands for testdata/bad/.
func TestBadFilesAreRefusedWithPlaceAndMend(t *testing.T) {
	wants := map[string]string{
		"admin-open":              `@admin-open.yaml:6: admin.listen: others may reach this listener, and there is no admin.token_file; set admin.token_file, or listen on 127.0.0.1:8881 or unix:/path`,
		"admin-same-port":         `@admin-same-port.yaml:6: admin.listen: 127.0.0.1:8880 is scim.listen, too; choose another port`,
		"admin-systemd":           `@admin-systemd.yaml:6: admin.listen: others may reach this listener, and there is no admin.token_file; set admin.token_file, or listen on 127.0.0.1:8881 or unix:/path`,
		"alias-unknown":           `@alias-unknown.yaml:9: a value that begins with * is taken for an alias; put the value in quotes`,
		"allow-empty":             `@allow-empty.yaml:5: scim.clients[0].allow: the list is empty; write networks, or remove the key to allow every address`,
		"allow-host-bits":         `@allow-host-bits.yaml:5: scim.clients[0].allow[0]: "203.0.113.7/24" is an address inside a network; write 203.0.113.0/24 for the network, or 203.0.113.7 for the one address`,
		"allow-name":              `@allow-name.yaml:5: scim.clients[0].allow[0]: "okta.example" is neither an address nor a network; write one such as 203.0.113.0/24, 203.0.113.7 or 2001:db8::/32`,
		"assert-group-alone":      `@assert-group-alone.yaml:10: sources[0].assert[0]: the entry says nothing of the group; add members or max_removed to it`,
		"assert-members-alone":    `@assert-members-alone.yaml:10: sources[0].assert[0]: the entry does not say which group; add 'group: NAME' to it`,
		"assert-members-of-users": `@assert-members-of-users.yaml:10: sources[0].assert[0]: members and max_removed belong to a group, and the entry has users; give them a '-' of their own, with 'group: NAME'`,
		"assert-nobody":           `@assert-nobody.yaml:10: sources[0].assert[0].must_exist: the list is empty; write user names, or remove the entry`,
		"assert-nothing":          `@assert-nothing.yaml:10: sources[0].assert[0]: the entry asserts nothing; write must_exist, users, groups, or group with members or max_removed`,
		"assert-range-empty":      `@assert-range-empty.yaml:10: sources[0].assert[0].users: "13000..9000" is a range that nothing is in; put the smaller number first`,
		"assert-range":            `@assert-range.yaml:10: sources[0].assert[0].users: "many" is no range of numbers; write 9000..13000, ">= 3", "<= 20", or one number`,
		"assert-two":              `@assert-two.yaml:10: sources[0].assert[0]: the entry has users and groups; give each a '-' of its own`,
		"at-sign":                 `@at-sign.yaml:9: a value begins with a character that means something in YAML; put the value in quotes`,
		"bad-indent":              `@bad-indent.yaml:7: the line does not fit those above it; put keys of one section, and the '-' of one list, under each other`,
		"basic-colon":             `@basic-colon.yaml:4: scim.clients[0].basic.username: a user name of HTTP Basic can't have a colon; choose another`,
		"basic-incomplete":        `@basic-incomplete.yaml:4: scim.clients[0].basic.password_file: the key is missing; write the path of a file with the password, alone`,
		"ca-empty":                `@ca-empty.yaml:9: sources[0].ca_file: @ca-empty.yaml has no certificate in it; write a certificate into it, in PEM, and let the daemon's user read it`,
		"ca-missing":              `@ca-missing.yaml:9: sources[0].ca_file: @nowhere.pem can't be read: no such file or directory; write a certificate into it, in PEM, and let the daemon's user read it`,
		"certificate-without-key": `@certificate-without-key.yaml:6: sources[0].private_key_file: the key is missing; write the path of the certificate's private key`,
		"client-id-missing":       `@client-id-missing.yaml:6: sources[0].client_id: the key is missing; copy the Application (client) ID of the app registration's overview`,
		"client-id":               `@client-id.yaml:7: sources[0].client_id: "scim-bridge" is no application id; copy the Application (client) ID of the app registration's overview`,
		"client-name":             `@client-name.yaml:3: scim.clients[0].name: "Okta Prod" is no name; write 1 to 63 lower-case letters, digits and hyphens, no hyphen first`,
		"client-source-twice":     `@client-source-twice.yaml:5: scim.clients[0].sources[1]: the source "contoso" is in the list already; remove it`,
		"client-source-unknown":   `@client-source-unknown.yaml:5: scim.clients[0].sources[0]: there is no source named "fabrikam"; write the name of one of sources`,
		"client-sources-empty":    `@client-sources-empty.yaml:5: scim.clients[0].sources: the list is empty; write names of sources, or remove the key for all of them`,
		"client-twice":            `@client-twice.yaml:5: scim.clients[1].name: the name okta is taken by the one on line 3; choose another`,
		"client-two-bearers":      `@client-two-bearers.yaml:3: scim.clients[0]: the client has more than one of token_file, token_sha256 and tokens; put them all into tokens`,
		"client-without-name":     `@client-without-name.yaml:3: scim.clients[0].name: the key is missing; give it one of lower-case letters, digits and hyphens`,
		"client-without-proof":    `@client-without-proof.yaml:3: scim.clients[0]: the client has no way to prove itself; add token_file, token_sha256, tokens, basic, oauth2 or jwt`,
		"source-callback":         `@source-callback.yaml:6: sources[0].name: "callback" is the address of Microsoft's redirect, /consent/callback; choose another`,
		"cloud":                   `@cloud.yaml:9: sources[0].cloud: "germany" is not known; write one of global, usgov, dod, china`,
		"duplicate-user-names":    `@duplicate-user-names.yaml:2: scim.duplicate_user_names: "drop" is not known; write one of report, hold`,
		"comments-only":           `@comments-only.yaml:1: the file is empty; start from config.example.yaml`,
		"credential-missing":      `@credential-missing.yaml:6: sources[0]: the source has no credential; add one of client_secret_file, certificate_file with private_key_file, federated_token_file, managed_identity`,
		"credential-two":          `@credential-two.yaml:6: sources[0]: the source has client_secret_file and federated_token_file; keep one of client_secret_file, certificate_file with private_key_file, federated_token_file, managed_identity`,
		"duplicate-key":           `@duplicate-key.yaml:10: sources[0].interval: the key is already on line 9; keep one of them`,
		"empty-value":             `@empty-value.yaml:9: sources[0].interval: the value is empty; give it one, or remove the key`,
		"empty":                   `@empty.yaml:1: the file is empty; start from config.example.yaml`,
		"cursor-paging":           `@cursor-paging.yaml:2: scim.cursor_paging: "by index" is neither true nor false; write true or false`,
		"enabled":                 `@enabled.yaml:9: sources[0].enabled: "yes" is neither true nor false; write true or false`,
		"federated-missing":       `@federated-missing.yaml:8: sources[0].federated_token_file: @nowhere can't be read: no such file or directory; check that the platform puts the token there`,
		"floor":                   `@floor.yaml:9: sources[0].safeguard.floor: "few" is no whole number from 0 to 2147483647; write digits only, such as 20`,
		"foreign-tag":             `@foreign-tag.yaml:9: sources[0].interval: the tag "!vault" means nothing here; remove it`,
		"format":                  `@format.yaml:9: log.format: "logfmt" is not known; write one of auto, text, json`,
		"full-every-short":        `@full-every-short.yaml:10: sources[0].full_every: 1h is less than interval, which is 2h; write a longer one, such as 24h`,
		"generations-zero":        `@generations-zero.yaml:5: state.keep_generations: 0 is not from 1 to 10000; write a number in between`,
		"inline-secret":           `@inline-secret.yaml:8: sources[0].client_secret: the key is unknown; did you mean client_secret_file, with the path of a file?`,
		"inline-token":            `@inline-token.yaml:4: scim.clients[0].token: the key is unknown; did you mean token_file, with the path of a file?`,
		"interval-days":           `@interval-days.yaml:9: sources[0].full_every: "2d" is in a unit that is not known here; write 48h`,
		"interval-long":           `@interval-long.yaml:9: sources[0].interval: 200h is not from 1s to 144h; write a duration in between, such as 5m`,
		"interval-negative":       `@interval-negative.yaml:9: sources[0].interval: "-5m" is negative; write one such as 30s, 5m or 24h`,
		"interval-number":         `@interval-number.yaml:9: sources[0].interval: "5" has no unit; write 5s, 5m or 5h`,
		"interval-short":          `@interval-short.yaml:9: sources[0].interval: 10ms is not from 1s to 144h; write a duration in between, such as 5m`,
		"interval-text":           `@interval-text.yaml:9: sources[0].interval: "often" is no duration; write one such as 30s, 5m or 24h`,
		"interval-weeks":          `@interval-weeks.yaml:9: sources[0].full_every: "1 week" is in a unit that is not known here; write 168h`,
		"jwt-incomplete": `@jwt-incomplete.yaml:4: scim.clients[0].jwt.issuer: the key is missing; write the claim iss of the issuer's tokens, such as https://login.microsoftonline.com/TENANT/v2.0
@jwt-incomplete.yaml:4: scim.clients[0].jwt.audience: the key is missing; write what is in the claim aud of the client's tokens, such as api://scim-bridge`,
		"jwt-open":                    `@jwt-open.yaml:4: scim.clients[0].jwt: whoever gets a token of the issuer for this audience would be the client; add subject, or claims such as {claim: azp, value: CLIENT-ID}`,
		"jwt-claims-empty":            `@jwt-claims-empty.yaml:7: scim.clients[0].jwt.claims: the list is empty; write at least one {claim: NAME, value: VALUE}, or remove the key`,
		"jwt-claim-own-key":           `@jwt-claim-own-key.yaml:7: scim.clients[0].jwt.claims[0].claim: the claim sub has a key of its own; write it as subject`,
		"jwt-claim-incomplete":        `@jwt-claim-incomplete.yaml:7: scim.clients[0].jwt.claims[0].value: the key is missing; write what the claim must be, or have in it`,
		"jwt-clear":                   `@jwt-clear.yaml:5: scim.clients[0].jwt.issuer: "http://id.example.com" would be read in the clear, and whoever changes the keys on the way can sign tokens; write an https URL`,
		"jwt-keys-clear":              `@jwt-keys-clear.yaml:8: scim.clients[0].jwt.jwks_url: "http://id.example.com/keys" would be read in the clear, and whoever changes the keys on the way can sign tokens; write an https URL`,
		"jwt-shared":                  `@jwt-shared.yaml:9: scim.clients[1].jwt: the kind of token is that of the client okta, too; give each its own`,
		"key-is-list":                 `@key-is-list.yaml:9: there is a list where a key belongs; write 'key: value'`,
		"key-without-certificate":     `@key-without-certificate.yaml:6: sources[0].certificate_file: the key is missing; write the path of the key's certificate`,
		"level":                       `@level.yaml:9: log.level: "verbose" is not known; write one of debug, info, warn, error`,
		"list-at-top":                 `@list-at-top.yaml:1: there is a list where a section belongs; write its keys under it, one per line`,
		"list-for-value":              `@list-for-value.yaml:9: sources[0].interval: there is a list where a single value belongs; write the value behind the key`,
		"listen-port":                 `@listen-port.yaml:2: scim.listen: "127.0.0.1:http" has no port number from 0 to 65535; write host:port (127.0.0.1:8880), unix:/path, or systemd`,
		"listen-unix-empty":           `@listen-unix-empty.yaml:2: scim.listen: the path is empty; write one`,
		"listen-unix-long":            `@listen-unix-long.yaml:2: scim.listen: the path "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is longer than the 107 bytes that a socket may have; use a shorter one, such as /run/scim-bridge/scim.sock`,
		"listen":                      `@listen.yaml:2: scim.listen: "8880" is no address to listen on; write host:port (127.0.0.1:8880), unix:/path, or systemd`,
		"managed-identity-client-id":  `@managed-identity-client-id.yaml:7: sources[0].client_id: the key has no meaning beside managed_identity; move it into managed_identity, or remove it`,
		"mapping-for-section":         `@mapping-for-section.yaml:9: sources[0].mapping: there is a single value where a section belongs; write its keys under it, one per line`,
		"mapping-groups-remove-empty": `@mapping-groups-remove-empty.yaml:9: sources[0].mapping.groups.remove: the list is empty; write attribute paths, or remove the key`,
		"mapping-list":                `@mapping-list.yaml:10: sources[0].mapping.userName: there is a list where a single value belongs; write the value behind the key`,
		"mapping-misspelt":            `@mapping-misspelt.yaml:9: sources[0].mapping.remov: the key is unknown; did you mean remove?`,
		"mapping-preset":              `@mapping-preset.yaml:9: sources[0].mapping.preset: "onelogin" is not known; write one of entra-default, okta, sailpoint`,
		"mapping-remove-empty":        `@mapping-remove-empty.yaml:9: sources[0].mapping.remove: the list is empty; write attribute paths, or remove the key`,
		"mapping-twice":               `@mapping-twice.yaml:11: sources[0].mapping.userName: the key is already on line 10; keep one of them`,
		"schema-attribute-without-name": `@schema-attribute-without-name.yaml:11: schemas[0].attributes[0].name: the key is missing; give it one
@schema-attribute-without-name.yaml:11: schemas[0].attributes[1].sub_attributes[0].name: the key is missing; give it one`,
		"schema-multivalued":        `@schema-multivalued.yaml:11: schemas[0].attributes[0].multiValued: the key is unknown; did you mean multi_valued?`,
		"schema-resource":           `@schema-resource.yaml:11: schemas[0].resource: "Device" is not known; write one of User, Group`,
		"schema-type":               `@schema-type.yaml:11: schemas[0].attributes[0].type: "text" is not known; write one of string, boolean, integer, decimal, dateTime, binary, reference, complex`,
		"schema-without-attributes": `@schema-without-attributes.yaml:10: schemas[0].attributes: the key is missing; declare at least one, as {name: …, type: string}`,
		"schema-without-urn":        `@schema-without-urn.yaml:10: schemas[0].urn: the key is missing; write one such as urn:example:params:scim:schemas:extension:acme:2.0:User`,
		"tables-deep":               `@tables-deep.yaml:10: tables.regions.DE: there is a list where a single value belongs; write the value behind the key`,
		"tables-empty-value":        `@tables-empty-value.yaml:10: tables.regions.DE: there is no value; give it one, or remove the key`,
		"tables-value":              `@tables-value.yaml:10: tables.regions: there is a single value where a table belongs; write 'key: value' lines under it`,
		"max-removed-fraction":      `@max-removed-fraction.yaml:9: sources[0].safeguard.max_removed: "0.1" is neither a share nor a number; write a share of what is served such as 10%, or a whole number`,
		"max-removed-share":         `@max-removed-share.yaml:9: sources[0].safeguard.max_removed: "110%" is no share from 0% to 100%; write a share of what is served such as 10%, or a whole number`,
		"merge-of-itself":           `@merge-of-itself.yaml:9: sources[0].users: sections are merged more than 32 deep; use fewer <<`,
		"merge-of-scalar":           `@merge-of-scalar.yaml:6: sources[0]: there is a single value behind <<; write <<: *anchor, with the anchor (&anchor) on a section`,
		"multi-line-value":          `@multi-line-value.yaml:9: sources[0].interval: the value has line breaks or control characters; write it on one line`,
		"nested":                    `@nested.yaml:9: sources[0].groups.nested: "hide" is not known; write one of members, flatten`,
		"no-clients":                `@no-clients.yaml:1: scim.clients: there is no client; add at least one, with a name and a token_file`,
		"no-colon":                  `@no-colon.yaml:9: the line is no 'key: value'; write a colon and a space after the key`,
		"no-pair":                   `@no-pair.yaml:8: sources[0].certificate_file: @okta.token and @contoso.secret are no pair: failed to find any PEM data in certificate input; put the certificate and its own key there, in PEM, the key not encrypted`,
		"no-sources":                `@no-sources.yaml:1: sources: there is no source; add at least one Microsoft tenant`,
		"no-value":                  `@no-value.yaml:9: sources[0].interval: there is no value; give it one, or remove the key`,
		"not-utf-8":                 `@not-utf-8.yaml:2: the file is not UTF-8 text; check that this is the right file, and save it as UTF-8`,
		"null-document":             `@null-document.yaml:1: the file is empty; start from config.example.yaml`,
		"oauth2-incomplete":         `@oauth2-incomplete.yaml:4: scim.clients[0].oauth2.client_id: the key is missing; write the client id that the platform will use`,
		"open-bracket":              `@open-bracket.yaml:9: a bracket that was opened is not closed; close it, or put the value in quotes`,
		"open-quote":                `@open-quote.yaml:10: a quote that was opened is not closed; close it`,
		"page-size-negative":        `@page-size-negative.yaml:2: scim.page_size.max: "-1" is no whole number from 0 to 2147483647; write digits only, such as 20`,
		"page-size-order":           `@page-size-order.yaml:2: scim.page_size.default: 100 is more than max, which is 50; lower it, or raise max`,
		"page-size-zero":            `@page-size-zero.yaml:2: scim.page_size.default: 0 is not from 1 to 1000000; write a number in between`,
		"public-url-missing":        `@public-url-missing.yaml:1: scim.public_url: the key is missing, and can't be made of scim.listen; write the URL that clients call, such as https://scim.example.com/scim/v2`,
		"public-url-query":          `@public-url-query.yaml:2: scim.public_url: "https://scim.example.com/?a=b" has a query or fragment; write one such as https://host/path`,
		"public-url-user":           `@public-url-user.yaml:2: scim.public_url: the URL has a user name or password in it; write one such as https://host/path`,
		"public-url":                `@public-url.yaml:2: scim.public_url: "scim.example.com" is no http or https URL; write one such as https://host/path`,
		"rate-of-source":            `@rate-of-source.yaml:9: sources[0].requests_per_second: 0 is no rate above 0 up to 1000000; remove the key for no limit`,
		"rate-text":                 `@rate-text.yaml:5: scim.clients[0].requests_per_second: "1e3" is no number; write one such as 50 or 0.5`,
		"rate-zero":                 `@rate-zero.yaml:5: scim.clients[0].requests_per_second: 0 is no rate above 0 up to 1000000; remove the key for no limit`,
		"scope-assigned-to-alone":   `@scope-assigned-to-alone.yaml:9: sources[0].assigned_to: the key has no meaning without scope: assigned; add that, or remove the key`,
		"scope-assigned-to":         `@scope-assigned-to.yaml:10: sources[0].assigned_to: "okta" is no application id; copy the Application (client) ID of the app registration's overview`,
		"scope-exclude-twice":       `@scope-exclude-twice.yaml:9: sources[0].users.exclude[1]: "a@b.example" is in the list already; remove it`,
		"scope-exclude":             `@scope-exclude.yaml:9: sources[0].users.exclude[0]: "breakglass" is neither an object id nor a userPrincipalName; write one such as ada@contoso.com, or the Object ID`,
		"scope-group-types":         `@scope-group-types.yaml:9: sources[0].groups.types[0]: "m365" is not known; write one of security, microsoft365, distribution, mail-enabled-security, cloud, synchronized`,
		"scope-guests":              `@scope-guests.yaml:9: sources[0].users.guests: "maybe" is not known; write one of include, exclude, only`,
		"scope-managed-identity":    `@scope-managed-identity.yaml:8: sources[0].scope: nobody can be assigned to a managed identity; write assigned_to: the application id of an Enterprise application`,
		"scope-member-of":           `@scope-member-of.yaml:9: sources[0].users.member_of[0]: "Engineering" is no object id; copy the Object ID from the group's overview`,
		"scope-unknown":             `@scope-unknown.yaml:9: sources[0].scope: "some" is not known; write one of all, assigned`,
		"scope-where-of-group":      `@scope-where-of-group.yaml:9:22: sources[0].groups.where: the expression is about a group, and speaks of a user; write group in place of user`,
		"scope-read":                `@scope-read.yaml:9: sources[0].users.read: "some" is not known; write one of all, filtered`,
		"scope-read-nothing":        `@scope-read-nothing.yaml:9: sources[0].users.read: Microsoft Graph can't tell by any of the rules whom to leave out; set users.guests, or begin users.where with a comparison such as user.department == "Sales" && …; or remove the key`,
		"scope-where-text":          `@scope-where-text.yaml:9:20: sources[0].users.where: the condition is a text, and not true or false; compare it with something, or ask has(user.NAME)`,
		"scope-where":               `@scope-where.yaml:9:25: sources[0].users.where: there is no property departmnt of user; did you mean department?`,
		"scope-where-block": `@scope-where-block.yaml:11:14: sources[0].users.where: there is no property departmnt of user; did you mean department?
@scope-where-block.yaml:12:19: sources[0].users.where: there is no property acountEnabled of user; did you mean accountEnabled?`,
		"second-document":   `@second-document.yaml:9: a second document begins; leave one document in the file: remove the line --- before it`,
		"secret-bom":        `@secret-bom.yaml:8: sources[0].client_secret_file: @bom.secret has a byte order mark or zero bytes; save it as UTF-8 without a byte order mark`,
		"secret-device":     `@secret-device.yaml:8: sources[0].client_secret_file: /dev/null can't be read: it is no regular file; write the secret into it, alone, and let the daemon's user read it`,
		"secret-directory":  `@secret-directory.yaml:8: sources[0].client_secret_file: @ can't be read: it is a directory; write the secret into it, alone, and let the daemon's user read it`,
		"secret-empty":      `@secret-empty.yaml:8: sources[0].client_secret_file: @empty.secret is empty; write the secret into it, alone`,
		"secret-missing":    `@secret-missing.yaml:8: sources[0].client_secret_file: @nowhere.secret can't be read: no such file or directory; write the secret into it, alone, and let the daemon's user read it`,
		"secret-newline":    `@secret-newline.yaml:8: sources[0].client_secret_file: @newline.secret is empty; write the secret into it, alone`,
		"secret-padded":     `@secret-padded.yaml:8: sources[0].client_secret_file: @padded.secret has blanks before or after the secret; write the secret into it, alone`,
		"secret-two-lines":  `@secret-two-lines.yaml:8: sources[0].client_secret_file: @two-lines.secret has more than one line; write the secret into it, alone`,
		"section-for-list":  `@section-for-list.yaml:5: sources: there is a section where a list belongs; put a '-' before each entry, or write [a, b]`,
		"sha256-of-nothing": "@sha256-of-nothing.yaml:4: scim.clients[0].token_sha256: the value is the SHA-256 of nothing; take it from `scim-bridge token`, or from `printf %s TOKEN | sha256sum`",
		"sha256-short":      "@sha256-short.yaml:4: scim.clients[0].token_sha256: the value is not the 64 hexadecimal digits of a SHA-256; take it from `scim-bridge token`, or from `printf %s TOKEN | sha256sum`",
		"source-name":       `@source-name.yaml:6: sources[0].name: "-contoso" is no name; write 1 to 63 lower-case letters, digits and hyphens, no hyphen first`,
		"source-twice":      `@source-twice.yaml:9: sources[1].name: the name contoso is taken by the one on line 6; choose another`,
		"tab":               `@tab.yaml:10: a tab is in the indentation; indent with spaces`,
		"tenant-common":     `@tenant-common.yaml:9: sources[0].tenant_id: "common" is no single tenant; leave the key out: the tenant is learnt when the administrator consents`,
		"tenant-is-client":  `@tenant-is-client.yaml:7: sources[0].client_id: the value is that of tenant_id; copy the Application (client) ID of the app registration's overview`,
		"tenant-twice":      `@tenant-twice.yaml:14: sources[1].tenant_id: the tenant is that of the source contoso, and the client okta would see everyone twice; remove one of the sources, or give each client 'sources' with one of them`,
		"tenant":            `@tenant.yaml:9: sources[0].tenant_id: "contoso" is neither a tenant id nor a domain; copy the Directory (tenant) ID of the app registration's overview`,
		"tls-half": `@tls-half.yaml:2: scim.tls.private_key_file: the key is missing; write the path of the certificate's private key
@tls-half.yaml:2: scim.tls.certificate_file: @tls.crt can't be read: no such file or directory; write a certificate into it, in PEM, and let the daemon's user read it`,
		"token-blank":           "@token-blank.yaml:4: scim.clients[0].token_file: @blank.token has characters that no bearer token can have; use letters, digits and -._~+/= only, or make one with `scim-bridge token`",
		"token-shared":          `@token-shared.yaml:6: scim.clients[1].token_file: the token is that of the client okta, too; give each its own`,
		"token-twice":           `@token-twice.yaml:6: scim.clients[0].tokens[1].token_file: the token is that of the client okta, too; give each its own`,
		"tokens-both":           `@tokens-both.yaml:5: scim.clients[0].tokens[0]: the entry has not exactly one of token_file and token_sha256; give each token a '-' of its own`,
		"tokens-empty":          `@tokens-empty.yaml:4: scim.clients[0].tokens: the list is empty; write at least one token_file or token_sha256`,
		"two-colons":            `@two-colons.yaml:9: a key is where none can be; put keys of one section under each other, and values that have ': ' in them in quotes`,
		"unknown-key-dash":      `@unknown-key-dash.yaml:9: sources[0].full-every: the key is unknown; did you mean full_every?`,
		"unknown-key-elsewhere": `@unknown-key-elsewhere.yaml:9: interval: the key is not known here; it belongs to sources[]`,
		"unknown-key-far":       `@unknown-key-far.yaml:9: sources[0].colour: the key is unknown; remove it; known here: assert, assigned_to, ca_file, certificate_file, client_id, client_secret_file, cloud, enabled, federated_token_file, full_every, graph_url, groups, interval, login_url, managed_identity, mapping, name, private_key_file, requests_per_second, safeguard, scope, tenant_id, users`,
		"unknown-key":           `@unknown-key.yaml:9: sources[0].intervall: the key is unknown; did you mean interval?`,
		"unknown-top":           `@unknown-top.yaml:9: source: the key is unknown; did you mean sources?`,
		"utf-16":                `@utf-16.yaml:1: the file is in UTF-16; save it as UTF-8`,
		"trusted-proxies-empty": `@trusted-proxies-empty.yaml:2: scim.trusted_proxies: the list is empty; write the proxies' addresses, or remove the key to trust none`,
		"value-for-list":        `@value-for-list.yaml:5: scim.clients[0].allow: there is a single value where a list belongs; put a '-' before each entry, or write [a, b]`,
		"value-for-section":     `@value-for-section.yaml:9: log: there is a single value where a section belongs; write its keys under it, one per line`,
		"variable-open":         `@variable-open.yaml:5: state.directory: "${HOME" is no environment variable; write ${NAME}`,
		"variable-unset":        `@variable-unset.yaml:5: state.directory: the environment variable SCIM_BRIDGE_UNSET is not set; set it, or write the path itself`,
		"zero-byte":             `@zero-byte.yaml:2: the file is not UTF-8 text; check that this is the right file, and save it as UTF-8`,
	}
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			want, ok := wants[name]
			if !ok {
				t.Fatalf("no message for %s in the table", file)
			}
			delete(wants, name)
			_, err := config.Load(file)
			if err == nil {
				t.Fatal("loaded without a fault")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/bad", "@")
			if diff := cmp.Diff(want, strings.ReplaceAll(got, "@/", "@")); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
	for name := range wants {
		t.Errorf("no file testdata/bad/%s.yaml", name)
	}
}
