package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk/sdktest"
)

func TestEnvelope(t *testing.T) {
	const none = unknown
	tests := []struct {
		name, body string
		code       int
	}{
		{"the partner's own form", `{"error":{"message":"Invalid OAuth access token - Cannot parse access token","type":"OAuthException","code":190,"fbtrace_id":"A1"}}`, 190},
		{"white space anywhere", "\r\n\t { \"error\" :\n{ \"code\"\t: 190 } } ", 190},
		{"a byte order mark", "\ufeff{\"error\":{\"code\":190}}", 190},
		{"other members before the error", `{"a":null,"b":[1,{"c":"}"}],"d":{"e":{}},"f":[],"error":{"code":190}}`, 190},
		{"other members before the code", `{"error":{"a":[[],[{}]],"b":{"code":1},"c":"\"code\":2","d":-1.5e+3,"code":190}}`, 190},
		{"a code outside the error", `{"code":4,"error":{"message":"m"}}`, none},
		{"a code beside the error", `{"error":{"message":"m"},"code":4}`, none},
		{"an error that is not at the top", `{"data":{"error":{"code":4}}}`, none},
		{"an error in an error", `{"error":{"error":{"code":4}}}`, none},
		{"a code in the error's data", `{"error":{"error_data":{"code":4,"details":"code"}}}`, none},
		{"both, and the right one wins", `{"data":{"error":{"code":4}},"error":{"error_data":{"code":4},"code":190}}`, 190},
		{"an error in a list", `[{"error":{"code":4}}]`, none},
		{"an error that is a list", `{"error":[{"code":4}]}`, none},
		{"an error that is text", `{"error":"{\"code\":4}"}`, none},
		{"a key in a string value", `{"error":{"message":"\"code\":4,","x":"\\\",\"code\":4"}}`, none},
		{"a value that is called code", `{"error":{"type":"code","x":4}}`, none},
		{"a string that ends in backslashes", `{"error":{"message":"\\\\","code":190}}`, 190},
		{"a key that is escaped", `{"\u0065rror":{"c\u006fde":190}}`, 190},
		{"a key that only begins alike", `{"errors":{"code":4},"error":{"codes":4,"cod":4,"Code":4}}`, none},
		{"a key with an escape of something else", `{"error":{"cod\u0165":4,"code\n":4,"code\u00zz":4}}`, none},
		{"the last of two", `{"error":{"code":4,"code":190}}`, 190},
		{"the last of two errors", `{"error":{"code":4},"error":{"code":190}}`, 190},
		{"zero is a code", `{"error":{"code":0}}`, 0},
		{"digits in quotes", `{"error":{"code":"190"}}`, 190},
		{"other text is no code", `{"error":{"code":"190a"}}`, none},
		{"a fraction is no code", `{"error":{"code":190.0}}`, none},
		{"a negative number is no code", `{"error":{"code":-190}}`, none},
		{"a number beyond all codes is none", `{"error":{"code":19000000000000000000000}}`, none},
		{"null is no code", `{"error":{"code":null}}`, none},
		{"an object is no code", `{"error":{"code":{"code":4}}}`, none},
		{"cut after the code's number it may go on", `{"error":{"code":19`, none},
		{"cut after the code's end it is whole", `{"error":{"code":190,`, 190},
		{"cut in a later string", `{"error":{"code":190,"message":"Inv`, 190},
		{"cut in an escape", `{"error":{"code":190,"message":"\`, 190},
		{"broken after the code", `{"error":{"code":190]`, 190},
		{"broken before the code", `{"error":{"a":[},"code":4}}`, none},
		{"brackets that do not match", `{"a":[{]},"error":{"code":4}}`, none},
		{"a control character in a string is let pass", "{\"error\":{\"message\":\"a\nb\",\"code\":190}}", 190},
		{"nested beyond all reason", `{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `,"error":{"code":4}}`, none},
		{"nested as deep as is read", `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"error":{"code":190}}`, 190},
		{"empty", "", none},
		{"only white space", " \n", none},
		{"only a bracket", "{", none},
		{"an empty object", "{}", none},
		{"an empty error", `{"error":{}}`, none},
		{"HTML", `<!DOCTYPE html><html><body>{"error":{"code":4}}</body></html>`, none},
		{"text", `error: code 190`, none},
		{"a form", `error[code]=190`, none},
		{"JavaScript", `for (;;);{"error":{"code":4}}`, none},
		{"compressed", gzipped(`{"error":{"code":4}}`), none},
		{"binary", "\x00\xff{\"error\":{\"code\":4}}", none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := readEnvelope([]byte(tt.body)).code; got != tt.code {
				t.Errorf("%s: code %d, want %d", tt.body, got, tt.code)
			}
		})
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s)) // into memory
	_ = w.Close()
	return b.String()
}

// A prefix never says something else than the whole: until the code is whole, there is none.
func TestEveryPrefix(t *testing.T) {
	p := sdktest.New(t, plugin, `{"parameters": ["phone_number_id"]}`)
	for _, body := range []string{
		` {"x":{"code":1},"error":{"message":"Invalid \u00e4 \"token\"","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"A"}}`,
		`{"error":{"code":190,"error_data":{"details":"code 4","x":[1,2]},"code2":4}}`,
	} {
		whole := strings.Index(body, "190,") + len("190,")
		p.EveryPrefix(sdktest.Exchange{Status: 400, ResponseBody: body}, func(n int, got string) {
			want := "invalid_request, fault client, counts, status"
			if n >= whole {
				want = "auth, token about credential"
			}
			if got != want {
				t.Errorf("%q: got %s, want %s", body[:n], got, want)
			}
		})
	}
	p.EveryPrefix(sdktest.Exchange{Status: 502, ResponseBody: gzipped(`{"error":{"code":190}}`)}, nil)
}

// For every valid JSON, what is read is what encoding/json would read.
func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"error":{"message":"m","code":190,"is_transient":true,"error_subcode":33,"error_data":{"details":"d"}}}`,
		`{"a":[{},[1,"x"]],"error":{"code":1}}`, `{"error":{"c\u006fde":4}}`, `[]`, `{"error":[1]}`, `{"error":{"code":"1"}}`, "{",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := readEnvelope(body)
		if !json.Valid(body) {
			return
		}
		var top map[string]json.RawMessage
		var inner map[string]json.RawMessage
		code := unknown
		if json.Unmarshal(body, &top) == nil && json.Unmarshal(top["error"], &inner) == nil {
			if n, ok := digits(bytes.Trim(inner["code"], `"`)); ok {
				code = n
			}
		}
		if got.code != code && nesting(body) < maxDepth {
			t.Errorf("%s: code %d, want %d", body, got.code, code)
		}
	})
}

// nesting is at least the depth of body.
func nesting(body []byte) int { return bytes.Count(body, []byte("[")) + bytes.Count(body, []byte("{")) }
