package main

import "strconv"

// baseRev is the partner's code revision (x-fb-rev) while no scenario says that it has deployed another one.
const baseRev = 1019544279

// A usage is what the usage fields say, in percent, and after how many minutes calls are accepted again.
type usage struct {
	app, business int64
	regain        int64
}

// calm is the usage of a good day.
var calm = usage{app: 3, business: 1}

// appendFields appends the fields that the partner puts on every answer.
func (x *exchange) appendFields(b []byte) []byte {
	r := &x.reply
	b = append(b, "Vary: Origin, Accept-Encoding\r\nx-fb-rlafr: 0\r\nAccess-Control-Allow-Origin: *\r\nfacebook-api-version: "...)
	if x.req.version != nil {
		b = append(b, x.req.version...)
	} else {
		b = append(b, "v23.0"...)
	}
	b = append(b, "\r\nStrict-Transport-Security: max-age=15552000; preload\r\nPragma: no-cache\r\n"+
		"Cache-Control: private, no-cache, no-store, must-revalidate\r\nExpires: Sat, 01 Jan 2000 00:00:00 GMT\r\n"+
		"x-app-usage: {\"call_count\":"...)
	b = strconv.AppendInt(b, r.usage.app, 10)
	b = strconv.AppendInt(append(b, ",\"total_cputime\":"...), r.usage.app/2, 10)
	b = strconv.AppendInt(append(b, ",\"total_time\":"...), r.usage.app/2, 10)
	if x.tenant != nil {
		b = append(b, "}\r\nx-business-use-case-usage: {\""...)
		b = strconv.AppendUint(b, businessAccount(x.tenant), 10)
		b = append(b, "\":[{\"type\":\"whatsapp\",\"call_count\":"...)
		b = strconv.AppendInt(b, r.usage.business, 10)
		b = strconv.AppendInt(append(b, ",\"total_cputime\":"...), r.usage.business/2, 10)
		b = strconv.AppendInt(append(b, ",\"total_time\":"...), r.usage.business/2, 10)
		b = strconv.AppendInt(append(b, ",\"estimated_time_to_regain_access\":"...), r.usage.regain, 10)
		b = append(b, "}]"...)
	}
	b = append(b, "}\r\nx-fb-request-id: A"...)
	b = x.c.appendID(b, 22)
	b = append(b, "\r\nx-fb-trace-id: "...)
	b = x.c.appendID(b, 11)
	b = strconv.AppendInt(append(b, "\r\nx-fb-rev: "...), r.rev, 10)
	b = append(b, "\r\nX-FB-Debug: "...)
	b = x.c.appendID(b, 86)
	return append(b, "==\r\nX-FB-Connection-Quality: EXCELLENT; q=0.9, rtt=2, rtx=0, c=10, mss=1380, tbw=3403, tp=-1, tpl=-1, uplat=35, ullat=0\r\n"+
		"Alt-Svc: h3=\":443\"; ma=86400\r\n"...)
}

// businessAccount makes up the id of a tenant's business account: 15 digits that follow from its name.
func businessAccount(tenant []byte) uint64 {
	h := uint64(1)
	for _, b := range tenant {
		h = mix(h ^ uint64(b))
	}
	return 1e14 + h%9e14
}
