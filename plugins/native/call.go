package native

import (
	"errors"
	"fmt"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// Request lets the guest change a request before it is sent, and reports whether it answered it in the upstream's place.
//
// A list with a mistake in it changes nothing. If the exchange refuses one of the changes, those before it are taken back: then
// fields may stand in another order than before, and only a second body of the same list can leave the first one behind.
func (g *Guest) Request(x engine.Exchange) (answered bool, err error) {
	return g.rewrite(abi.PhaseRequest, x)
}

// Response lets the guest change a response's head and body.
func (g *Guest) Response(x engine.Exchange) error {
	_, err := g.rewrite(abi.PhaseResponse, x)
	return err
}

// Classify lets the guest judge a response. A guest that does not want to hear of it has the zero verdict.
func (g *Guest) Classify(x engine.Exchange) (abi.Verdict, error) {
	want := &g.declared.Wants[abi.PhaseClassify]
	if !want.Interested(x.Method(), x.Status()) {
		return abi.Verdict{}, nil
	}
	in, err := g.module.Borrow()
	if err != nil {
		return abi.Verdict{}, err
	}
	defer in.Return()
	if err := enter(in, abi.PhaseClassify, want, x); err != nil {
		return abi.Verdict{}, err
	}
	v, err := abi.UnpackVerdict(in.Stack[0])
	if err != nil {
		return abi.Verdict{}, in.Break(callClassify, err.Error())
	}
	if int(v.Reason) > len(g.declared.Reasons) {
		return abi.Verdict{}, in.Break(callClassify, fmt.Sprintf("verdict with reason %d: expected at most %d, as declared", v.Reason, len(g.declared.Reasons)))
	}
	return v, nil
}

func (g *Guest) rewrite(p abi.Phase, x engine.Exchange) (answered bool, err error) {
	want := &g.declared.Wants[p]
	if !want.Interested(x.Method(), x.Status()) {
		return false, nil
	}
	in, err := g.module.Borrow()
	if err != nil {
		return false, err
	}
	defer in.Return()
	if err := enter(in, p, want, x); err != nil {
		return false, err
	}
	list, err := result(in, callOf[p])
	if list == nil || err != nil {
		return false, err
	}
	if err := abi.CheckMutations(p, list); err != nil {
		return false, in.Break(callOf[p], err.Error())
	}
	return apply(p, list, x, &in.State.(*buffer).undo)
}

// enter lays the input of a phase into the guest's memory and calls it.
func enter(in *engine.Instance, p abi.Phase, want *abi.Want, x engine.Exchange) error {
	in.Exchange = x
	buf := in.State.(*buffer)
	view, err := buf.view(in)
	if err != nil {
		return err
	}
	// The input is appended to the start of the view. What does not fit moves to memory of our own by itself, and is copied
	// when the guest has made room.
	input, err := appendInput(view[:0], p, want, x)
	if err != nil {
		return err
	}
	if len(input) > len(view) {
		if err := buf.reserve(in, roomFor(len(input))); err != nil {
			return err
		}
		if view, err = buf.view(in); err != nil {
			return err
		}
		copy(view, input)
	}
	in.Stack[0] = uint64(len(input))
	return in.Call(callOf[p])
}

// roomFor is the room to ask for when n bytes are needed: more, so that a slightly longer input does not ask again.
func roomFor(n int) int { return n + n/4 + 1<<10 }

// sections are those that can be seen in a phase, in the order of an input.
var sections = [abi.Phases][]abi.Section{
	abi.PhaseRequest:  {abi.RequestFields, abi.RequestTrailers},
	abi.PhaseResponse: {abi.RequestFields, abi.ResponseFields, abi.RequestTrailers, abi.ResponseTrailers},
	abi.PhaseClassify: {abi.RequestFields, abi.ResponseFields, abi.RequestTrailers, abi.ResponseTrailers},
}

// appendInput appends what the guest wants to see.
func appendInput(b []byte, p abi.Phase, want *abi.Want, x engine.Exchange) ([]byte, error) {
	status, message := 0, engine.Request
	if p != abi.PhaseRequest {
		status, message = x.Status(), engine.Response
	}
	b = abi.AppendInput(b, p, status)
	if want.Method {
		b = abi.AppendMethod(b, x.Method())
	}
	if want.URI {
		b = abi.AppendURI(b, x.URI())
	}
	// The body comes last in the input but is read first: trailers are there only when all of it was.
	var body []byte
	var whole bool
	var err error
	switch {
	case want.Body > 0:
		body, err = x.Body(message, want.Body)
		whole = true
	case want.Prefix > 0:
		body, whole, err = x.Prefix(message, want.Prefix)
	}
	if err != nil {
		return nil, readError(want, err)
	}
	for _, s := range sections[p] {
		if !want.SeesFields(s) {
			continue
		}
		section := engine.Section(s) // the numbers are the same
		for i := range x.NumFields(section) {
			if name, value := x.Field(section, i); want.Sees(s, name) {
				b = abi.AppendField(b, s, name, value)
			}
		}
	}
	if want.Body > 0 || want.Prefix > 0 {
		b = abi.AppendBody(b, body, whole)
	}
	return b, nil
}

func readError(want *abi.Want, err error) error {
	switch {
	case errors.Is(err, engine.ErrTooLarge):
		return fmt.Errorf("body is more than the %d bytes that it wants to see whole: %w", want.Body, err)
	case want.Body > 0:
		return fmt.Errorf("body: %w", err)
	default:
		return fmt.Errorf("start of the body: %w", err)
	}
}
