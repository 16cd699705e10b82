package admit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A Client is someone who may send requests. It does not change once it is in a [Directory].
type Client struct {
	Name       string
	KeySHA256  [sha256.Size]byte
	Attributes map[string]string // to inject into requests, to target flags
	Secrets    map[string]Secret // to inject last, where no guest, ledger or log sees them
}

// A Directory finds clients by their keys. It is immutable. The zero Directory knows nobody.
//
// It holds no keys, only their hashes. Keys must have been drawn at random and be long, as API keys are: a plain SHA-256
// hides nothing that people would think up.
type Directory struct {
	byKey  map[[sha256.Size]byte]*Client
	byName map[string]*Client
}

// An Error is a mistake in the clients given to [NewDirectory].
type Error struct {
	Index int // of the client
	Name  string
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("client %q: %v", e.Name, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// NewDirectory builds a directory. Its error joins an [*Error] for every mistake in clients.
func NewDirectory(clients []Client) (*Directory, error) {
	d := &Directory{byKey: make(map[[sha256.Size]byte]*Client, len(clients)), byName: make(map[string]*Client, len(clients))}
	at := make(map[string]int, len(clients))
	var errs []error
	for i := range clients {
		c := clients[i] // a copy: the caller's slice may change
		wrong := func(format string, args ...any) {
			errs = append(errs, &Error{i, c.Name, fmt.Errorf(format, args...)})
		}
		switch first := at[c.Name]; {
		case c.Name == "":
			wrong("no name")
		case d.byName[c.Name] != nil:
			wrong("clients[%d] has the same name as clients[%d]", i, first)
		default:
			d.byName[c.Name], at[c.Name] = &c, i
		}
		switch other := d.byKey[c.KeySHA256]; {
		case c.KeySHA256 == [sha256.Size]byte{}:
			wrong("no key")
		case c.KeySHA256 == sha256.Sum256(nil):
			wrong("its key is empty")
		case other != nil:
			wrong("its key (SHA-256 %s…) is also the key of client %q", hex.EncodeToString(c.KeySHA256[:4]), other.Name)
		default:
			d.byKey[c.KeySHA256] = &c
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return d, nil
}

// Lookup finds the client whose key it is. It allocates nothing. What its time tells of the key is what a hash lookup
// tells of a SHA-256: nothing that helps to find another key.
func (d *Directory) Lookup(key []byte) (*Client, bool) {
	c, ok := d.byKey[sha256.Sum256(key)]
	return c, ok
}

// ByName finds a client by its name.
func (d *Directory) ByName(name string) (*Client, bool) {
	c, ok := d.byName[name]
	return c, ok
}

// Names returns the names of all clients, sorted.
func (d *Directory) Names() []string { return slices.Sorted(maps.Keys(d.byName)) }

// Len is the number of clients.
func (d *Directory) Len() int { return len(d.byName) }
