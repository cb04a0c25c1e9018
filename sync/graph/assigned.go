package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Assigned reads which users and groups are assigned to an Enterprise
// application, each once, in Graph's order: what administrators see there under
// "Users and groups". appID is the application (client) id. It takes
// Application.Read.All (serviceprincipal-list-approleassignedto).
//
// The list is read whole each time, for there is no delta of it, and its errors
// are those of [Client.Changes]. Clients that were granted a role (service
// principals) are left out. A group stands for its direct members only: Entra
// does not cascade assignments to nested groups
// (entra/identity/enterprise-apps/assign-user-or-group-access-portal).
func (c *Client) Assigned(ctx context.Context, appID string) ([]Member, error) {
	if appID == "" || !madeOf(appID, "-") {
		return nil, fmt.Errorf("reading who is assigned: %q is no application id", appID)
	}
	link := fmt.Sprintf("%s/v1.0/servicePrincipals(appId='%s')/appRoleAssignedTo?$top=999", c.cfg.GraphURL, appID)
	var all []Member
	known := make(map[string]bool)
	err := eachPage(c, "reading who is assigned", link, func(link string, from origin) ([]Member, string, error) {
		return c.assignedPage(ctx, link, from)
	}, func(page []Member) error {
		for _, m := range page {
			if !known[m.ID] {
				known[m.ID] = true
				all = append(all, m)
			}
		}
		return nil
	})
	switch {
	case notFound(err):
		return nil, fmt.Errorf("reading who is assigned: the tenant has no Enterprise application for the application id %s: "+
			"check the id (scope and assigned_to of the source), and that an administrator consented: %w", appID, err)
	case err != nil:
		return nil, err
	}
	return all, nil
}

func (c *Client) assignedPage(ctx context.Context, link string, from origin) (page []Member, next string, err error) {
	err = c.do(ctx, &call{
		what:   "appRoleAssignedTo",
		url:    link,
		accept: minimalMetadata,
		needs:  "Application.Read.All",
		from:   from,
		body:   new(buffer),
		decode: func(body []byte) (err error) {
			page, next, err = decodeAssigned(body)
			return err
		},
	})
	return page, next, err
}

// decodeAssigned reads a page of appRoleAssignment. An entry that can't be
// understood spoils the list: without it somebody would be taken for no longer
// assigned.
func decodeAssigned(body []byte) (page []Member, next string, err error) {
	var answer struct {
		Value *[]struct {
			PrincipalID   string `json:"principalId"`
			PrincipalType string `json:"principalType"`
		} `json:"value"`
		NextLink string `json:"@odata.nextLink"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	if answer.Value == nil {
		return nil, "", fmt.Errorf("%w: there is no value", errMalformed)
	}
	for i, a := range *answer.Value {
		id := strings.ToLower(a.PrincipalID)
		if id == "" || !madeOf(id, "-") {
			return nil, "", fmt.Errorf("%w: assignment %d has no principalId", errMalformed, i)
		}
		switch {
		case strings.EqualFold(a.PrincipalType, "User"):
			page = append(page, Member{ID: id, Type: "user"})
		case strings.EqualFold(a.PrincipalType, "Group"):
			page = append(page, Member{ID: id, Type: "group"})
		case a.PrincipalType == "":
			return nil, "", fmt.Errorf("%w: assignment %d has no principalType", errMalformed, i)
		}
	}
	return page, answer.NextLink, nil
}

func notFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
