package graphtest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// NewCompany makes a tenant with a believable company in it: that many users
// and groups, the same ones for the same seed. No delta query tells of their
// creation: they were always there.
//
// Of the users, about 1 in 12 is a guest (#EXT#), 1 in 25 has left
// (accountEnabled false), 1 in 33 is a shared mailbox or a room (no given name
// or surname), and 1 in 40 has no mail. All others are employees in a tree of
// managers under one chief executive, with names from some twenty cultures.
// Group 0 is "All staff"; 1 in 12 groups has groups as members.
func NewCompany(opts Options, users, groups int) *Tenant {
	t := NewTenant(opts)
	t.mu.Lock()
	defer t.mu.Unlock()
	g := &generator{t: t, r: rand.New(rand.NewPCG(t.opts.Seed, streamCompany)), taken: make(map[string]int, users),
		teams: make([][]uint32, len(departments)), sites: make([][]uint32, len(offices))}
	g.epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range users {
		g.user(i)
	}
	g.extras()
	for i := range groups {
		g.makeGroup(i, groups)
	}
	return t
}

// generator holds what is known of the company while it grows.
type generator struct {
	t     *Tenant
	r     *rand.Rand
	epoch time.Time
	taken map[string]int // mail nickname -> how often it was asked for
	teams [][]uint32     // department -> employees
	sites [][]uint32     // office -> employees
	staff []uint32       // all employees at work
	other []uint32       // devices, service principals, contacts
	made  []uint32       // groups so far
	boss  uint32         // the chief executive, + 1
	value []byte         // scratch
	data  []byte         // scratch: the object being packed
}

type department struct {
	name   string
	weight int
	titles [4]string // head, lead, senior, plain
}

var departments = []department{
	{"Engineering", 22, [4]string{"Chief Technology Officer", "Engineering Manager", "Senior Engineer", "Engineer"}},
	{"Sales", 16, [4]string{"Chief Revenue Officer", "Regional Sales Manager", "Senior Account Manager", "Account Manager"}},
	{"Customer Support", 14, [4]string{"VP Customer Support", "Support Team Lead", "Senior Support Specialist", "Support Specialist"}},
	{"Manufacturing", 14, [4]string{"Chief Operating Officer", "Shift Manager", "Senior Technician", "Technician"}},
	{"Logistics", 8, [4]string{"VP Logistics", "Warehouse Manager", "Senior Dispatcher", "Dispatcher"}},
	{"Finance", 6, [4]string{"Chief Financial Officer", "Finance Manager", "Senior Accountant", "Accountant"}},
	{"Human Resources", 4, [4]string{"Chief People Officer", "HR Manager", "Senior HR Partner", "HR Partner"}},
	{"Marketing", 6, [4]string{"Chief Marketing Officer", "Marketing Manager", "Senior Campaign Manager", "Campaign Manager"}},
	{"IT", 6, [4]string{"Chief Information Officer", "IT Manager", "Senior Systems Administrator", "Systems Administrator"}},
	{"Legal", 2, [4]string{"General Counsel", "Lead Counsel", "Senior Counsel", "Paralegal"}},
	{"Research & Development", 2, [4]string{"VP Research", "Research Lead", "Principal Scientist", "Scientist"}},
}

var departmentWeights = func() []int {
	var w []int
	for _, d := range departments {
		w = append(w, d.weight)
	}
	return w
}()

type office struct {
	city, state, country, code, postal, street, phone string
}

var offices = []office{
	{"Amsterdam", "Noord-Holland", "Netherlands", "NL", "1012 AB", "Prins Hendrikkade 10", "+31 20 555"},
	{"Portland", "OR", "United States", "US", "97204", "220 SW Alder Street", "+1 503 555"},
	{"München", "Bayern", "Germany", "DE", "80331", "Sendlinger Straße 7", "+49 89 555"},
	{"Lyon", "Auvergne-Rhône-Alpes", "France", "FR", "69002", "18 rue de la République", "+33 4 5555"},
	{"Kraków", "Małopolskie", "Poland", "PL", "31-042", "Rynek Główny 12", "+48 12 555"},
	{"São Paulo", "SP", "Brazil", "BR", "01310-100", "Avenida Paulista 1000", "+55 11 5555"},
	{"東京", "東京都", "Japan", "JP", "100-0005", "丸の内 2-4-1", "+81 3 5555"},
	{"Bengaluru", "Karnataka", "India", "IN", "560001", "12 Residency Road", "+91 80 5555"},
	{"Lagos", "Lagos", "Nigeria", "NG", "101241", "3 Marina Road", "+234 1 555"},
	{"Manchester", "Greater Manchester", "United Kingdom", "GB", "M1 1AE", "40 Piccadilly", "+44 161 555"},
	{"İstanbul", "İstanbul", "Türkiye", "TR", "34433", "İstiklal Caddesi 88", "+90 212 555"},
	{"Malmö", "Skåne", "Sweden", "SE", "211 20", "Stora Nygatan 5", "+46 40 555"},
}

// put packs one property of the object being made.
func (g *generator) put(k kind, name string, value any) {
	c := g.t.cats[k]
	g.value = appendValue(g.value[:0], value)
	g.data = g.t.pack.append(g.data, c, c.index[name], g.value)
}

// enter adds the object being made.
func (g *generator) enter(k kind) uint32 {
	o := &object{id: newGUID(g.t.ids), kind: k, data: append([]byte(nil), g.data...)}
	g.data = g.data[:0]
	g.t.count[k]++
	return g.t.add(o)
}

func (g *generator) user(i int) {
	heads := len(departments)
	switch {
	case i > heads && i%12 == 7:
		g.guest()
	case i > heads && i%33 == 15:
		g.sharedMailbox(i)
	default:
		g.employee(i)
	}
}

func (g *generator) employee(i int) {
	p, heads := newPerson(g.r), len(departments)
	d := i - 1 // the first users are the chief executive and the heads
	if d >= heads {
		d = pick(g.r, departmentWeights)
	}
	site := g.r.IntN(len(offices))
	left := i > heads && i%25 == 11
	nick := g.nickname(p.latinGiven + "." + p.latinFamily)
	mail := nick + "@" + g.t.Domain()
	g.put(kindUser, "displayName", p.display)
	g.put(kindUser, "givenName", p.given)
	g.put(kindUser, "surname", p.family)
	g.put(kindUser, "userPrincipalName", mail)
	g.put(kindUser, "mailNickname", nick)
	if i <= heads || i%40 != 13 {
		g.put(kindUser, "mail", mail)
		g.put(kindUser, "proxyAddresses", []string{"SMTP:" + mail, "smtp:" + nick + "@" + g.t.InitialDomain()})
		g.put(kindUser, "imAddresses", []string{"sip:" + mail})
	}
	g.account(i, !left)
	g.job(i, d)
	g.address(site)
	g.put(kindUser, "preferredLanguage", p.language)
	n := g.enter(kindUser)
	g.place(n, i, d, site, left)
}

// account writes what every account of the company has.
func (g *generator) account(i int, enabled bool) {
	g.put(kindUser, "accountEnabled", enabled)
	g.put(kindUser, "userType", "Member")
	hired := g.epoch.AddDate(0, 0, -g.r.IntN(5500))
	g.put(kindUser, "createdDateTime", hired.Add(time.Duration(g.r.IntN(86400))*time.Second).Format("2006-01-02T15:04:05Z"))
	g.put(kindUser, "employeeHireDate", hired.Format("2006-01-02T15:04:05Z"))
	g.put(kindUser, "employeeId", fmt.Sprintf("E%06d", 100001+i))
	if i%3 != 0 {
		return
	}
	g.put(kindUser, "onPremisesSyncEnabled", true)
	g.put(kindUser, "onPremisesImmutableId", encodePart([]byte(strconv.Itoa(700000+i)))+"==")
	g.put(kindUser, "onPremisesSamAccountName", "u"+strconv.Itoa(100001+i))
}

func (g *generator) job(i, d int) {
	g.put(kindUser, "companyName", g.t.Name())
	if i == 0 {
		g.put(kindUser, "jobTitle", "Chief Executive Officer")
		g.put(kindUser, "department", "Management Board")
		g.put(kindUser, "employeeType", "Employee")
		return
	}
	rank := len(g.teams[d]) // in a tree of seven: who came early leads
	level := 3
	switch {
	case rank == 0:
		level = 0
	case rank <= 7:
		level = 1
	case rank%5 == 0:
		level = 2
	}
	g.put(kindUser, "jobTitle", departments[d].titles[level])
	g.put(kindUser, "department", departments[d].name)
	g.put(kindUser, "employeeType", []string{"Employee", "Employee", "Employee", "Employee", "Contractor", "Intern"}[g.r.IntN(6)])
	g.put(kindUser, "employeeOrgData", map[string]any{
		"costCenter": strconv.Itoa(4000 + 10*d + g.r.IntN(4)), "division": divisions[d%len(divisions)]})
}

var divisions = []string{"Products", "Commercial", "Operations", "Corporate"}

func (g *generator) address(site int) {
	o := offices[site]
	g.put(kindUser, "city", o.city)
	g.put(kindUser, "state", o.state)
	g.put(kindUser, "country", o.country)
	g.put(kindUser, "usageLocation", o.code)
	g.put(kindUser, "postalCode", o.postal)
	g.put(kindUser, "streetAddress", o.street)
	g.put(kindUser, "officeLocation", fmt.Sprintf("%s-%d/%d%02d", o.code, 1+g.r.IntN(3), 1+g.r.IntN(6), 1+g.r.IntN(24)))
	if g.r.IntN(10) < 7 {
		g.put(kindUser, "businessPhones", []string{fmt.Sprintf("%s %04d", o.phone, g.r.IntN(10000))})
	} else {
		g.put(kindUser, "businessPhones", []string{})
	}
	if g.r.IntN(10) < 4 {
		g.put(kindUser, "mobilePhone", fmt.Sprintf("%s %02d %04d", o.phone, g.r.IntN(100), g.r.IntN(10000)))
	}
}

// place gives an employee a manager and a seat.
func (g *generator) place(n uint32, i, d, site int, left bool) {
	o := g.t.objects[n]
	switch {
	case i == 0:
		g.boss = n + 1
	case len(g.teams[d]) == 0:
		o.manager = g.boss
	default:
		o.manager = g.teams[d][(len(g.teams[d])-1)/7] + 1
	}
	if left {
		return
	}
	g.staff = append(g.staff, n)
	g.sites[site] = append(g.sites[site], n)
	if i > 0 {
		g.teams[d] = append(g.teams[d], n)
	}
}

// guestHosts are where guests come from.
var guestHosts = []string{"example.org", "example.net", "partner.example", "agency.example", "audit.example", "example.com"}

func (g *generator) guest() {
	p, host := newPerson(g.r), guestHosts[g.r.IntN(len(guestHosts))]
	nick := g.nickname("guest:" + p.latinGiven + "." + p.latinFamily)
	nick = strings.TrimPrefix(nick, "guest:")
	mail := nick + "@" + host
	g.put(kindUser, "displayName", p.display+" (Guest)")
	if g.r.IntN(2) == 0 {
		g.put(kindUser, "givenName", p.given)
		g.put(kindUser, "surname", p.family)
	}
	g.put(kindUser, "mail", mail)
	g.put(kindUser, "otherMails", []string{mail})
	g.put(kindUser, "proxyAddresses", []string{"SMTP:" + mail})
	ext := nick + "_" + host + "#EXT#"
	g.put(kindUser, "userPrincipalName", ext+"@"+g.t.InitialDomain())
	g.put(kindUser, "mailNickname", ext)
	g.put(kindUser, "accountEnabled", true)
	g.put(kindUser, "userType", "Guest")
	g.put(kindUser, "creationType", "Invitation")
	g.put(kindUser, "externalUserState", []string{"Accepted", "Accepted", "PendingAcceptance"}[g.r.IntN(3)])
	g.put(kindUser, "createdDateTime", g.epoch.AddDate(0, 0, -g.r.IntN(2000)).Format("2006-01-02T15:04:05Z"))
	g.enter(kindUser)
}

func (g *generator) sharedMailbox(i int) {
	names := []string{"Info", "Invoices", "Reception", "Press", "Jobs", "Meeting Room", "Returns", "Fleet"}
	name := names[i/33%len(names)] + " " + offices[g.r.IntN(len(offices))].city
	nick := g.nickname(strings.ReplaceAll(ascii(strings.ReplaceAll(strings.ToLower(name), " ", "-")), ".", ""))
	mail := nick + "@" + g.t.Domain()
	g.put(kindUser, "displayName", name)
	g.put(kindUser, "userPrincipalName", mail)
	g.put(kindUser, "mailNickname", nick)
	g.put(kindUser, "mail", mail)
	g.put(kindUser, "proxyAddresses", []string{"SMTP:" + mail})
	g.put(kindUser, "accountEnabled", false)
	g.put(kindUser, "userType", "Member")
	g.put(kindUser, "createdDateTime", g.epoch.AddDate(0, 0, -g.r.IntN(3000)).Format("2006-01-02T15:04:05Z"))
	g.enter(kindUser)
}

// nickname makes a name unique in the company by a number.
func (g *generator) nickname(name string) string {
	name = strings.ToLower(name)
	g.taken[name]++
	if n := g.taken[name]; n > 1 {
		return name + strconv.Itoa(n)
	}
	return name
}
