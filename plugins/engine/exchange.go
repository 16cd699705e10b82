package engine

import (
	"errors"
	"net/netip"
)

// A Message is one of an exchange's two messages.
type Message uint8

const (
	Request Message = iota
	Response
)

// A Section is one of an exchange's four field sections. The numbers are those of http-wasm's header kinds.
type Section uint8

const (
	RequestFields Section = iota
	ResponseFields
	RequestTrailers
	ResponseTrailers
)

// What an [Exchange] answers when it refuses a change. The refusals say what was wrong; these say which kind it was.
var (
	ErrRefused  = errors.New("the gateway does not allow it")             // framing, hop-by-hop, authority, or bytes that are not the protocol
	ErrTooLarge = errors.New("over the limit")                            // of a body, a prefix or a field section
	ErrPhase    = errors.New("not possible at this point of an exchange") // such as a request field after the request was sent
)

// An Exchange is what a guest meets of one attempt at an upstream: what the client sent and the upstream answered as the
// steps before have left it. It is the only thing that an ABI knows of a request.
//
// Bytes that it returns are borrowed: they hold until the next call that changes the same part, and never outlive the
// guest's call. Bytes that it is given are copied. An Exchange is used by one goroutine at a time.
//
// What a change means to framing, hop-by-hop fields and the record of who changed what is the implementation's to enforce:
// an error that wraps [ErrRefused], [ErrTooLarge] or [ErrPhase] has changed nothing.
type Exchange interface {
	// ID is the request id, for log lines.
	ID() string
	// Peer is the client's address, as far as trusted proxies tell it.
	Peer() netip.AddrPort
	// Protocol is the version that the client spoke, such as "HTTP/1.1".
	Protocol() string

	// Method is the request's method.
	Method() []byte
	SetMethod(method []byte) error
	// URI is the path and query as they will be sent, byte for byte, "*" or the authority included where a method has them.
	URI() []byte
	// SetURI replaces path and query. An empty uri means "/".
	SetURI(uri []byte) error
	// Status is the response's status code, 0 while there is no response.
	Status() int
	SetStatus(status int) error

	// NumFields is the number of field lines in s.
	NumFields(s Section) int
	// Field is the i-th field line of s in the order of the message; names keep their case.
	Field(s Section, i int) (name, value []byte)
	// SetField leaves one line of that name, compared without case: the first one's place, or the end.
	SetField(s Section, name, value []byte) error
	// AddField appends a line.
	AddField(s Section, name, value []byte) error
	// RemoveField removes every line of that name, compared without case.
	RemoveField(s Section, name []byte) error

	// Prefix is the start of m's content, at most limit bytes, content coding undone where it is known, and whether that is
	// all of it. It holds nothing back that the receiver could have already, beyond what the route declared.
	Prefix(m Message, limit int) (prefix []byte, whole bool, err error)
	// Body is all of m's content, read into memory. It is [ErrTooLarge] beyond limit bytes.
	Body(m Message, limit int) ([]byte, error)
	// SetBody replaces m's content and mends its framing.
	SetBody(m Message, body []byte) error

	// Answer ends the request phase: the client gets status with the response fields and body that were set, and the
	// upstream is never asked.
	Answer(status int) error
}
