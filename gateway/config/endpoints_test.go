package config

import (
	"reflect"
	"testing"
	"time"
)

func TestEndpoints(t *testing.T) {
	c, _ := loadFull(t)
	plain, u := c.Upstreams[0], c.Upstreams[1]
	rows := []struct {
		name      string
		got, want any
	}{
		{"left out, there are no addresses but the url", len(plain.Addresses), 0},
		{"left out, each has its turn", plain.Balance, "round_robin"},
		{"left out, panic is below a half", plain.PanicThreshold, 50},
		{"left out, nobody is asked or ejected", plain.DNS == nil && plain.Health == nil && plain.Outliers == nil, true},
		{"a weight", u.Addresses[0].Weight, 3},
		{"a weight left out is 1", u.Addresses[1].Weight, 1},
		{"an IPv6 address", u.Addresses[1].Address, HostPort("[fd00::1]:8443")},
		{"a name", u.Addresses[2].Address, HostPort("api-internal.example:443")},
		{"the balance", u.Balance, "least_pending"},
		{"the panic threshold", u.PanicThreshold, 30},
		{"DNS", *u.DNS, DNS{u.DNS.Element, 10 * time.Second, time.Second, "ipv4", "127.0.0.1:53"}},
		{"health", *u.Health, Health{u.Health.Element, "/health?full", 5 * time.Second, time.Second, 1, 2, []Statuses{{200, 200}, {204, 206}}}},
		{"statuses that are failures", u.Outliers.Statuses, []Statuses{{500, 500}, {502, 504}}},
		{"ejections", [...]time.Duration{u.Outliers.BaseEjectionTime, u.Outliers.MaxEjectionTime, u.Outliers.Jitter, u.Outliers.Interval}, [...]time.Duration{10 * time.Second, time.Minute, 2 * time.Second, 20 * time.Second}},
		{"how many are ejected", [...]int{u.Outliers.Consecutive, u.Outliers.MaxEjectedPercent}, [...]int{3, 50}},
		{"success rates", *u.Outliers.SuccessRate, SuccessRate{u.Outliers.SuccessRate.Element, 3, 50, 1500}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if !reflect.DeepEqual(row.got, row.want) {
				t.Errorf("%+v, want %+v", row.got, row.want)
			}
		})
	}
}

func TestEndpointDefaults(t *testing.T) {
	h, o := &Health{}, &Outliers{}
	h.check(nil)
	o.check(nil)
	if !reflect.DeepEqual(h.ExpectedStatuses, []Statuses{{200, 200}}) || !reflect.DeepEqual(o.Statuses, []Statuses{{502, 504}}) {
		t.Errorf("%v, %v", h.ExpectedStatuses, o.Statuses)
	}
}
