#!/bin/sh
# Starts the example on a copy of its files, says what to try, and stops both programs on Ctrl-C. Called by make run.
set -eu
cd "$(dirname "$0")/../../.."
dir=bin/run/example # as deep as here, so that relative paths hold
rm -rf "$dir"
mkdir -p "$dir"
cp -R cmd/breakwater/example/*.yaml cmd/breakwater/example/secrets "$dir"

partner= gateway=
stop() {
	trap - INT TERM EXIT
	[ -z "$gateway" ] || kill -TERM "$gateway" 2>/dev/null || true
	[ -z "$gateway" ] || wait "$gateway" || true
	[ -z "$partner" ] || kill -TERM "$partner" 2>/dev/null || true
	[ -z "$partner" ] || wait "$partner" || true
}
trap stop EXIT
trap 'stop; exit 0' INT TERM

# ready LOG PID waits for the line that says so.
ready() {
	until grep -qs ' ready: ' "$1"; do
		kill -0 "$2" 2>/dev/null || { cat "$1" >&2; exit 1; }
		sleep 0.05
	done
}

bin/partnersim -listen 127.0.0.1:8081 -control 127.0.0.1:8082 -public-url http://127.0.0.1:8080 \
	>$dir/partnersim.log 2>&1 &
partner=$!
ready $dir/partnersim.log $partner
bin/breakwater run -config $dir/breakwater.yaml -cache-dir bin/cache >$dir/breakwater.log 2>&1 &
gateway=$!
ready $dir/breakwater.log $gateway

cat <<END
Breakwater is ready: gateway http://127.0.0.1:8080, admin http://127.0.0.1:9090,
before a simulated partner at http://127.0.0.1:8081 (control http://127.0.0.1:8082).

Use this API key:

  D360-API-KEY: example-key-acme

Try, in another terminal:

  curl -i -H 'D360-API-KEY: example-key-acme' 'http://127.0.0.1:8080/2621233374848975?phone_number_id=106540352242922'

Then play the incident: the partner begins to reject its own parameter, and a flag flip ends it.

  curl -X PUT -d '{"percent":100}' http://127.0.0.1:8082/scenarios/reject-phone-number-id
  bin/breakwater flag set drop-phone-number-id on --reason 'partner rejects phone_number_id'
  curl -X DELETE http://127.0.0.1:8082/scenarios/reject-phone-number-id

What the gateway logs: $dir/breakwater.log. Ctrl-C stops everything.
END
wait $gateway
