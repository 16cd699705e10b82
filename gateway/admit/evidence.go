package admit

import (
	"time"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// Evidence is how one request of a client ended. Its strings other than RequestID must be stable: they are kept.
type Evidence struct {
	Time      time.Time
	Class     abi.Class
	Fault     abi.Fault
	Counts    bool // the verdict says that it counts against the client
	Signature Signature
	About     abi.About
	RequestID string // copied, its first 64 bytes
}

// A Signature tells the failures of a route apart: equal ones have failed alike.
type Signature struct {
	Status  int    // the upstream's, 0 if it gave none
	Code    string // the upstream's own error code, or the reason that a plugin found
	Framing string // of the response: "length", "chunked", "close"
}

// accrues says whether e is held against the client. When nobody knows whose fault it was, the verdict's word stands.
func (e *Evidence) accrues() bool {
	return e.Counts && (e.Fault == abi.FaultClient || e.Fault == abi.Undecided)
}

// heldEvidence is evidence as an account keeps it: it owns all its bytes and costs no allocation of its own.
type heldEvidence struct {
	Evidence        // without the request id
	ok       uint64 // successes before it
	id       [64]byte
	idLen    uint8
}

func hold(e Evidence, ok uint64) heldEvidence {
	h := heldEvidence{Evidence: e, ok: ok}
	h.idLen = uint8(copy(h.id[:], e.RequestID))
	h.RequestID = ""
	return h
}

func (h *heldEvidence) evidence() Evidence {
	e := h.Evidence
	e.RequestID = string(h.id[:h.idLen])
	return e
}
