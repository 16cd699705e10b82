package main

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// A fault is one error of the partner as its envelope tells it.
type fault struct {
	status, code, subcode int
	kind                  string // "" is OAuthException
	message, details      string
	userTitle, userMsg    string
	transient             bool
}

const unparsable = "Invalid OAuth access token - Cannot parse access token"

// faults are the partner's error codes with the status that its documentation names. It says itself that the status can differ.
var faults = map[int]fault{
	0:      {status: 401, message: "Error validating access token: the app user may have changed.", details: "We were unable to authenticate the app user."},
	1:      {status: 500, message: "(#1) An unknown error occurred", details: "Possible invalid request or server error."},
	2:      {status: 503, message: "(#2) Service temporarily unavailable", kind: "GraphMethodException", details: "Temporary due to downtime or due to being overloaded.", transient: true},
	3:      {status: 500, message: "(#3) Application does not have the capability to make this API call.", details: "Capability or permissions issue."},
	4:      {status: 400, message: "(#4) Application request limit reached", details: "The app has reached its API call rate limit.", transient: true},
	10:     {status: 403, message: "(#10) Application does not have permission for this action", details: "Permission is either not granted or has been removed."},
	17:     {status: 400, subcode: 2446079, message: "(#17) User request limit reached", details: "The user has reached its call rate limit.", transient: true},
	33:     {status: 400, message: "(#33) Parameter value is not valid", details: "The business phone number has been deleted."},
	100:    {status: 400, message: "(#100) Invalid parameter", details: "The request included one or more unsupported or misspelled parameters."},
	104:    {status: 401, message: "An access token is required to request this resource."},
	190:    {status: 401, message: unparsable},
	200:    {status: 403, message: "(#200) You do not have the necessary permissions required to send messages on behalf of this WhatsApp Business Account"},
	368:    {status: 403, message: "(#368) Temporarily blocked for policies violations", details: "The account has been restricted or disabled for violating a platform policy."},
	613:    {status: 400, message: "(#613) Calls to this api have exceeded the rate limit.", transient: true},
	803:    {status: 404, kind: "GraphMethodException", message: "(#803) Some of the aliases you requested do not exist"},
	80007:  {status: 400, subcode: 2446079, message: "(#80007) There have been too many calls from this WhatsApp Business account. Wait a bit and try again.", details: "The WhatsApp Business Account has reached its rate limit.", transient: true},
	130429: {status: 429, message: "(#130429) Rate limit hit", details: "Cloud API message throughput has been reached.", transient: true},
	130497: {status: 403, message: "(#130497) Business account is restricted from messaging users in this country."},
	131000: {status: 500, message: "(#131000) Something went wrong", details: "Message failed to send due to an unknown error."},
	131008: {status: 400, message: "(#131008) Required parameter is missing", details: "The request is missing a required parameter."},
	131009: {status: 400, message: "(#131009) Parameter value is not valid", details: "One or more parameter values are invalid."},
	131016: {status: 503, message: "(#131016) Service unavailable", details: "A service is temporarily unavailable.", transient: true},
	131031: {status: 403, message: "(#131031) Business Account locked", details: "The account has been restricted or disabled for violating a platform policy."},
	131042: {status: 400, message: "(#131042) Business eligibility payment issue", details: "There was an error related to your payment method."},
	131048: {status: 429, message: "(#131048) Spam rate limit hit", details: "Message failed to send because there are restrictions on how many messages can be sent from this phone number."},
	131051: {status: 400, message: "(#131051) Unsupported message type", details: "Message type is currently not supported."},
	131052: {status: 400, message: "(#131052) Media download error", details: "Unable to download the media sent by the user."},
	131053: {status: 400, message: "(#131053) Media upload error", details: "Unable to upload the media used in the message."},
	131056: {status: 429, message: "(#131056) (Business Account, Consumer Account) pair rate limit hit", details: "Too many messages sent from the sender phone number to the same recipient phone number in a short period of time."},
	131057: {status: 503, message: "(#131057) Account in maintenance mode", details: "Business Account is in maintenance mode.", transient: true},
	132000: {status: 400, message: "(#132000) Number of parameters does not match the expected number of params"},
	133016: {status: 400, message: "(#133016) Account register deregister rate limit exceeded", transient: true},
}

// badToken is the answer to a token that is missing or nobody's.
func badToken(authorization []byte) fault {
	f := byCode(190)
	if len(authorization) == 0 {
		f.message = "Invalid OAuth access token - An access token is required to request this resource"
	}
	return f
}

// missing is the answer for an object that does not exist, in the words that the partner has for a method.
func missing(method, id []byte) fault {
	verb := "get"
	switch string(method) {
	case "POST", "PUT", "PATCH":
		verb = "post"
	case "DELETE":
		verb = "delete"
	}
	return fault{
		status: 400, code: 100, subcode: 33, kind: "GraphMethodException",
		message: "Unsupported " + verb + " request. Object with ID '" + string(id) +
			"' does not exist, cannot be loaded due to missing permissions, or does not support this operation",
	}
}

// byCode returns the documented fault of a code.
func byCode(code int) fault {
	f := faults[code]
	f.code = code
	return f
}

// refuse makes the reply f's envelope.
func (x *exchange) refuse(f fault) {
	x.reply.status = f.status
	x.reply.contentType = "application/json"
	x.reply.media = false
	x.reply.fields = append(x.reply.fields[:0], "WWW-Authenticate: OAuth \"Facebook Platform\" \"invalid_token\"\r\n"...)
	if f.status != 401 {
		x.reply.fields = x.reply.fields[:0]
	}
	b := append(x.reply.text[:0], `{"error":{"message":`...)
	b = appendJSON(b, f.message)
	b = append(b, `,"type":`...)
	if f.kind == "" {
		f.kind = "OAuthException"
	}
	b = appendJSON(b, f.kind)
	b = strconv.AppendInt(append(b, `,"code":`...), int64(f.code), 10)
	if f.subcode != 0 {
		b = strconv.AppendInt(append(b, `,"error_subcode":`...), int64(f.subcode), 10)
	}
	if f.details != "" {
		b = append(b, `,"error_data":{"messaging_product":"whatsapp","details":`...)
		b = append(appendJSON(b, f.details), '}')
	}
	if f.transient {
		b = append(b, `,"is_transient":true`...)
	}
	if f.userTitle != "" {
		b = appendJSON(append(b, `,"error_user_title":`...), f.userTitle)
		b = appendJSON(append(b, `,"error_user_msg":`...), f.userMsg)
	}
	b = append(b, `,"fbtrace_id":"A`...)
	b = x.c.appendID(b, 22)
	x.reply.text = append(b, `"}}`...)
}

// appendJSON appends s as a JSON string.
func appendJSON(dst []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' || s[i] >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // of a string: cannot fail
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// appendID appends n characters that look made up and follow from seed, connection and what was made up before.
func (c *conn) appendID(dst []byte, n int) []byte {
	for n > 0 {
		c.random++
		for bits, k := mix(c.random), min(n, 10); k > 0; k-- {
			dst = append(dst, idAlphabet[bits&63])
			bits >>= 6
			n--
		}
	}
	return dst
}
