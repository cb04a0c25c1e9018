package graphtest

import (
	"fmt"
	"slices"
	"strings"
)

// extras are the directory objects that are neither users nor groups, and turn
// up as members.
func (g *generator) extras() {
	for i, typ := range []kind{kindDevice, kindDevice, kindServicePrincipal, kindContact, kindDevice, kindContact} {
		name := map[kind]string{kindDevice: "LAPTOP", kindServicePrincipal: "Backup Agent", kindContact: "Courier Desk"}[typ]
		g.put(typ, "displayName", fmt.Sprintf("%s %02d", name, i+1))
		g.other = append(g.other, g.enter(typ))
	}
}

// groupForm is one of Entra's kinds of group.
type groupForm struct {
	types             []string
	security, mail    bool
	rule, roleable    bool
	hidden            bool
	prefix, kindLabel string
}

var groupForms = []groupForm{
	{types: []string{}, security: true, prefix: "SG", kindLabel: "access"},
	{types: []string{"Unified"}, mail: true, prefix: "Team", kindLabel: "teamwork"},
	{types: []string{}, security: true, mail: true, prefix: "MESG", kindLabel: "access and mail"},
	{types: []string{}, mail: true, prefix: "DL", kindLabel: "mail"},
	{types: []string{"DynamicMembership"}, security: true, rule: true, prefix: "DYN", kindLabel: "access by rule"},
	{types: []string{"Unified", "DynamicMembership"}, mail: true, rule: true, prefix: "Team", kindLabel: "teamwork by rule"},
	{types: []string{"Unified"}, mail: true, hidden: true, prefix: "Team", kindLabel: "teamwork, hidden"},
	{types: []string{}, security: true, roleable: true, prefix: "ROLE", kindLabel: "roles"},
}

var groupFormWeights = []int{38, 26, 8, 12, 8, 3, 2, 3}

var groupSubjects = split("Okta Salesforce Workday SAP Jira GitHub VPN Payroll Badge Wiki CRM ERP Fleet Canteen Lab Audit Travel Print Backup Analytics Chat Video Storage Signing Training")

var groupNouns = split("Users Admins Owners Readers Editors Reviewers Approvers Testers Pilot Champions Oncall")

func (g *generator) makeGroup(i, total int) {
	if i == 0 {
		g.allStaff()
		return
	}
	form := groupForms[pick(g.r, groupFormWeights)]
	members, name := g.population(i)
	if i%12 == 5 && len(g.made) > 3 {
		form = groupForms[0]
		name = fmt.Sprintf("%s %s (nested) %d", groupSubjects[i%len(groupSubjects)], "Umbrella", i)
		members = append(g.some(g.made, 2+g.r.IntN(4)), g.some(g.staff, g.r.IntN(6))...)
	}
	g.describe(i, form, form.prefix+" "+name)
	n := g.enter(kindGroup)
	slices.Sort(members)
	g.t.objects[n].group.members = slices.Clone(slices.Compact(members))
	g.made = append(g.made, n)
}

func (g *generator) allStaff() {
	form := groupForms[4]
	g.describe(0, form, "All staff")
	n := g.enter(kindGroup)
	g.t.objects[n].group.members = slices.Clone(g.staff)
	g.made = append(g.made, n)
}

// population decides who is in a group, and what it is called: departments and
// offices first, then teams and applications of many sizes.
func (g *generator) population(i int) ([]uint32, string) {
	d := i - 1
	switch {
	case d < len(departments):
		return slices.Clone(g.teams[d]), departments[d].name
	case d < len(departments)+len(offices):
		d -= len(departments)
		return slices.Clone(g.sites[d]), "Office " + offices[d].city
	}
	subject, noun := groupSubjects[g.r.IntN(len(groupSubjects))], groupNouns[g.r.IntN(len(groupNouns))]
	name := fmt.Sprintf("%s %s %d", subject, noun, i)
	size := 2 + g.r.IntN(30)
	switch {
	case i%40 == 39:
		size = 0
	case i%15 == 14:
		size = 100 + g.r.IntN(400)
	}
	pool := g.staff
	if g.r.IntN(2) == 0 {
		pool = g.teams[g.r.IntN(len(g.teams))]
	}
	members := g.some(pool, size)
	if i%10 == 3 {
		members = append(members, g.some(g.other, 2)...)
	}
	return members, name
}

// some draws up to n different ones of a pool.
func (g *generator) some(pool []uint32, n int) []uint32 {
	if n >= len(pool) {
		return slices.Clone(pool)
	}
	drawn := make([]uint32, 0, n)
	for range n {
		drawn = append(drawn, pool[g.r.IntN(len(pool))])
	}
	slices.Sort(drawn)
	return slices.Compact(drawn)
}

func (g *generator) describe(i int, form groupForm, name string) {
	nick := strings.ToLower(ascii(strings.ReplaceAll(name, " ", "-")))
	nick = g.nickname(strings.Trim(orElse(nick, "group"), "-"))
	g.put(kindGroup, "displayName", name)
	if i%4 != 3 {
		g.put(kindGroup, "description", "Group for "+form.kindLabel+": "+name)
	}
	g.put(kindGroup, "groupTypes", form.types)
	g.put(kindGroup, "securityEnabled", form.security)
	g.put(kindGroup, "mailEnabled", form.mail)
	g.put(kindGroup, "mailNickname", nick)
	g.put(kindGroup, "createdDateTime", g.epoch.AddDate(0, 0, -g.r.IntN(4000)).Format("2006-01-02T15:04:05Z"))
	if form.mail {
		mail := nick + "@" + g.t.Domain()
		g.put(kindGroup, "mail", mail)
		g.put(kindGroup, "proxyAddresses", []string{"SMTP:" + mail, "smtp:" + nick + "@" + g.t.InitialDomain()})
	}
	if form.rule {
		g.put(kindGroup, "membershipRule", `(user.accountEnabled -eq true) and (user.userType -eq "Member")`)
		g.put(kindGroup, "membershipRuleProcessingState", "On")
	}
	if form.roleable {
		g.put(kindGroup, "isAssignableToRole", true)
	}
	switch {
	case form.hidden:
		g.put(kindGroup, "visibility", "HiddenMembership")
	case slices.Contains(form.types, "Unified"):
		g.put(kindGroup, "visibility", []string{"Public", "Private"}[g.r.IntN(2)])
	}
}
