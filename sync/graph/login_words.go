package graph

// loginWords says for Microsoft's error numbers what happened and what to do
// next.
var loginWords = map[int]string{
	7000215: "the client secret is wrong; the secret's value is needed, not its id: make a new one under Certificates & secrets",
	7000222: "the client secret has expired; make a new one under Certificates & secrets and reload",
	7000218: "the request had no credential; this is a fault of this program, please report it",

	700027: wrongCertificate,
	700030: wrongCertificate,
	50012:  wrongCertificate,
	700024: wrongClock,
	500133: wrongClock,

	70021:  wrongFederation,
	700211: wrongFederation,
	700212: wrongFederation,
	700213: wrongFederation,

	700016:  "the application was not found in the tenant; check client_id and tenant_id, or consent has not been given there yet: open the consent link",
	7000229: "the application is not yet in the tenant; an administrator has to consent first: open the consent link",
	7000112: "the application is disabled; enable it under Enterprise applications",
	90002:   "the tenant was not found; check tenant_id and the cloud",
	900023:  "the tenant id is malformed; it is a GUID or a domain name",
	90038:   wrongCloud,
	900432:  wrongCloud,
	900382:  wrongCloud,
	500011:  "Graph was not found in the tenant; check the cloud and the Graph address",

	53003:  blockedByPolicy,
	530032: blockedByPolicy,
	500021: "the network's tenant restrictions forbid this tenant; the network's administrator has to allow it",
	500022: "the network's tenant restrictions forbid this tenant; the network's administrator has to allow it",

	65001:  notConsented,
	650052: notConsented,
	650056: notConsented,
	65004:  "the administrator declined; ask again, and say what is asked for and why",
	90093:  notAdministrator,
	90094:  notAdministrator,
	90095:  notAdministrator,
	50011:  wrongRedirect,
	900971: wrongRedirect,
	70004:  wrongRedirect,
	50020:  "the account belongs to another tenant; sign in with one of this tenant",
	16000:  "the account belongs to another tenant; sign in with one of this tenant",

	90033: microsoftsFault,
	90090: microsoftsFault,
	50196: microsoftsFault,
}

const (
	wrongCertificate = "the certificate is not the application's; upload it to the app registration, under Certificates & secrets"
	wrongClock       = "the assertion is outside its time; check this machine's clock"
	wrongFederation  = "no federated credential of the app registration matches; compare issuer, subject and audience"
	wrongCloud       = "the tenant belongs to another national cloud; set cloud accordingly"
	blockedByPolicy  = "a Conditional Access policy for workload identities forbids it; the sign-in logs name the policy, which has to allow this address"
	notConsented     = "an administrator has not consented to the permissions; open the consent link"
	notAdministrator = "who signed in may not consent; a Privileged Role Administrator or a Global Administrator has to"
	wrongRedirect    = "the redirect URI is not registered; register exactly this one in the app registration, under Authentication"
	microsoftsFault  = "a fault on Microsoft's side; it is tried again"
)
