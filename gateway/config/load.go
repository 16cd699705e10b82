package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// LoadOptions are what Load asks of the world. The zero value is the real one.
type LoadOptions struct {
	// LookupEnv finds a variable of the environment; os.LookupEnv if nil.
	LookupEnv func(name string) (string, bool)
	// Looked is called with the name of each file before it is looked at or read, even if the loading fails. It may be nil.
	Looked func(name string)
}

// A loading is one call of Load: the mistakes so far, and the files that were looked at.
type loading struct {
	errs   ErrorList
	files  []string
	looked func(name string) // may be nil
}

func (l *loading) complain(e *Error) { l.errs = append(l.errs, e) }

// Load reads the configuration in the file path, and every file that it needs. If anything is wrong, the error is an
// [ErrorList] with every mistake, and there is no Config. A nil opts means the zero one.
func Load(path string, opts *LoadOptions) (*Config, error) {
	l := &loading{}
	if opts != nil {
		l.looked = opts.Looked
	}
	data, err := l.read(path, maxFile+1)
	if err != nil {
		return nil, ErrorList{newError(Pos{File: path}, "", "%w", err)}
	}
	return l.finish(path, data, opts)
}

// Parse is [Load] with the content of the file in hand. What the file refers to is still read.
func Parse(path string, data []byte, opts *LoadOptions) (*Config, error) {
	return (&loading{files: []string{path}}).finish(path, data, opts)
}

func (l *loading) finish(path string, data []byte, opts *LoadOptions) (*Config, error) {
	var o LoadOptions
	if opts != nil {
		o = *opts
		l.looked = o.Looked
	}
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	c := &Config{}
	if root := parseTree(path, data, l.complain); root != nil {
		d := &decoder{dir: filepath.Dir(path), opts: o, load: l}
		d.section(root, valueOf(c), &Element{Pos: root.pos}, "", "", false)
		if c.Clients != nil && c.Clients.File != "" {
			l.clients(c.Clients, o)
		}
		l.refer(c)
	}
	if len(l.errs) > 0 {
		l.errs.sort(path)
		return nil, l.errs
	}
	slices.Sort(l.files)
	c.files = slices.Compact(l.files)
	return c, nil
}

// clients reads the file of clients.
func (l *loading) clients(c *Clients, o LoadOptions) {
	data, err := l.read(c.File, maxFile+1)
	if err != nil {
		x := c.Errorf("file", "%w", err)
		x.What += " " + quote(c.File)
		l.complain(x)
		return
	}
	root := parseTree(c.File, data, l.complain)
	if root == nil {
		return
	}
	var f clientsFile
	d := &decoder{dir: filepath.Dir(c.File), opts: o, load: l}
	d.section(root, valueOf(&f), &Element{Pos: root.pos}, "", "", true)
	c.List = f.Clients
}

// read returns the content of a file that the configuration depends on; more than limit bytes are an error, unless the
// caller finds the better words for it (parseTree does).
func (l *loading) read(name string, limit int64) ([]byte, error) {
	if err := l.exists(name); err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, plain(err)
	}
	if int64(len(data)) > limit && limit <= maxFile {
		return nil, fmt.Errorf("the file has more than %d bytes", limit)
	}
	return data, nil
}

// exists notes that the configuration depends on a file and looks whether it can be read. What is not a regular file is not
// opened: a pipe would make us wait.
func (l *loading) exists(name string) error {
	l.files = append(l.files, name)
	if l.looked != nil {
		l.looked(name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return plain(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("expected a regular file")
	}
	return nil
}

// plain drops what fs errors repeat: the operation and the path, which an error here shows already.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
