// Partnersim is a faithful, scriptable simulator of the partner's API: media, messages, its errors and its bad days.
//
//	partnersim -listen 127.0.0.1:8081 -control 127.0.0.1:8082 -public-url http://127.0.0.1:8081
//
// It prints one line when both listeners are open (ports may be 0: the line says which were picked) and ends on SIGINT or SIGTERM:
//
//	partnersim ready: api http://127.0.0.1:8081 control http://127.0.0.1:8082
//
// # The API side
//
// Every path may begin with a version segment (/v23.0/…). A bearer token partner-token-NAME belongs to tenant NAME; any other
// token is refused with 401 and code 190.
//
//	GET    /{media-id}                                    where the media is, for five minutes
//	DELETE /{media-id}
//	GET    /whatsapp_business/attachments/?mid=&ext=&hash=  the media itself
//	POST   /{phone-number-id}/media                       multipart upload, streamed
//	POST   /{phone-number-id}/messages
//
// A phone number id is any decimal number that begins neither with 0 nor with 999: it belongs to whoever names it, the others to
// nobody (code 100). Every decimal media id exists until it is deleted. The bytes of a media follow from its size alone, see
// [pattern]; the id says the size: 900N holds N bytes (9001073741824 is 1 GiB), every other id one of the [kinds], by its last
// digit. An upload is remembered with type, size and SHA-256; its bytes only up to 1 MiB.
//
// # The control side
//
//	GET    /scenarios           every scenario: what it does, its options, what is active and how often it has struck
//	PUT    /scenarios/NAME      start it: {"percent":100,"tenant":"acme","path":"/{media-id}","options":{…}}, all optional
//	DELETE /scenarios/NAME      end it; DELETE /scenarios ends all
//	GET    /gates/NAME          responses held by a gate; ?waiting=N&timeout=30s returns when so many are
//	POST   /release/NAME        let one held step go on; ?n=N, ?open=1 for all from now on
//	GET    /received            the newest requests; ?target=PREFIX&tenant=T&connection=N&body_bytes=N&done=1 chooses, &count=N&timeout=30s waits
//	DELETE /received            forget them
//
// NAME may carry a label (client-faults:acme), so that one scenario can run several times with different settings.
//
// # Where to read on
//
// A request's way is exchange.go. scenario.go says how a scenario meets a request, scenarios*.go what each does, wire.go how a
// reply becomes bytes, shapes.go which framings it can take. The API side is its own HTTP/1.1 loop, since the scenarios need
// exact bytes and since it is the upstream of benchmarks.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "partnersim:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done and returns when the last connection has ended.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	fs := flag.NewFlagSet("partnersim", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8081", "`address` of the partner's API")
	fs.StringVar(&o.control, "control", "127.0.0.1:8082", "`address` of the control API")
	fs.StringVar(&o.publicURL, "public-url", "", "`URL` that media URLs begin with (default: the API's own address)")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "PEM `file`: serve the API over TLS with this certificate")
	fs.StringVar(&o.tlsKey, "tls-key", "", "PEM `file` with the certificate's key")
	fs.Uint64Var(&o.seed, "seed", 1, "`number` that ids and the choice of struck requests follow from")
	fs.IntVar(&o.record, "record", 1024, "how many of the newest requests GET /received shows; 0 records nothing")
	if err := fs.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return nil
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("argument %q: expected flags only", fs.Arg(0))
	}
	s, err := newSimulator(o)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "partnersim ready: api %s control %s\n", s.apiURL, s.controlURL)
	return s.run(ctx)
}
