package tests

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// The way of an administrator with a browser: what to list, Microsoft's page, the
// wait with its clock, what was granted; without a script of ours.
func TestConsentPagesInABrowser(t *testing.T) {
	wholeRun(t)
	w := newConsentWorld(t, smallCompany(95), func(a *graphtest.App) {
		a.Permissions = append(a.Permissions, "Organization.Read.All", "Directory.ReadWrite.All")
		a.Spread = graphtest.Spread{Delay: 3 * time.Second, Form: graphtest.SpreadNoRoles}
	})
	w.start()
	b := startBrowser(t)
	w.admin = strings.Replace(w.admin, "127.0.0.1", "localhost", 1)
	b.open("http://" + w.admin + "/")
	b.shows("waiting for consent", "Ask Microsoft for consent")
	b.picture("consent-waiting.png")
	b.click("what to list, or somebody else consents")
	b.shows("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6", "http://"+w.admin+"/consent/callback")
	b.picture("consent-overview.png")
	b.click("Ask Microsoft for consent")
	b.shows("Permissions requested", "Accept for your organization?")
	b.click("Accept")
	b.shows("waiting for it to arrive", "Waiting for", "Next look", "This page looks again by itself")
	b.picture("consent-spreading.png")
	b.shows("Consent is given", w.tenant.Name()+" has granted", "✓ yes", "Directory.ReadWrite.All is not needed, remove it", "users by delta")
	b.picture("consent-granted.png")
	w.ready()
	b.open("http://" + w.admin + "/")
	b.shows("up to date")
	b.click("Test API credentials")
	b.shows("Test of contoso", "✓", "memberships", "Test again")
	b.picture("consent-test.png")
}

// An administrator who declines sees why nothing came of it, and what to do.
func TestConsentDeclinedInABrowser(t *testing.T) {
	w := newConsentWorld(t, smallCompany(96), nil)
	w.start()
	b := startBrowser(t, "--force-dark-mode", "--blink-settings=preferredColorScheme=0")
	b.open("http://" + w.admin + "/consent/contoso")
	b.shows("Permissions requested")
	b.click("Cancel")
	b.shows("Consent was declined", "The administrator declined.", "What to do now", "Ask Microsoft again", "In Microsoft's words")
	b.picture("consent-declined-dark.png")
}

// A hand-off to an administrator whose browser reaches us, on a listener that
// asks for a token: the link alone opens the page, and nothing else.
func TestConsentHandedOffInABrowser(t *testing.T) {
	wholeRun(t)
	w := newConsentWorld(t, smallCompany(97), nil)
	// A name that is not this machine's own, as far as the program knows.
	public := "http://admin.localtest.example:" + w.admin[strings.Index(w.admin, ":")+1:]
	w.tenant.UpdateApp(w.tenant.clientID, func(a *graphtest.App) { a.RedirectURIs = []string{public + "/consent/callback"} })
	w.setSource()
	w.reconfigure("admin:\n", "admin:\n  public_url: "+public+"\n  token_file: admin.token\n")
	w.write("admin.token", "the-administrators-token")
	w.start()
	c := w.consent("--hand-off")
	link := c.until(`^\s+(` + regexp.QuoteMeta(public) + `/consent/ask/\S+)$`)
	b := startBrowser(t, "--host-resolver-rules=MAP admin.localtest.example 127.0.0.1")
	b.open(public + "/consent")
	b.shows("Token (the content of")
	b.open(link)
	b.shows("Your consent is asked for", "It only reads", "User.Read.All", w.tenant.clientID)
	b.picture("consent-ask.png")
	b.click("Continue to Microsoft")
	b.shows("Permissions requested")
	b.click("Cancel")
	b.shows("Consent was declined", "Open the link that you were sent once more")
	c.until(`✗ the administrator declined`)
	b.open(link)
	b.shows("Continue to Microsoft")
	b.click("Continue to Microsoft")
	b.shows("Permissions requested")
	b.click("Accept")
	b.shows("Consent is given")
	c.until(`is given and tested`)
	if code := c.end(); code != 0 {
		t.Errorf("the command ends with %d:\n%s", code, c.said)
	}
	b.open(link)
	b.shows("The link has expired", "Ask whoever sent it for a new one")
}

// The page where somebody else's answer is pasted.
func TestConsentPastedInABrowser(t *testing.T) {
	w := newConsentWorld(t, smallCompany(98), nil)
	w.start()
	b := startBrowser(t)
	b.open("http://" + w.admin + "/consent")
	b.shows("Somebody else consents")
	b.click("Somebody else consents")
	b.shows("Send this to", "Subject:", "Privileged Role", "Copy the whole address")
	b.picture("consent-handoff.png")
	text, err := b.eval("document.querySelector('pre').innerText")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(regexp.QuoteMeta(w.tenant.server.LoginURL()) + `/\S+`).FindString(text)
	back := w.decide(link, url.Values{"action": {"accept"}})
	if _, err := b.eval("document.getElementById('answer').value = " + quoted(back)); err != nil {
		t.Fatal(err)
	}
	b.click("Take this answer")
	b.shows("Consent is given")
	w.ready()
}
