package tests

import "scimbridge/sync/graph/graphtest"

// smallCompany is a company that fits into a few pages.
func smallCompany(seed uint64) *graphtest.Tenant {
	return graphtest.NewCompany(graphtest.Options{Seed: seed}, 60, 8)
}
