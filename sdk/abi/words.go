// Package abi holds the words that a gateway and its guests share: names, numbers, layouts and the version they belong to.
//
// Everything here is a promise to strangers. Numbers are never reused and never change their meaning; new ones are added at
// the end. The same numbers are the values of the native ABI, the labels of the gateway's metrics and the words of its API.
package abi

import (
	"errors"
	"strings"
	"time"
)

// A Class says what a response is. Zero is [Unjudged]: a forgotten path shows up in the counts.
// Whose doing it was is another type, [Fault]: an upstream can refuse a request that its client sent rightly.
type Class uint8

const (
	Unjudged       Class  = iota // nobody has said
	OK                           // the upstream did what was asked
	InvalidRequest               // it says that the request is wrong
	NotFound                     // it says that what was asked for does not exist
	Auth                         // it does not accept the credential
	Permission                   // it accepts the credential, but not for this
	Throttled                    // it asks for less
	Account                      // the client's account at the upstream is locked, unpaid or restricted
	Conflict                     // the state of the resource forbids it
	Unavailable                  // it says that it cannot serve now
	UpstreamError                // it failed
	Timeout                      // it did not answer in time
	ProtocolError                // it answered with something that is not the protocol
	Aborted                      // the client left before the end
	Shed                         // we turned the request away
	Classes        = iota        // how many there are
)

var classNames = [Classes]string{
	"unjudged", "ok", "invalid_request", "not_found", "auth", "permission", "throttled", "account", "conflict",
	"unavailable", "upstream_error", "timeout", "protocol_error", "aborted", "shed",
}

// String returns the word for c in metrics, logs and the API.
func (c Class) String() string {
	if int(c) < Classes {
		return classNames[c]
	}
	return say("class(", uint8(c), ")")
}

// A Fault says whose doing a failure was. Zero is [Undecided].
type Fault uint8

const (
	Undecided     Fault  = iota // not known
	FaultClient                 // the client's
	FaultUpstream               // the upstream's
	FaultGateway                // ours: the configuration, a plugin, something that we injected
	FaultShared                 // all clients' together, as with a limit that they share
	FaultNobody                 // there was no failure, or nobody's
	Faults        = iota        // how many there are
)

var faultNames = [Faults]string{"undecided", "client", "upstream", "gateway", "shared", "nobody"}

// String returns the word for f in metrics, logs and the API.
func (f Fault) String() string {
	if int(f) < Faults {
		return faultNames[f]
	}
	return say("fault(", uint8(f), ")")
}

// A Part is a kind of part of a request.
type Part uint8

const (
	PartNone       Part   = iota // no part in particular, or not known
	PartCredential               // what proves who the sender is
	PartPath                     // the path of the request target
	PartQuery                    // one parameter of the query
	PartField                    // one header field
	PartBody                     // the content
	Parts          = iota        // how many there are
)

var partNames = [Parts]string{"none", "credential", "path", "query", "field", "body"}

// About names the part of a request that an error is about. Its text form is none, credential, path, query:NAME,
// field:NAME or body.
type About struct {
	Part Part
	Name string // of the query parameter or field; empty for the other parts
}

// String returns a's text form.
func (a About) String() string {
	switch {
	case int(a.Part) >= Parts:
		return say("part(", uint8(a.Part), ")")
	case a.Part == PartQuery, a.Part == PartField:
		return partNames[a.Part] + ":" + a.Name
	default:
		return partNames[a.Part]
	}
}

// ParseAbout reads the text form of an [About].
func ParseAbout(s string) (About, error) {
	word, name, named := strings.Cut(s, ":")
	for p, w := range partNames {
		part := Part(p)
		if w != word || named != (part == PartQuery || part == PartField) || named && name == "" {
			continue
		}
		return About{Part: part, Name: name}, nil
	}
	return About{}, errors.New(say("about ", quoted(s), ": expected none, credential, path, query:NAME, field:NAME or body"))
}

// A Reason is one of the explanations that a guest may give. A guest declares its reasons when it is configured and then
// names them by their index, so that their number is bounded and they can label metrics.
type Reason struct {
	Name  string // a short word, [a-z0-9_]+
	About About  // which part of the request the error is about
}

// A Verdict is what classification says of one response. The zero Verdict says nothing.
type Verdict struct {
	Class      Class
	Fault      Fault         // a hint: provenance and cohort may overrule it
	Counts     bool          // it counts against the client, unless the fault turns out to be another's
	Retryable  bool          // the same request may be sent again
	RetryAfter time.Duration // no sooner than this; whole milliseconds, 0 to about 49 days
	Reason     uint16        // index into the reasons declared by the guest; 0 is no reason, 1 the first
}

// Pack returns v as the 64-bit word that the native ABI carries:
//
//	bits 0–7 class, 8–11 fault, 12 counts, 13 retryable, 14–15 zero, 16–31 reason, 32–63 retry-after in milliseconds
func (v Verdict) Pack() uint64 {
	w := uint64(v.Class) | uint64(v.Fault&15)<<8 | uint64(v.Reason)<<16
	if v.Counts {
		w |= 1 << 12
	}
	if v.Retryable {
		w |= 1 << 13
	}
	ms := min(max(v.RetryAfter.Milliseconds(), 0), 1<<32-1)
	return w | uint64(ms)<<32
}

// UnpackVerdict reads what [Verdict.Pack] wrote. A class or fault that is not on the lists, or a reserved bit, is an error:
// the guest speaks of something that this version does not know.
func UnpackVerdict(w uint64) (Verdict, error) {
	v := Verdict{
		Class:      Class(w),
		Fault:      Fault(w >> 8 & 15),
		Counts:     w>>12&1 == 1,
		Retryable:  w>>13&1 == 1,
		Reason:     uint16(w >> 16),
		RetryAfter: time.Duration(w>>32) * time.Millisecond,
	}
	if int(v.Class) >= Classes || int(v.Fault) >= Faults || w>>14&3 != 0 {
		return Verdict{}, errors.New(say("verdict ", hex16(w), ": class ", uint8(v.Class), " of ", Classes,
			", fault ", uint8(v.Fault), " of ", Faults, ", reserved bits ", w>>14&3))
	}
	return v, nil
}
