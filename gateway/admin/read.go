package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is how long a text may be that an operator gives: a reason, a name, a link.
const maxText = 1000

// read fills the members of the JSON object that the request carries. It is strict, because a member that is spelt wrongly
// would otherwise be left out of an emergency change without a word. A request without content has no members.
func (c *call) read(members map[string]*string) error {
	if err := c.mustBeJSON(); err != nil {
		return err
	}
	body := c.ctx.PostBody()
	if len(body) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return kindMalformed.problem("the content is not UTF-8")
	}
	expected := "expected an object with the members " + quoteAll(slices.Sorted(maps.Keys(members)))
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return kindMalformed.problem("the content is not a JSON object: %s", expected)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return notJSON(err)
		}
		name, _ := t.(string) // a member's name always is one
		to := members[name]
		switch {
		case to == nil && name == "by":
			return kindMalformed.problem("member \"by\": who it was is told by the token; leave it out")
		case to == nil:
			return kindMalformed.problem("unknown member %q: %s", name, expected)
		case seen[name]:
			return kindMalformed.problem("member %q is given twice", name)
		}
		seen[name] = true
		if t, err = d.Token(); err != nil {
			return notJSON(err)
		}
		text, ok := t.(string)
		if !ok {
			return kindMalformed.problem("member %q: expected text, found %s", name, show(t))
		}
		if *to, err = clean(name, text); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return notJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return kindMalformed.problem("something follows the JSON object")
	}
	return nil
}

func notJSON(err error) *Problem {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return kindMalformed.problem("the content is not JSON: it ends too early")
	}
	return kindMalformed.problem("the content is not JSON: %v", err)
}

// mustBeJSON holds that the content is declared as JSON, which no form of a web page can do.
func (c *call) mustBeJSON() error {
	given := string(c.ctx.Request.Header.ContentType())
	media, params, err := mime.ParseMediaType(given)
	charset, other := params["charset"], len(params)
	if charset != "" {
		other--
	}
	if err != nil || media != "application/json" || other > 0 || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return kindNotJSON.problem("field Content-Type %q: expected \"application/json\"", given)
	}
	return nil
}

// show says what kind of JSON a token is.
func show(t json.Token) string {
	switch t {
	case nil:
		return "null"
	case json.Delim('{'):
		return "an object"
	case json.Delim('['):
		return "a list"
	}
	if b, ok := t.(bool); ok {
		return strconv.FormatBool(b)
	}
	return "a number"
}

// clean refuses a text that would not be read well in a journal or a log.
func clean(name, text string) (string, error) {
	if len(text) > maxText {
		return "", kindMalformed.problem("member %q has %d bytes: expected at most %d", name, len(text), maxText)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", kindMalformed.problem("member %q: expected text without line breaks and control characters", name)
	}
	return strings.TrimSpace(text), nil
}

// must refuses a member that was left out or is empty.
func must(name, value, what string) error {
	if value == "" {
		return kindMalformed.problem("member %q: expected %s", name, what)
	}
	return nil
}

// by is who the journal will name. The caller may say so only where nobody is asked who they are.
func (c *call) by(said string) string {
	if said != "" {
		return said
	}
	return c.who.name
}

// withBy adds the member "by" where it may be given.
func (c *call) withBy(members map[string]*string, by *string) map[string]*string {
	if c.who.example {
		members["by"] = by
	}
	return members
}

// name returns a parameter of the path, in plain text.
func (c *call) name(param string) (string, error) {
	raw := string(c.params.Get(param))
	plain, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(plain) {
		return "", kindMalformed.problem("path: %q is not percent-encoded UTF-8", raw)
	}
	return plain, nil
}

// checkQuery refuses parameters that the endpoint does not take: a mistyped one would be ignored silently.
func (c *call) checkQuery(e *endpoint) error {
	if e.lenient {
		return nil
	}
	seen := map[string]bool{}
	for key := range c.ctx.QueryArgs().All() {
		name := string(key)
		switch {
		case !slices.Contains(e.query, name) && len(e.query) == 0:
			return kindMalformed.problem("query parameter %q: expected none here", name)
		case !slices.Contains(e.query, name):
			return kindMalformed.problem("query parameter %q: expected one of %s", name, quoteAll(e.query))
		case seen[name]:
			return kindMalformed.problem("query parameter %q is given twice", name)
		}
		seen[name] = true
	}
	return nil
}

// param returns a parameter of the query.
func (c *call) param(name string) string { return string(c.ctx.QueryArgs().Peek(name)) }

func quoteAll(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	return strings.Join(list, ", ")
}
