package config

import "strings"

// A Client is a tenant: whoever holds the key.
type Client struct {
	Element

	// Name is what logs, blocks and flags call the client.
	Name string `yaml:"name,required" is:"name"`
	// KeySHA256 is the SHA-256 of the client's API key.
	KeySHA256 Digest `yaml:"key_sha256,required" secret:"yes"`
	// Attributes are what is known of the client, for injections and for the targeting of flags. They are not secret.
	Attributes Attributes `yaml:"attributes"`
	// Secrets are what the gateway needs to speak for the client. Each is a reference: {file: PATH} or {env: NAME}.
	Secrets Secrets `yaml:"secrets"`
}

// A clientsFile is what stands in the file of clients.
type clientsFile struct {
	Element

	// Clients lists the clients.
	Clients []*Client `yaml:"clients,required" secret:"yes"`
}

// Attributes are a client's attributes by name.
type Attributes map[string]string

func (Attributes) expected() string { return "a mapping of names to text" }

func (a *Attributes) read(d *decoder, n *node, e *Element, key string) {
	if n.kind != mapping {
		d.wrong(n, e, key, true, "expected %s, %s", a.expected(), n.found())
		return
	}
	self := &Element{Pos: n.pos, where: e.inside(key), keys: map[string]Pos{}}
	values := d.keys(n, self, nil)
	*a = make(Attributes, len(values))
	for name, value := range values {
		(*a)[name] = value.text // known, even if it is wrong
		if err := checkPlaceholderName(name); err != nil {
			d.load.complain(self.Errorf(name, "%w", err))
			continue
		}
		if looksSecret(name) {
			d.load.complain(self.Errorf(name, "this looks like a secret (the value is not shown): expected it under secrets, "+
				"as {file: PATH} or {env: NAME}; attributes are not kept secret"))
			continue
		}
		switch {
		case value.kind != text && value.kind != number:
			d.wrong(value, self, name, false, "expected text, %s", value.found())
		case len(value.text) > maxAttribute:
			d.wrong(value, self, name, false, "expected at most %d bytes", maxAttribute)
		case value.text == "":
			d.wrong(value, self, name, false, "expected text; leave the attribute out where there is none")
		default:
			for _, c := range []byte(value.text) {
				if c < 0x20 || c == 0x7f {
					d.wrong(value, self, name, false, "expected text without line breaks and control characters")
					break
				}
			}
		}
	}
}

const maxAttribute = 1 << 10

// looksSecret reports whether a name says that what it names is a secret.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"secret", "token", "password", "passwd", "passphrase", "credential", "api_key", "apikey", "private_key", "authorization"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
