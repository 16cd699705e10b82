//go:build !unix

package conn

// peekDescriptor cannot look here: a connection that went bad while idle is noticed when it is used.
func (s *Socket) peekDescriptor(uintptr) {
	s.nothing = true
}
