// Classify-partner is a guest that judges the partner's failed responses.
//
// The partner says what was wrong in the body, as {"error": {"code": 190, "is_transient": false, …}}; its HTTP status is unreliable,
// by its own documentation: the same code comes as 400, 401 or 429. So the body's code decides, then is_transient, and the
// status only where there is neither. A prefix of the body is enough, and the body may be anything: cut off, HTML, compressed.
//
// A verdict names the part of the request that the error is about, as far as the code tells it. Whose fault it is then depends
// on who put that part there, which the gateway knows: a refused token is not the fault of a client that has never seen it.
//
//	config: {parameters: [phone_number_id]}
package main

import (
	"strconv"

	"github.com/breakwater-gateway/breakwater/sdk"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func init() { sdk.Register(plugin) }

func main() {}

type config struct {
	// Names of query parameters and request fields. An error about a parameter that mentions one of them is about that one.
	Parameters []string `json:"parameters"`
	Fields     []string `json:"fields"`
	// Whether a refused credential counts against the client: only where clients bring their own.
	OwnCredentials bool `json:"own_credentials"`
	// How much of a body is looked at; 0 means 8192 bytes.
	Prefix int `json:"prefix"`
}

const (
	defaultPrefix = 8 << 10
	maxPrefix     = 1 << 20
)

func plugin(c config) (sdk.Plugin, error) {
	if c.Prefix == 0 {
		c.Prefix = defaultPrefix
	}
	if c.Prefix < 256 || c.Prefix > maxPrefix {
		return sdk.Plugin{}, sdk.Complain("/prefix", "expected 256 to "+strconv.Itoa(maxPrefix)+" bytes, or 0")
	}
	j := judge{ownCredentials: c.OwnCredentials}
	for _, r := range fixedReasons {
		j.reasons.Add(r.Name, r.About)
	}
	for i, name := range c.Parameters {
		about := abi.About{Part: abi.PartQuery, Name: name}
		if err := j.mention(about, "query_", "/parameters/"+strconv.Itoa(i)); err != nil {
			return sdk.Plugin{}, err
		}
	}
	for i, name := range c.Fields {
		about := abi.About{Part: abi.PartField, Name: name}
		if err := j.mention(about, "field_", "/fields/"+strconv.Itoa(i)); err != nil {
			return sdk.Plugin{}, err
		}
	}
	return sdk.Plugin{
		Classify: j.classify,
		ClassifyWant: sdk.Want{
			Method: true, Prefix: c.Prefix, Statuses: sdk.Statuses(4, 5),
			ResponseFields: []string{"Retry-After", "X-Business-Use-Case-Usage"},
		},
		Reasons: j.reasons,
	}, nil
}

// A judge is this plugin as configured.
type judge struct {
	ownCredentials bool
	reasons        sdk.Reasons
	mentions       []mention
}

// A mention is a name to look for in the partner's text, and the reason that it is.
type mention struct {
	name   string
	reason sdk.Reason
}

const maxMentions = 64

func (j *judge) mention(about abi.About, prefix, pointer string) error {
	switch {
	case about.Name == "":
		return sdk.Complain(pointer, "expected a name, not an empty one")
	case len(j.mentions) == maxMentions:
		return sdk.Complain(pointer, "expected no more than "+strconv.Itoa(maxMentions)+" names in all")
	}
	word := prefix + label(about.Name)
	for _, r := range j.reasons {
		if r.Name == word {
			return sdk.Complain(pointer, "expected a name that differs from the others in more than case and punctuation")
		}
	}
	j.mentions = append(j.mentions, mention{about.Name, j.reasons.Add(word, about)})
	return nil
}

// label makes name a word that a metric's label can be.
func label(name string) string {
	b := []byte(name)[:min(len(name), 48)]
	for i, c := range b {
		switch {
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case ('a' > c || c > 'z') && ('0' > c || c > '9'):
			b[i] = '_'
		}
	}
	return string(b)
}

func (j *judge) classify(r *sdk.Response) sdk.Verdict {
	body, _, _ := r.Body()
	e := readEnvelope(body)
	v, known := verdictOf(&e)
	switch {
	case !known && e.transient:
		v = sdk.Verdict{Class: abi.Unavailable, Fault: abi.FaultUpstream, Retryable: true, Reason: reasonUpstream}
	case !known:
		v = byStatus(r.Status())
	case e.transient:
		// The partner says that the same request may succeed later, so nobody is to blame for having sent it.
		v.Retryable, v.Counts = true, false
		if v.Fault == abi.FaultClient && v.Class != abi.Throttled && v.Class != abi.Account {
			v.Fault = abi.Undecided
		}
	}
	if v.Reason == reasonParameter {
		v.Reason = j.parameter(r.Method(), &e)
	}
	if v.Reason == reasonToken || v.Reason == reasonPermission {
		v.Counts = j.ownCredentials && !e.transient
	}
	if v.Retryable {
		v.RetryAfter = retryAfter(r)
	}
	return v
}

// parameter says which part of the request an error about a parameter is about.
func (j *judge) parameter(method []byte, e *envelope) sdk.Reason {
	for i := range j.mentions {
		if m := &j.mentions[i]; mentions(e.message, m.name) || mentions(e.details, m.name) {
			return m.reason
		}
	}
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return reasonBody
	}
	return reasonParameter
}
