package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestEndpoints(t *testing.T) {
	r := start(t, func(o *options) { o.publicURL = "http://public.example:1/" })
	tests := []struct {
		name, request string
		status, code  int
		want          string // in the body
	}{
		{"any numeric media id exists", get("/2621233374848970"), 200, 0, `"mime_type":"image/jpeg","sha256":"`},
		{"the URL begins with -public-url", get("/1"), 200, 0, `"url":"http://public.example:1/whatsapp_business/attachments/?mid=1&ext=`},
		{"a version segment changes nothing", get("/v23.0/7?x=1"), 200, 0, `"id":"7"`},
		{"file_size is a number", get("/1"), 200, 0, `"file_size":49664,`},
		{"an id 900N holds N bytes", get("/900123"), 200, 0, `"file_size":123,`},
		{"a known phone number id passes", get("/1?phone_number_id=106540352242922"), 200, 0, `"id":"1"`},
		{"phone number id 0 is nobody's", get("/1?phone_number_id=0"), 400, 100, "phone_number_id"},
		{"phone number ids from 999 on are nobody's", get("/1?phone_number_id=9991"), 400, 100, ""},
		{"an empty phone number id is nobody's", get("/1?phone_number_id="), 400, 100, ""},
		{"an encoded parameter name is the same parameter", get("/1?phone%5Fnumber_id=0"), 400, 100, ""},
		{"a word is no media id", get("/me"), 400, 100, `"error_subcode":33`},
		{"an unknown path is 2500", get("/a/b/c"), 400, 2500, "Unknown path components"},
		{"no token is 401", "GET /1 HTTP/1.1\r\nHost: sim\r\n\r\n", 401, 190, "access token"},
		{"a token of another form is 401", strings.Replace(get("/1"), "partner-token-", "EAAJ", 1), 401, 190, unparsable},
		{"an empty tenant is 401", requestOf("GET", "/1", ""), 401, 190, ""},
		{"an invented URL hash is 404", get("/whatsapp_business/attachments/?mid=1&ext=99999999999&hash=ARsx"), 404, 100, "hash"},
		{"a POST to a media id is refused", requestOf("POST", "/1", "acme", "Content-Length: 0"), 400, 100, "Unsupported post request"},
		{"a message is accepted", post("/v23.0/55/messages", `{"messaging_product":"whatsapp","to":"+491","type":"text"}`), 200, 0, `"wa_id":"491"}],"messages":[{"id":"wamid.`},
		{"a read receipt is accepted", post("/55/messages", `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}`), 200, 0, `{"success":true}`},
		{"a message needs a recipient", post("/55/messages", `{"messaging_product":"whatsapp","type":"text"}`), 400, 131008, ""},
		{"a message type must be known", post("/55/messages", `{"messaging_product":"whatsapp","to":"1","type":"fax"}`), 400, 131051, ""},
		{"a message must be JSON", post("/55/messages", `{`), 400, 100, "not valid JSON"},
		{"a message goes from a known number", post("/0/messages", `{}`), 400, 100, ""},
		{"an upload must be multipart", post("/55/media", `{}`), 400, 100, "messaging_product"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := (&rig{r.simulator, t}).ask(tt.request)
			if a.StatusCode != tt.status || a.code != tt.code || !strings.Contains(a.text, tt.want) {
				t.Errorf("%q\n= %d code %d %s\nwant %d code %d … %s", tt.request, a.StatusCode, a.code, a.text, tt.status, tt.code, tt.want)
			}
			if !json.Valid([]byte(a.text)) {
				t.Errorf("not JSON: %s", a.text)
			}
			for _, field := range []string{"x-fb-rev", "x-app-usage", "facebook-api-version", "x-fb-request-id", "x-fb-trace-id", "Date"} {
				if a.Header.Get(field) == "" {
					t.Errorf("no %s in the response", field)
				}
			}
		})
	}
}

// post is a request with a JSON body.
func post(target, body string) string {
	return requestOf("POST", target, "acme", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body
}

func TestVersionIsEchoed(t *testing.T) {
	r := start(t)
	for target, want := range map[string]string{"/v21.0/1": "v21.0", "/1": "v23.0"} {
		if got := r.ask(get(target)).Header.Get("facebook-api-version"); got != want {
			t.Errorf("GET %s: facebook-api-version %q, want %q", target, got, want)
		}
	}
}

func TestDownloadIsWhatTheRetrievalPromised(t *testing.T) {
	r := start(t)
	for _, id := range []string{"1234567890", "9000", "9001", "9002500009", "3"} {
		var m struct {
			SHA256 string `json:"sha256"`
			Size   int    `json:"file_size"`
			Mime   string `json:"mime_type"`
		}
		if err := json.Unmarshal([]byte(r.ask(get("/"+id)).text), &m); err != nil {
			t.Fatal(err)
		}
		a := r.ask(get(r.mediaURL(id)))
		if got := sum(a.text); got != m.SHA256 || len(a.text) != m.Size || a.Header.Get("Content-Type") != m.Mime {
			t.Errorf("media %s: %d bytes of %s with sum %s, want %d of %s with %s", id, len(a.text), a.Header.Get("Content-Type"), got, m.Size, m.Mime, m.SHA256)
		}
	}
}

func TestDownloadNeedsTokenAndFreshURL(t *testing.T) {
	r := start(t)
	target := r.mediaURL("1")
	if a := r.ask("GET " + target + " HTTP/1.1\r\nHost: sim\r\n\r\n"); a.StatusCode != 401 || a.code != 190 {
		t.Errorf("without a token: %d code %d, want 401 code 190", a.StatusCode, a.code)
	}
	late := start(t, func(o *options) {
		o.now = func() time.Time { return time.Now().Add((urlLife + 2) * time.Second) }
	})
	if a := late.ask(get(target)); a.StatusCode != 404 || !strings.Contains(a.text, "expired") {
		t.Errorf("after five minutes: %d %s, want 404", a.StatusCode, a.text)
	}
}

func TestUploadIsRemembered(t *testing.T) {
	r := start(t)
	file := string(patternAt(17, 200_000))
	form := "--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n" + file + "\r\n--b--\r\n"
	a := r.ask(requestOf("POST", "/v23.0/55/media", "acme", "Content-Type: multipart/form-data; boundary=b", fmt.Sprintf("Content-Length: %d", len(form))) + form)
	var up struct{ ID string }
	if err := json.Unmarshal([]byte(a.text), &up); err != nil || up.ID == "" {
		t.Fatalf("upload = %d %s, want an id", a.StatusCode, a.text)
	}
	want := fmt.Sprintf(`"mime_type":"image/png","sha256":"%s","file_size":%d,"id":"%s"}`, sum(file), len(file), up.ID)
	if a := r.ask(get("/" + up.ID)); !strings.HasSuffix(a.text, want) {
		t.Errorf("retrieval = %s, want … %s", a.text, want)
	}
	if a := r.ask(get(r.mediaURL(up.ID))); a.text != file {
		t.Errorf("download = %d bytes, want the %d uploaded ones", len(a.text), len(file))
	}
	if a := r.ask(requestOf("DELETE", "/"+up.ID, "acme")); a.text != `{"success":true}` {
		t.Errorf("delete = %s", a.text)
	}
	if a := r.ask(get("/" + up.ID)); a.StatusCode != 400 || a.code != 100 {
		t.Errorf("after delete: %d code %d, want 400 code 100", a.StatusCode, a.code)
	}
}

func TestUploadNeedsItsParts(t *testing.T) {
	r := start(t)
	tests := []struct{ name, form, want string }{
		{"product", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n", "messaging_product is required"},
		{"file", "--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b--\r\n", "parameter file is required"},
		{"type of the file", "--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n", "Param file must be"},
		{"closing boundary", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n", "Malformed multipart"},
	}
	for _, tt := range tests {
		a := r.ask(requestOf("POST", "/55/media", "acme", "Content-Type: multipart/form-data; boundary=b", fmt.Sprintf("Content-Length: %d", len(tt.form))) + tt.form)
		if a.StatusCode != 400 || !strings.Contains(a.text, tt.want) {
			t.Errorf("without %s: %d %s, want 400 … %s", tt.name, a.StatusCode, a.text, tt.want)
		}
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
