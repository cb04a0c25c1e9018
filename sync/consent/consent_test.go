package consent_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"scimbridge/sync/consent"
	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
)

const (
	graphURL = "https://graph.microsoft.com"
	loginURL = "https://login.microsoftonline.com"
	redirect = "http://localhost:8881/consent/callback"
)

// newApp registers an application in a small tenant.
func newApp(t *testing.T, change func(*graphtest.App)) (*graphtest.Tenant, consent.App) {
	t.Helper()
	tenant := graphtest.NewCompany(graphtest.Options{Seed: 1}, 20, 4)
	registration := graphtest.App{
		Secret: "s3cret", Consented: true, Permissions: []string{"User.Read.All", "GroupMember.Read.All"}, RedirectURIs: []string{redirect},
	}
	if change != nil {
		change(&registration)
	}
	id := tenant.AddApp(registration)
	return tenant, consent.App{
		Source: "contoso", RedirectURI: redirect, Wants: consent.Wants{Groups: true},
		Graph: graph.Config{
			GraphURL: graphURL, LoginURL: loginURL, TenantID: tenant.ID(), ClientID: id, Credential: graph.ClientSecret("s3cret"),
			HTTPClient: &http.Client{Transport: graphtest.NewServer(tenant).Transport()},
		},
	}
}

// The test finds what is wrong, and says what to do about it.
func TestCheck(t *testing.T) {
	for name, x := range map[string]struct {
		registration func(*graphtest.App)
		tenant       func(*graphtest.Tenant)
		app          func(*consent.App)
		step, detail string // of the first fault; empty: all is well
		mend         string
	}{
		"all is well": {},
		"a wrong secret": {
			app:  func(a *consent.App) { a.Graph.Credential = graph.ClientSecret("wrong") },
			step: "token", detail: "7000215",
		},
		"no tenant": {
			app:  func(a *consent.App) { a.Graph.TenantID = "" },
			step: "tenant", mend: "tenant_id",
		},
		"groups are not granted": {
			registration: func(a *graphtest.App) { a.Permissions = []string{"User.Read.All"} },
			step:         "permissions", detail: "GroupMember.Read.All", mend: "add GroupMember.Read.All",
		},
		"Graph is not reached": {
			app: func(a *consent.App) {
				a.Graph.HTTPClient = &http.Client{Transport: refuse{}}
			},
			step: "reach login", mend: "HTTPS_PROXY",
		},
		"a property that the tenant does not have": {
			app: func(a *consent.App) {
				a.Graph.Select = map[graph.Kind][]string{graph.Users: {"displayName", "ext1a2b3c4d_course"}}
			},
			step: "users", detail: "ext1a2b3c4d_course", mend: "the tenant has no such property",
		},
		"users are refused all the same": {
			tenant: func(t *graphtest.Tenant) { t.Inject(graphtest.Denied().On("users").Forever()) },
			step:   "users", mend: "API permissions",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tenant, app := newApp(t, x.registration)
			if x.tenant != nil {
				x.tenant(tenant)
			}
			if x.app != nil {
				x.app(&app)
			}
			report := consent.Check(t.Context(), app)
			if x.step == "" {
				if !report.OK() || len(report.Steps) < 8 {
					t.Errorf("steps are %+v", report.Steps)
				}
				return
			}
			for _, s := range report.Steps {
				if s.OK {
					continue
				}
				if s.Name != x.step || !strings.Contains(s.Detail, x.detail) || !strings.Contains(s.Mend, x.mend) || s.Mend == "" {
					t.Errorf("the first fault is %+v", s)
				}
				return
			}
			t.Errorf("no fault in %+v", report.Steps)
		})
	}
}

// refuse is a network that lets nothing through.
type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrHandlerTimeout }

// What is granted beyond what is needed is named, with the narrower choice.
func TestSurplusIsNamed(t *testing.T) {
	_, app := newApp(t, func(a *graphtest.App) { a.Permissions = []string{"Directory.Read.All", "Group.ReadWrite.All"} })
	report := consent.Check(t.Context(), app)
	if !report.OK() {
		t.Fatalf("steps are %+v", report.Steps)
	}
	for _, s := range report.Steps {
		if s.Name == "permissions" {
			for _, want := range []string{"Directory.Read.All is broader than needed", "User.Read.All", "Group.ReadWrite.All"} {
				if !strings.Contains(s.Mend, want) {
					t.Errorf("%q does not say %q", s.Mend, want)
				}
			}
		}
	}
}

// The lines for a managed identity are run by a shell, with the Azure CLI played:
// each permission is granted to the identity, on Microsoft Graph of its cloud.
func TestCommands(t *testing.T) {
	const az = `az() {
  case "$*" in
    *00000003-0000-0000-c000-000000000000*) echo graph-object;;
    "ad sp "*) echo identity-object;;
    "rest --method POST --url https://graph.microsoft.us/v1.0/servicePrincipals/identity-object/appRoleAssignments --body "*) shift 6; echo "$*";;
    "cloud set --name AzureUSGovernment"|"login "*) ;;
    *) echo "az does not know $*"; exit 1;;
  esac
}
`
	wants := consent.Wants{Groups: true, HiddenMembers: true}
	for _, id := range []string{"", "7d2e0000-1111-4222-8333-444455556666"} {
		lines := consent.Commands(consent.App{Wants: wants, Graph: graph.Config{GraphURL: "https://graph.microsoft.us", Credential: graph.ManagedIdentity{ClientID: id}}})
		out, err := exec.CommandContext(t.Context(), "sh", "-euc", az+lines).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, out, lines)
		}
		dec := json.NewDecoder(strings.NewReader(string(out)))
		for _, p := range consent.Required(wants) {
			var body map[string]string
			err := dec.Decode(&body)
			if err != nil || body["principalId"] != "identity-object" || body["resourceId"] != "graph-object" || body["appRoleId"] != p.ID {
				t.Errorf("for %s the lines send %v, %v:\n%s", p.Name, body, err, out)
			}
		}
		if dec.More() {
			t.Errorf("the lines send more than what is needed:\n%s", out)
		}
	}
	if lines := consent.Commands(consent.App{Wants: wants, Graph: graph.Config{Credential: graph.ClientSecret("s")}}); lines != "" {
		t.Errorf("an app registration gets lines:\n%s", lines)
	}
}
