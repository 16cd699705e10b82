package rfc

// departures are the rules of level SHOULD and QUALITY that Breakwater does not follow, and why. RATIONALE.md has the same reasons.
var departures = map[string]string{
	"9112-9.6-half-closed":    "a client's FIN while it waits is taken for its leaving: the two cannot be told apart, and the upstream would work for nobody",
	"3986-3.2.2-host-escaped": "some recipients decode a percent-encoded host: the next could see another one than we route by, and no host in DNS has any",
}

// pending are rules that Breakwater does not follow yet, and what is missing.
var pending = byRule(map[string][]string{
	"Expect is not passed on end to end yet": {
		"9110-10.1.1-case",
		"9110-10.1.1-continue",
		"9110-10.1.1-continue-chunked",
		"9110-10.1.1-expect-passed",
		"9110-10.1.1-head-first",
		"9110-10.1.1-length-zero",
		"9110-10.1.1-never-100",
		"9110-10.1.1-never-100-client-waits",
		"9110-10.1.1-no-content",
		"9110-10.1.1-refused-not-asked",
		"9110-15.2-100-unasked",
		"9110-15.2-103-before-100",
		"9110-15.2-two-100",
		"9110-15.5.18-417-passed",
		"9110-15.6.3-expect-then-end",
		"9112-8-expect-then-leave",
		"9112-9.3-refused-then-content",
	},
	"requestContent.readTrailers does not know the head's Hops": {
		"9110-7.6.1-request-listed-trailer",
	},
	"the client side reads with a loop of its own": {
		"9110-7.6-request-head-at-once",
		"9110-7.6-request-length-at-once",
		"9110-7.6-slow-origin",
		"9110-15.5.14-length-beyond",
		"9110-15.5.14-length-huge",
		"9110-2.5-minor-above",
		"9110-5.6.1.2-coding-empty-element-after",
		"9110-5.6.1.2-coding-empty-element-before",
		"9110-5.6.1.2-coding-empty-line",
		"9110-5.6.3-extension-space-before",
		"9110-6.5-trailer-announced-content-type",
		"9110-6.5-trailer-content-type",
		"9110-6.5-trailer-set-cookie",
		"9112-2.2-bare-lf-end",
		"9112-2.2-bare-lf-lines",
		"9112-2.2-bare-lf-refused",
		"9112-2.2-extension-nul",
		"9112-3-target-a-little-too-long",
		"9112-3-target-too-long",
		"9112-5.1-trailer-space-before-colon",
		"9112-7.1.1-extension-limit",
		"9112-7.1.1-extensions-limit",
	},
	"wire answers 400 where 501 is meant": {
		"9112-6.1-request-coding-unknown",
	},
})

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
