// Package graphtest simulates Microsoft tenants, their login and Microsoft
// Graph, for tests, for the black-box tests of the real binary, and for the
// demo command. It imports the standard library only and nothing of this
// module, so that a mistake in our reading of Graph cannot hide in both the
// client and its counterpart.
//
// It is as strict as Microsoft's documentation says Graph is, and by default
// as untidy as Graph is allowed to be: it is meant to find clients that are
// right by luck. It holds everything in memory, listens on the loopback
// interface only, and has no purpose as a service.
//
// # Use
//
//	tenant := graphtest.NewCompany(graphtest.Options{Seed: 1}, 500, 40)
//	clientID := tenant.AddApp(graphtest.App{Secret: "…", Consented: true,
//		Permissions: []string{"User.Read.All", "GroupMember.Read.All"}})
//	server := graphtest.NewServer(tenant)
//	if err := server.Start(); err != nil { … }
//	defer server.Close()
//	// server.LoginURL(), server.GraphURL(), tenant.ID(), clientID
//
// [Server] is an http.Handler as well, and [Server.Transport] reaches it
// without a socket (for testing/synctest). The world is changed by the methods
// of [Tenant] (SetUser, RemoveUser, AddMember, …); the model to compare with
// is read by others (Users, Members, MembersTransitive, Manager, …); what
// clients asked is in the [Tenant.Journal]; what goes wrong is armed with
// [Tenant.Inject].
//
// # What is simulated of Graph
//
//   - users/delta and groups/delta: first and later rounds, nextLink and
//     deltaLink with sealed tokens, $deltatoken=latest, $select honoured
//     exactly and refused for what does not exist or is not tracked, $filter by
//     at most 50 ids, $top ignored, $expand refused, options that differ from
//     those of a token refused, Prefer return=minimal and odata.maxpagesize,
//     manager@delta, members@delta in parts, @removed with both reasons (in
//     first rounds too), null for what was cleared, absence for what was never
//     set, only selected properties waking an object, tokens that expire.
//   - What is consistent within a round, and what is not: see round.go. In
//     short, pages show objects as they are when the page is asked for;
//     memberships are those of the round's beginning; the deltaLink names the
//     beginning, so nothing is lost and some changes come twice.
//   - Deleted objects: the recycle bin, memberships that outlast it, restoring.
//     After a purge groups/delta may stay silent about the lost membership.
//   - Lists and single objects: /users, /groups, /users/{id or name},
//     /users/{id}/manager and memberOf, /groups/{id}/members and
//     transitiveMembers, $count, /organization,
//     /directory/deletedItems/microsoft.graph.user, /servicePrincipals (by id or
//     appId) with appRoleAssignedTo (in pages) and appRoleAssignments, /applications, /$batch; $select,
//     $top up to 999, $filter (eq; startswith; ne and endswith as advanced
//     queries; joined by and or by or), $expand=members up to 20.
//   - Permissions by collection and by property, hidden membership, limited
//     information about members that may not be read.
//   - Error bodies, request ids, x-ms-resource-unit, throttling by the token
//     bucket, gzip, UTF-8 as it is, properties in no particular order.
//
// # What is simulated of the login
//
// The token endpoint for client credentials: client secrets (with expiry),
// certificate assertions (PS256 and RS256, x5t#S256 and x5t; aud, iss, sub,
// jti, times), federated tokens; Microsoft's error bodies with AADSTS numbers.
// It is stricter than Entra in three points, each a thing that clients should
// do anyway: credentials must be in the form (no Basic), an assertion may live
// ten minutes at most, and its jti may be used once. Admin consent: the page,
// its answer to the redirect URI, refusals, and grants that take time to
// spread ([Spread]). Access tokens are JWTs in form; their roles are those of
// the moment they were issued.
//
// # Knobs
//
// [Options]: TenantID, Name, Domain; Seed; Calm; PageSize, MembersPerPart; Now;
// TokenLifetime, DeltaLifetime, PageLifetime; ExpiredDelta; UserLag, GroupLag;
// Throttle, ResourceUnits; NoGzip; JournalSize. [App]: credentials,
// permissions, consent, redirect URIs, Disabled, Spread. [Fault]: one
// constructor for each thing that can go wrong, narrowed by collection, kind
// of round, place of the page, count and chance.
//
// Untidiness by default, each from the seed and all switched off by Calm:
// shuffled entries; one in a hundred entries a second time; one page in eight
// short, one in sixteen empty; later rounds that repeat a few older changes;
// removed and unknown ids in first rounds; a member removed and added in one
// entry; further parts of a group without its properties; links after the
// values; answers of a batch in another order; purges that groups/delta does
// not tell of.
//
// Where documentation is silent, behaviour reported by users was followed, and
// where that is silent too, the stricter reading: the texts of error messages
// are then ours, as no client may depend on them.
package graphtest
