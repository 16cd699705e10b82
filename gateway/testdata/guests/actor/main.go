// Actor is a guest for the gateway's tests: it does what its configuration says, step by step, and tells what it sees.
//
//	config: {request: [{do: set_field, name: X-A, value: "1"}], only: /path}
package main

import (
	"strings"

	"github.com/breakwater-gateway/breakwater/sdk"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func init() { sdk.Register(plugin) }

func main() {}

type config struct {
	Only     string   `json:"only"` // of requests whose URI has this in it
	Request  []action `json:"request"`
	Response []action `json:"response"`
	Classify []action `json:"classify"`
	Body     int      `json:"body"`   // how much of a whole body to read, in the phases that are there
	Prefix   int      `json:"prefix"` // or of its beginning
	About    string   `json:"about"`  // what the one reason, "said", is about
}

type action struct {
	Do     string `json:"do"`
	Name   string `json:"name"`
	Value  string `json:"value"`
	Status int    `json:"status"`
}

var spun int

func plugin(c config) (sdk.Plugin, error) {
	want := sdk.Want{
		Method: true, URI: true, AllRequestFields: true, RequestTrailers: c.Body > 0, Body: c.Body, Prefix: c.Prefix,
	}
	p := sdk.Plugin{RequestWant: want}
	want.AllResponseFields = true
	want.ResponseTrailers = c.Body > 0
	p.ResponseWant, p.ClassifyWant = want, want
	p.ClassifyWant.Body, p.ClassifyWant.ResponseTrailers = 0, false
	if c.About != "" {
		about, err := abi.ParseAbout(c.About)
		if err != nil {
			return sdk.Plugin{}, sdk.Complain("/about", err.Error())
		}
		p.Reasons.Add("said", about)
	}
	for _, a := range c.Request {
		if a.Do == "" {
			return sdk.Plugin{}, sdk.Complain("/request/0/do", "expected something to do")
		}
	}
	mine := func(uri []byte) bool { return strings.Contains(string(uri), c.Only) }
	if len(c.Request) > 0 {
		p.Request = func(r *sdk.Request) {
			for _, a := range c.Request {
				if mine(r.URI()) {
					onRequest(r, a)
				}
			}
		}
	}
	if len(c.Response) > 0 {
		p.Response = func(r *sdk.ResponseHead) {
			for _, a := range c.Response {
				if mine(r.URI()) {
					onResponse(r, a)
				}
			}
		}
	}
	if len(c.Classify) > 0 {
		p.Classify = func(r *sdk.Response) (v sdk.Verdict) {
			for _, a := range c.Classify {
				if mine(r.URI()) {
					v = onClassify(r, a)
				}
			}
			return v
		}
	}
	return p, nil
}

func onRequest(r *sdk.Request, a action) {
	switch a.Do {
	case "set_uri":
		r.SetURI([]byte(a.Value))
	case "set_method":
		r.SetMethod(a.Value)
	case "set_field":
		r.SetField(a.Name, a.Value)
	case "add_field":
		r.AddField(a.Name, a.Value)
	case "append_field":
		v, _ := r.Field(a.Name)
		r.SetField(a.Name, string(v)+a.Value)
	case "remove_field":
		r.RemoveField(a.Name)
	case "set_body":
		r.SetBody([]byte(a.Value))
	case "answer":
		r.Answer(a.Status, "text/plain", a.Value)
	case "answer_field":
		r.AnswerField(a.Name, a.Value)
	case "tell":
		r.Answer(200, "text/plain", request(r))
	default:
		both(a, request(r))
	}
}

// request is all that the guest sees.
func request(r *sdk.Request) string {
	var b strings.Builder
	b.WriteString(string(r.Method()) + " " + string(r.URI()) + "\n")
	r.EachField(func(name, value []byte) bool {
		b.WriteString(string(name) + ": " + string(value) + "\n")
		return true
	})
	body, whole, ok := r.Body()
	if ok {
		b.WriteString("\n" + string(body))
		if !whole {
			b.WriteString("…")
		}
	}
	return b.String()
}

func onResponse(r *sdk.ResponseHead, a action) {
	switch a.Do {
	case "set_status":
		r.SetStatus(a.Status)
	case "set_field":
		r.SetField(a.Name, a.Value)
	case "add_field":
		r.AddField(a.Name, a.Value)
	case "append_field":
		v, _ := r.Field(a.Name)
		r.SetField(a.Name, string(v)+a.Value)
	case "remove_field":
		r.RemoveField(a.Name)
	case "set_body":
		r.SetBody([]byte(a.Value))
	case "tell":
		r.SetBody([]byte(response(&r.Response)))
	default:
		both(a, response(&r.Response))
	}
}

func response(r *sdk.Response) string {
	var b strings.Builder
	b.WriteString(string(r.Method()) + " " + string(r.URI()) + "\n")
	for _, name := range []string{"Authorization", "X-Token", "D360-API-KEY", "X-Sent"} {
		if v, ok := r.RequestField(name); ok {
			b.WriteString("sent " + name + ": " + string(v) + "\n")
		}
	}
	r.EachField(func(name, value []byte) bool {
		b.WriteString(string(name) + ": " + string(value) + "\n")
		return true
	})
	body, whole, ok := r.Body()
	if ok {
		b.WriteString("\n" + string(body))
		if !whole {
			b.WriteString("…")
		}
	}
	return b.String()
}

func onClassify(r *sdk.Response, a action) (v sdk.Verdict) {
	if a.Do != "judge" {
		both(a, response(r))
		return v
	}
	for c := range abi.Class(abi.Classes) {
		if c.String() == a.Name {
			v.Class = c
		}
	}
	v.Fault, v.Counts, v.Reason = abi.FaultClient, true, sdk.Reason(a.Status)
	return v
}

// both is what can be done in every phase.
func both(a action, seen string) {
	switch a.Do {
	case "log":
		sdk.Log(sdk.Info, seen)
	case "trap":
		panic("told to")
	case "spin":
		for {
			spun++
		}
	case "nothing":
	default:
		panic("BUG: cannot do " + a.Do)
	}
}
