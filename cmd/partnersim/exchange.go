package main

import (
	"bytes"
	"errors"
	"time"
)

// An exchange is one request and the reply that is being prepared for it. A connection has one and uses it again and again.
type exchange struct {
	sim  *simulator
	c    *conn
	req  request
	body body
	now  time.Time
	rec  *record // nil: not recorded

	endpoint endpoint
	id       []byte // of the media or phone number in the path
	tenant   []byte // nil: the token is nobody's
	struck   []*active

	early bool  // answer without reading the request's body
	drift drift // what is off with the media object's JSON

	reply reply
	plan  plan
	wire  wire
}

// A reply is what the API says; a plan says how that goes onto the wire.
type reply struct {
	status      int
	contentType string
	fields      []byte // further field lines, each with its CRLF
	text        []byte // the body, unless it is media
	media       bool
	size        int64 // of the media
	usage       usage
	rev         int64 // x-fb-rev
}

// begin makes x ready for the next request.
func (x *exchange) begin() {
	x.now = x.sim.now()
	x.rec = nil
	x.endpoint, x.id, x.tenant = unknown, nil, nil
	x.struck = x.struck[:0]
	x.early, x.drift = false, 0
	x.reply = reply{status: 200, contentType: "application/json", fields: x.reply.fields[:0], text: x.reply.text[:0], rev: baseRev, usage: calm}
	x.plan = plan{cutAt: -1}
	x.wire.reset()
	x.body.begin(&x.req)
	x.c.close = false
}

// serve is a request's whole way. An error ends the connection without another word.
func (x *exchange) serve() error {
	err := x.req.parse(x.c.head)
	x.begin()
	x.rec = x.sim.received.add(x.c, x.c.head)
	if err != nil {
		x.problem(err)
		return x.end(x.wire.deliver())
	}
	x.c.close = x.req.close
	x.route()
	x.identify()
	x.rec.identified(x)
	x.sim.scenarios.strike(x)

	for _, a := range x.struck { // delays, hangs, resets
		if a.effect.before != nil {
			if err := a.effect.before(x); err != nil {
				return x.end(err)
			}
		}
	}
	if err := x.wire.hold(atRequest); err != nil {
		return x.end(err)
	}
	if err := x.answer(); err != nil && !errors.Is(err, errMalformed) {
		return x.end(err)
	}
	if !x.early {
		if err := x.readRest(); err != nil {
			return x.end(err)
		}
	}
	for _, a := range x.struck { // other bytes, other framing, other pace
		if a.effect.reshape != nil {
			a.effect.reshape(x)
		}
	}
	err = x.wire.deliver()
	if err == nil && x.early {
		err = x.readRest()
	}
	return x.end(err)
}

// answer fills the reply: by the first scenario that has an answer, else by the API.
func (x *exchange) answer() error {
	for _, a := range x.struck {
		if a.effect.answer != nil && a.effect.answer(x) {
			return nil
		}
	}
	if x.tenant == nil {
		if x.req.expectContinue { // refused by the head alone: the body may or may not come
			x.early, x.c.close = true, true
		}
		x.refuse(badToken(x.req.authorization))
		return nil
	}
	return x.call()
}

// readRest reads what is left of the request's body, so that the connection can serve another one.
func (x *exchange) readRest() error {
	if x.early && x.c.close {
		return nil
	}
	err := x.body.drain()
	if errors.Is(err, errMalformed) {
		x.problem(err)
		return nil
	}
	return err
}

// problem prepares the answer to what is not HTTP. The connection ends: nobody knows where the next request begins.
func (x *exchange) problem(err error) {
	x.c.close = true
	x.rec.problem(err)
	x.reply.status = 400
	x.reply.contentType = "text/plain"
	x.reply.text = append(x.reply.text[:0], err.Error()...)
}

// end tells the record how the exchange went.
func (x *exchange) end(err error) error {
	x.rec.end(x, err)
	return err
}

// An endpoint is what a path stands for.
type endpoint uint8

const (
	unknown     endpoint = iota
	mediaObject          // /{media-id}
	attachments          // /whatsapp_business/attachments/
	uploads              // /{phone-number-id}/media
	messages             // /{phone-number-id}/messages
)

// route finds the endpoint from the path.
func (x *exchange) route() {
	path := bytes.TrimSuffix(x.req.path, []byte("/"))
	if string(path) == "/whatsapp_business/attachments" {
		x.endpoint = attachments
		return
	}
	if len(path) == 0 {
		return
	}
	id, rest, more := bytes.Cut(path[1:], []byte("/"))
	x.id = id
	switch {
	case !more && len(id) > 0:
		x.endpoint = mediaObject
	case string(rest) == "media":
		x.endpoint = uploads
	case string(rest) == "messages":
		x.endpoint = messages
	}
}

// identify finds the tenant from the token.
func (x *exchange) identify() {
	scheme, token, _ := bytes.Cut(x.req.authorization, []byte(" "))
	name, ok := bytes.CutPrefix(trim(token), []byte("partner-token-"))
	if ok && is(scheme, "Bearer") && len(name) <= 64 && isToken(name) {
		x.tenant = name
	}
}
