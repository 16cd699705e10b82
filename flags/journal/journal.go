// Package journal keeps who changed what, when and why, in a file that can only grow.
//
// Each line is one JSON object. It holds the hash of the line before it, and ends in its own: whoever changes, removes
// or reorders a line breaks the chain from there on, and [Verify] says where. Lines are appended whole and flushed to
// the disk. What a crash left half-written is set aside, never mended silently.
package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// An Entry is one line: one step from a revision to the next.
type Entry struct {
	Seq      uint64    `json:"seq"` // counts from 1
	At       time.Time `json:"at"`
	Revision uint64    `json:"revision"`
	Origin   string    `json:"origin"`           // api, file, start, …
	By       string    `json:"by,omitempty"`     // who, if that is known
	Reason   string    `json:"reason,omitempty"` // why, if somebody said
	Digest   string    `json:"digest"`           // SHA-256 of the flag file after it
	Changes  []Change  `json:"changes"`
	Note     string    `json:"note,omitempty"` // what the journal itself has to say
	Prev     string    `json:"prev"`           // hash of the line before, "" in the first
	Hash     string    `json:"-"`              // of this line; always its last member
}

// A Change is one flag before and after, as JSON; null where it is not there.
type Change struct {
	Flag   string          `json:"flag"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

const (
	hashMember = `,"hash":"`
	hashTail   = len(hashMember) + 2*sha256.Size + len(`"}`)
)

// encode returns the entry's line, newline included, and sets its hash.
func (e *Entry) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	e.Hash = hashOf(body)
	line := append(body[:len(body)-1], hashMember...)
	return append(append(line, e.Hash...), "\"}\n"...), nil
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// decode reads a line without its newline, and checks its hash.
func decode(line []byte) (Entry, error) {
	var e Entry
	cut := len(line) - hashTail
	if cut < 1 || !bytes.HasPrefix(line[cut:], []byte(hashMember)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return e, errors.New("expected a JSON object that ends in its hash")
	}
	e.Hash = string(line[cut+len(hashMember) : len(line)-2])
	body := append(line[:cut:cut], '}')
	if hashOf(body) != e.Hash {
		return e, fmt.Errorf("hash %q does not fit the line: it has been changed", e.Hash)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	return e, nil
}

// A Journal is open for appending. Several processes may hold the same one: each append locks the file and
// continues from its last line.
type Journal struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64  // of what has been read or written so far
	last *Entry // nil while there is none
	each func(Entry)
	note string // for the next entry
	bad  error  // the first line that breaks the chain
}

// Open opens the journal at path, or begins it, and calls each with every entry that is in it or comes to it, from
// whatever process, in order; each may be nil. A broken chain does not keep it from being continued, because a
// kill switch must work: it is reported by Broken, and by Verify for ever.
func Open(path string, each func(Entry)) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if each == nil {
		each = func(Entry) {}
	}
	j := &Journal{path: path, file: f, each: each}
	if err := j.locked(j.catchUp); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

// Broken returns why the chain does not hold, or nil.
func (j *Journal) Broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bad
}

// Last returns the newest entry, if there is one.
func (j *Journal) Last() (Entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.last == nil {
		return Entry{}, false
	}
	return *j.last, true
}

// Append adds an entry behind the last one and waits until it is on the disk. Number and hashes are filled in.
func (j *Journal) Append(e Entry) (Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.locked(func() error {
		if err := j.catchUp(); err != nil {
			return err
		}
		e.Seq, e.Prev, e.Note = 1, "", j.note
		if j.last != nil {
			e.Seq, e.Prev = j.last.Seq+1, j.last.Hash
		}
		if e.Changes == nil {
			e.Changes = []Change{}
		}
		line, err := e.encode()
		if err != nil {
			return err
		}
		if _, err := j.file.Write(line); err != nil {
			return err // half a line at most, which the next append sets aside
		}
		if err := j.file.Sync(); err != nil {
			return err
		}
		j.size += int64(len(line))
		j.last, j.note = &e, ""
		j.each(e)
		return nil
	})
	if err != nil {
		return Entry{}, fmt.Errorf("journal %s: %w", j.path, err)
	}
	return e, nil
}

// catchUp reads what has been appended since, and sets a torn last line aside.
func (j *Journal) catchUp() error {
	info, err := j.file.Stat()
	if err != nil || info.Size() == j.size {
		return err
	}
	if info.Size() < j.size {
		j.bad = errors.Join(j.bad, fmt.Errorf("journal %s: it has been cut from %d to %d bytes", j.path, j.size, info.Size()))
		j.size = 0
	}
	in := bufio.NewReader(io.NewSectionReader(j.file, j.size, info.Size()-j.size))
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				return j.setAside(line)
			}
			return nil
		}
		if err != nil {
			return err
		}
		j.size += int64(len(line))
		j.take(bytes.TrimSuffix(line, []byte("\n")))
	}
}

// take continues the chain with a line, whether or not it fits.
func (j *Journal) take(line []byte) {
	e, err := next(j.last, line)
	if err != nil && j.bad == nil {
		j.bad = fmt.Errorf("journal %s: entry %d: %w", j.path, seqAfter(j.last), err)
	}
	if e.Hash == "" { // no entry at all: what follows hangs on the line before
		return
	}
	e.Seq = max(e.Seq, seqAfter(j.last))
	j.last = &e
	j.each(e)
}

func seqAfter(last *Entry) uint64 {
	if last == nil {
		return 1
	}
	return last.Seq + 1
}

// next reads a line as the entry after last.
func next(last *Entry, line []byte) (Entry, error) {
	e, err := decode(line)
	if err != nil {
		return e, err
	}
	prev := ""
	if last != nil {
		prev = last.Hash
	}
	switch {
	case e.Prev != prev:
		return e, fmt.Errorf("its predecessor has hash %q, it says %q: a line is missing or was put elsewhere", prev, e.Prev)
	case e.Seq != seqAfter(last):
		return e, fmt.Errorf("its number is %d, expected %d", e.Seq, seqAfter(last))
	}
	return e, nil
}

// setAside moves a line without an end out of the journal, to PATH.torn. If only the newline is missing, the entry is
// whole and stays.
func (j *Journal) setAside(torn []byte) error {
	if _, err := next(j.last, torn); err == nil {
		if _, err := j.file.Write([]byte("\n")); err != nil {
			return err
		}
		j.size += int64(len(torn)) + 1
		j.take(torn)
		return nil
	}
	aside, err := os.OpenFile(j.path+".torn", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = aside.Write(append(torn, '\n'))
	if err = errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return err
	}
	j.note = fmt.Sprintf("a torn line of %d bytes before this entry was moved to %s.torn", len(torn), j.path)
	return j.file.Truncate(j.size)
}

// Verify reads a whole journal and returns its entries, or what is wrong with the first bad line.
func Verify(r io.Reader) ([]Entry, error) {
	in := bufio.NewReader(r)
	var entries []Entry
	var last *Entry
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return entries, nil
		}
		if errors.Is(err, io.EOF) {
			return entries, fmt.Errorf("line %d: it has no end: a crash, or the file was cut", number)
		}
		if err != nil {
			return entries, err
		}
		e, err := next(last, bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return entries, fmt.Errorf("line %d: %w", number, err)
		}
		entries = append(entries, e)
		last = &entries[len(entries)-1]
	}
}
