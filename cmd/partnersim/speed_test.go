package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// A fakeConn feeds one request after the other and counts what its reader and writer cost in calls.
type fakeConn struct {
	net.Conn
	request       []byte
	reads, writes int
	sent          int
}

func (f *fakeConn) Read(p []byte) (int, error) {
	f.reads++
	return copy(p, f.request), nil
}

func (f *fakeConn) Write(p []byte) (int, error) {
	f.writes++
	f.sent += len(p)
	return len(p), nil
}

// offline is a simulator that nothing can be connected to, and one connection of it over nc.
func offline(t testing.TB, nc net.Conn, record int) *conn {
	t.Helper()
	s, err := newSimulator(options{listen: "127.0.0.1:0", control: "127.0.0.1:0", record: record})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.api.Close()
		s.controlLn.Close()
	})
	c := newConn(s, nil, 1)
	c.nc = nc
	return c
}

func (c *conn) once(t testing.TB) {
	if err := c.readHead(); err != nil {
		t.Fatal(err)
	}
	if err := c.x.serve(); err != nil {
		t.Fatal(err)
	}
}

func TestRetrievalAllocatesNothing(t *testing.T) {
	for _, target := range []string{"/v23.0/2621233374848975?phone_number_id=106540352242922", "/2621233374848970"} {
		f := &fakeConn{request: []byte(get(target))}
		c := offline(t, f, 0)
		c.once(t)
		*f = fakeConn{request: f.request}
		c.once(t)
		if f.reads != 1 || f.writes != 1 {
			t.Errorf("GET %s: %d reads and %d writes, want one of each", target, f.reads, f.writes)
		}
		allocs := testing.AllocsPerRun(1000, func() { c.once(t) })
		if allocs > 0.1 && !raceEnabled { // the Date is rendered once a second
			t.Errorf("GET %s: %v allocations, want none", target, allocs)
		}
	}
}

// A sparseUpload is a request whose body is the pattern, of any size.
type sparseUpload struct {
	net.Conn
	head string
	size int64
	tail string
	off  int64
	sent bytes.Buffer
}

func (u *sparseUpload) Read(p []byte) (int, error) {
	if u.head != "" {
		n := copy(p, u.head)
		u.head = u.head[n:]
		return n, nil
	}
	if u.off < u.size {
		n := copy(p, patternAt(u.off, int(min(maxPiece, u.size-u.off))))
		u.off += int64(n)
		return n, nil
	}
	if u.tail != "" {
		n := copy(p, u.tail)
		u.tail = u.tail[n:]
		return n, nil
	}
	return 0, io.EOF
}

func (u *sparseUpload) Write(p []byte) (int, error) { return u.sent.Write(p) }

func TestLargeBodiesNeedNoMemory(t *testing.T) {
	const size = 64 << 20
	pattern()
	before := allocated()
	open := "--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: video/mp4\r\n\r\n"
	shut := "\r\n--b--\r\n"
	head := requestOf("POST", "/55/media", "acme", "Content-Type: multipart/form-data; boundary=b", fmt.Sprintf("Content-Length: %d", len(open)+size+len(shut)))
	up := &sparseUpload{head: head + open, size: size, tail: shut}
	c := offline(t, up, 8)
	c.once(t)
	if !bytes.Contains(up.sent.Bytes(), []byte(`{"id":"`)) {
		t.Fatalf("upload: %s", up.sent.Bytes())
	}
	m := c.sim.store.uploaded["4490709327384001"]
	if want := c.sim.store.sum(size); m.sha256 != want || m.size != size {
		t.Errorf("upload is remembered as %d bytes with %s, want %d with %s", m.size, m.sha256, size, want)
	}
	f := &fakeConn{request: []byte(get("/whatsapp_business/attachments/?mid=90067108864&ext=99999999999&hash=" +
		string(appendSignature(nil, 0, []byte("90067108864"), 99999999999))))}
	d := offline(t, f, 8)
	d.once(t)
	if f.sent < size {
		t.Errorf("download: %d bytes, want more than %d", f.sent, size)
	}
	if grown := allocated() - before; grown > 8<<20 {
		t.Errorf("64 MiB up and down allocated %d bytes in all, want less than 8 MiB", grown)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestKnownSums(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("a gigabyte is hashed: not under the race detector, not with -short")
	}
	for n, want := range knownSums {
		h := sha256.New()
		for off := int64(0); off < n; off += maxPiece {
			h.Write(patternAt(off, int(min(maxPiece, n-off))))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("sum of %d bytes is %s, not %s", n, got, want)
		}
	}
}

// A byteConn plays a client that sends some bytes and leaves.
type byteConn struct {
	net.Conn
	in *bytes.Reader
}

func (b *byteConn) Read(p []byte) (int, error)  { return b.in.Read(p) }
func (b *byteConn) Write(p []byte) (int, error) { return len(p), nil }

func FuzzConnection(f *testing.F) {
	f.Add([]byte(get("/1?phone_number_id=5")))
	f.Add([]byte(post("/55/messages", `{"messaging_product":"whatsapp","to":"1"}`)))
	f.Add([]byte(requestOf("POST", "/55/media", "acme", "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b") + "5;a\r\n--b\r\n\r\n0\r\nT: 1\r\n\r\n"))
	f.Add([]byte("GET http://a/v1./x?%5 HTTP/1.0\r\n\r\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := offline(t, &byteConn{in: bytes.NewReader(raw)}, 2)
		for !c.close {
			if err := c.readHead(); err != nil {
				if errors.Is(err, io.EOF) {
					return
				}
				c.refuseHead(err)
				return
			}
			if c.x.serve() != nil {
				return
			}
		}
	})
}

func BenchmarkRetrieval(b *testing.B) {
	for _, record := range []int{0, 1024} {
		b.Run(fmt.Sprintf("record=%d", record), func(b *testing.B) {
			f := &fakeConn{request: []byte(get("/v23.0/2621233374848975?phone_number_id=106540352242922"))}
			c := offline(b, f, record)
			b.ReportAllocs()
			for b.Loop() {
				c.once(b)
			}
		})
	}
}

func BenchmarkRetrievalUnderScenarios(b *testing.B) {
	f := &fakeConn{request: []byte(get("/v23.0/2621233374848975"))}
	c := offline(b, f, 0)
	for _, name := range []string{"reject-phone-number-id", "chunked-media"} {
		if _, err := c.sim.scenarios.start(name, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		c.once(b)
	}
}

func BenchmarkOverLoopback(b *testing.B) {
	s, err := newSimulator(options{listen: "127.0.0.1:0", control: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.accept() }()
	b.Cleanup(func() {
		close(s.closing)
		s.api.Close()
		s.controlLn.Close()
		<-ended
	})
	nc, err := net.Dial("tcp", s.api.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	raw, in := []byte(get("/v23.0/2621233374848975")), make([]byte, 64<<10)
	for b.Loop() {
		if _, err := nc.Write(raw); err != nil {
			b.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(in[:n], []byte(`"}`)); {
			more, err := nc.Read(in[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += more
		}
	}
}
