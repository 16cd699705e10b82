package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// An Endpoint is one address of an upstream.
type Endpoint struct {
	Element

	// Address is host:port.
	Address HostPort `yaml:"address,required"`
	// Weight is how much it gets of the requests, against the others' weights.
	Weight int `yaml:"weight" default:"1" min:"1" max:"100"`
}

// DNS makes each address that a name has an endpoint of its own.
type DNS struct {
	Element

	// Refresh is how long after one lookup the next begins; up to a tenth is added, at random. A lookup that fails or finds nothing
	// changes nothing. Requests under way to an address that is gone go on.
	Refresh time.Duration `yaml:"refresh" default:"30s" min:"100ms" max:"24h"`
	// Timeout is how long a lookup may take.
	Timeout time.Duration `yaml:"timeout" default:"5s" min:"10ms" max:"1h"`
	// Family is which addresses are wanted.
	Family string `yaml:"family" default:"all" oneof:"all ipv4 ipv6"`
	// Server is the name server to ask, as host:port. Left out, the system is asked.
	Server HostPort `yaml:"server"`
}

// Health asks each endpoint, on a connection of its own, how it is. It is used until its first check, whose result counts at
// once. An endpoint that is unhealthy gets no new requests; its connections are left alone.
type Health struct {
	Element

	// Path is what is asked for, with GET.
	Path OriginForm `yaml:"path,required"`
	// Interval is how long after one check the next begins; up to a tenth is added, at random.
	Interval time.Duration `yaml:"interval" default:"10s" min:"10ms" max:"24h"`
	// Timeout is how long a check may take, from its connection to the response's head.
	Timeout time.Duration `yaml:"timeout" default:"2s" min:"1ms" max:"1h"`
	// Healthy is how many checks in a row must pass for an unhealthy endpoint to be used again.
	Healthy int `yaml:"healthy" default:"2" min:"1" max:"1000"`
	// Unhealthy is how many must fail for it not to be used.
	Unhealthy int `yaml:"unhealthy" default:"3" min:"1" max:"1000"`
	// ExpectedStatuses are those with which a check passes. Left out, it is 200.
	ExpectedStatuses []Statuses `yaml:"expected_statuses"`
}

// Outliers ejects endpoints whose requests fail: for a time they get none. A request fails if there is no connection, no response
// in time, one that breaks off or is not HTTP, or one with a listed status. An ejected endpoint's connections are left alone.
type Outliers struct {
	Element

	// Consecutive is how many failures in a row eject an endpoint. 0 is never.
	Consecutive int `yaml:"consecutive" default:"5" min:"0" max:"1000000"`
	// Statuses are those of responses that are failures. Left out, they are 502, 503 and 504.
	Statuses []Statuses `yaml:"statuses"`
	// BaseEjectionTime is how long the first ejection takes. The second takes twice as long, and so on.
	BaseEjectionTime time.Duration `yaml:"base_ejection_time" default:"30s" min:"1ms" max:"24h"`
	// MaxEjectionTime is how long one takes at most, unless base_ejection_time is longer.
	MaxEjectionTime time.Duration `yaml:"max_ejection_time" default:"5m" max:"24h"`
	// Jitter is how much is added to an ejection's time at most, at random.
	Jitter time.Duration `yaml:"jitter" default:"1s" max:"1h"`
	// Interval is the time without an ejection in which one is forgotten, and between two comparisons of success rates.
	Interval time.Duration `yaml:"interval" default:"10s" min:"10ms" max:"24h"`
	// MaxEjectedPercent is how many of the endpoints may be ejected at a time. One always may be, unless this is 0.
	MaxEjectedPercent int `yaml:"max_ejected_percent" default:"10" min:"0" max:"100"`
	// SuccessRate ejects endpoints that fail much more often than the others. Left out, they are not compared.
	SuccessRate *SuccessRate `yaml:"success_rate"`
}

// SuccessRate is how the shares of requests that did not fail are compared.
type SuccessRate struct {
	Element

	// MinimumEndpoints is how many must have had enough requests.
	MinimumEndpoints int `yaml:"minimum_endpoints" default:"5" min:"2" max:"1000"`
	// Requests is how many in an interval are enough.
	Requests int `yaml:"requests" default:"100" min:"1" max:"1000000"`
	// StdevFactor is how far below the mean an endpoint is ejected: thousandths of the standard deviation.
	StdevFactor int `yaml:"stdev_factor" default:"1900" min:"1" max:"100000"`
}

func (u *Upstream) checkEndpoints(l *loading) {
	if u.Addresses != nil && len(u.Addresses) == 0 {
		l.complain(u.Errorf("addresses", "expected at least one address; leave the key out to connect to the url"))
	}
	unique(l, "address of this upstream", u.Addresses, func(e *Endpoint) (string, *Element, string) {
		return string(e.Address), &e.Element, "address"
	})
	if u.DNS == nil {
		return
	}
	named := u.Addresses == nil && u.URL.Host != "" && !isIP(u.URL.Host)
	for _, e := range u.Addresses {
		host, _, _ := net.SplitHostPort(string(e.Address))
		named = named || !isIP(host) // one that was wrong may have been meant as a name
	}
	if !named && (u.URL.Host != "" || u.Addresses != nil) {
		l.complain(u.Errorf("dns", "there is no name to look up: expected one in addresses, or in the url without addresses"))
	}
}

func (h *Health) check(*decoder) {
	if !h.Has("expected_statuses") {
		h.ExpectedStatuses = []Statuses{{200, 200}}
	}
}

func (o *Outliers) check(d *decoder) {
	if !o.Has("statuses") {
		o.Statuses = []Statuses{{502, 504}}
	}
	if o.Has("consecutive") && o.Consecutive == 0 && o.SuccessRate == nil {
		d.load.complain(o.about("consecutive", "0", "nothing ejects an endpoint then: expected success_rate as well, or no outliers"))
	}
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// A HostPort is an address to connect to: a name or an IP address, and a port.
type HostPort string

func (HostPort) expected() string {
	return `an address such as "10.0.0.1:8080", "[fd00::1]:8080" or "api.example:8080"`
}

func (a *HostPort) parse(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return errors.New("expected " + a.expected())
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 || port != strconv.FormatUint(p, 10) {
		return fmt.Errorf("port %s: expected a number from 1 to 65535", quote(port))
	}
	if !isIP(host) {
		if err := checkHostName(host); err != nil {
			return fmt.Errorf("host %s: %w", quote(host), err)
		}
	}
	*a = HostPort(text)
	return nil
}

// An OriginForm is a path with a query, or without, as it stands in a request (9112 3.2.1).
type OriginForm string

func (OriginForm) expected() string { return `a path such as "/health" or "/health?full=1"` }

func (p *OriginForm) parse(text string) error {
	if !strings.HasPrefix(text, "/") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		return errors.New("expected " + p.expected())
	}
	*p = OriginForm(text)
	return nil
}

// Statuses is a range of status codes, or one.
type Statuses struct{ From, To int }

func (Statuses) expected() string { return `a status such as 200, or a range such as "200-299"` }

func (s *Statuses) parse(text string) error {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil || from < 200 || to > 599 || from > to || len(low) != 3 || len(high) != 3 {
		return fmt.Errorf("expected %s, from 200 to 599", s.expected())
	}
	*s = Statuses{from, to}
	return nil
}
