package config

import (
	"fmt"
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// A Secret is a value that must not be seen: whatever prints it prints "[redacted]". Only [Secret.Reveal] tells it.
type Secret struct {
	// A pointer, because fmt does not ask the methods of what it finds in unexported fields; it does not follow pointers there.
	value *string
}

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the value. It is for the bytes that go to the upstream, and for nothing else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redacted)) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }

// Secrets are a client's secrets by name. In the file each is a reference, {file: PATH} or {env: NAME}; it is resolved when
// the file is loaded. White space at the end of a secret's file is not part of the secret.
type Secrets map[string]Secret

func (Secrets) expected() string { return "a mapping of names to {file: PATH} or {env: NAME}" }

// A secretRef is where a secret is kept.
type secretRef struct {
	Element
	File string `yaml:"file" is:"file"`
	Env  string `yaml:"env"`
}

func (s *Secrets) read(d *decoder, n *node, e *Element, key string) {
	if n.kind != mapping {
		d.wrong(n, e, key, true, "expected %s, %s", s.expected(), n.found())
		return
	}
	self := &Element{Pos: n.pos, where: e.inside(key), keys: map[string]Pos{}}
	values := d.keys(n, self, nil)
	*s = make(Secrets, len(values))
	for name, value := range values {
		if err := checkPlaceholderName(name); err != nil {
			d.load.complain(self.Errorf(name, "%w", err))
			continue
		}
		(*s)[name] = Secret{} // known, even if it cannot be read: a template that names it is not wrong
		if secret, ok := d.resolve(value, self, name); ok {
			(*s)[name] = secret
		}
	}
}

// resolve reads the secret that a reference leads to. No complaint shows any part of it.
func (d *decoder) resolve(n *node, e *Element, key string) (Secret, bool) {
	if n.kind != mapping {
		d.wrong(n, e, key, true, "expected {file: PATH} or {env: NAME}: a secret is never written here")
		return Secret{}, false
	}
	var ref secretRef
	d.section(n, valueOf(&ref), e, e.inside(key), key, true)
	var value string
	switch {
	case ref.Has("file") && ref.Has("env"):
		d.load.complain(e.Errorf(key, "expected file or env, found both"))
		return Secret{}, false
	case ref.File != "":
		data, err := d.load.read(ref.File, maxSecret)
		if err != nil {
			d.load.complain(ref.about("file", ref.File, "%w", err))
			return Secret{}, false
		}
		value = strings.TrimRight(string(data), " \t\r\n")
		if what := badSecret(value); what != "" {
			d.load.complain(ref.about("file", ref.File, "%s", what))
			return Secret{}, false
		}
	case ref.Env != "":
		var ok bool
		if value, ok = d.opts.LookupEnv(ref.Env); !ok {
			d.load.complain(ref.about("env", ref.Env, "this environment variable is not set"))
			return Secret{}, false
		}
		if what := badSecret(value); what != "" {
			d.load.complain(ref.about("env", ref.Env, "%s", what))
			return Secret{}, false
		}
	default:
		if !ref.Has("file") && len(n.entries) == len(ref.keys) { // nothing has been said yet
			d.load.complain(e.Errorf(key, "expected {file: PATH} or {env: NAME}"))
		}
		return Secret{}, false
	}
	return NewSecret(value), true
}

const maxSecret = 8 << 10

// badSecret says what is wrong with a secret without showing it. It must be fit for the value of a field.
func badSecret(s string) string {
	if s == "" {
		return "the secret is empty"
	}
	if len(s) > maxSecret {
		return fmt.Sprintf("the secret has more than %d bytes", maxSecret)
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c == 0x7f {
			return "the secret has a line break or another control character in it"
		}
	}
	return ""
}
