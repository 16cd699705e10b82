package rfc

// departures are the rules of level SHOULD and QUALITY that Breakwater does not follow, and why. RATIONALE.md has the same reasons.
var departures = map[string]string{
	"9112-9.6-half-closed":    "a client's FIN while it waits is taken for its leaving: the two cannot be told apart, and the upstream would work for nobody; a route can say half_closed: waiting",
	"3986-3.2.2-host-escaped": "some recipients decode a percent-encoded host: the next could see another one than we route by, and no host in DNS has any",
}

// pending are rules that Breakwater does not follow yet, and what is missing.
var pending = byRule(map[string][]string{})

// byRule turns reasons with their rules into rules with their reason.
func byRule(reasons map[string][]string) map[string]string {
	all := map[string]string{}
	for reason, ids := range reasons {
		for _, id := range ids {
			all[id] = reason
		}
	}
	return all
}
