package config

import "strings"

// Forwarded is what an upstream is told of where requests come from. Each of the fields can be kept, appended to, replaced or
// removed:
//
//   - keep passes on what a trusted proxy has sent (see listen.trusted_proxies), and adds nothing.
//   - append adds what the gateway knows to what is kept: to a list at its end; to a field that takes one value only, where none
//     was kept.
//   - replace says what the gateway knows, and passes on nothing.
//   - remove says nothing.
//
// Whatever the policy, what was sent by anybody but a trusted proxy is not passed on.
type Forwarded struct {
	Element

	// For is X-Forwarded-For, the addresses of the client and of the proxies between it and the gateway.
	For string `yaml:"x_forwarded_for" default:"keep" oneof:"keep append replace remove"`
	// Host is X-Forwarded-Host, the host that the client asked for.
	Host string `yaml:"x_forwarded_host" default:"keep" oneof:"keep append replace remove"`
	// Proto is X-Forwarded-Proto, http or https.
	Proto string `yaml:"x_forwarded_proto" default:"keep" oneof:"keep append replace remove"`
	// Port is X-Forwarded-Port, the port that the client asked for.
	Port string `yaml:"x_forwarded_port" default:"keep" oneof:"keep append replace remove"`
	// Forwarded is the field of RFC 7239, which says all of these in one.
	Forwarded string `yaml:"forwarded" default:"keep" oneof:"keep append replace remove"`
	// By is how the gateway calls itself there, such as _edge-1. Left out, it does not.
	By string `yaml:"by"`
}

func (f *Forwarded) check(d *decoder) {
	switch {
	case f.By == "":
	case len(f.By) < 2 || f.By[0] != '_' || strings.Trim(f.By[1:], obfuscated) != "":
		d.load.complain(f.about("by", f.By, `expected an identifier such as "_edge-1": _, then letters, digits and any of ._-`))
	case f.Forwarded != "append" && f.Forwarded != "replace":
		d.load.complain(f.about("by", f.By, "the gateway says nothing in the field Forwarded: expected forwarded append or replace"))
	}
}

// obfuscated is what an identifier that is no address may be made of, behind its underscore (RFC 7239 6.3).
const obfuscated = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
