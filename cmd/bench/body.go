//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"
)

// A bodyShape is one way to send a large body through the gateway.
type bodyShape struct {
	name    string
	upload  bool
	chunked bool
}

var bodyShapes = []bodyShape{
	{"download, Content-Length", false, false},
	{"download, chunked", false, true},
	{"upload, Content-Length", true, false},
	{"upload, chunked", true, true},
}

// bodyMode sends large bodies through the gateway and watches the most memory that it has resident meanwhile, over what
// it had before.
func bodyMode(ctx context.Context, args []string, out, progress io.Writer) error {
	var breakwater, guests string
	flags := flag.NewFlagSet("bench body", flag.ContinueOnError)
	flags.SetOutput(progress)
	mebibytes := flags.Int64("size", 1024, "of each body, in `MiB`")
	most := flags.Int64("most", 32, "extra memory that is allowed under -assert, in `MiB`")
	assert := flags.Bool("assert", false, "fail when more memory is used")
	addBinaries(flags, &breakwater, &guests)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *mebibytes < 1 {
		return fmt.Errorf("-size %d: expected 1 or more", *mebibytes)
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up, err := newBodyUpstream(*mebibytes << 20)
	if err != nil {
		return err
	}
	defer up.close()
	e := &env{dir: dir, upstream: up.addr, breakwater: breakwater, guests: guests}
	at, err := e.placeBreakwater("breakwater")
	if err != nil {
		return err
	}
	gateway, err := launch(ctx, e, at.subject(variants()[0]))
	if err != nil {
		return err
	}
	defer gateway.stop()

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "body of %d MiB\tbefore MiB\tpeak MiB\textra MiB\tseconds\t\n", *mebibytes)
	var errs []error
	for _, shape := range bodyShapes {
		m, err := up.measure(ctx, gateway, shape)
		if err != nil {
			return fmt.Errorf("%s: %w", shape.name, err)
		}
		extra := mib(m.peak - m.before)
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", shape.name, mib(m.before), mib(m.peak), extra, m.took.Seconds())
		if extra >= float64(*most) {
			errs = append(errs, fmt.Errorf("%s: %.1f MiB of extra memory, expected less than %d", shape.name, extra, *most))
		}
	}
	if err := w.Flush(); err != nil || !*assert {
		return err
	}
	return errors.Join(errs...)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// A bodyMeasure is what one body did to the gateway's resident memory.
type bodyMeasure struct {
	before, peak int64
	took         time.Duration
}

// measure sends one body and compares what arrived.
func (u *bodyUpstream) measure(ctx context.Context, gateway *running, shape bodyShape) (bodyMeasure, error) {
	var m bodyMeasure
	var err error
	pid := gateway.process.pid()
	if err := resetPeak(pid); err != nil {
		return m, fmt.Errorf("forget the peak of process %d: %w", pid, err)
	}
	if m.before, err = statusBytes(pid, "VmRSS"); err != nil {
		return m, err
	}
	start := time.Now()
	if shape.upload {
		err = u.upload(ctx, gateway.addr, shape.chunked)
	} else {
		err = u.download(ctx, gateway.addr, shape.chunked)
	}
	if err != nil {
		return m, err
	}
	m.took = time.Since(start)
	m.peak, err = statusBytes(pid, "VmHWM")
	return m, err
}

// A bodyUpstream serves one large body and takes one in.
type bodyUpstream struct {
	addr   netip.AddrPort
	size   int64
	sum    uint32 // of the body
	server *http.Server
	took   chan received // what the upload handler got
}

type received struct {
	size int64
	sum  uint32
	err  error
}

// Where the body is fetched and left. The gateway's configuration has routes for both (breakwater.go).
const (
	downloadPath = "/files/whole"
	chunkedPath  = "/files/chunked"
	uploadPath   = "/files"
)

func newBodyUpstream(size int64) (*bodyUpstream, error) {
	u := &bodyUpstream{size: size, took: make(chan received, 1)}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, newPattern(size)); err != nil {
		return nil, err
	}
	u.sum = sum.Sum32()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u.addr = listener.Addr().(*net.TCPAddr).AddrPort()
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: time.Minute}
	go func() { _ = u.server.Serve(listener) }()
	return u, nil
}

func (u *bodyUpstream) close() { _ = u.server.Close() }

// ServeHTTP also answers the media request with which a subject shows that it is ready.
func (u *bodyUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost && path == uploadPath:
		got := drain(r.Body)
		u.took <- got
		w.Header().Set("Content-Length", "0")
	case path == downloadPath:
		w.Header().Set("Content-Length", strconv.FormatInt(u.size, 10))
		_, _ = io.Copy(w, newPattern(u.size))
	case path == chunkedPath:
		_, _ = io.Copy(w, newPattern(u.size))
	case r.URL.Query().Has(droppedParam):
		_, _ = w.Write(mediaPresent.body)
	default:
		_, _ = w.Write(mediaDropped.body)
	}
}

func (u *bodyUpstream) download(ctx context.Context, addr netip.AddrPort, chunked bool) error {
	path := downloadPath
	if chunked {
		path = chunkedPath
	}
	response, err := u.do(ctx, http.MethodGet, addr, path, nil, 0)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if (response.ContentLength < 0) != chunked {
		return fmt.Errorf("the body's length is %d, expected chunked to be %t", response.ContentLength, chunked)
	}
	return u.check(drain(response.Body))
}

func (u *bodyUpstream) upload(ctx context.Context, addr netip.AddrPort, chunked bool) error {
	length := u.size
	if chunked {
		length = -1
	}
	response, err := u.do(ctx, http.MethodPost, addr, uploadPath, newPattern(u.size), length)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	select {
	case got := <-u.took:
		return u.check(got)
	default:
		return errors.New("answered before the upstream had the body")
	}
}

// do sends one request over a connection of its own and sees that the answer is a 200.
func (u *bodyUpstream) do(ctx context.Context, method string, addr netip.AddrPort, path string, body io.Reader, length int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+addr.String()+path, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = length
	request.Header.Set(clientKeyField, clientKey(0))
	request.Header.Set("Accept-Encoding", "identity")
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return nil, fmt.Errorf("%s %s: %s: %q", method, path, response.Status, text)
	}
	return response, nil
}

func (u *bodyUpstream) check(got received) error {
	if got.err != nil || got.size != u.size || got.sum != u.sum {
		return fmt.Errorf("%d bytes with sum %08x arrived, expected %d with %08x: %w", got.size, got.sum, u.size, u.sum,
			cmp.Or(got.err, errors.New("no error")))
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// drain reads a body to its end.
func drain(body io.Reader) received {
	sum := crc32.New(castagnoli)
	n, err := io.CopyBuffer(sum, struct{ io.Reader }{body}, make([]byte, 256<<10))
	return received{n, sum.Sum32(), err}
}

// newPattern is a body that repeats one block of random bytes. The block is longer than any buffer on the way and no
// multiple of one, so that a part that was lost, repeated or swapped changes the sum.
func newPattern(size int64) io.Reader { return io.LimitReader(new(pattern), size) }

type pattern struct{ at int }

var patternBlock = sync.OnceValue(func() []byte {
	block := make([]byte, 8<<20+7)
	_, _ = rand.NewChaCha8([32]byte{}).Read(block)
	return block
})

func (p *pattern) Read(b []byte) (int, error) {
	n := copy(b, patternBlock()[p.at:])
	p.at = (p.at + n) % len(patternBlock())
	return n, nil
}
