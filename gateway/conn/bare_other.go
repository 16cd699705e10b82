//go:build !linux

package conn

// A bare is nothing here.
type bare struct{}

func (s *Socket) bind() {}

func (s *Socket) readOnce(p []byte) (int, error) { return s.Conn.Read(p) }

func (s *Socket) writeOnce(p []byte) (int, error) { return s.Conn.Write(p) }

// Ask writes p on a connection that has to be open with nothing to read, as [Socket.Clean] has it. ErrNotClean says that nothing was
// written. n is 0: a Read has to follow.
func (s *Socket) Ask(p, _ []byte) (wrote, n int, err error) { return s.askPlainly(p) }
