package gateway

import "github.com/valyala/fasthttp"

func (g *Gateway) adminServer() *fasthttp.Server {
	return &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { g.writeMetrics(ctx) }}
}
