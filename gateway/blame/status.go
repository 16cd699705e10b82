package blame

import "github.com/breakwater-gateway/breakwater/sdk/abi"

// ByStatus is the verdict on a response of which only the status is known: what holds where no step says otherwise.
//
// On 20 January 2026 every 4xx counted against the client. Here only those do that say "what you ask is wrong" or "is not
// there" of something that the client alone decides:
//
//	counts         400 404 405 406 410 413 415 422
//	does not       401 403      who they are to the upstream is often our doing: tokens and accounts are configured here
//	               402          an unpaid account asks nothing wrong
//	               407 411 414 417 421 426 431   about connection, framing or size of the head: partly ours
//	               409 412 423 424 425 428       about the state of the resource: the next one may pass
//	               408 429      says "slower" or "later", not "wrong"
//	               416 451, 4xx that are not listed   may hit whoever asks rightly
//	never          5xx and what is no status
//
// Even then the fault is undecided: a status alone does not show that an upstream is right.
func ByStatus(status int) abi.Verdict {
	switch status {
	case 101:
		return abi.Verdict{Class: abi.OK, Fault: abi.FaultNobody}
	case 400, 405, 406, 413, 415, 422:
		return abi.Verdict{Class: abi.InvalidRequest, Counts: true}
	case 404, 410:
		return abi.Verdict{Class: abi.NotFound, Counts: true}
	case 401, 407:
		return abi.Verdict{Class: abi.Auth}
	case 402:
		return abi.Verdict{Class: abi.Account}
	case 403, 451:
		return abi.Verdict{Class: abi.Permission}
	case 408:
		return abi.Verdict{Class: abi.Timeout, Retryable: true}
	case 409, 412, 423, 424, 428:
		return abi.Verdict{Class: abi.Conflict}
	case 425:
		return abi.Verdict{Class: abi.Conflict, Retryable: true}
	case 429:
		return abi.Verdict{Class: abi.Throttled, Retryable: true}
	case 502:
		return abi.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream, Retryable: true}
	case 503:
		return abi.Verdict{Class: abi.Unavailable, Fault: abi.FaultUpstream, Retryable: true}
	case 504:
		return abi.Verdict{Class: abi.Timeout, Fault: abi.FaultUpstream, Retryable: true}
	}
	switch status / 100 {
	case 1:
		return abi.Verdict{} // another interim response is nothing to judge
	case 2, 3:
		return abi.Verdict{Class: abi.OK, Fault: abi.FaultNobody}
	case 4:
		return abi.Verdict{Class: abi.InvalidRequest}
	case 5:
		return abi.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream}
	}
	return abi.Verdict{Class: abi.ProtocolError, Fault: abi.FaultUpstream}
}

// AboutStatus is the part of the request that a status speaks of, as far as it does: to be judged along with [ByStatus].
func AboutStatus(status int) abi.About {
	switch status {
	case 401, 403:
		return abi.About{Part: abi.PartCredential}
	case 404, 405, 410:
		return abi.About{Part: abi.PartPath}
	case 406:
		return abi.About{Part: abi.PartField, Name: "Accept"}
	case 413:
		return abi.About{Part: abi.PartBody}
	case 415:
		return abi.About{Part: abi.PartField, Name: "Content-Type"}
	}
	return abi.About{}
}
