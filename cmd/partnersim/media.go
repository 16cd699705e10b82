package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
)

const (
	period   = 1_000_003 // after so many bytes the pattern repeats; a prime, so that it never falls in step with a buffer
	maxPiece = 256 << 10 // the longest run of the pattern that is contiguous from every offset
	keepUpTo = 1 << 20   // uploads up to this size can be downloaded again
	keep     = 256       // that many uploads are remembered, the newest
	maxMedia = 1 << 40
)

// pattern is the content of every media: byte i of a media is byte i mod 1,000,003 of the stream of splitmix64(0), (1), … as
// little-endian words. So the size alone says the content and the SHA-256, and a shifted or swapped block shows.
var pattern = sync.OnceValue(func() []byte {
	p := make([]byte, (period+maxPiece+7)/8*8)
	for i := 0; i < period; i += 8 {
		binary.LittleEndian.PutUint64(p[i:], mix(uint64(i/8)))
	}
	copy(p[period:], p[:maxPiece])
	return p[:period+maxPiece]
})

// patternAt returns n ≤ maxPiece bytes from an offset of the pattern.
func patternAt(off int64, n int) []byte {
	from := int(off % period)
	return pattern()[from : from+n]
}

// A kind of media: what most ids are, by their last digit.
type mediaKind struct {
	mime, extension string
	size            int64
}

var kinds = [...]mediaKind{
	{"image/jpeg", "jpeg", 303833},
	{"image/png", "png", 49664},
	{"audio/ogg", "ogg", 18211},
	{"video/mp4", "mp4", 1 << 20},
	{"application/pdf", "pdf", 96511},
	{"image/jpeg", "jpeg", 303833},
	{"image/webp", "webp", 31744},
	{"text/plain", "txt", 1},
	{"image/jpeg", "jpeg", 4096},
	{"image/jpeg", "jpeg", 65536},
}

// knownSums spares a test the second that the first sight of a gigabyte costs.
var knownSums = map[int64]string{
	1 << 30: "b22e095836a40c2000b52f4e01ca5889d992d8e25a8410239d197a0746a79511",
}

// A media is what the API says of one.
type media struct {
	mediaKind
	sha256  string
	content []byte // of an upload; nil: the pattern
	lost    bool   // an upload of which only the description was kept
}

// A store knows all media. Only deletions and uploads are remembered; the rest follows from the id.
type store struct {
	stirred  atomic.Bool // anything was uploaded or deleted: ids need a look-up
	mu       sync.Mutex
	sums     map[int64]string
	byKind   [len(kinds)]atomic.Pointer[media]
	deleted  map[string]struct{}
	uploaded map[string]*media
	order    []string // of uploads, oldest first
	lastID   uint64
}

func newStore() *store {
	return &store{sums: map[int64]string{}, deleted: map[string]struct{}{}, uploaded: map[string]*media{}, lastID: 4490709327384000}
}

// find returns the media of an id, or nil.
func (s *store) find(id []byte) *media {
	if !isDigits(id) || len(id) > 32 {
		return nil
	}
	if s.stirred.Load() {
		s.mu.Lock()
		_, gone := s.deleted[string(id)]
		m := s.uploaded[string(id)]
		s.mu.Unlock()
		if gone || m != nil {
			return m
		}
	}
	if len(id) > 3 && len(id) <= 16 && string(id[:3]) == "900" {
		n := decimal(id[3:])
		if n > maxMedia {
			return nil
		}
		return &media{mediaKind: mediaKind{"application/octet-stream", "bin", n}, sha256: s.sum(n)}
	}
	slot := &s.byKind[id[len(id)-1]-'0']
	m := slot.Load()
	if m == nil {
		k := kinds[id[len(id)-1]-'0']
		m = &media{mediaKind: k, sha256: s.sum(k.size)}
		slot.Store(m)
	}
	return m
}

// sum returns the SHA-256 of the pattern's first n bytes.
func (s *store) sum(n int64) string {
	if known, ok := knownSums[n]; ok {
		return known
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, ok := s.sums[n]
	if !ok {
		h := sha256.New()
		for off := int64(0); off < n; off += maxPiece {
			h.Write(patternAt(off, int(min(maxPiece, n-off))))
		}
		sum = hex.EncodeToString(h.Sum(nil))
		if len(s.sums) < 10_000 {
			s.sums[n] = sum
		}
	}
	return sum
}

// delete forgets a media. It reports false when there was none.
func (s *store) delete(id []byte) bool {
	if s.find(id) == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploaded, string(id))
	if len(s.deleted) < 100_000 {
		s.deleted[string(id)] = struct{}{}
	}
	s.stirred.Store(true)
	return true
}

// upload reads a file to its end and remembers it under a new id.
func (s *store) upload(mime string, file io.Reader) (id string, err error) {
	m := &media{mediaKind: mediaKind{mime: mime, extension: "bin"}}
	h := sha256.New()
	start := make([]byte, 0, 4096)
	w := writerFunc(func(p []byte) (int, error) {
		h.Write(p)
		m.size += int64(len(p))
		if m.size <= keepUpTo {
			start = append(start, p...)
		}
		return len(p), nil
	})
	buf := make([]byte, 32<<10)
	if _, err := io.CopyBuffer(w, struct{ io.Reader }{file}, buf); err != nil {
		return "", err
	}
	m.sha256 = hex.EncodeToString(h.Sum(nil))
	m.content, m.lost = start, m.size > keepUpTo
	if m.lost {
		m.content = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	id = strconv.FormatUint(s.lastID, 10)
	s.uploaded[id] = m
	s.order = append(s.order, id)
	if len(s.order) > keep {
		delete(s.uploaded, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	s.stirred.Store(true)
	return id, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// appendSignature appends the hash that makes a media URL: of id and expiry, and of the seed, so that a made-up one is refused.
func appendSignature(dst []byte, seed uint64, id []byte, expiry int64) []byte {
	h := mix(seed ^ uint64(expiry))
	for _, b := range id {
		h = mix(h ^ uint64(b))
	}
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], h)
	return base64.RawURLEncoding.AppendEncode(append(dst, "ARs"...), raw[:])
}
