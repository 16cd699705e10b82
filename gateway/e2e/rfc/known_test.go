package rfc

// departures are the rules of level SHOULD and QUALITY that Breakwater does not follow, and why. RATIONALE.md has the same reasons.
var departures = map[string]string{}

// pending are rules that Breakwater does not follow yet, and what is missing.
var pending = map[string]string{
	"9110-15.2-100-unasked": "exchange.Interim forwards no 100 yet: Expect end to end",
}
