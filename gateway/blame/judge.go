// Package blame says whose fault a response was.
//
// A verdict on a response says what it is and may hint at a fault. [Judge] joins it with provenance: the [Ledger] of one
// attempt knows which parts of the request the gateway or a step put, changed or took away, and an error about such a part
// is never the client's. The ledger never proves that an error is the client's: an upstream can reject what was sent
// rightly. [ByStatus] is the verdict where no step has given one.
package blame

import "github.com/breakwater-gateway/breakwater/sdk/abi"

// Why is the ground of a [Finding]. Its words are metric labels and API words.
type Why uint8

const (
	NoError       Why    = iota // the response is not an error that could be held against somebody
	VerdictAcquit               // the verdict itself says that it is another's fault than the client's
	AboutNothing                // the error is about no part in particular: the verdict's hint stands
	ClientSent                  // it is about a part that is as the client sent it: the verdict's hint stands
	GatewayPut                  // it is about a part that the gateway's configuration put, changed or took away
	StepChanged                 // it is about a part that a step put, changed or took away
	LedgerFull                  // the ledger could not hold everything: nobody knows who put the part there
	Whys          = iota        // how many there are
)

var whyNames = [Whys]string{
	"no_error", "verdict", "about_nothing", "client_sent", "gateway_put", "step_changed", "ledger_full",
}

func (w Why) String() string { return whyNames[w] }

// A Finding is what is known of the fault after provenance.
type Finding struct {
	Fault  abi.Fault
	Counts bool // against the client
	Why    Why

	About  abi.About
	By     Origin // who was the last to change the part
	Change Change // what they did
}

// String explains f for a log: `step_changed: query:phone_number_id was removed by step "drop"`.
func (f Finding) String() string {
	switch f.Why {
	case NoError, VerdictAcquit, AboutNothing:
		return f.Why.String()
	case GatewayPut, StepChanged:
		return f.Why.String() + ": " + f.About.String() + " was " + f.Change.String() + " by " + f.By.String()
	}
	return f.Why.String() + ": " + f.About.String()
}

// Judge joins verdict v on a response, about a part of the request, with what l knows of the request. A nil l knows that
// the client sent everything.
func Judge(v abi.Verdict, about abi.About, l *Ledger) Finding {
	f := Finding{Fault: v.Fault, About: about}
	switch {
	case v.Class == abi.OK:
		f.Fault = abi.FaultNobody
		return f
	case v.Class == abi.Unjudged, v.Class == abi.Aborted, v.Class == abi.Shed:
		return f // not known, the client left, we refused
	case v.Fault != abi.FaultClient && v.Fault != abi.Undecided:
		f.Why = VerdictAcquit
		return f
	}
	f.Counts = v.Counts
	if about.Part == abi.PartNone {
		f.Why = AboutNothing
		return f
	}
	m, known := l.of(about)
	switch {
	case !known:
		f.Fault, f.Counts, f.Why = abi.Undecided, false, LedgerFull
	case !m.by.ours:
		f.Why = ClientSent
	default:
		f.Fault, f.Counts, f.Why = abi.FaultGateway, false, GatewayPut
		if m.by.step != "" {
			f.Why = StepChanged
		}
		f.By, f.Change = m.by, m.change
	}
	return f
}

// of returns the mark of a part, and whether l can tell.
func (l *Ledger) of(about abi.About) (m mark, known bool) {
	if l == nil {
		return mark{}, true
	}
	switch about.Part {
	case abi.PartPath:
		return l.path, true
	case abi.PartBody:
		return l.body, true
	case abi.PartCredential:
		return l.credential, true
	case abi.PartQuery, abi.PartField:
		if e := find(l, about.Part, about.Name); e != nil {
			return e.mark, true
		}
		return mark{}, !l.overflow
	}
	return mark{}, false // a part that this version does not know
}
