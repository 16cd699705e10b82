package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const prefixCap = 1024 // bytes of a request's body that are kept

// A recorder keeps the newest requests. A nil recorder, and the nil record that it makes, record nothing.
type recorder struct {
	mu       sync.Mutex
	ring     []*record
	total    uint64 // records ever made
	forgot   uint64 // records before this one are not shown
	changed  chan struct{}
	watching atomic.Int32
}

// A record is what came in and how it was answered. Counters move while the exchange runs.
type record struct {
	in      *recorder
	seq     uint64
	at      time.Time
	conn    uint64
	number  int
	head    []byte
	framing framing
	sum     hash.Hash // of the body; the connection's goroutine alone touches it

	bodyBytes atomic.Int64
	sentBytes atomic.Int64

	mu       sync.Mutex // guards what follows
	tenant   string
	trailers []string
	prefix   []byte
	sha256   string
	complete bool // the whole request has come in
	done     bool // the exchange is over
	status   int
	failure  string // what was wrong with the request
	outcome  string // how the exchange ended
}

func newRecorder(n int) *recorder { return &recorder{ring: make([]*record, n)} }

// add begins the record of a request.
func (r *recorder) add(c *conn, head []byte) *record {
	if r == nil {
		return nil
	}
	rec := &record{in: r, at: c.x.now, conn: c.id, number: c.number, head: append([]byte(nil), head...), framing: c.x.req.framing}
	r.mu.Lock()
	rec.seq = r.total
	r.ring[r.total%uint64(len(r.ring))] = rec
	r.total++
	r.mu.Unlock()
	r.touch()
	return rec
}

// touch wakes those who watch.
func (r *recorder) touch() {
	if r.watching.Load() == 0 {
		return
	}
	r.mu.Lock()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	r.mu.Unlock()
}

// forget shows nothing of what came in so far.
func (r *recorder) forget() {
	r.mu.Lock()
	r.forgot = r.total
	r.mu.Unlock()
}

// newest returns the records that want accepts, oldest first, and a channel that is closed at the next change.
func (r *recorder) newest(want func(*record) bool) ([]*record, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	from := r.forgot
	if n := uint64(len(r.ring)); r.total > n {
		from = max(from, r.total-n)
	}
	var found []*record
	for i := from; i < r.total; i++ {
		if rec := r.ring[i%uint64(len(r.ring))]; want(rec) {
			found = append(found, rec)
		}
	}
	return found, r.changed
}

// isFor reports whether the request's target begins with target, whether it is tenant's, and whether it is over if it has to be.
func (rec *record) isFor(target, tenant string, over bool) bool {
	_, rest, _ := bytes.Cut(rec.head, []byte(" "))
	if !bytes.HasPrefix(rest, []byte(target)) {
		return false
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return (tenant == "" || rec.tenant == tenant) && (!over || rec.done)
}

// identified notes whose request it is.
func (rec *record) identified(x *exchange) {
	if rec == nil {
		return
	}
	rec.mu.Lock()
	rec.tenant = string(x.tenant)
	rec.complete = x.body.done
	rec.mu.Unlock()
	rec.in.touch()
}

// bodyPiece notes bytes of the request's body.
func (rec *record) bodyPiece(p []byte) {
	if rec == nil {
		return
	}
	if rec.sum == nil {
		rec.sum = sha256.New()
	}
	rec.sum.Write(p)
	if n := rec.bodyBytes.Load(); n < prefixCap {
		rec.mu.Lock()
		rec.prefix = append(rec.prefix, p[:min(int64(len(p)), prefixCap-n)]...)
		rec.mu.Unlock()
	}
	rec.bodyBytes.Add(int64(len(p)))
	rec.in.touch()
}

// trailer notes one trailer line.
func (rec *record) trailer(line []byte) {
	if rec == nil {
		return
	}
	rec.mu.Lock()
	rec.trailers = append(rec.trailers, string(line))
	rec.mu.Unlock()
}

// problem notes what was wrong with a request.
func (rec *record) problem(err error) {
	if rec == nil {
		return
	}
	rec.mu.Lock()
	rec.failure = err.Error()
	rec.mu.Unlock()
}

// progress notes how much of the response is out.
func (rec *record) progress(w *wire) {
	if rec == nil {
		return
	}
	rec.sentBytes.Store(w.sent)
	rec.mu.Lock()
	rec.status = w.status
	rec.mu.Unlock()
	rec.in.touch()
}

// end notes how the exchange went.
func (rec *record) end(x *exchange, err error) {
	if rec == nil {
		return
	}
	rec.mu.Lock()
	rec.status = x.wire.status
	rec.complete = x.body.done && rec.failure == ""
	if rec.sum != nil {
		rec.sha256 = hex.EncodeToString(rec.sum.Sum(nil))
	}
	rec.outcome = "answered"
	if err != nil {
		rec.outcome = err.Error()
	}
	rec.done = true
	rec.mu.Unlock()
	rec.in.touch()
}

// A receipt is a record as GET /received shows it.
type receipt struct {
	Seq        uint64    `json:"seq"`
	Time       time.Time `json:"time"`
	Connection uint64    `json:"connection"` // from 1, in order of arrival
	Number     int       `json:"number"`     // of the request on its connection, from 1
	Tenant     string    `json:"tenant,omitempty"`
	Method     string    `json:"method"`
	Target     string    `json:"target"` // as it stood in the request line
	Version    string    `json:"version"`
	Fields     []string  `json:"fields"`   // lines in their order, as they came
	RawHead    []byte    `json:"raw_head"` // base64: every byte, also those that JSON cannot hold
	Problem    string    `json:"problem,omitempty"`
	Body       struct {
		Framing  string   `json:"framing"` // none, content-length, chunked
		Bytes    int64    `json:"bytes"`
		SHA256   string   `json:"sha256,omitempty"` // of what came, once the exchange is over
		Prefix   []byte   `json:"prefix,omitempty"` // base64: the first 1024 bytes
		Trailers []string `json:"trailers,omitempty"`
		Complete bool     `json:"complete"`
	} `json:"body"`
	Response struct {
		Status  int    `json:"status"`
		Bytes   int64  `json:"body_bytes"` // given to the connection so far, without framing
		Done    bool   `json:"done"`
		Outcome string `json:"outcome,omitempty"` // answered, "the peer left", "cut by a scenario"
	} `json:"response"`
}

// receipt renders a record.
func (rec *record) receipt() receipt {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	r := receipt{
		Seq: rec.seq, Time: rec.at, Connection: rec.conn, Number: rec.number, Tenant: rec.tenant, RawHead: rec.head,
		Problem: rec.failure,
	}
	lines := strings.Split(strings.TrimSuffix(string(rec.head), "\r\n\r\n"), "\r\n")
	if parts := strings.SplitN(lines[0], " ", 3); len(parts) == 3 {
		r.Method, r.Target, r.Version = parts[0], parts[1], parts[2]
	}
	r.Fields = lines[1:]
	r.Body.Framing, r.Body.Bytes, r.Body.SHA256 = rec.framing.String(), rec.bodyBytes.Load(), rec.sha256
	r.Body.Prefix, r.Body.Trailers, r.Body.Complete = append([]byte(nil), rec.prefix...), append([]string(nil), rec.trailers...), rec.complete
	r.Response.Status, r.Response.Bytes = rec.status, rec.sentBytes.Load()
	r.Response.Done, r.Response.Outcome = rec.done, rec.outcome
	return r
}
