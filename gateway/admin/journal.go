package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/breakwater-gateway/breakwater/flags/journal"
)

// How many entries are told, and how much of the file's end is read for them.
const (
	entriesByDefault = 50
	maxEntries       = 1000
	journalTail      = 4 << 20
)

func (c *call) journal() (any, error) {
	if err := c.mustHaveFlags(); err != nil {
		return nil, err
	}
	limit := entriesByDefault
	if given := c.param("limit"); given != "" {
		var err error
		if limit, err = strconv.Atoi(given); err != nil || limit < 1 || limit > maxEntries {
			return nil, kindMalformed.problem("query parameter limit %q: expected a number from 1 to %d", given, maxEntries)
		}
	}
	verify := false
	if given := c.param("verify"); given != "" {
		var err error
		if verify, err = strconv.ParseBool(given); err != nil {
			return nil, kindMalformed.problem("query parameter verify %q: expected true or false", given)
		}
	}
	j := &Journal{Path: c.config.Flags.Journal, Entries: []JournalEntry{}}
	f, err := os.Open(j.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil // nothing was ever changed
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if j.Entries, err = tail(f, limit); err != nil {
		return nil, err
	}
	if verify {
		_, err := journal.Verify(io.NewSectionReader(f, 0, 1<<62))
		intact := err == nil
		if j.Intact = &intact; err != nil {
			j.Broken = err.Error()
		}
	}
	return j, nil
}

// tail returns the last entries, the newest first. Lines that are no entries are left out: verifying tells them.
func tail(f *os.File, limit int) ([]JournalEntry, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	begin := max(0, info.Size()-journalTail)
	data, err := io.ReadAll(io.NewSectionReader(f, begin, info.Size()-begin))
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	if begin > 0 {
		lines = lines[1:] // it may have begun before
	}
	entries := []JournalEntry{}
	for i := len(lines) - 1; i >= 0 && len(entries) < limit; i-- {
		var e JournalEntry
		if json.Unmarshal(lines[i], &e) == nil {
			entries = append(entries, e)
		}
	}
	return entries, nil
}
