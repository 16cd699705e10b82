package admin

import (
	"encoding/json"
	"time"
)

// Members are added to these types over time; none is taken away or changes its meaning. Times are RFC 3339 in UTC, words of
// classes, faults and parts of requests are those of package abi.

// Health says that the process is alive.
type Health struct {
	Status string `json:"status"` // always "alive"
}

// Readiness says whether requests are served, and how the parts are that the gateway can do without for a while: it goes on
// with the last good configuration and the last good flags. Errors, names and addresses are told to callers with a role only.
type Readiness struct {
	Ready    bool          `json:"ready"`
	Draining bool          `json:"draining"`
	Listener string        `json:"listener,omitempty"` // where clients are served
	Config   Load          `json:"config"`
	Flags    *FlagsLoad    `json:"flags,omitempty"` // left out where the configuration has none
	Plugins  []PluginState `json:"plugins,omitempty"`
}

// Load says how the configuration was last read.
type Load struct {
	Loaded bool      `json:"loaded"` // false: the file was refused at that time, and the configuration before stays in force
	At     time.Time `json:"at"`
	Error  string    `json:"error,omitempty"` // why, one line for each mistake
}

// FlagsLoad says which flags are in force, and how their file is.
type FlagsLoad struct {
	Revision uint64    `json:"revision"`
	Origin   string    `json:"origin"` // file, api, start, last good, fallbacks
	Loaded   time.Time `json:"loaded"` // when the revision was made
	Digest   string    `json:"digest,omitempty"`
	SourceUp bool      `json:"source_up"` // false: the file can't be used, and the flags before stay in force
	Since    time.Time `json:"since"`     // since when it is so
	Error    string    `json:"error,omitempty"`
}

// A Plugin is one that runs, as the gateway tells it.
type Plugin struct {
	Name, SHA256    string
	Idle, Live      int // instances
	Calls, Failures int64
}

// PluginState is how a plugin is.
type PluginState struct {
	Name     string `json:"name"`
	SHA256   string `json:"sha256"`
	Idle     int    `json:"idle_instances"`
	Live     int    `json:"live_instances"`
	Calls    int64  `json:"calls"`
	Failures int64  `json:"failures"` // calls that did not end well
}

// FlagList is every flag at one revision, in the file's order.
type FlagList struct {
	FlagsLoad
	Flags []Flag `json:"flags"`
}

// A Flag is one flag.
type Flag struct {
	Key        string          `json:"key"`
	Kind       string          `json:"kind"` // boolean, string, number, object
	Variants   []string        `json:"variants"`
	Values     map[string]any  `json:"values"` // by variant
	Default    string          `json:"default"`
	Mode       string          `json:"mode"` // what gates get without a rule: off, observe, on; "" if their fallback holds or a rule decides
	Disabled   bool            `json:"disabled"`
	Targeted   bool            `json:"targeted"`
	Rule       json.RawMessage `json:"rule,omitempty"`
	Reads      []string        `json:"reads,omitempty"` // attributes that the rule reads
	Bound      bool            `json:"bound"`           // a gate of the running configuration asks for it
	Owner      string          `json:"owner,omitempty"`
	Reason     string          `json:"reason,omitempty"` // why the flag is there
	Link       string          `json:"link,omitempty"`
	Expires    *time.Time      `json:"expires,omitempty"`
	Expired    bool            `json:"expired"`
	Metadata   map[string]any  `json:"metadata,omitempty"`
	Position   string          `json:"position"` // file:line:column
	LastChange *LastChange     `json:"last_change,omitempty"`
	Revision   uint64          `json:"revision,omitempty"` // of one flag asked for by its key
	Answers    *FlagAnswers    `json:"answers,omitempty"`  // likewise
}

// A LastChange says who changed a flag last.
type LastChange struct {
	At       time.Time `json:"at"`
	Revision uint64    `json:"revision"`
	Origin   string    `json:"origin"`
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// FlagAnswers counts what a flag has answered since the gateway began.
type FlagAnswers struct {
	Off         uint64 `json:"off"`
	Observe     uint64 `json:"observe"`
	On          uint64 `json:"on"`
	Fallback    uint64 `json:"fallback"`    // the flag said nothing, and the gate's fallback held
	Evaluations uint64 `json:"evaluations"` // of its rule; other answers were remembered
	Errors      uint64 `json:"errors"`      // evaluations that failed
	LastError   string `json:"last_error,omitempty"`
}

// An Explanation is what a flag says about one subject, evaluated in full.
type Explanation struct {
	Key      string            `json:"key"`
	Revision uint64            `json:"revision"`
	Subject  map[string]string `json:"subject"` // what a rule could read, the client's attributes among it
	Variant  string            `json:"variant"` // "": the flag gives none, and the gate's fallback holds
	Value    any               `json:"value"`
	Mode     string            `json:"mode"`   // what a gate gets: off, observe, on; "": its fallback
	Reason   string            `json:"reason"` // OpenFeature's: STATIC, TARGETING_MATCH, DEFAULT, DISABLED, ERROR
	Error    string            `json:"error,omitempty"`
	Targeted bool              `json:"targeted"`
}

// FlagSet is what a change of a flag has done.
type FlagSet struct {
	Key      string `json:"key"`
	Variant  string `json:"variant"`
	Revision uint64 `json:"revision"` // from which on the flag has the variant
	Before   string `json:"before"`   // the variant before; "" for none, "DISABLED" for a flag that was disabled
	Changed  bool   `json:"changed"`  // false: it was so already
	Targeted bool   `json:"targeted"` // the flag has a rule, which decides first
}

// Journal is the end of the journal of flags, the newest entry first.
type Journal struct {
	Path    string         `json:"path"`
	Entries []JournalEntry `json:"entries"`
	Intact  *bool          `json:"intact,omitempty"` // whether the chain of hashes holds from the first entry on; told if asked for
	Broken  string         `json:"broken,omitempty"` // where it does not
}

// A JournalEntry is one change of the flags.
type JournalEntry struct {
	Seq      uint64        `json:"seq"`
	At       time.Time     `json:"at"`
	Revision uint64        `json:"revision"`
	Origin   string        `json:"origin"`
	By       string        `json:"by,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Digest   string        `json:"digest"`
	Changes  []JournalFlag `json:"changes"`
	Note     string        `json:"note,omitempty"`
	Hash     string        `json:"hash"`
}

// A JournalFlag is a flag before and after a change.
type JournalFlag struct {
	Flag   string          `json:"flag"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// ClientList is every client of the configuration.
type ClientList struct {
	Clients []Client `json:"clients"`
}

// A Client is a tenant, without its key and secrets.
type Client struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Known      bool              `json:"known"`  // false: it is blocked, but not in the configuration any more
	Blocks     []Block           `json:"blocks"` // that are on now
}

// BlockList is every block that is on.
type BlockList struct {
	Blocks []Block `json:"blocks"`
}

// A Block keeps a client from a route for a while.
type Block struct {
	Client   string     `json:"client"`
	Route    string     `json:"route"`
	Until    time.Time  `json:"until"`
	Errors   int        `json:"errors"`             // that led to it
	Evidence []Evidence `json:"evidence,omitempty"` // them, the oldest first
}

// Evidence is one error that is held against a client.
type Evidence struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"request_id"`
	Class     string    `json:"class"`
	Fault     string    `json:"fault"`
	About     string    `json:"about"`
	Status    int       `json:"status,omitempty"` // the upstream's
	Code      string    `json:"code,omitempty"`
	Framing   string    `json:"framing,omitempty"`
}

// ClientStanding is all that is held against one client.
type ClientStanding struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Known      bool              `json:"known"`
	Routes     []RouteStanding   `json:"routes"` // with an error limit
}

// RouteStanding is how a client stands on one route.
type RouteStanding struct {
	Route    string     `json:"route"`
	Until    *time.Time `json:"blocked_until,omitempty"`
	Limit    int        `json:"limit"` // so many errors within the window block the client
	Window   int64      `json:"window_seconds"`
	OK       uint64     `json:"ok"`           // successes since the oldest evidence
	Other    uint64     `json:"other_errors"` // that are not held against the client
	Evidence []Evidence `json:"evidence"`     // that is held against it, the oldest first
}

// Unblocked is what has been lifted.
type Unblocked struct {
	Client string  `json:"client"`
	Lifted []Block `json:"lifted"` // the blocks that have ended by it
}

// Config is a summary of the configuration in force.
type Config struct {
	Version   string           `json:"version"` // of the gateway
	File      string           `json:"file"`
	Load      Load             `json:"load"`
	Listen    string           `json:"listen"`
	Example   bool             `json:"example"`
	Clients   int              `json:"clients"`
	Upstreams []ConfigUpstream `json:"upstreams"`
	Plugins   []ConfigPlugin   `json:"plugins"`
	Routes    []ConfigRoute    `json:"routes"`
	FlagFile  string           `json:"flag_file,omitempty"`
	Files     []string         `json:"files"` // that it was made from
}

// A ConfigUpstream is an upstream of the configuration.
type ConfigUpstream struct {
	Name      string     `json:"name"`
	URL       string     `json:"url"`
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

// An Endpoint is one address of an upstream, as it is now.
type Endpoint struct {
	Address     string `json:"address"`
	Weight      int    `json:"weight"`
	Connections int    `json:"connections"`
	Idle        int    `json:"idle"` // of the connections
	Failures    uint64 `json:"failures"`
	Healthy     bool   `json:"healthy"` // by its health checks
	Ejected     bool   `json:"ejected"`
	Ejections   uint64 `json:"ejections"`
}

// A ConfigPlugin is a plugin of the configuration.
type ConfigPlugin struct {
	Name         string `json:"name"`
	Path         string `json:"path"`
	SHA256       string `json:"sha256,omitempty"` // where it is pinned
	Interruption string `json:"interruption"`
}

// A ConfigRoute is a route of the configuration.
type ConfigRoute struct {
	Name     string       `json:"name"`
	Host     string       `json:"host"`
	Methods  []string     `json:"methods,omitempty"` // none: any
	Path     string       `json:"path"`
	Upstream string       `json:"upstream"`
	Steps    []ConfigStep `json:"steps"`
	Errors   *ConfigLimit `json:"errors,omitempty"`   // blocks a client
	Requests *ConfigLimit `json:"requests,omitempty"` // limits its rate
}

// A ConfigLimit is a limit of a route.
type ConfigLimit struct {
	Count  int     `json:"count"`
	Window float64 `json:"window_seconds"`
	Block  float64 `json:"block_seconds,omitempty"`
	Burst  int     `json:"burst,omitempty"`
}

// A ConfigStep is a step of a route.
type ConfigStep struct {
	Name      string `json:"name"`
	Plugin    string `json:"plugin"`
	Flag      string `json:"flag,omitempty"` // of its gate; "": it is always on
	Fallback  string `json:"fallback,omitempty"`
	OnFailure string `json:"on_failure"`
}
