package setup

import (
	"fmt"
	"strings"
)

// A platform is what imports, and what it calls things.
type platform struct {
	option
	// oauth2 has it prove itself by client credentials; otherwise it gets a
	// bearer token.
	oauth2 bool
	// preset is the mapping with its habits; "": the default.
	preset string
	// boxes are the lines to paste: {url}, {host}, {token}, {id}, {secret} and
	// {token_url} stand for the values.
	where string
	boxes [][2]string
}

// platforms: docs/scim.md says more of each.
var platforms = []platform{
	{option: option{"okta", "Okta"}, preset: "okta",
		where: "Applications > a SCIM 2.0 app > Provisioning > Integration",
		boxes: [][2]string{{"SCIM connector base URL", "{url}"}, {"Unique identifier field", "userName"},
			{"Provisioning actions", "Import New Users and Profile Updates, Import Groups"},
			{"Authentication mode", "HTTP Header"}, {"Authorization", "{token}"}}},
	{option: option{"sailpoint", "SailPoint Identity Security Cloud, IdentityIQ"}, preset: "sailpoint",
		where: "SCIM 2.0 source",
		boxes: [][2]string{{"Host URL", "{url}"}, {"Authentication type", "API Token"}, {"API token", "{token}"},
			{"Delta aggregation", "on; yyyy-MM-dd'T'HH:mm:ss'Z', UTC"}}},
	{option: option{"ping", "PingFederate, PingOne Advanced Identity Cloud"},
		where: "SCIM connector, provider version 2.0",
		boxes: [][2]string{{"Host, base path", "{url}"}, {"Authentication", "TOKEN"}, {"Token", "{token}"},
			{"Object types", "__ACCOUNT__, __GROUP__; no create, update, delete"}}},
	{option: option{"midpoint", "midPoint"},
		where: "Resource with the ConnId SCIM 2.0 connector",
		boxes: [][2]string{{"Base URL", "{url}"}, {"Authentication", "token"}, {"Token", "{token}"},
			{"Import batch size", "1000"}, {"Capabilities", "read only"}}},
	{option: option{"one-identity", "One Identity Manager, Starling Connect"},
		where: "Universal Cloud Interface > SCIM",
		boxes: [][2]string{{"Base URL", "{url}"}, {"Authentication", "HTTP bearer"}, {"Token", "{token}"},
			{"Direction", "from the target system only"}}},
	{option: option{"sap", "SAP Cloud Identity Services"}, oauth2: true,
		where: "Source systems > Add > SCIM System > Properties",
		boxes: [][2]string{{"URL", "{host}"}, {"Authentication", "BasicAuthentication"}, {"OAuth2TokenServiceURL", "{token_url}"},
			{"User", "{id}"}, {"Password", "{secret}"}, {"ips.delta.read", "enabled"}, {"ips.full.read.force.count", "24"}}},
	{option: option{"other", "another, or not known yet"},
		where: "Its SCIM 2.0 source",
		boxes: [][2]string{{"Base URL", "{url}"}, {"Authentication", "Authorization: Bearer"}, {"Token", "{token}"}}},
}

func platformOptions() (list []option) {
	for _, p := range platforms {
		list = append(list, p.option)
	}
	return list
}

func platformNames() string {
	var names []string
	for _, p := range platforms {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// chosen is the platform that was answered.
func (s *setup) chosen() platform {
	for _, p := range platforms {
		if s.is(keyPlatform, p.name) {
			return p
		}
	}
	return platforms[len(platforms)-1]
}

// lines are what to paste into the platform.
func (p platform) lines(url, client, secret string) string {
	host := strings.TrimSuffix(url, "/scim/v2")
	values := strings.NewReplacer("{url}", url, "{host}", host, "{token}", secret, "{id}", client, "{secret}", secret, "{token_url}", host+"/oauth2/token")
	var b strings.Builder
	fmt.Fprintf(&b, "In %s (%s):\n", p.about, p.where)
	for _, box := range p.boxes {
		fmt.Fprintf(&b, "  %-26s %s\n", box[0], values.Replace(box[1]))
	}
	return b.String()
}
