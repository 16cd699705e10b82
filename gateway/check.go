package gateway

import (
	"context"
	"errors"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/config"
)

// Check loads the configuration and all that it names, plugins and flags included, as New does, but listens nowhere and
// writes nothing. Its error has every mistake, each with its place.
func Check(ctx context.Context, o Options) (*config.Config, error) {
	o.Log = nil // what is wrong is in the error
	g, err := assemble(o)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	c := g.started
	var wrong []error
	if c.Flags != nil {
		// Neither journal nor last good copy: the file is to be judged by itself, and nothing to be written.
		if g.flags, err = flags.Open(ctx, flags.Options{Path: c.Flags.File}); err != nil {
			return nil, err
		}
		if err := g.flags.Status().Err; err != nil {
			wrong = append(wrong, err)
		}
	}
	s, err := g.bind(ctx, c)
	if err != nil {
		wrong = append(wrong, err)
	} else {
		defer s.release()
	}
	if missing := missingFlags(c, g.view()); len(missing) > 0 {
		wrong = append(wrong, missing)
	}
	return c, errors.Join(wrong...)
}

// missingFlags says at which gates of c a flag of v is missing or of no use.
func missingFlags(c *config.Config, v *flags.View) (wrong config.ErrorList) {
	for _, r := range c.Routes {
		for _, st := range r.Steps {
			if st.Gate == nil {
				continue
			}
			if err := v.Check(flags.NewGate(st.Gate.Flag, flags.Off)); err != nil {
				wrong = append(wrong, st.Gate.Errorf("flag", "%w", err))
			}
		}
	}
	return wrong
}
