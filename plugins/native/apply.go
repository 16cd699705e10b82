package native

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// maxChanges is how many bytes of changes one call may ask for, bodies not counted: they have caps of their own. The limit
// stands before the first change, because a limit met between two could be met again when they are taken back.
const maxChanges = 1 << 20

func changesOf(p abi.Phase, list []byte) (n int) {
	var mu abi.Mutation
	for m := abi.ReadMutations(p, list); next(&m, &mu); {
		if mu.Kind != abi.KindSetBody {
			n += 8 + len(mu.Name) + len(mu.Value)
		}
	}
	return n
}

// apply makes the changes of a checked list, all or none as far as it goes. Bodies come after everything else, because a body
// cannot be put back, and an answer after what it consists of.
func apply(p abi.Phase, list []byte, x engine.Exchange, u *undo) (answered bool, err error) {
	u.list, u.notes = u.list[:0], u.notes[:0]
	if len(list) > maxChanges {
		if n := changesOf(p, list); n > maxChanges {
			return false, fmt.Errorf("%d bytes of changes, expected at most %d: %w", n, maxChanges, engine.ErrTooLarge)
		}
	}
	bodies, answer := false, 0
	var mu abi.Mutation
	for m := abi.ReadMutations(p, list); next(&m, &mu); {
		switch mu.Kind {
		case abi.KindSetBody:
			bodies = true
			continue
		case abi.KindAnswer:
			answer = mu.Status
			continue
		}
		if alone := mu.Offset == 0 && 8+len(mu.Name)+len(mu.Value) == len(list); !alone {
			u.note(x, &mu) // a change alone needs no note: refused, it has changed nothing
		}
		if err := change(x, &mu); err != nil {
			u.forget(mu.Offset)
			return false, refused(&mu, err, u.takeBack(x))
		}
	}
	if bodies {
		for m := abi.ReadMutations(p, list); next(&m, &mu); {
			if mu.Kind != abi.KindSetBody {
				continue
			}
			if err := change(x, &mu); err != nil {
				return false, refused(&mu, err, u.takeBack(x))
			}
		}
	}
	if answer == 0 {
		return false, nil
	}
	if err := x.Answer(answer); err != nil {
		mu = abi.Mutation{Kind: abi.KindAnswer, Status: answer}
		return false, refused(&mu, err, u.takeBack(x))
	}
	return true, nil
}

// next reads on in a list that was checked.
func next(m *abi.Mutations, mu *abi.Mutation) bool {
	more, err := m.Next(mu)
	if err != nil {
		panic("BUG: a list that was checked has a mistake: " + err.Error())
	}
	return more
}

// change makes one change, other than an answer.
func change(x engine.Exchange, mu *abi.Mutation) error {
	s := engine.Section(mu.Section) // the numbers are the same
	switch mu.Kind {
	case abi.KindSetURI:
		return x.SetURI(mu.Value)
	case abi.KindSetMethod:
		return x.SetMethod(mu.Value)
	case abi.KindSetField:
		return x.SetField(s, mu.Name, mu.Value)
	case abi.KindAddField:
		return x.AddField(s, mu.Name, mu.Value)
	case abi.KindRemoveField:
		return x.RemoveField(s, mu.Name)
	case abi.KindSetStatus:
		return x.SetStatus(mu.Status)
	case abi.KindSetBody:
		if mu.Response {
			return x.SetBody(engine.Response, mu.Value)
		}
		return x.SetBody(engine.Request, mu.Value)
	default:
		panic("BUG: unknown mutation " + mu.Kind.String())
	}
}

// refused tells which change the exchange did not allow, and whether those before it could be taken back.
func refused(mu *abi.Mutation, err, back error) error {
	what := mu.Kind.String()
	switch {
	case len(mu.Name) > 0:
		what += fmt.Sprintf(" %q", mu.Name)
	case mu.Kind == abi.KindSetURI, mu.Kind == abi.KindSetMethod:
		what += fmt.Sprintf(" %q", mu.Value[:min(len(mu.Value), 200)])
	case mu.Status != 0:
		what += fmt.Sprintf(" %d", mu.Status)
	}
	err = fmt.Errorf("mutations: offset %d: %s: %w", mu.Offset, what, err)
	if back != nil {
		return fmt.Errorf("%w (and changes before it could not be taken back: %v)", err, back)
	}
	return err
}

// An undo remembers what changes have replaced, as lists of the changes that put it back.
type undo struct {
	list  []byte
	notes []note
}

type note struct {
	of    int       // offset of the change that it takes back
	at    int       // where it begins in the list; it ends where the next one begins
	phase abi.Phase // that reads it
}

// forget drops the note of a change that was refused: it changed nothing.
func (u *undo) forget(offset int) {
	if n := len(u.notes) - 1; n >= 0 && u.notes[n].of == offset {
		u.list, u.notes = u.list[:u.notes[n].at], u.notes[:n]
	}
}

// note remembers what mu is about to replace.
func (u *undo) note(x engine.Exchange, mu *abi.Mutation) {
	n := note{of: mu.Offset, at: len(u.list), phase: abi.PhaseRequest}
	switch mu.Kind {
	case abi.KindSetURI:
		u.list = abi.AppendSetURI(u.list, x.URI())
	case abi.KindSetMethod:
		u.list = abi.AppendSetMethod(u.list, x.Method())
	case abi.KindSetStatus:
		n.phase = abi.PhaseResponse
		u.list = abi.AppendSetStatus(u.list, x.Status())
	default:
		if !mu.Section.Request() {
			n.phase = abi.PhaseResponse
		}
		u.noteField(x, mu)
	}
	u.notes = append(u.notes, n)
}

// noteField remembers all lines of a name. The first one goes back to its place if the change left a line there; the others go
// to the end, in their order.
func (u *undo) noteField(x engine.Exchange, mu *abi.Mutation) {
	s := engine.Section(mu.Section)
	first := true
	for i := range x.NumFields(s) {
		name, value := x.Field(s, i)
		switch {
		case !bytes.EqualFold(name, mu.Name):
		case first:
			u.list = abi.AppendSetField(u.list, mu.Section, name, value)
			first = false
		default:
			u.list = abi.AppendAddField(u.list, mu.Section, name, value)
		}
	}
	if first { // there was none
		u.list = abi.AppendRemoveField(u.list, mu.Section, mu.Name)
	}
}

// takeBack undoes what was noted, the last change first.
func (u *undo) takeBack(x engine.Exchange) error {
	var errs []error
	end := len(u.list)
	for i := len(u.notes) - 1; i >= 0; i-- {
		n := u.notes[i]
		var mu abi.Mutation
		m := abi.ReadMutations(n.phase, u.list[n.at:end])
		more, err := m.Next(&mu) // there can be an error: what an upstream sent may be what no guest may ask for
		for ; more; more, err = m.Next(&mu) {
			if err := change(x, &mu); err != nil {
				errs = append(errs, err)
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
		end = n.at
	}
	return errors.Join(errs...)
}
