package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const gibibyte = 1 << 30

// A block is what uploads are made of, again and again: so long that no buffer falls in step with it.
var block = func() []byte {
	b := make([]byte, 1_000_003)
	for i, x := 0, uint32(1); i < len(b); i++ {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}()

// A blocks reads so many bytes of blocks.
type blocks struct{ at, left int }

func (b *blocks) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), b.left)], block[b.at:])
	b.at, b.left = (b.at+n)%len(block), b.left-n
	return n, nil
}

// memory returns a line of what the kernel says of the process's memory, in bytes.
func (p *process) memory(line string) int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + line + `:\s+(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		p.t.Fatalf("no %s in %s", line, text)
	}
	kib, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10
}

// peak returns how much more memory the process held at its worst while f ran than before.
func (p *process) peak(f func()) int64 {
	p.t.Helper()
	// From here on the kernel counts the peak anew.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid()), []byte("5"), 0); err != nil {
		p.t.Fatal(err)
	}
	before := p.memory("VmRSS")
	f()
	return p.memory("VmHWM") - before
}

// A gibibyte goes through in both directions and both framings, whole and in little memory.
func TestGibibyte(t *testing.T) {
	up := startPartner(t, plain, "")
	g := startGateway(t, plain, t.TempDir(), strings.ReplaceAll(passConfig, "PARTNER", up.api))
	const most = 32 << 20
	transfers := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"down, with a length", func(t *testing.T) { download(t, up, g, gibibyte, false) }},
		{"down, in chunks", func(t *testing.T) {
			up.scenario("chunked-media", `{"path":"/whatsapp_business/attachments/"}`)
			defer up.revert()
			download(t, up, g, gibibyte, true)
		}},
		{"up, with a length", func(t *testing.T) { upload(t, g, gibibyte, false) }},
		{"up, in chunks", func(t *testing.T) { upload(t, g, gibibyte, true) }},
	}
	upload(t, g, 1000, true) // what is made once is made
	for _, transfer := range transfers {
		t.Run(transfer.name, func(t *testing.T) {
			if extra := g.peak(func() { transfer.run(t) }); extra >= most {
				t.Errorf("the gateway took %d KiB more memory, want less than %d KiB", extra>>10, most>>10)
			} else {
				t.Logf("%d KiB more memory", extra>>10)
			}
		})
	}
}

// bearer adds the tenant's token to a request for the gateway and sends it.
func bearer(t *testing.T, req *http.Request) *http.Response {
	t.Helper()
	req.Header.Set("Authorization", "Bearer partner-token-acme")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// media asks what the partner knows of a media.
func media(t *testing.T, g *gateway, id string) (m struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"file_size"`
},
) {
	t.Helper()
	req, _ := http.NewRequest("GET", "http://"+g.address+"/"+id, nil)
	if err := json.NewDecoder(bearer(t, req).Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func download(t *testing.T, up *partner, g *gateway, size int, chunked bool) {
	t.Helper()
	m := media(t, g, fmt.Sprintf("900%d", size))
	_, target, _ := strings.Cut(m.URL, up.api)
	req, err := http.NewRequest("GET", "http://"+g.address+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := bearer(t, req)
	sum := sha256.New()
	n, err := io.Copy(sum, resp.Body)
	if got := hex.EncodeToString(sum.Sum(nil)); err != nil || n != int64(size) || got != m.SHA256 {
		t.Errorf("%d bytes with SHA-256 %s, error %v; want %d and %s", n, got, err, size, m.SHA256)
	}
	if (resp.ContentLength < 0) != chunked {
		t.Errorf("Content-Length %d; chunked: want %v", resp.ContentLength, chunked)
	}
}

func upload(t *testing.T, g *gateway, size int, chunked bool) {
	t.Helper()
	var before, after strings.Builder
	form := multipart.NewWriter(&before)
	form.WriteField("messaging_product", "whatsapp") //nolint:errcheck // into memory
	form.CreatePart(textproto.MIMEHeader{            //nolint:errcheck
		"Content-Disposition": {`form-data; name="file"; filename="big"`}, "Content-Type": {"application/octet-stream"},
	})
	after.WriteString("\r\n--" + form.Boundary() + "--\r\n")
	sum := sha256.New()
	body := io.MultiReader(strings.NewReader(before.String()), io.TeeReader(&blocks{left: size}, sum), strings.NewReader(after.String()))
	req, err := http.NewRequest("POST", "http://"+g.address+"/106540352242922/media", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.ContentLength = -1
	if !chunked {
		req.ContentLength = int64(before.Len() + size + after.Len())
	}
	resp := bearer(t, req)
	var made struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != 200 || made.ID == "" {
		t.Fatalf("status %d, %+v, error %v", resp.StatusCode, made, err)
	}
	if m := media(t, g, made.ID); m.Size != int64(size) || m.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		t.Errorf("the partner has %d bytes with SHA-256 %s, want %d and %x", m.Size, m.SHA256, size, sum.Sum(nil))
	}
}

// Nothing waits for more than it needs: what one side has sent is with the other before it sends more.
func TestBodiesFlowAsTheyCome(t *testing.T) {
	up := startPartner(t, raced, "")
	g := startGateway(t, raced, t.TempDir(), strings.ReplaceAll(passConfig, "PARTNER", up.api))
	target := up.download(4000)
	for _, framing := range []string{"as-is", "chunked", "until-close"} {
		t.Run("down/"+framing, func(t *testing.T) {
			up.scenario("gate:slow", fmt.Sprintf(`{"path":"/whatsapp_business/**","options":{"pieces":4,"framing":%q}}`, framing))
			defer up.revert()
			p := g.dial()
			p.send(get(target, "Authorization: Bearer partner-token-acme"))
			h, err := readHead(p.r)
			if err != nil || h.status != 200 {
				t.Fatalf("head %v, %v", h, err)
			}
			chunked := h.field("Transfer-Encoding") == "chunked"
			if chunked != (framing != "as-is") {
				t.Errorf("head %q", h.lines)
			}
			for piece := range 4 {
				if n := p.piece(chunked, 1000); n != 1000 {
					t.Fatalf("piece %d has %d bytes, want 1000", piece, n)
				}
				if piece < 3 {
					up.held("gate:slow", 1) // the partner has not gone on
					up.release("gate:slow")
				}
			}
		})
	}
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("up/chunked=%v", chunked), func(t *testing.T) {
			up.call("DELETE", "/received", "", nil)
			p := g.dial()
			framing := "Content-Length: 40"
			if chunked {
				framing = "Transfer-Encoding: chunked"
			}
			p.send(request("POST", "/106540352242922/messages", "1.1", "Authorization: Bearer partner-token-acme", framing))
			for sent := range 4 {
				piece := `          `
				if chunked {
					piece = "a\r\n" + piece + "\r\n"
				}
				p.send(piece)
				got := up.received(1, fmt.Sprintf("target=/106540352242922/messages&body_bytes=%d", 10*(sent+1)))
				if got[0].Body.Bytes != int64(10*(sent+1)) || got[0].Body.Complete && sent < 3 {
					t.Errorf("the partner has %d bytes, complete: %v, after %d were sent", got[0].Body.Bytes, got[0].Body.Complete, 10*(sent+1))
				}
			}
			if chunked {
				p.send("0\r\n\r\n")
			}
			if m := readMessage(p.r, "POST"); m.err != nil || m.status != 400 {
				t.Errorf("the answer to spaces is %v", m)
			}
		})
	}
}

// piece reads so many bytes of content, in as many chunks as they come, and returns how many came.
func (p *peer) piece(chunked bool, size int) (n int) {
	p.patient()
	for n < size {
		want := size
		if chunked {
			line, err := readLine(p.r)
			length, err2 := strconv.ParseInt(line, 16, 32)
			if err != nil || err2 != nil {
				return n
			}
			want = int(length)
		}
		b, err := readN(p.r, int64(want))
		n += len(b)
		if err != nil {
			return n
		}
		if chunked {
			if end, err := readLine(p.r); err != nil || end != "" {
				return -1
			}
		}
	}
	return n
}
