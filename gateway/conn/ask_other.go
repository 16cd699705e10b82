//go:build !linux

package conn

// An asking is nothing here.
type asking struct{}

// Ask writes p on a connection that has to be open with nothing to read, as [Socket.Clean] has it. ErrNotClean says that nothing was
// written. n is 0: a Read has to follow.
func (s *Socket) Ask(p, _ []byte) (wrote, n int, err error) { return s.askPlainly(p) }

func (s *Socket) askDescriptor(uintptr) bool { return true }
