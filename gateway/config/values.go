package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const expectedDuration = `a duration with its unit, such as "10s", "1m30s" or "250ms"`

// hidden is an error about a value that must not be shown.
type hidden string

func (h hidden) Error() string { return string(h) }

// parseDuration reads a duration, which is never negative.
func parseDuration(text string, to *time.Duration) error {
	d, err := time.ParseDuration(text)
	if err != nil && text != "0" {
		return errors.New("expected " + expectedDuration)
	}
	if d < 0 {
		return errors.New("a duration cannot be negative: expected " + expectedDuration)
	}
	*to = d
	return nil
}

// A Size is a number of bytes. In the file it carries its unit: B, KiB, MiB, GiB (powers of 1024) or kB, MB, GB (of 1000).
type Size int64

var units = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

func (Size) expected() string { return `a size with its unit, such as "64KiB" or "100MiB"` }

func (s *Size) parse(text string) error {
	digits := strings.TrimRight(text, "BkKMGi ")
	unit := strings.TrimSpace(text[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || digits[0] == '+' {
		return errors.New("expected " + s.expected())
	}
	if n < 0 {
		return errors.New("a size cannot be negative: expected " + s.expected())
	}
	if n == 0 && unit == "" {
		*s = 0
		return nil
	}
	for _, u := range units {
		if u.name != unit {
			continue
		}
		if n > math.MaxInt64/u.bytes {
			return errors.New("too large: expected " + s.expected())
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return errors.New("expected " + s.expected())
}

// String returns s with the largest unit that leaves a whole number.
func (s Size) String() string {
	for i := 2; i >= 0; i-- {
		if s != 0 && int64(s)%units[i].bytes == 0 {
			return strconv.FormatInt(int64(s)/units[i].bytes, 10) + units[i].name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// A Rate is so many requests in a unit of time. In the file it is written as "80/s", "600/m" or "1000/h".
type Rate struct {
	Count int
	Per   time.Duration
}

func (Rate) expected() string { return `a rate such as "80/s", "600/m" or "1000/h"` }

func (r *Rate) parse(text string) error {
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || n < 1 || n > 1e9 {
		return errors.New("expected " + r.expected())
	}
	switch strings.TrimSpace(per) {
	case "s":
		r.Per = time.Second
	case "m", "min":
		r.Per = time.Minute
	case "h":
		r.Per = time.Hour
	default:
		return errors.New("expected " + r.expected())
	}
	r.Count = n
	return nil
}

// PerSecond is r as a number.
func (r Rate) PerSecond() float64 { return float64(r.Count) / r.Per.Seconds() }

// An Address is where a listener binds: host:port as net.Listen takes it. The host is an IP address, localhost or, for every
// address of the machine, nothing. Port 0 lets the system choose.
type Address string

func (Address) expected() string {
	return `an address such as "127.0.0.1:8080", "[::1]:8080" or ":8080"`
}

func (a *Address) parse(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("expected " + a.expected())
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return fmt.Errorf("host %s: expected an IP address, localhost or nothing", quote(host))
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(p, 10) {
		return fmt.Errorf("port %s: expected a number from 0 to 65535", quote(port))
	}
	*a = Address(text)
	return nil
}

// Loopback reports whether only this machine can reach a.
func (a Address) Loopback() bool {
	host, _, _ := net.SplitHostPort(string(a))
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// A Digest is a SHA-256. In the file it is 64 hexadecimal digits.
type Digest [sha256.Size]byte

func (Digest) expected() string { return "a SHA-256 as 64 hexadecimal digits" }

// parse never repeats what it was given: it may be the very key that was to be kept out of the file.
func (g *Digest) parse(text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(g) {
		return fmt.Errorf("expected %s, found %d characters that are not", g.expected(), len([]rune(text)))
	}
	if *g = Digest(b); *g == sha256.Sum256(nil) {
		return errors.New("this is the SHA-256 of nothing at all")
	}
	return nil
}

// IsZero reports whether there is no digest.
func (g Digest) IsZero() bool { return g == Digest{} }

// String returns 64 hexadecimal digits.
func (g Digest) String() string { return hex.EncodeToString(g[:]) }

// A Prefix is a range of addresses: 10.0.0.0/8, or one address.
type Prefix struct{ netip.Prefix }

func (Prefix) expected() string { return `an address range such as "10.0.0.0/8", or one address` }

func (p *Prefix) parse(text string) error {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		p.Prefix = netip.PrefixFrom(ip, ip.BitLen())
		return nil
	}
	parsed, err := netip.ParsePrefix(text)
	if err != nil {
		return errors.New("expected " + p.expected())
	}
	if parsed != parsed.Masked() {
		return fmt.Errorf("bits are set after the first %d: expected %q", parsed.Bits(), parsed.Masked())
	}
	p.Prefix = parsed
	return nil
}

// An Origin is where an upstream is reached: scheme, host and port, nothing else. In the file it is a URL.
type Origin struct {
	Scheme string // http or https
	Host   string // a name or an address, without brackets
	Port   uint16
}

func (Origin) expected() string {
	return `a URL such as "http://127.0.0.1:8081" or "https://api.example"`
}

func (o *Origin) parse(text string) error {
	if strings.Contains(text, "@") {
		return hidden("expected no user or password in a URL; set a field with a route's inject.fields")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return errors.New("expected " + o.expected())
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %s: expected http or https", quote(u.Scheme))
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("expected only scheme, host and port; a path is set by a route's inject.path")
	}
	*o = Origin{Scheme: u.Scheme, Host: u.Hostname(), Port: 80}
	if o.TLS() {
		o.Port = 443
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("port %s: expected a number from 1 to 65535", quote(p))
		}
		o.Port = uint16(n)
	}
	if _, err := netip.ParseAddr(o.Host); err != nil {
		if err := checkHostName(o.Host); err != nil {
			return fmt.Errorf("host %s: %w", quote(o.Host), err)
		}
	}
	return nil
}

// TLS reports whether the upstream is spoken to through TLS.
func (o Origin) TLS() bool { return o.Scheme == "https" }

// Address is host:port as net.Dial takes it.
func (o Origin) Address() string { return net.JoinHostPort(o.Host, strconv.Itoa(int(o.Port))) }

// Authority is what a Host field says: the port only where it is not the scheme's own.
func (o Origin) Authority() string {
	if o.Port == 443 && o.TLS() || o.Port == 80 && !o.TLS() {
		if strings.Contains(o.Host, ":") {
			return "[" + o.Host + "]"
		}
		return o.Host
	}
	return o.Address()
}

// String returns the URL.
func (o Origin) String() string { return o.Scheme + "://" + o.Authority() }

// checkName checks a name that ends up in metrics, in logs and on a command line.
func checkName(s string) error {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '.') || i == 64 {
			return errors.New("expected a name: 1 to 64 letters, digits, \"-\", \"_\" or \".\", a letter or digit first")
		}
	}
	if s == "" {
		return errors.New("expected a name")
	}
	return nil
}

// checkHostName checks the name of a host as DNS has it, underscores allowed.
func checkHostName(s string) error {
	const expected = "expected a host name such as api.example"
	if len(s) > 253 || s == "" {
		return errors.New(expected)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New(expected)
		}
		for _, c := range []byte(label) {
			if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return errors.New(expected)
			}
		}
	}
	return nil
}

// checkFieldName checks that s can be the name of a header field.
func checkFieldName(s string) error {
	if !isToken(s) {
		return errors.New(`expected the name of a field, such as "Authorization"`)
	}
	return nil
}

// isToken reports whether s is a token (9110 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}
