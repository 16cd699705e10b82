package rfc

// departures are the rules of level SHOULD and QUALITY that Breakwater does not follow, and why. RATIONALE.md has the same reasons.
var departures = map[string]string{
	"3986-3.2.2-host-escaped": "some recipients decode a percent-encoded host: the next could see another one than we route by, and no host in DNS has any",
}

// pending are rules that Breakwater does not follow yet, and what is missing.
var pending = map[string]string{
	"9110-15.2-100-unasked":                   "exchange.Interim forwards no 100 yet: Expect end to end",
	"9110-15.5.14-length-beyond":              "the client side reads with a loop of its own",
	"9110-15.5.14-length-huge":                "the client side reads with a loop of its own",
	"9110-2.5-minor-above":                    "the client side reads with a loop of its own",
	"9110-5.6.3-extension-space-before":       "the client side reads with a loop of its own",
	"9110-6.5-trailer-announced-content-type": "the client side reads with a loop of its own",
	"9110-6.5-trailer-content-type":           "the client side reads with a loop of its own",
	"9110-6.5-trailer-set-cookie":             "the client side reads with a loop of its own",
	"9110-7.6.1-request-listed-trailer":       "requestContent.readTrailers does not know the head's Hops",
	"9112-2.2-bare-lf-end":                    "the client side reads with a loop of its own",
	"9112-2.2-bare-lf-lines":                  "the client side reads with a loop of its own",
	"9112-2.2-bare-lf-refused":                "the client side reads with a loop of its own",
	"9112-2.2-extension-nul":                  "the client side reads with a loop of its own",
	"9112-3-target-a-little-too-long":         "the client side reads with a loop of its own",
	"9112-3-target-too-long":                  "the client side reads with a loop of its own",
	"9112-5.1-trailer-space-before-colon":     "the client side reads with a loop of its own",
	"9112-6.1-coding-unknown":                 "wire answers 400 where 501 is meant",
	"9112-7.1.1-extension-limit":              "the client side reads with a loop of its own",
	"9112-7.1.1-extensions-limit":             "the client side reads with a loop of its own",
}
