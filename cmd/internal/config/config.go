// Package config is the configuration file of scim-bridge: its type, whose
// comments are the manual of its keys, the strict reading of it, the watching
// of it and of the files it names, and the comparison of two of its versions.
//
// [Load] reads everything that a generation of the daemon needs, secrets and
// certificates included, checks all of it and reports every fault at once, each
// with its line and a way to mend it. It has no side effect, and a [Config] is
// never changed after it.
//
// The package knows YAML and nothing of what is done with the values: it
// imports no other package of the module, and only those under cmd import it.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// DefaultPath is where the commands look for the file when not told otherwise.
const DefaultPath = "/etc/scim-bridge/config.yaml"

// MaxSize is the largest configuration file that is read, in bytes.
const MaxSize = 1 << 20

// A Config is one version of the configuration file.
//
// Unknown keys are faults. Durations are written as in Go ("30s", "5m",
// "24h"). Relative paths are relative to the directory of the file, and
// ${NAME} in a path is replaced by the environment variable of that name,
// which must be set: so ${CREDENTIALS_DIRECTORY}/contoso.secret reads a
// credential that systemd passed.
type Config struct {
	// SCIM is the endpoint that identity platforms import from.
	SCIM SCIM `yaml:"scim"`

	// Admin is the listener for the administrator: status page, consent,
	// health, metrics.
	Admin Admin `yaml:"admin"`

	// State is what is kept on disk.
	State State `yaml:"state"`

	// Sources are the Microsoft tenants that are pulled, at least one.
	Sources []Source `yaml:"sources"`

	// Schemas are extension schemas of one's own, for sources[].mapping.
	// Default: none.
	Schemas []ExtensionSchema `yaml:"schemas,omitempty"`

	// Tables are lookup tables by name, for the function lookup in the
	// expressions of every source. Default: none.
	Tables Tables `yaml:"tables,omitempty"`

	// Log is how much is logged, and how.
	Log Log `yaml:"log"`

	// File is the path of the file, as given to Load.
	File string `yaml:"-"`

	// Warnings are what is probably not meant but does not keep the file from
	// being used, in the order of the file.
	Warnings Faults `yaml:"-"`

	inputs []Input
	places map[string]place     // :: path of a setting -> where it stands
	texts  map[string]textPlace // :: path of a setting -> where its text stands
	lines  []string
}

// SCIM is the section scim.
type SCIM struct {
	// Listen is where the endpoint listens: host:port, unix:/path, or systemd
	// for a socket that systemd passes. An empty host is every address of the
	// machine. Default 127.0.0.1:8880. A change needs a restart.
	Listen Listen `yaml:"listen"`

	// PublicURL is the base URL that clients call, as they call it: it is
	// in every meta.location. http or https, without a trailing slash (one is
	// dropped). Default http://LISTEN/scim/v2, https with tls; where listen is
	// unix or systemd there is no default, and to leave it out is a fault. With
	// port 0 in listen the default carries port 0, too.
	PublicURL string `yaml:"public_url"`

	// TLS makes the endpoint speak HTTPS. Default: plain HTTP, for a listener
	// on the loopback address or behind a proxy; elsewhere that is a warning.
	TLS *TLS `yaml:"tls,omitempty"`

	// PublicDiscovery lets anyone read ServiceProviderConfig, ResourceTypes and
	// Schemas without a token, as RFC 7644 §4 recommends: they tell nothing of
	// the people. Default true.
	PublicDiscovery bool `yaml:"public_discovery"`

	// CursorPaging offers paging by cursor (RFC 9865) beside paging by index, and
	// says so in ServiceProviderConfig. Some importers can't read a
	// ServiceProviderConfig that does, among them those built on the UnboundID SCIM
	// 2 SDK before 5.0; for them set it to false. A request with a cursor is then
	// refused. Default true.
	CursorPaging bool `yaml:"cursor_paging"`

	// TrustedProxies are the addresses of proxies in front of the endpoint:
	// networks and plain addresses. A request from one of them counts as coming
	// from the last address in its X-Forwarded-For that is not among them; so
	// clients[].allow and the slowing of wrong credentials work on the real
	// address. The peer of a Unix socket counts as 127.0.0.1. Default: none, and
	// the header is not looked at. An empty list is a fault.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies,omitempty"`

	// PageSize is how many resources a page of a list has.
	PageSize PageSize `yaml:"page_size"`

	// SourceAttribute has each user and group carry the name of its source, in an
	// extension schema (docs/scim.md), so that clients can tell tenants apart
	// and filter by them. Default false.
	SourceAttribute bool `yaml:"source_attribute"`

	// DuplicateUserNames is what becomes of a change by which two people, of one
	// source or of two, would have one userName, which has to be unique (RFC
	// 7643 §4.1.1): report serves both and tells it in log, status, metrics and
	// on the page; hold keeps the round that would bring it until it is
	// approved. Nobody is left out, nor renamed, by either. Default report.
	DuplicateUserNames NameRule `yaml:"duplicate_user_names"`

	// Clients are the programs that may import, at least one.
	Clients []Client `yaml:"clients"`
}

// TLS is the section scim.tls. The files are read when the configuration is
// loaded, and again when they change.
type TLS struct {
	// CertificateFile is the server's certificate in PEM, followed by the
	// intermediate ones. Needed. One that has expired is a warning.
	CertificateFile File `yaml:"certificate_file"`

	// PrivateKeyFile is the key of the certificate in PEM, not encrypted.
	// Needed. One that belongs to another certificate is a fault.
	PrivateKeyFile SecretFile `yaml:"private_key_file"`

	// ClientCAFile holds certificates in PEM; if given, clients must present a
	// certificate signed by one of them, besides their token. Default: none
	// is asked for.
	ClientCAFile File `yaml:"client_ca_file,omitempty"`
}

// PageSize is the section scim.page_size.
type PageSize struct {
	// Default is how many resources are returned when a client asks for no
	// number: 1 to max, default 1000 (or max, where that is less). It is large
	// on purpose: some platforms read one answer only.
	Default int `yaml:"default"`

	// Max is how many resources are returned at most, whatever was asked:
	// 1 to 1000000, default 5000 (or default, where that is more).
	Max int `yaml:"max"`
}

// A Client is one of scim.clients: a program that may import. It needs a way to
// prove itself: one of token_file, token_sha256 and tokens, or basic, or
// oauth2, or jwt, or several of the four.
type Client struct {
	// Name is the client's name in logs, metrics and pages: lower-case
	// letters, digits and hyphens, at most 63, no two clients alike. Needed.
	Name string `yaml:"name"`

	// TokenFile holds the client's bearer token, alone. Only its hash is kept
	// in memory. One shorter than 16 characters is a warning.
	TokenFile HashedFile `yaml:"token_file,omitempty"`

	// TokenSHA256 is the SHA-256 of the client's bearer token in hexadecimal,
	// for those who want no token on the machine.
	TokenSHA256 Digest `yaml:"token_sha256,omitempty"`

	// Tokens are several bearer tokens that are valid at once, for changing
	// them without a gap. At least one, if given.
	Tokens []Token `yaml:"tokens,omitempty"`

	// Basic lets the client use HTTP Basic. Default: not.
	Basic *Basic `yaml:"basic,omitempty"`

	// OAuth2 lets the client fetch tokens by client credentials at
	// /oauth2/token. Default: not.
	OAuth2 *OAuth2 `yaml:"oauth2,omitempty"`

	// JWT lets the client use access tokens that an authorization server of
	// its own signs. Default: not.
	JWT *JWT `yaml:"jwt,omitempty"`

	// Allow are the addresses that the client may call from: networks
	// (203.0.113.0/24) and plain addresses. Default: any. An empty list is a
	// fault, so that nothing is opened by deleting lines.
	Allow []netip.Prefix `yaml:"allow,omitempty"`

	// Sources are the names of the sources that the client sees. Default: all.
	// An empty list is a fault. A list that becomes shorter takes nobody from
	// the client whom it was shown, until "scim-bridge approve --client NAME".
	Sources []string `yaml:"sources,omitempty"`

	// RequestsPerSecond is how many requests the client may make per second on
	// average, above 0; 0.5 is one in two seconds. Default: no limit, which is
	// 0 here.
	RequestsPerSecond float64 `yaml:"requests_per_second,omitempty"`

	// Line is where the client begins in the file.
	Line int `yaml:"-"`
}

// A Token is one of scim.clients[].tokens: exactly one of its two keys.
type Token struct {
	// File holds the bearer token, alone.
	File HashedFile `yaml:"token_file,omitempty"`

	// SHA256 is the SHA-256 of the bearer token in hexadecimal.
	SHA256 Digest `yaml:"token_sha256,omitempty"`
}

// Basic is the section scim.clients[].basic (RFC 7617).
type Basic struct {
	// Username is the user-id, without a colon, no two clients alike. Needed.
	Username string `yaml:"username"`

	// PasswordFile holds the password, alone. Needed. Only its hash is kept in
	// memory.
	PasswordFile HashedFile `yaml:"password_file"`
}

// OAuth2 is the section scim.clients[].oauth2 (RFC 6749 §4.4, with us as the
// authorization server).
type OAuth2 struct {
	// ClientID is the client identifier, no two clients alike. Needed.
	ClientID string `yaml:"client_id"`

	// ClientSecretFile holds the client secret, alone. Needed. Only its hash
	// is kept in memory.
	ClientSecretFile HashedFile `yaml:"client_secret_file"`
}

// JWT is the section scim.clients[].jwt (RFC 7519, RFC 9068): which tokens of
// another issuer are the client's. They are signed with RS, PS or ES and 256, 384
// or 512, or with EdDSA, and have an end. Clocks may be a minute apart.
type JWT struct {
	// Issuer is the claim iss, to the letter: an https URL (http for this
	// machine only). Needed.
	Issuer string `yaml:"issuer"`

	// Audience must be in the claim aud. Needed: without it the issuer's tokens
	// for any other service would be good here.
	Audience string `yaml:"audience"`

	// Subject is the claim sub. This or claims is needed: many issuers give
	// anybody a token for any audience.
	Subject string `yaml:"subject,omitempty"`

	// Claims must all be there. At least one, if given.
	Claims []JWTClaim `yaml:"claims,omitempty"`

	// JWKSURL is where the issuer publishes its keys, by https. Default: found
	// by the issuer's discovery document (OpenID Connect Discovery, RFC 8414).
	JWKSURL string `yaml:"jwks_url,omitempty"`
}

// A JWTClaim is one of scim.clients[].jwt.claims.
type JWTClaim struct {
	// Claim is the claim's name, such as azp, appid, client_id, roles or scope.
	// Needed.
	Claim string `yaml:"claim"`

	// Value is what the claim must be, or have in it where it is a list or, in
	// scope and scp, words. Needed.
	Value string `yaml:"value"`
}

// Admin is the section admin.
type Admin struct {
	// Listen is where the administrator's pages listen, written like
	// scim.listen. Default 127.0.0.1:8881. One that others can reach (neither
	// loopback nor unix) without token_file is a fault. A change needs a
	// restart.
	Listen Listen `yaml:"listen"`

	// PublicURL is where the administrator's browser finds the pages; the
	// redirect URI to register with Microsoft is this and /consent/callback.
	// Microsoft takes http for the host localhost only; anything else with
	// http is a warning. Default http://localhost:PORT where listen is a
	// loopback address, http://LISTEN elsewhere; empty where listen is unix or
	// systemd, and then there are no consent pages.
	PublicURL string `yaml:"public_url,omitempty"`

	// TokenFile holds the token that the pages ask for. Default: none is
	// needed, which only a loopback or unix listener allows.
	TokenFile HashedFile `yaml:"token_file,omitempty"`
}

// State is the section state.
type State struct {
	// Directory is where objects, cursors, consents and published pictures are
	// kept. They are personal data: the directory should be readable by the
	// daemon's user only. Default /var/lib/scim-bridge. A change needs a
	// restart.
	Directory Path `yaml:"directory"`

	// KeepGenerations is how many published pictures are kept for diff and
	// rollback: 1 to 10000, default 20.
	KeepGenerations int `yaml:"keep_generations"`
}

// A Source is one of sources: a Microsoft tenant. An enabled one needs a
// client_id and exactly one kind of credential: client_secret_file,
// certificate_file with private_key_file, federated_token_file, or
// managed_identity (which brings its own client_id).
type Source struct {
	// Name is the source's name in commands, logs, metrics, pages and state:
	// lower-case letters, digits and hyphens, at most 63, no two alike. Needed.
	// A source that gets another name is a new one and is read anew.
	Name string `yaml:"name"`

	// Enabled is whether the tenant is pulled. With false the last good
	// picture stays served, and credentials may be missing. Default true.
	Enabled bool `yaml:"enabled"`

	// TenantID is the tenant: its id or one of its domains. Default: learnt
	// when the administrator consents. Two sources of one tenant that one
	// client sees are a fault, as every id would be there twice.
	TenantID string `yaml:"tenant_id,omitempty"`

	// ClientID is the application (client) id of the app registration.
	ClientID string `yaml:"client_id,omitempty"`

	// ClientSecretFile holds the value (not the id) of a client secret of the
	// app registration, alone.
	ClientSecretFile SecretFile `yaml:"client_secret_file,omitempty"`

	// CertificateFile is a certificate in PEM that the app registration knows;
	// it signs the assertion that stands in for a secret. With
	// private_key_file. One that has expired is a warning.
	CertificateFile File `yaml:"certificate_file,omitempty"`

	// PrivateKeyFile is the key of the certificate in PEM, not encrypted.
	PrivateKeyFile SecretFile `yaml:"private_key_file,omitempty"`

	// FederatedTokenFile is where the platform keeps a token for workload
	// identity federation (in Azure Kubernetes ${AZURE_FEDERATED_TOKEN_FILE}).
	// It must be there when the file is loaded; it is read at each use and not
	// watched, since it is replaced all the time.
	FederatedTokenFile Path `yaml:"federated_token_file,omitempty"`

	// ManagedIdentity uses the identity of the Azure machine or container.
	ManagedIdentity *ManagedIdentity `yaml:"managed_identity,omitempty"`

	// Cloud is Microsoft's cloud: global, usgov (GCC High, L4), dod (L5) or
	// china (21Vianet). Default global.
	Cloud Cloud `yaml:"cloud"`

	// LoginURL is the base URL that tokens are fetched from. Default: that of
	// the cloud. Overridden for tests and proxies only.
	LoginURL string `yaml:"login_url"`

	// GraphURL is the base URL of Microsoft Graph, without version. Default:
	// that of the cloud. Tokens are sent there: http to another machine is a
	// warning.
	GraphURL string `yaml:"graph_url"`

	// CAFile holds certificates of authorities in PEM that are trusted for
	// LoginURL and GraphURL besides those of the system: for a proxy that looks
	// into TLS. Default: none.
	CAFile File `yaml:"ca_file,omitempty"`

	// Interval is the time between two rounds: 1s to 144h (a delta cursor dies
	// after seven days), default 5m.
	Interval time.Duration `yaml:"interval"`

	// FullEvery is the time between two full reads, which are compared with
	// what the deltas gave: not below interval. Default 24h (or interval,
	// where that is more).
	FullEvery time.Duration `yaml:"full_every"`

	// RequestsPerSecond is how many requests to Microsoft Graph the source may
	// make per second, retries included, so that other programs with the same
	// app registration keep their share of its limits. Above 0; 0.5 is one in
	// two seconds. Default: no limit but Microsoft's, which is 0 here.
	RequestsPerSecond float64 `yaml:"requests_per_second,omitempty"`

	// Scope is all, or assigned: only users and groups that are assigned to the
	// Enterprise application in Entra, and direct members of such groups. It
	// needs the permission Application.Read.All. Default all.
	Scope Scope `yaml:"scope"`

	// AssignedTo is the application (client) id of the Enterprise application
	// that scope: assigned speaks of. Default: client_id.
	AssignedTo string `yaml:"assigned_to,omitempty"`

	// Users is which users are served.
	Users Users `yaml:"users"`

	// Groups is which groups are served.
	Groups Groups `yaml:"groups"`

	// Safeguard is how many may vanish in one round.
	Safeguard Safeguard `yaml:"safeguard"`

	// Mapping is how users and groups of Graph become SCIM resources, where not
	// by the default mapping of docs/mapping.md.
	Mapping Mapping `yaml:"mapping,omitempty"`

	// Assert are conditions that a picture must meet to be published; one that
	// it does not meet holds the round. Default: none.
	Assert []Assertion `yaml:"assert,omitempty"`

	// Line is where the source begins in the file.
	Line int `yaml:"-"`
}

// ManagedIdentity is the section sources[].managed_identity. It may be empty
// ({}), which is the system-assigned identity.
type ManagedIdentity struct {
	// ClientID is the client id of a user-assigned identity. Default: the
	// system-assigned one.
	ClientID string `yaml:"client_id,omitempty"`
}

// Users is the section sources[].users.
type Users struct {
	// Guests is whether guest users are served: include, exclude, or only
	// (nobody else is). true and false are include and exclude. Default
	// include.
	Guests Guests `yaml:"guests"`

	// Disabled is whether accounts that are off are served, with active=false.
	// Default true; with false they are left out.
	Disabled bool `yaml:"disabled"`

	// LicensedOnly leaves out users without any licence. Default false.
	LicensedOnly bool `yaml:"licensed_only"`

	// MemberOf are object ids of groups: only users who are in one of them,
	// directly or through other groups, are served. The groups are read for it,
	// with groups.enabled or without. Default, and of an empty list: everybody.
	MemberOf []string `yaml:"member_of,omitempty"`

	// Exclude are object ids or userPrincipalNames of users who are not served.
	// Default: none.
	Exclude []string `yaml:"exclude,omitempty"`

	// Where is an expression in CEL over the Graph object, called user, that
	// has to be true of a user who is served. Default: it is.
	Where Expression `yaml:"where,omitempty"`

	// Read is what a full read asks Microsoft for: all users, or filtered, those
	// whom guests and the comparisons of where don't leave out (docs/scope.md
	// tells which, and what it costs). The rules decide in the same way with
	// either. Default all.
	Read Read `yaml:"read"`

	// KeepRemoved is how long a removed user stays as active=false, so that
	// platforms deactivate the account properly. Default 720h; 0s removes at
	// once.
	KeepRemoved time.Duration `yaml:"keep_removed"`
}

// Groups is the section sources[].groups.
type Groups struct {
	// Enabled is whether groups are read and served. Default true. It may be
	// turned on at any time.
	Enabled bool `yaml:"enabled"`

	// Types narrows the groups to those of one of the types security,
	// microsoft365, distribution, mail-enabled-security; and, with cloud or
	// synchronized among them, to those of that origin. Default, and of an
	// empty list: all groups.
	Types []GroupType `yaml:"types,omitempty"`

	// Exclude are object ids of groups that are not served. Default: none.
	Exclude []string `yaml:"exclude,omitempty"`

	// Where is an expression in CEL over the Graph object, called group, that
	// has to be true of a group that is served. Default: it is.
	Where Expression `yaml:"where,omitempty"`

	// Nested is what becomes of a group in a group: "members" shows it as a
	// member of type Group, "flatten" its users, and those of the groups in it,
	// as members. Default members.
	Nested Nested `yaml:"nested"`
}

// Safeguard is the section sources[].safeguard.
type Safeguard struct {
	// MaxRemoved is how many users (or groups, counted apart) may disappear or
	// turn inactive in one round: a share of what is served ("10%") or a
	// number. A round above it is held until it is approved. Default 10%.
	MaxRemoved Limit `yaml:"max_removed"`

	// Floor is so few that a share never holds them. Default 5.
	Floor int `yaml:"floor"`
}

// An Assertion is one of sources[].assert. It has exactly one of must_exist,
// users, groups and group; with group at least one of members and max_removed.
type Assertion struct {
	// MustExist are user names that must be there and active.
	MustExist []string `yaml:"must_exist,omitempty"`

	// Users is how many users there must be, such as 9000..13000 or ">= 100".
	Users *Range `yaml:"users,omitempty"`

	// Groups is how many groups there must be, written like users.
	Groups *Range `yaml:"groups,omitempty"`

	// Group is the display name of a group that must be there.
	Group string `yaml:"group,omitempty"`

	// Members is how many members the group must have, written like users.
	Members *Range `yaml:"members,omitempty"`

	// MaxRemoved is how many members the group may lose in one round, written
	// like safeguard.max_removed.
	MaxRemoved *Limit `yaml:"max_removed,omitempty"`

	// Line is where the assertion begins in the file.
	Line int `yaml:"-"`
}

// Log is the section log.
type Log struct {
	// Level is the least that is logged: debug, info, warn or error. Default
	// info. Personal data is logged at debug only, secrets never.
	Level slog.Level `yaml:"level"`

	// Format is auto, text or json. Default auto: for the journal where stderr
	// is the journal, text elsewhere.
	Format LogFormat `yaml:"format"`
}

// setDefaults sets what holds where the file says nothing. The defaults that
// depend on other settings (public URLs, Microsoft's URLs) are set by check.
func (c *Config) setDefaults() {
	*c = Config{
		SCIM: SCIM{
			Listen:   Listen{Network: "tcp", Address: "127.0.0.1:8880"},
			PageSize: PageSize{Default: 1000, Max: 5000}, PublicDiscovery: true, CursorPaging: true, DuplicateUserNames: NamesReport,
		},
		Admin: Admin{Listen: Listen{Network: "tcp", Address: "127.0.0.1:8881"}},
		State: State{Directory: "/var/lib/scim-bridge", KeepGenerations: 20},
		Log:   Log{Level: slog.LevelInfo, Format: FormatAuto},
	}
}

// setDefaults sets what holds for a source where the file says nothing.
func (s *Source) setDefaults() {
	*s = Source{
		Enabled:   true,
		Cloud:     CloudGlobal,
		Interval:  5 * time.Minute,
		FullEvery: 24 * time.Hour,
		Scope:     ScopeAll,
		Users:     Users{Guests: GuestsInclude, Disabled: true, Read: ReadAll, KeepRemoved: 720 * time.Hour},
		Groups:    Groups{Enabled: true, Nested: NestedMembers},
		Safeguard: Safeguard{MaxRemoved: Limit{Percent: 10, Relative: true}, Floor: 5},
	}
}

func (s *Source) setLine(n int)    { s.Line = n }
func (c *Client) setLine(n int)    { c.Line = n }
func (a *Assertion) setLine(n int) { a.Line = n }
