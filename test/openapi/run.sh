#!/usr/bin/env bash
# Sends what a generator makes of the OpenAPI document to a server of its own, and fails when the two do not agree.
set -euo pipefail
cd "$(dirname "$0")/../.."
tool=target/schemathesis
if [ ! -x "$tool/bin/schemathesis" ]; then
  python3 -m venv "$tool"
  "$tool/bin/pip" install --quiet 'schemathesis==4.32.5'
fi
home=$(mktemp -d)
free() { node -e "require('net').createServer().listen(0,'127.0.0.1',function(){console.log(this.address().port);this.close()})"; }
port=$(free)
bin/sluice server --data-dir "$home" --api-listen "127.0.0.1:$port" --xds-listen 127.0.0.1:0 --join-listen 127.0.0.1:0 \
  --log-level warn --drain-timeout 0s >"$home/welcome" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -rf "$home"' EXIT
until grep -q 'Sluice is up' "$home/welcome"; do
  kill -0 "$server"
  sleep 0.2
done
root=$PWD
cd test/openapi
API_TOKEN=$(cat "$home/admin.token")
export API_TOKEN
"$root/$tool/bin/schemathesis" run "https://127.0.0.1:$port/openapi.json" \
  --checks all --phases "${PHASES:-examples,coverage,fuzzing}" --exclude-path /metrics --max-examples "${EXAMPLES:-30}" --seed "${SEED:-1}"
