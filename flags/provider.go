package flags

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/open-feature/flagd/core/pkg/model"
	"github.com/open-feature/go-sdk/openfeature"

	"github.com/breakwater-gateway/breakwater/flags/document"
)

// A provider is OpenFeature's door to a book. It is registered once: what changes is the view behind it, because
// an SDK whose provider is exchanged answers defaults meanwhile.
type provider struct {
	view   func() *View
	events chan openfeature.Event
}

var (
	_ openfeature.FeatureProvider = (*provider)(nil)
	_ openfeature.StateHandler    = (*provider)(nil)
	_ openfeature.EventHandler    = (*provider)(nil)
)

const providerName = "breakwater"

func (p *provider) Metadata() openfeature.Metadata           { return openfeature.Metadata{Name: providerName} }
func (p *provider) Hooks() []openfeature.Hook                { return nil }
func (p *provider) Init(openfeature.EvaluationContext) error { return nil }
func (p *provider) Shutdown()                                {}
func (p *provider) EventChannel() <-chan openfeature.Event   { return p.events }
func (p *provider) emit(t openfeature.EventType, changes []document.Change, message string) {
	details := openfeature.ProviderEventDetails{Message: message}
	for _, c := range changes {
		details.FlagChanges = append(details.FlagChanges, c.Key)
	}
	select {
	case p.events <- openfeature.Event{ProviderName: providerName, EventType: t, ProviderEventDetails: details}:
	default: // the SDK is behind; whoever listens reads the newest state anyway
	}
}

// of returns the view that an evaluation belongs to: the one pinned in its context, else the current one.
func (p *provider) of(ctx context.Context) *View {
	if v, ok := ctx.Value(pinKey{}).(*View); ok {
		return v
	}
	return p.view()
}

func (p *provider) BooleanEvaluation(ctx context.Context, key string, byDefault bool, flat openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	v := p.of(ctx)
	return resolution(v, key, byDefault, func() (bool, string, string, model.Metadata, error) {
		return v.eval.ResolveBooleanValue(ctx, "", key, flat)
	})
}

func (p *provider) StringEvaluation(ctx context.Context, key, byDefault string, flat openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	v := p.of(ctx)
	return resolution(v, key, byDefault, func() (string, string, string, model.Metadata, error) {
		return v.eval.ResolveStringValue(ctx, "", key, flat)
	})
}

func (p *provider) FloatEvaluation(ctx context.Context, key string, byDefault float64, flat openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	v := p.of(ctx)
	return resolution(v, key, byDefault, func() (float64, string, string, model.Metadata, error) {
		return v.eval.ResolveFloatValue(ctx, "", key, flat)
	})
}

func (p *provider) IntEvaluation(ctx context.Context, key string, byDefault int64, flat openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	v := p.of(ctx)
	return resolution(v, key, byDefault, func() (int64, string, string, model.Metadata, error) {
		return v.eval.ResolveIntValue(ctx, "", key, flat)
	})
}

func (p *provider) ObjectEvaluation(ctx context.Context, key string, byDefault any, flat openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	v := p.of(ctx)
	return resolution(v, key, byDefault, func() (any, string, string, model.Metadata, error) {
		value, variant, reason, meta, err := v.eval.ResolveObjectValue(ctx, "", key, flat)
		return maps.Clone(value), variant, reason, meta, err // the caller may write into it
	})
}

// RevisionKey is the metadata key under which every answer says which revision it comes from.
const RevisionKey = "revision"

func resolution[T any](v *View, key string, byDefault T, ask func() (T, string, string, model.Metadata, error)) (d openfeature.GenericResolutionDetail[T]) {
	fail := func(e openfeature.ResolutionError, meta openfeature.FlagMetadata) openfeature.GenericResolutionDetail[T] {
		return openfeature.GenericResolutionDetail[T]{Value: byDefault, ProviderResolutionDetail: openfeature.ProviderResolutionDetail{
			ResolutionError: e, Reason: openfeature.ErrorReason, FlagMetadata: meta,
		}}
	}
	defer func() {
		if r := recover(); r != nil { // the rule interpreter panics on some values
			d = fail(openfeature.NewGeneralResolutionError(fmt.Sprintf("flag %q: the rule panicked: %v", key, r)), nil)
		}
	}()
	if v.eval == nil {
		return fail(openfeature.NewFlagNotFoundResolutionError(fmt.Sprintf("flag %q: no flag file could be read", key)), nil)
	}
	value, variant, reason, meta, err := ask()
	if meta == nil {
		meta = model.Metadata{}
	}
	meta[RevisionKey] = int64(v.revision)
	if err != nil {
		return fail(resolutionError(v, key, err), meta)
	}
	detail := openfeature.ProviderResolutionDetail{Reason: openfeature.Reason(reason), Variant: variant, FlagMetadata: meta}
	switch reason {
	case model.FallbackReason: // no variant: the caller's default holds
		detail.Reason, detail.Variant = openfeature.DefaultReason, ""
		value = byDefault
	case model.DisabledReason:
		value = byDefault
	}
	return openfeature.GenericResolutionDetail[T]{Value: value, ProviderResolutionDetail: detail}
}

// resolutionError turns flagd's error codes into OpenFeature's, with a message that says where the flag is.
func resolutionError(v *View, key string, err error) openfeature.ResolutionError {
	where := fmt.Sprintf("%s: flag %q: ", v.doc.Path, key)
	if f := v.doc.Flag(key); f != nil {
		where = fmt.Sprintf("%s: flag %q: ", f.Pos, key)
	}
	switch code := err.Error(); code {
	case model.FlagNotFoundErrorCode:
		return openfeature.NewFlagNotFoundResolutionError(where + "no such flag")
	case model.TypeMismatchErrorCode:
		return openfeature.NewTypeMismatchResolutionError(where + "its variants are of another type than asked for")
	case model.ParseErrorCode:
		return openfeature.NewParseErrorResolutionError(where + "the rule failed on this context")
	case model.GeneralErrorCode:
		return openfeature.NewGeneralResolutionError(where + "the rule returned what is no variant")
	default:
		return openfeature.NewGeneralResolutionError(where + code)
	}
}

// An Answer is one evaluation in full, for listing and explaining.
type Answer struct {
	Key      string
	Value    any
	Variant  string // "" if the flag gave none and the caller's default holds
	Reason   string // OpenFeature's: STATIC, TARGETING_MATCH, DEFAULT, DISABLED, ERROR
	Error    string // what went wrong, "" if nothing
	Mode     string // what the variant means to a gate; "" if nothing, so that the gate's fallback holds
	Revision uint64
	Metadata map[string]any
}

// Evaluate asks a flag the long way, through the OpenFeature client with all its hooks, pinned to this view.
func (v *View) Evaluate(ctx context.Context, key string, s *Subject) (Answer, error) {
	if v.doc == nil {
		return Answer{}, errors.New("no flag file could be read: every gate has its fallback")
	}
	f := v.doc.Flag(key)
	if f == nil {
		return Answer{}, unknownFlag(v.doc, key)
	}
	a := v.evaluate(v.Pin(ctx), f, s)
	if says, ok := modesOf(f)[a.Variant]; ok {
		a.Mode = Mode(says).String()
	}
	return a, nil
}

func unknownFlag(doc *document.Document, key string) error {
	return fmt.Errorf("%s: no flag %q: expected one of %s", doc.Path, key, quoteAll(doc.Keys()))
}

func (v *View) evaluate(pinned context.Context, f *document.Flag, s *Subject) Answer {
	a := Answer{Key: f.Key, Revision: v.revision}
	ec := s.evaluationContext()
	switch f.Kind {
	case document.Boolean:
		d, err := v.client.BooleanValueDetails(pinned, f.Key, false, ec)
		a.fill(d.Value, d.EvaluationDetails, err)
	case document.String:
		d, err := v.client.StringValueDetails(pinned, f.Key, "", ec)
		a.fill(d.Value, d.EvaluationDetails, err)
	case document.Number:
		d, err := v.client.FloatValueDetails(pinned, f.Key, 0, ec)
		a.fill(d.Value, d.EvaluationDetails, err)
	default:
		d, err := v.client.ObjectValueDetails(pinned, f.Key, nil, ec)
		a.fill(d.Value, d.EvaluationDetails, err)
	}
	return a
}

func (a *Answer) fill(value any, d openfeature.EvaluationDetails, err error) {
	a.Value, a.Variant, a.Reason, a.Metadata = value, d.Variant, string(d.Reason), d.FlagMetadata
	if err != nil {
		a.Error, a.Variant, a.Value = err.Error(), "", nil
	}
	if a.Variant == "" {
		a.Value = nil
	}
}
