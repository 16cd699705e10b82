// Package sdktest runs a plugin's handlers in go test, without WebAssembly and without a gateway.
//
// Everything passes through the bytes that a gateway and a guest exchange: the plugin is configured, its declaration is checked, an exchange is cut down to what
// the plugin wants to see, and what it returns is read as strictly as a gateway reads it. Changes and verdicts are compared in words:
//
//	p := sdktest.New(t, plugin, `{"parameters": ["phone_number_id"]}`)
//	p.TestRequests(t, []sdktest.Case{
//		sdktest.Row("the parameter goes, the rest stays", sdktest.Exchange{URI: "/42?a=%41&phone_number_id=7"}, "set URI /42?a=%41"),
//	})
//
// After each call the input is overwritten, as it would be by the next one: a handler that keeps borrowed bytes shows it.
package sdktest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// An Exchange is a request, and its response where there is one.
type Exchange struct {
	Method          string // GET if empty
	URI             string // "/" if empty
	RequestFields   Fields
	RequestTrailers Fields
	RequestBody     string

	Status           int // 200 if 0
	ResponseFields   Fields
	ResponseTrailers Fields
	ResponseBody     string
}

// Fields are field lines: name, value.
type Fields [][2]string

// A Case is a row of a table: what goes in and, in words, what comes out. The words are those of [Plugin.Request], [Plugin.Response] or
// [Plugin.Classify].
type Case struct {
	Name string
	In   Exchange
	Want string
}

// Row is a [Case] on one line.
func Row(name string, in Exchange, want string) Case { return Case{Name: name, In: in, Want: want} }

// NotCalled is what comes out where a plugin's wants leave an exchange out.
const NotCalled = "not called"

// A Plugin is a configured plugin under test. It is used by one goroutine at a time.
type Plugin struct {
	t           testing.TB
	guest       *sdk.Guest
	declaration abi.Declaration
}

// New configures a plugin with JSON. It fails the test if the plugin complains or declares what a gateway would not take.
func New[C any](t testing.TB, configure func(C) (sdk.Plugin, error), config string) *Plugin {
	t.Helper()
	p := &Plugin{t: t, guest: sdk.NewGuest(configure)}
	p.configure(config)
	if cs := p.declaration.Complaints; len(cs) > 0 {
		t.Fatalf("config %s: %s", config, strings.Join(inWords(cs), "; "))
	}
	return p
}

// Complaints configures a plugin and returns what it complains about, each as pointer, colon, message; none if it accepts.
func Complaints[C any](t testing.TB, configure func(C) (sdk.Plugin, error), config string) []string {
	t.Helper()
	p := &Plugin{t: t, guest: sdk.NewGuest(configure)}
	p.configure(config)
	return inWords(p.declaration.Complaints)
}

func inWords(cs []abi.Complaint) []string {
	var words []string
	for _, c := range cs {
		words = append(words, c.Pointer+": "+c.Message)
	}
	return words
}

func (p *Plugin) configure(config string) {
	p.t.Helper()
	in := abi.AppendInput(nil, abi.PhaseConfigure, 0)
	in = abi.AppendConfig(in, []byte(config))
	in = abi.AppendFact(in, "gateway", "sdktest")
	d, err := abi.ReadDeclaration(p.call(in, p.guest.Configure))
	if err != nil {
		p.t.Fatalf("config %s: %v", config, err)
	}
	p.declaration = d
}

// Declaration is what the plugin has declared.
func (p *Plugin) Declaration() abi.Declaration { return p.declaration }

// Request calls the request handler and returns the changes that it asks for, in words, one to a line; nothing for unchanged.
func (p *Plugin) Request(x Exchange) string {
	p.t.Helper()
	return p.rewrite(abi.PhaseRequest, x, p.guest.Request)
}

// Response calls the response handler and returns the changes that it asks for, in words, one to a line; nothing for unchanged.
func (p *Plugin) Response(x Exchange) string {
	p.t.Helper()
	return p.rewrite(abi.PhaseResponse, x, p.guest.Response)
}

func (p *Plugin) rewrite(phase abi.Phase, x Exchange, handle func([]byte) []byte) string {
	p.t.Helper()
	in, called := p.input(phase, x, -1)
	if !called {
		return NotCalled
	}
	list := p.call(in, handle)
	if len(list) == 0 {
		return ""
	}
	if err := abi.CheckMutations(phase, list); err != nil {
		p.t.Errorf("a gateway would refuse: %v", err)
		return err.Error()
	}
	var words []string
	m := abi.ReadMutations(phase, list)
	var mu abi.Mutation
	for ok, _ := m.Next(&mu); ok; ok, _ = m.Next(&mu) {
		words = append(words, change(mu))
	}
	return strings.Join(words, "\n")
}

var sectionNames = [abi.Sections]string{"", "response ", "trailer ", "response trailer "}

func change(m abi.Mutation) string {
	switch m.Kind {
	case abi.KindAnswer, abi.KindSetStatus:
		return fmt.Sprintf("%s %d", m.Kind, m.Status)
	case abi.KindSetField, abi.KindAddField:
		verb, _, _ := strings.Cut(m.Kind.String(), " ")
		return fmt.Sprintf("%s %sfield %s: %s", verb, sectionNames[m.Section], m.Name, m.Value)
	case abi.KindRemoveField:
		return fmt.Sprintf("remove %sfield %s", sectionNames[m.Section], m.Name)
	default:
		return fmt.Sprintf("%s %s", m.Kind, m.Value)
	}
}

// Classify calls the classifying handler and returns its verdict in words: class, fault unless it is undecided, "counts",
// "retryable", "after" a time, and the reason's word with what it is about. For example
//
//	auth, counts, token about credential
//	throttled, fault shared, retryable, after 30s, app_limit
func (p *Plugin) Classify(x Exchange) string {
	p.t.Helper()
	v, called := p.Verdict(x)
	if !called {
		return NotCalled
	}
	return p.verdict(v)
}

// Verdict is the verdict of [Plugin.Classify] as it is; false if the handler is not called.
func (p *Plugin) Verdict(x Exchange) (abi.Verdict, bool) {
	p.t.Helper()
	in, called := p.input(abi.PhaseClassify, x, -1)
	if !called {
		return abi.Verdict{}, false
	}
	return p.judge(in), true
}

func (p *Plugin) judge(in []byte) abi.Verdict {
	p.t.Helper()
	var word uint64
	p.call(in, func(b []byte) []byte {
		word = p.guest.Classify(b)
		return nil
	})
	v, err := abi.UnpackVerdict(word)
	if err != nil {
		p.t.Errorf("a gateway would refuse: %v", err)
	}
	return v
}

func (p *Plugin) verdict(v abi.Verdict) string {
	words := []string{v.Class.String()}
	if v.Fault != abi.Undecided {
		words = append(words, "fault "+v.Fault.String())
	}
	if v.Counts {
		words = append(words, "counts")
	}
	if v.Retryable {
		words = append(words, "retryable")
	}
	if v.RetryAfter > 0 {
		words = append(words, "after "+v.RetryAfter.String())
	}
	if n := int(v.Reason); n > 0 && n <= len(p.declaration.Reasons) {
		r := p.declaration.Reasons[n-1]
		if r.About.Part == abi.PartNone {
			words = append(words, r.Name)
		} else {
			words = append(words, r.Name+" about "+r.About.String())
		}
	}
	return strings.Join(words, ", ")
}

// TestRequests runs a table through [Plugin.Request].
func (p *Plugin) TestRequests(t *testing.T, cases []Case) {
	t.Helper()
	p.table(t, cases, p.Request)
}

// TestResponses runs a table through [Plugin.Response].
func (p *Plugin) TestResponses(t *testing.T, cases []Case) {
	t.Helper()
	p.table(t, cases, p.Response)
}

// TestClassify runs a table through [Plugin.Classify].
func (p *Plugin) TestClassify(t *testing.T, cases []Case) {
	t.Helper()
	p.table(t, cases, p.Classify)
}

func (p *Plugin) table(t *testing.T, cases []Case, run func(Exchange) string) {
	t.Helper()
	outer := p.t
	defer func() { p.t = outer }()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Helper()
			p.t = t
			if got := run(c.In); got != c.Want {
				t.Errorf("%+v\n got %s\nwant %s", c.In, got, c.Want)
			}
		})
	}
}

// EveryPrefix calls the classifying handler with the response's body cut off after every byte, from none to all, and check with each
// verdict in words; check may be nil. A panic fails the test and names the cut.
func (p *Plugin) EveryPrefix(x Exchange, check func(n int, verdict string)) {
	p.t.Helper()
	for n := range len(x.ResponseBody) + 1 {
		in, called := p.input(abi.PhaseClassify, x, n)
		if !called {
			p.t.Fatal("the plugin does not want this exchange")
		}
		verdict := p.verdict(p.judge(in))
		if p.t.Failed() {
			p.t.Fatalf("with %d bytes: %q", n, x.ResponseBody[:n])
		}
		if check != nil {
			check(n, verdict)
		}
	}
}

// Allocations is how much the handler of a phase allocates per call. It is 0 for a handler that can run for ever in the
// memory that it started with.
func (p *Plugin) Allocations(phase abi.Phase, x Exchange) float64 {
	p.t.Helper()
	in, called := p.input(phase, x, -1)
	if !called {
		p.t.Fatal("the plugin does not want this exchange")
	}
	return testing.AllocsPerRun(100, func() {
		switch phase {
		case abi.PhaseRequest:
			p.guest.Request(in)
		case abi.PhaseResponse:
			p.guest.Response(in)
		default:
			p.guest.Classify(in)
		}
	})
}
