package flags

import (
	"strings"

	"github.com/open-feature/go-sdk/openfeature"
)

// A Subject is who and what a gate decides about. It is filled once per request. Its strings may point into the
// request's memory: nothing here keeps them beyond the call without copying.
type Subject struct {
	Client   string // the client's name, and the targeting key
	Route    string // the route's name
	Upstream string // the upstream's name
	Method   string // the request's method

	// Attributes are the client's own, from the file of clients; shared by its requests, never written.
	// They do not hide the four above. An empty value is the same as none.
	Attributes map[string]string
}

// The names under which a rule reads the fixed part of a subject.
const (
	attrTargetingKey = openfeature.TargetingKey
	attrClient       = "client"
	attrRoute        = "route"
	attrUpstream     = "upstream"
	attrMethod       = "method"
)

// A reading is one attribute that a rule reads, with its name resolved when the rule was loaded.
type reading struct {
	field field
	name  string // for fieldAttribute
}

type field uint8

const (
	fieldAttribute field = iota
	fieldClient
	fieldRoute
	fieldUpstream
	fieldMethod
)

func newReading(name string) reading {
	switch name {
	case attrTargetingKey, attrClient:
		return reading{field: fieldClient}
	case attrRoute:
		return reading{field: fieldRoute}
	case attrUpstream:
		return reading{field: fieldUpstream}
	case attrMethod:
		return reading{field: fieldMethod}
	}
	return reading{field: fieldAttribute, name: name}
}

func (s *Subject) value(r reading) string {
	switch r.field {
	case fieldClient:
		return s.Client
	case fieldRoute:
		return s.Route
	case fieldUpstream:
		return s.Upstream
	case fieldMethod:
		return s.Method
	}
	return s.Attributes[r.name]
}

// evaluationContext returns the subject as OpenFeature knows it. Hooks may keep it, so everything is copied.
func (s *Subject) evaluationContext() openfeature.EvaluationContext {
	attributes := make(map[string]any, len(s.Attributes)+4)
	for name, value := range s.Attributes {
		if value != "" {
			attributes[name] = value
		}
	}
	for name, value := range map[string]string{
		attrClient: s.Client, attrRoute: s.Route, attrUpstream: s.Upstream, attrMethod: s.Method,
	} {
		delete(attributes, name)
		if value != "" {
			attributes[name] = strings.Clone(value)
		}
	}
	delete(attributes, attrTargetingKey) // only the client's name is ever the targeting key
	return openfeature.NewEvaluationContext(strings.Clone(s.Client), attributes)
}
