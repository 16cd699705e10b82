package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// kindsOfScenario are all scenarios in the order in which they meet a request.
var kindsOfScenario = slices.Concat(
	[]*kind{revert},
	[]*kind{connectionReset, tlsFailure, latency, hang, resetBeforeAnswer, gateKind},
	[]*kind{earlyAnswer, badTenantKey, accountLocked, clientFaults, expiredURL, throttle, incident, edgeRollout, rejectPhoneNumber, otherStatus, partnerError},
	[]*kind{jsonDrift, chunkedMedia, slowDrip, midStreamReset, framingKind},
)

const (
	mediaPath    = "/{media-id}"
	downloadPath = "/whatsapp_business/attachments/"
)

// withParameter reports whether the request carries the parameter of the incident.
func withParameter(x *exchange) bool {
	_, ok := x.req.param("phone_number_id")
	return ok && x.tenant != nil
}

// refuseWith returns an answer with a fixed fault.
func refuseWith(f fault) func(*exchange) bool {
	return func(x *exchange) bool {
		x.refuse(f)
		return true
	}
}

// codesOf lists the known error codes among which keep is true, as option words.
func codesOf(keep func(code int) bool) (words []string) {
	var codes []int
	for code := range faults {
		if keep(code) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	for _, c := range codes {
		words = append(words, strconv.Itoa(c))
	}
	return words
}

// codeOption is an option that takes one of these codes.
func codeOption(fallback int, words []string) option {
	return option{name: "code", fallback: fallback, does: "error code of the envelope: " + strings.Join(words, ", "), max: 1_000_000}
}

// pickCode reads the option code and checks that it is one of words.
func pickCode(o values, words []string) (fault, error) {
	code := o.num("code")
	if !slices.Contains(words, strconv.Itoa(code)) {
		return fault{}, errors.New("option \"code\": value " + strconv.Itoa(code) + ": expected one of " + strings.Join(words, ", "))
	}
	return byCode(code), nil
}

var statusOption = option{name: "status", fallback: 0, does: "HTTP status; 0: the documented one", max: 599}

// pickStatus sets a fault's status from the option, which 1 to 199 would make nonsense of.
func pickStatus(f fault, o values) (fault, error) {
	switch status := o.num("status"); {
	case status == 0:
	case status < 400:
		return f, errors.New("option \"status\": value " + strconv.Itoa(status) + ": expected 0 or 400 to 599")
	default:
		f.status = status
	}
	return f, nil
}

var rejectCodes = []string{"100", "190"}

var rejectPhoneNumber = &kind{
	name: "reject-phone-number-id", story: "S1", path: mediaPath,
	does: "The first half of the incident: a request with the query parameter phone_number_id is refused, with status 400, code 190 and \"" + unparsable + "\"; others pass. The percentage is of the requests that carry it.",
	options: []option{
		{name: "status", fallback: 400, does: "HTTP status, 400 or 401", min: 400, max: 599},
		codeOption(190, rejectCodes),
	},
	build: func(_ *active, o values) (effect, error) {
		f, err := pickCode(o, rejectCodes)
		f.status = o.num("status")
		if f.code == 100 {
			f.message = "(#100) Tried accessing nonexisting field (phone_number_id)"
			f.details = ""
		}
		return effect{wants: withParameter, answer: refuseWith(f)}, err
	},
}

var chunkedMedia = &kind{
	name: "chunked-media", story: "S2", path: mediaPath, method: "GET",
	does: "The second half of the incident: answers go from Content-Length to Transfer-Encoding: chunked. With another path it does so elsewhere.",
	options: []option{
		{name: "errors", fallback: false, does: "error answers too"},
		{name: "chunk_bytes", fallback: 0, does: "data in one chunk; 0: as much as convenient", max: maxPiece},
	},
	build: func(_ *active, o values) (effect, error) {
		withErrors, chunkBytes := o.flag("errors"), int64(o.num("chunk_bytes"))
		return effect{reshape: func(x *exchange) {
			if x.reply.status < 400 || withErrors {
				x.plan.framing, x.plan.chunkBytes = chunked, chunkBytes
			}
		}}, nil
	},
}

var incident = &kind{
	name: "incident", story: "S3", path: mediaPath, rev: baseRev + 1,
	does: "Both halves of the incident, each from its own time on, counted from when the scenario began.",
	options: []option{
		{name: "reject_after", fallback: time.Duration(0), does: "when phone_number_id begins to be refused"},
		{name: "chunked_after", fallback: time.Duration(0), does: "when answers begin to be chunked"},
		{name: "errors", fallback: false, does: "error answers are chunked too"},
		{name: "status", fallback: 400, does: "HTTP status of the refusal", min: 400, max: 599},
	},
	build: bothHalves,
}

// bothHalves is S1 and S2 with start times of their own.
func bothHalves(a *active, o values) (effect, error) {
	rejectAfter, chunkedAfter, withErrors := o.duration("reject_after"), o.duration("chunked_after"), o.flag("errors")
	f := byCode(190)
	f.status = o.num("status")
	return effect{
		answer: func(x *exchange) bool {
			if x.now.Sub(a.begins) < rejectAfter || !withParameter(x) {
				return false
			}
			x.refuse(f)
			return true
		},
		reshape: func(x *exchange) {
			if x.now.Sub(a.begins) >= chunkedAfter && string(x.req.method) == "GET" && (x.reply.status < 400 || withErrors) {
				x.plan.framing = chunked
			}
		},
	}, nil
}

var edgeRollout = &kind{
	name: "edge-rollout", story: "S4", path: mediaPath, rev: baseRev + 1, sticky: "connection",
	does: "The incident on a part of the partner's edge: a percentage of the connections, each for its whole life, shows both halves and a new x-fb-rev.",
	options: []option{
		{name: "reject_after", fallback: time.Duration(0), does: "when phone_number_id begins to be refused"},
		{name: "chunked_after", fallback: time.Duration(0), does: "when answers begin to be chunked"},
		{name: "errors", fallback: false, does: "error answers are chunked too"},
		{name: "status", fallback: 400, does: "HTTP status of the refusal", min: 400, max: 599},
	},
	build: bothHalves,
}

var revert = &kind{
	name: "revert", story: "S5", rev: baseRev + 2,
	does:  "The partner takes its change back: what this strikes is served as if no other scenario were active, with a new x-fb-rev. Ending it brings them back. (DELETE /scenarios ends all without a trace.)",
	build: func(*active, values) (effect, error) { return effect{}, nil },
}

var (
	anyCode    = codesOf(func(int) bool { return true })
	faultCodes = []string{"33", "100", "803", "131008", "131009", "131051", "132000"}
	quotaCodes = []string{"4", "17", "613", "80007", "130429", "131048", "131056", "133016"}
)

var otherStatus = &kind{
	name: "same-code-other-status", story: "S6",
	does: "Every request is refused with one code, under each of the statuses in turn.",
	options: []option{
		codeOption(190, anyCode),
		{name: "statuses", fallback: []string{"400", "401"}, does: "HTTP statuses, in turn", oneOf: []string{"400", "401", "403", "404", "429", "500", "503"}},
	},
	build: func(_ *active, o values) (effect, error) {
		f, err := pickCode(o, anyCode)
		statuses := o.list("statuses")
		if err == nil && len(statuses) == 0 {
			err = errors.New("option \"statuses\": value []: expected at least one")
		}
		var turn atomic.Uint64
		return effect{answer: func(x *exchange) bool {
			g := f
			g.status, _ = strconv.Atoi(statuses[(turn.Add(1)-1)%uint64(len(statuses))])
			x.refuse(g)
			return true
		}}, err
	},
}

var partnerError = &kind{
	name:    "partner-error",
	does:    "Every request is refused with one of the partner's codes, such as 2 or 131000 for its own failures.",
	options: []option{codeOption(2, anyCode), statusOption},
	build: func(_ *active, o values) (effect, error) {
		f, err := pickCode(o, anyCode)
		if err == nil {
			f, err = pickStatus(f, o)
		}
		return effect{answer: refuseWith(f)}, err
	},
}

var throttle = &kind{
	name: "throttle", story: "S9",
	does: "A quota: every request that matches makes x-app-usage and x-business-use-case-usage climb, and from the limit on requests are refused until the scenario ends. Codes 4 and 17 count all tenants together, the others each tenant by itself.",
	options: []option{
		codeOption(4, quotaCodes),
		statusOption,
		{name: "limit", fallback: 20, does: "requests before the first refusal; 0 refuses at once", max: 1_000_000},
	},
	build: func(_ *active, o values) (effect, error) {
		f, err := pickCode(o, quotaCodes)
		if err == nil {
			f, err = pickStatus(f, o)
		}
		limit, together := o.num("limit"), f.code == 4 || f.code == 17
		var mu sync.Mutex
		used := map[string]int{}
		return effect{answer: func(x *exchange) bool {
			key := string(x.tenant)
			if together {
				key = ""
			}
			mu.Lock()
			n := used[key]
			if len(used) < 100_000 || n > 0 {
				used[key] = n + 1
			}
			mu.Unlock()
			percent := int64(100)
			if n < limit {
				percent = int64(n+1) * 100 / int64(limit)
			}
			if together {
				x.reply.usage.app = percent
			} else {
				x.reply.usage.business = percent
			}
			if n < limit {
				return false
			}
			x.reply.usage.regain = 30
			x.refuse(f)
			return true
		}}, err
	},
}

var clientFaults = &kind{
	name: "client-faults", story: "S10", tenant: true,
	does:    "One tenant's requests are wrong by its own doing, whatever else goes on: refused before any other scenario or check has its say.",
	options: []option{codeOption(100, faultCodes), statusOption},
	build: func(_ *active, o values) (effect, error) {
		f, err := pickCode(o, faultCodes)
		if err == nil {
			f, err = pickStatus(f, o)
		}
		return effect{answer: refuseWith(f)}, err
	},
}

var expiredURL = &kind{
	name: "expired-url", story: "S12",
	does: "Media URLs have expired: their download is refused with 404.",
	options: []option{{
		name: "at", fallback: "download", oneOf: []string{"download", "retrieval"},
		does: "download: every URL counts as expired; retrieval: GET /{media-id} hands out URLs that have expired already",
	}},
	build: func(_ *active, o values) (effect, error) {
		if o.word("at") == "retrieval" {
			return effect{before: func(x *exchange) error {
				x.drift |= bornExpired
				return nil
			}}, nil
		}
		f := urlExpired()
		return effect{
			wants:  func(x *exchange) bool { return x.endpoint == attachments && x.tenant != nil },
			answer: refuseWith(f),
		}, nil
	},
}

var badTenantKey = &kind{
	name: "bad-tenant-key", story: "S14", tenant: true,
	does:    "One tenant's token is no longer good: 401 with code 190.",
	options: []option{statusOption},
	build: func(_ *active, o values) (effect, error) {
		f := byCode(190)
		f.message = "Error validating access token: The session has been invalidated because the user changed their password."
		f.subcode = 460
		f, err := pickStatus(f, o)
		return effect{answer: refuseWith(f)}, err
	},
}

var accountLocked = &kind{
	name: "account-locked", story: "S14", tenant: true,
	does:    "One tenant's account is locked: 403 with code 131031.",
	options: []option{statusOption},
	build: func(_ *active, o values) (effect, error) {
		f, err := pickStatus(byCode(131031), o)
		return effect{answer: refuseWith(f)}, err
	},
}
