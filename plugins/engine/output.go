package engine

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Lines that one module may write to the log: so many at once, then so many a second. Longer ones are cut.
const (
	outputBurst = 50
	outputRate  = 10
	outputLine  = 1 << 10
)

// An output is the way of a module's words into the log. What is over its rate is counted and left out.
type output struct {
	log *slog.Logger

	mu      sync.Mutex
	left    float64 // lines that may be written now
	last    time.Time
	dropped int64
}

func newOutput(log *slog.Logger, name string) *output {
	return &output{log: log.With("plugin", name), left: outputBurst, last: time.Now()}
}

// write logs one line, if there is room. The attributes come in pairs as with [slog.Logger.Log].
func (o *output) write(level slog.Level, text string, args ...any) {
	ctx := context.Background()
	if !o.log.Enabled(ctx, level) {
		return
	}
	o.mu.Lock()
	now := time.Now()
	o.left = min(o.left+outputRate*now.Sub(o.last).Seconds(), outputBurst)
	o.last = now
	if o.left < 1 {
		o.dropped++
		o.mu.Unlock()
		return
	}
	o.left--
	dropped := o.dropped
	o.dropped = 0
	o.mu.Unlock()
	if dropped > 0 {
		args = append(args, "lines_left_out_before", dropped)
	}
	o.log.Log(ctx, level, text, args...)
}

// A stream is what one instance writes to its standard output or error. A line ends with a newline or when it is too long;
// what has not ended is written when the instance is closed.
type stream struct {
	in    *Instance
	name  string
	level slog.Level
	line  []byte
}

// Write never fails and never blocks on the log's reader for more than a line: the guest cannot tell what became of it.
func (s *stream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.take(p)
			break
		}
		s.take(p[:end])
		s.flush()
		p = p[end+1:]
	}
	return n, nil
}

// take keeps the start of a line and forgets what is over the limit.
func (s *stream) take(p []byte) {
	s.line = append(s.line, p[:min(len(p), outputLine-len(s.line))]...)
}

func (s *stream) flush() {
	if len(s.line) > 0 {
		s.in.log(s.level, string(s.line), "stream", s.name)
		s.line = s.line[:0]
	}
}

// log writes a guest's words with the request that they belong to.
func (in *Instance) log(level slog.Level, text string, args ...any) {
	if in.Exchange != nil {
		args = append(args, "request", in.Exchange.ID())
	}
	in.module.output.write(level, strings.ToValidUTF8(text, "\uFFFD"), args...)
}

// Log writes a guest's message to the gateway's log, within the module's rate.
func (in *Instance) Log(level slog.Level, text []byte) {
	in.log(level, string(text[:min(len(text), outputLine)]))
}

// Log writes about the module to the gateway's log, within the module's rate.
func (m *Module) Log(level slog.Level, text string, args ...any) {
	m.output.write(level, text, args...)
}
