package main

import (
	"bytes"
	"time"

	"github.com/breakwater-gateway/breakwater/sdk"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// The reasons that do not depend on the configuration, by number.
const (
	reasonToken sdk.Reason = iota + 1
	reasonPermission
	reasonParameter
	reasonBody
	reasonObject
	reasonOwnLimit
	reasonSharedLimit
	reasonUpstream
	reasonAccount
	reasonMedia
	reasonStatus
)

var fixedReasons = []abi.Reason{
	reasonToken - 1:       {Name: "token", About: abi.About{Part: abi.PartCredential}},
	reasonPermission - 1:  {Name: "permission", About: abi.About{Part: abi.PartCredential}},
	reasonParameter - 1:   {Name: "parameter"}, // which one was not said
	reasonBody - 1:        {Name: "body", About: abi.About{Part: abi.PartBody}},
	reasonObject - 1:      {Name: "object", About: abi.About{Part: abi.PartPath}},
	reasonOwnLimit - 1:    {Name: "own_limit"},
	reasonSharedLimit - 1: {Name: "shared_limit"},
	reasonUpstream - 1:    {Name: "upstream"},
	reasonAccount - 1:     {Name: "account"},
	reasonMedia - 1:       {Name: "media", About: abi.About{Part: abi.PartBody}},
	reasonStatus - 1:      {Name: "status"}, // the body said nothing
}

// objectMissing is the subcode of code 100 that means: what the path names does not exist, or not for this.
const objectMissing = 33

// verdictOf is the table of the partner's codes. Limits and the account's state do not count against a client: the partner
// enforces them itself, and a block on top would only hide what it says.
func verdictOf(e *envelope) (v sdk.Verdict, known bool) {
	switch e.code {
	case unknown:
		return sdk.Verdict{}, false
	case 0, 104, 190: // token invalid, missing, expired
		return sdk.Verdict{Class: abi.Auth, Reason: reasonToken}, true
	case 3, 10: // capability, permission
		return sdk.Verdict{Class: abi.Permission, Reason: reasonPermission}, true
	case 100: // invalid parameter
		if e.subcode == objectMissing {
			return client(abi.NotFound, reasonObject), true
		}
		return client(abi.InvalidRequest, reasonParameter), true
	case 33, 803: // object deleted, not found
		return client(abi.NotFound, reasonObject), true
	case 131008, 131009, 131051: // parameter missing, bad value, message type unsupported
		return client(abi.InvalidRequest, reasonBody), true
	case 4, 17, 613: // the app's, its user's, its calls': all clients' together
		return sdk.Verdict{Class: abi.Throttled, Fault: abi.FaultShared, Retryable: true, Reason: reasonSharedLimit}, true
	case 80007, 130429, 131048, 131056, 133016: // the account's, the number's, spam, the pair's, registrations'
		return sdk.Verdict{Class: abi.Throttled, Fault: abi.FaultClient, Retryable: true, Reason: reasonOwnLimit}, true
	case 1, 131000: // unknown, generic: nothing says that sending it again is safe
		return sdk.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream, Reason: reasonUpstream}, true
	case 2, 131016, 131057: // service, overloaded, maintenance
		return sdk.Verdict{Class: abi.Unavailable, Fault: abi.FaultUpstream, Retryable: true, Reason: reasonUpstream}, true
	case 131031, 368, 131042, 130497: // locked, policy, payment, country
		return sdk.Verdict{Class: abi.Account, Fault: abi.FaultClient, Reason: reasonAccount}, true
	case 131052, 131053: // media download, upload: the media's host or the partner
		return sdk.Verdict{Class: abi.InvalidRequest, Reason: reasonMedia}, true
	}
	switch {
	case 200 <= e.code && e.code <= 299:
		return sdk.Verdict{Class: abi.Permission, Reason: reasonPermission}, true
	case 132000 <= e.code && e.code <= 132999: // templates
		return client(abi.InvalidRequest, reasonBody), true
	}
	return sdk.Verdict{}, false
}

// client is a verdict that counts, unless the gateway knows better.
func client(c abi.Class, r sdk.Reason) sdk.Verdict {
	return sdk.Verdict{Class: c, Fault: abi.FaultClient, Counts: true, Reason: r}
}

// byStatus is what is left when the body says nothing.
func byStatus(status int) sdk.Verdict {
	switch status {
	case 401:
		return sdk.Verdict{Class: abi.Auth, Reason: reasonToken}
	case 403:
		return sdk.Verdict{Class: abi.Permission, Reason: reasonPermission}
	case 404, 410:
		return client(abi.NotFound, reasonStatus)
	case 408:
		return sdk.Verdict{Class: abi.Timeout, Retryable: true, Reason: reasonStatus}
	case 409, 412:
		return client(abi.Conflict, reasonStatus)
	case 429:
		return sdk.Verdict{Class: abi.Throttled, Retryable: true, Reason: reasonStatus}
	case 503:
		return sdk.Verdict{Class: abi.Unavailable, Fault: abi.FaultUpstream, Retryable: true, Reason: reasonStatus}
	case 504:
		return sdk.Verdict{Class: abi.Timeout, Fault: abi.FaultUpstream, Reason: reasonStatus}
	}
	switch status / 100 {
	case 4:
		return client(abi.InvalidRequest, reasonStatus)
	case 5:
		return sdk.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream, Reason: reasonStatus}
	}
	return sdk.Verdict{} // a status that was not asked for
}

const maxWait = 24 * time.Hour

// retryAfter is what the response says about when to come back: Retry-After in seconds, or the longest of the partner's
// estimates, which are in minutes. Zero if it says nothing.
func retryAfter(r *sdk.Response) time.Duration {
	if value, ok := r.Field("Retry-After"); ok {
		if n, ok := digits(bytes.TrimSpace(value)); ok {
			return min(time.Duration(n)*time.Second, maxWait)
		}
	}
	usage, _ := r.Field("X-Business-Use-Case-Usage")
	key := []byte(`"estimated_time_to_regain_access":`)
	longest := 0
	for {
		i := bytes.Index(usage, key)
		if i < 0 {
			return min(time.Duration(longest)*time.Minute, maxWait)
		}
		usage = bytes.TrimLeft(usage[i+len(key):], " ")
		end := 0
		for end < len(usage) && '0' <= usage[end] && usage[end] <= '9' {
			end++
		}
		if n, ok := digits(usage[:end]); ok {
			longest = max(longest, n)
		}
	}
}
