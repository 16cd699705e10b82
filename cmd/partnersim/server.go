package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// options are the command's flags.
type options struct {
	listen, control, publicURL string
	tlsCert, tlsKey            string
	seed                       uint64
	record                     int
	now                        func() time.Time // nil: time.Now
}

// A simulator is the partner: one API listener, one control listener and what they share.
type simulator struct {
	apiURL, controlURL string
	publicURL          string
	seed               uint64
	tls                *tls.Config // nil: plain

	now       func() time.Time
	date      atomic.Pointer[dateLine]
	scenarios *registry
	received  *recorder // nil: off
	store     *store

	api        net.Listener
	controlLn  net.Listener
	controlSrv *http.Server

	closing chan struct{} // closed when the simulator ends: held responses give up
	mu      sync.Mutex    // guards open
	open    map[*conn]struct{}
	serving sync.WaitGroup
	lastID  atomic.Uint64 // of connections
}

// newSimulator opens both listeners; run serves them.
func newSimulator(o options) (*simulator, error) {
	s := &simulator{
		seed:    o.seed,
		now:     o.now,
		store:   newStore(),
		closing: make(chan struct{}),
		open:    map[*conn]struct{}{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.scenarios = newRegistry(s)
	if o.record < 0 {
		return nil, fmt.Errorf("-record %d: expected 0 or more", o.record)
	}
	if o.record > 0 {
		s.received = newRecorder(o.record)
	}
	scheme := "http"
	if o.tlsCert != "" || o.tlsKey != "" {
		pair, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("-tls-cert %q -tls-key %q: expected a certificate and its key: %w", o.tlsCert, o.tlsKey, err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
		scheme = "https"
	}
	s.publicURL = strings.TrimSuffix(o.publicURL, "/")
	if u, err := url.Parse(s.publicURL); err != nil || s.publicURL != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return nil, fmt.Errorf("-public-url %q: expected a URL such as http://127.0.0.1:8081", o.publicURL)
	}
	var err error
	if s.api, err = net.Listen("tcp", o.listen); err != nil {
		return nil, fmt.Errorf("-listen %q: %w", o.listen, err)
	}
	if s.controlLn, err = net.Listen("tcp", o.control); err != nil {
		s.api.Close()
		return nil, fmt.Errorf("-control %q: %w", o.control, err)
	}
	s.apiURL = scheme + "://" + s.api.Addr().String()
	s.controlURL = "http://" + s.controlLn.Addr().String()
	if s.publicURL == "" {
		s.publicURL = s.apiURL
	}
	s.controlSrv = &http.Server{Handler: s.controlHandler(), ReadHeaderTimeout: 10 * time.Second}
	return s, nil
}

// run serves until ctx is done, then closes everything and returns when the last goroutine has ended.
func (s *simulator) run(ctx context.Context) error {
	failed := make(chan error, 2)
	s.serving.Go(func() { failed <- s.accept() })
	s.serving.Go(func() {
		if err := s.controlSrv.Serve(s.controlLn); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("control listener: %w", err)
		}
	})
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(s.closing)
	s.api.Close()
	s.controlSrv.Close()
	s.mu.Lock()
	for c := range s.open {
		c.tcp.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	return err
}

// accept serves every connection on a goroutine of its own until the listener is closed.
func (s *simulator) accept() error {
	for {
		nc, err := s.api.Accept()
		if err != nil {
			select {
			case <-s.closing:
				return nil
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("API listener: %w", err)
			}
			time.Sleep(5 * time.Millisecond) // out of descriptors, or the peer left again: both pass
			continue
		}
		c := newConn(s, nc.(*net.TCPConn), s.lastID.Add(1))
		if !s.enter(c) {
			nc.Close()
			return nil
		}
		s.serving.Go(func() {
			defer s.leave(c)
			c.serve()
		})
	}
}

// enter remembers c, so that run can close it. It reports false when the simulator is ending.
func (s *simulator) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return false
	default:
	}
	s.open[c] = struct{}{}
	return true
}

func (s *simulator) leave(c *conn) {
	c.tcp.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
}

// A dateLine is the Date field of one second.
type dateLine struct {
	second int64
	line   []byte
}

// dateField returns the Date field line of now, rendered once a second.
func (s *simulator) dateField(now time.Time) []byte {
	if d := s.date.Load(); d != nil && d.second == now.Unix() {
		return d.line
	}
	d := &dateLine{now.Unix(), []byte("Date: " + now.UTC().Format(http.TimeFormat) + "\r\n")}
	s.date.Store(d)
	return d.line
}
