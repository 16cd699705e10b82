package abi

// The Append functions below build a mutation list, on the guest's side.

// AppendSetURI asks for another path and query.
func AppendSetURI(dst, uri []byte) []byte { return appendText(dst, KindSetURI, 0, 0, uri) }

// AppendSetMethod asks for another method.
func AppendSetMethod[T []byte | string](dst []byte, method T) []byte {
	return append(appendItem(dst, KindSetMethod, 0, 0, len(method)), method...)
}

// AppendSetField asks that one line of that name remains.
func AppendSetField[N, V []byte | string](dst []byte, s Section, name N, value V) []byte {
	return appendPair(dst, KindSetField, uint8(s), name, value)
}

// AppendAddField asks for one more line.
func AppendAddField[N, V []byte | string](dst []byte, s Section, name N, value V) []byte {
	return appendPair(dst, KindAddField, uint8(s), name, value)
}

// AppendRemoveField asks that no line of that name remains.
func AppendRemoveField[N []byte | string](dst []byte, s Section, name N) []byte {
	return appendPair(dst, KindRemoveField, uint8(s), name, "")
}

// AppendSetStatus asks for another status of the response.
func AppendSetStatus(dst []byte, status int) []byte {
	return appendItem(dst, KindSetStatus, 0, uint16(status), 0)
}

// AppendSetBody asks for another body: the request's, or the response's if response is true.
func AppendSetBody[T []byte | string](dst []byte, response bool, body T) []byte {
	var sub uint8
	if response {
		sub = 1
	}
	return append(appendItem(dst, KindSetBody, sub, 0, len(body)), body...)
}

// AppendAnswer begins a list that answers in the upstream's place: the response fields and the body that follow are the answer's.
func AppendAnswer(dst []byte, status int) []byte {
	return appendItem(dst, KindAnswer, 0, uint16(status), 0)
}

// A Mutation is one item of a mutation list. Name and Value are borrowed from it.
type Mutation struct {
	Kind     Kind
	Section  Section // of a field
	Response bool    // of a body: it is the response's
	Status   int     // of an answer or a set status
	Name     []byte  // of a field
	Value    []byte  // URI, method, field value or body
	Offset   int     // in the list, for errors
}

// Mutations is a list being read. A list has to pass [CheckMutations] before any of it is applied.
type Mutations struct {
	list     []byte
	at       int
	request  bool // the guest was called in the request phase
	answered bool // the list began with an answer
}

// ReadMutations begins to read the list that a guest returned in p, which is [PhaseRequest] or [PhaseResponse].
func ReadMutations(p Phase, list []byte) Mutations {
	return Mutations{list: list, request: p == PhaseRequest}
}

// CheckMutations reads all of a list and returns the first mistake in it. A list without items is one: unchanged is 0.
func CheckMutations(p Phase, list []byte) error {
	if len(list) == 0 {
		return &Error{"mutations", 0, "no items", "at least one, or 0 for unchanged"}
	}
	m := ReadMutations(p, list)
	var mu Mutation
	for {
		if ok, err := m.Next(&mu); !ok {
			return err
		}
	}
}

// Next reads the next mutation into mu; false at the end.
func (m *Mutations) Next(mu *Mutation) (bool, error) {
	if m.at >= len(m.list) {
		return false, nil
	}
	it, after, err := next("mutations", m.list, m.at)
	if err != nil {
		return false, err
	}
	if got, want := m.wrong(&it); want != "" {
		return false, &Error{"mutations", it.offset, it.kind.String() + got, want}
	}
	m.at = after
	m.answered = m.answered || it.kind == KindAnswer
	*mu = Mutation{Kind: it.kind, Offset: it.offset}
	switch it.kind {
	case KindSetField, KindAddField, KindRemoveField:
		mu.Section = Section(it.sub)
		mu.Name, mu.Value = it.pair()
	case KindSetStatus, KindAnswer:
		mu.Status = int(it.arg)
	case KindSetBody:
		mu.Response = it.sub == 1
		mu.Value = it.payload
	default:
		mu.Value = it.payload
	}
	return true, nil
}

// wrong says what is not right with it, and what was expected; nothing if it is fine.
func (m *Mutations) wrong(it *item) (got, want string) {
	switch it.kind {
	case KindSetURI, KindSetMethod:
		switch {
		case !m.request:
			return "", "it only in the request phase"
		case m.answered:
			return " after an answer", "nothing but the answer's fields and body"
		case it.sub != 0 || it.arg != 0:
			return say(" with sub ", it.sub, " and arg ", it.arg), "0 and 0"
		case len(it.payload) == 0:
			return " without text", "at least 1 byte"
		}
	case KindSetField, KindAddField, KindRemoveField:
		switch {
		case it.sub >= Sections:
			return say(" in section ", it.sub), "0 to 3"
		case Section(it.sub).Request() == m.ofResponse():
			return say(" in section ", it.sub), m.sections()
		case it.arg == 0 || int(it.arg) > len(it.payload):
			return say(" with a name of ", it.arg, " bytes in ", len(it.payload)), "a name of at least 1, within the item"
		case it.kind == KindRemoveField && int(it.arg) != len(it.payload):
			return say(" with a name of ", it.arg, " bytes in ", len(it.payload)), "only a name"
		}
	case KindSetBody:
		switch {
		case it.sub > 1:
			return say(" of message ", it.sub), "0 or 1"
		case (it.sub == 0) == m.ofResponse():
			return say(" of message ", it.sub), m.sections()
		case it.arg != 0:
			return say(" with arg ", it.arg), "0"
		}
	case KindSetStatus, KindAnswer:
		switch {
		case it.kind == KindSetStatus && m.request:
			return "", "it only in the response phase"
		case it.kind == KindAnswer && !m.request:
			return "", "it only in the request phase"
		case it.kind == KindAnswer && it.offset != 0:
			return "", "it only as the first item"
		case it.sub != 0:
			return say(" with sub ", it.sub), "0"
		case it.arg < 200 || it.arg > 599:
			return say(" with status ", it.arg), "200 to 599"
		case len(it.payload) != 0:
			return say(" with a payload of ", len(it.payload), " bytes"), "none"
		}
	default:
		return "", "a mutation, 16 to 23"
	}
	return "", ""
}

// ofResponse reports whether the fields and the body that the next items are about are the response's.
func (m *Mutations) ofResponse() bool { return !m.request || m.answered }

func (m *Mutations) sections() string {
	if m.ofResponse() {
		return "sections 1 and 3 and message 1: the response's"
	}
	return "sections 0 and 2 and message 0: the request's"
}
