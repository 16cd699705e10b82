package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
)

const (
	urlLife     = 300     // seconds that a media URL is good for
	maxMessage  = 1 << 20 // of JSON
	maxFormWord = 4 << 10 // of a multipart field that is not the file
)

// call does what the partner does with a request of a known tenant.
func (x *exchange) call() error {
	method := string(x.req.method)
	if method == "HEAD" {
		method = "GET"
	}
	switch x.endpoint {
	case mediaObject, attachments:
		if f, bad := x.phoneNumber(); bad {
			x.refuse(f)
			return nil
		}
	case uploads, messages:
		if !isPhoneNumber(x.id) {
			x.refuse(missing(x.req.method, x.id))
			return nil
		}
	}
	switch {
	case x.endpoint == mediaObject && method == "GET":
		x.describe()
	case x.endpoint == mediaObject && method == "DELETE":
		x.delete()
	case x.endpoint == attachments && method == "GET":
		x.download()
	case x.endpoint == uploads && method == "POST":
		return x.upload()
	case x.endpoint == messages && method == "POST":
		return x.message()
	case x.endpoint == unknown:
		x.refuse(fault{status: 400, code: 2500, message: "Unknown path components: " + string(x.req.path)})
	default:
		x.refuse(missing(x.req.method, x.id))
	}
	return nil
}

// phoneNumber checks the optional parameter.
func (x *exchange) phoneNumber() (f fault, bad bool) {
	value, ok := x.req.param("phone_number_id")
	if !ok || isPhoneNumber(value) {
		return fault{}, false
	}
	f = byCode(100)
	f.message = "(#100) Param phone_number_id must be the ID of a phone number that belongs to your account"
	f.details = "phone_number_id=" + string(value) + " is not a known phone number ID."
	return f, true
}

func isPhoneNumber(id []byte) bool {
	return isDigits(id) && len(id) <= 32 && id[0] != '0' && !bytes.HasPrefix(id, []byte("999"))
}

// drift says what is off with the JSON of a media object.
type drift uint8

const (
	sizeAsString drift = 1 << iota
	newField
	noSum
	escapedSlashes
	bornExpired // not JSON: the URL has expired when it is handed out
)

// describe answers GET /{media-id}.
func (x *exchange) describe() {
	m := x.sim.store.find(x.id)
	if m == nil {
		x.refuse(missing(x.req.method, x.id))
		return
	}
	expiry := x.now.Unix() + urlLife
	if x.drift&bornExpired != 0 {
		expiry = x.now.Unix() - 1
	}
	b := append(x.reply.text[:0], `{"messaging_product":"whatsapp","url":"`...)
	from := len(b)
	b = append(b, x.sim.publicURL...)
	b = append(b, "/whatsapp_business/attachments/?mid="...)
	b = append(b, x.id...)
	b = strconv.AppendInt(append(b, "&ext="...), expiry, 10)
	b = appendSignature(append(b, "&hash="...), x.sim.seed, x.id, expiry)
	if x.drift&escapedSlashes != 0 {
		b = append(b[:from], bytes.ReplaceAll(b[from:], []byte("/"), []byte(`\/`))...)
	}
	b = appendJSON(append(b, `","mime_type":`...), m.mime)
	if x.drift&noSum == 0 {
		b = append(append(append(b, `,"sha256":"`...), m.sha256...), '"')
	}
	b = append(b, `,"file_size":`...)
	if x.drift&sizeAsString != 0 {
		b = append(strconv.AppendInt(append(b, '"'), m.size, 10), '"')
	} else {
		b = strconv.AppendInt(b, m.size, 10)
	}
	if x.drift&newField != 0 {
		b = append(b, `,"media_origin":{"edge":"ams4","generation":2},"is_animated":false`...)
	}
	b = append(append(b, `,"id":"`...), x.id...)
	x.reply.text = append(b, `"}`...)
}

// delete answers DELETE /{media-id}.
func (x *exchange) delete() {
	if !x.sim.store.delete(x.id) {
		x.refuse(missing(x.req.method, x.id))
		return
	}
	x.reply.text = append(x.reply.text[:0], `{"success":true}`...)
}

// download answers GET on a media URL.
func (x *exchange) download() {
	id, _ := x.req.param("mid")
	ext, _ := x.req.param("ext")
	hash, _ := x.req.param("hash")
	m := x.sim.store.find(id)
	f := fault{status: 404, code: 100, subcode: 33, kind: "GraphMethodException"}
	switch {
	case m == nil:
		f.message = "Media not found"
	case len(ext) > 18 || !isDigits(ext) || string(appendSignature(nil, x.sim.seed, id, decimal(ext))) != string(hash):
		f.message = "Bad URL hash"
	case decimal(ext) < x.now.Unix():
		f = urlExpired()
	case m.lost:
		f = byCode(131052)
		f.details = "The simulator keeps the bytes of uploads up to 1 MiB only."
	default:
		x.reply.contentType = m.mime
		x.reply.fields = append(append(append(append(append(x.reply.fields,
			"Content-Disposition: inline;filename="...), id...), '.'), m.extension...), "\r\n"...)
		if m.content != nil {
			x.reply.text = append(x.reply.text[:0], m.content...)
		} else {
			x.reply.media, x.reply.size = true, m.size
		}
		return
	}
	x.refuse(f)
}

// urlExpired is the answer to a download after its five minutes.
func urlExpired() fault {
	return fault{
		status: 404, code: 100, subcode: 33, kind: "GraphMethodException", message: "Media URL has expired",
		details: "A media URL is valid for 5 minutes. Retrieve a new one with the media ID.",
	}
}

// upload answers POST /{phone-number-id}/media. The file is hashed as it comes in.
func (x *exchange) upload() error {
	kind, params, err := mime.ParseMediaType(string(x.req.contentType))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		f := byCode(100)
		f.message = "(#100) The parameter messaging_product is required."
		f.details = "Expected multipart/form-data with file, type and messaging_product."
		x.refuse(f)
		return nil
	}
	var product, fileType, id string
	for form := multipart.NewReader(&x.body, params["boundary"]); ; {
		part, err := form.NextRawPart()
		if err == io.EOF {
			break
		}
		if err == nil {
			switch part.FormName() {
			case "file":
				fileType = part.Header.Get("Content-Type")
				id, err = x.sim.store.upload(fileType, part)
			case "messaging_product":
				product, err = word(part)
			}
		}
		if x.body.err != nil {
			return x.body.err
		}
		if err != nil {
			f := byCode(131053)
			f.details = "Malformed multipart/form-data: " + err.Error()
			x.refuse(f)
			return nil
		}
	}
	f := byCode(100)
	switch {
	case product != "whatsapp":
		f.message = "(#100) The parameter messaging_product is required."
	case id == "":
		f.message = "(#100) The parameter file is required."
	case fileType == "":
		f.message = "(#100) Param file must be a file with one of the following types: audio/…, image/…, video/…, application/…, text/plain. Received file of type ''."
	default:
		x.reply.text = append(append(append(x.reply.text[:0], `{"id":"`...), id...), `"}`...)
		return nil
	}
	x.refuse(f)
	return nil
}

// word reads a short form value.
func word(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFormWord))
	return string(b), err
}

// message answers POST /{phone-number-id}/messages.
func (x *exchange) message() error {
	b, err := io.ReadAll(io.LimitReader(&x.body, maxMessage+1))
	if err != nil {
		return err
	}
	var m struct {
		Product string `json:"messaging_product"`
		Status  string `json:"status"`
		To      string `json:"to"`
		Type    string `json:"type"`
	}
	f := byCode(100)
	switch err := json.Unmarshal(b, &m); {
	case len(b) > maxMessage:
		f.message = "(#100) The request is too large."
	case err != nil:
		f.message = "(#100) The request body is not valid JSON."
		f.details = err.Error()
	case m.Product != "whatsapp":
		f.message = "(#100) The parameter messaging_product is required."
	case m.Status == "read":
		x.reply.text = append(x.reply.text[:0], `{"success":true}`...)
		return nil
	case m.To == "":
		f = byCode(131008)
		f.details = "The parameter to is required."
	case !messageTypes[m.Type]:
		f = byCode(131051)
	default:
		b := append(x.reply.text[:0], `{"messaging_product":"whatsapp","contacts":[{"input":`...)
		b = appendJSON(b, m.To)
		b = appendJSON(append(b, `,"wa_id":`...), string(bytes.TrimPrefix([]byte(m.To), []byte("+"))))
		b = append(b, `}],"messages":[{"id":"wamid.`...)
		b = x.c.appendID(b, 40)
		x.reply.text = append(b, `"}]}`...)
		return nil
	}
	x.refuse(f)
	return nil
}

// messageTypes are the partner's; text may go unsaid.
var messageTypes = map[string]bool{
	"": true, "text": true, "image": true, "audio": true, "video": true, "document": true, "sticker": true, "location": true,
	"contacts": true, "interactive": true, "template": true, "reaction": true,
}
