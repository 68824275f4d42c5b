#!/usr/bin/env bash
# Runs the overlays replicas, tls and observability on Docker Compose, from nothing, under names and ports of its own: the promise holds on
# every replica, a rolling restart loses no request, TLS is as it should be, and Prometheus scrapes every replica and answers every dashboard.
# It prints a line for each thing seen and removes all it made. `make test-compose` runs it after test.sh; it needs Docker with Compose, bash,
# curl, openssl and Go. Where HAPROXY_IMAGE or PROMETHEUS_IMAGE is not set that image is built from Debian's package. Grafana is not started.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
run=spectron-overlays-$$
export SPECTRON_IMAGE=$run:local SPECTRON_SECRETS=$work/secrets SPECTRON_VERSION=overlays-test SPECTRON_SPL_BOOTSTRAP=off
export SPECTRON_TLS_CERTIFICATE=$work/tls/tls.crt SPECTRON_TLS_KEY=$work/tls/tls.key
unset COMPOSE_FILE COMPOSE_PROFILES SPECTRON_PUBLIC_URL SPECTRON_PUBLIC_MANAGEMENT_URL SPECTRON_API_KEY SPECTRON_MANAGEMENT_API_KEY
unset SPECTRON_KEYMANAGERS SPECTRON_DATAPLANES SPECTRON_DRAIN_DELAY
passed=0 failed=0
plain=docker-compose.yml
observability=deployments/observability/compose.yaml
replicas=$plain:deployments/compose/replicas.yaml

clean() {
	local project
	for project in "$run-a" "$run-b"; do
		COMPOSE_FILE=$plain:$observability docker compose --project-name "$project" down --volumes --remove-orphans --timeout 2 >/dev/null 2>&1 || true
	done
	docker image rm --force "$SPECTRON_IMAGE" "$run-proxy:local" "$run-prometheus:local" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap clean EXIT

. deployments/compose/testing.sh

if [ -z "${HAPROXY_IMAGE:-}" ]; then
	export HAPROXY_IMAGE=$run-proxy:local
	docker build --quiet --tag "$HAPROXY_IMAGE" --build-arg "DEBIAN_IMAGE=${DEBIAN_IMAGE:-debian:bookworm-slim}" deployments/compose/proxy >/dev/null
fi
if [ -z "${PROMETHEUS_IMAGE:-}" ]; then
	export PROMETHEUS_IMAGE=$run-prometheus:local
	docker build --quiet --tag "$PROMETHEUS_IMAGE" --build-arg "DEBIAN_IMAGE=${DEBIAN_IMAGE:-debian:bookworm-slim}" deployments/observability/debian >/dev/null
fi

count() { docker compose ps --quiet "$1" | wc -l | tr -d ' '; }
published() { docker compose ps --format '{{.Service}} {{.Ports}}' | grep -E '^(keymanager|spectron|postgres) .*->' || true; }
everywhere() { # everywhere WANT KEY: whichever replica is asked
	local _
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
		answers "$1" GET "$url/api/v1/$context/me" "$2" || return 1
	done
}
in_turn() { # every replica replaced under load, and no request fails
	printf '! rolling restart | 1s | %s | -\n' deployments/compose/roll.sh >"$work/drills"
	# Run where the module is; the commands are run from here.
	(
		cd services/spectrond
		SPECTRON_DRILLS=$work/drills SPECTRON_DRILLS_ENV=$work/env SPECTRON_DRILLS_FROM=$OLDPWD \
			go test -count=1 -v -timeout 15m -run '^TestDrills$' ./internal/rollout
	) >"$work/load" 2>&1 || { redact <"$work/load" | tail -n 30; return 1; }
	say "$(grep -o '| rolling restart.*' "$work/load")"
}
what_happens() { # what dashboards show, for as long as the file is there: keys made, used, rotated and deleted, refusals, memories, a webhook that fails
	local _ fresh
	call POST "$management/api/v1/webhooks" "$management_key" '{"url":"https://receiver.invalid/spectron"}'
	for _ in $(seq 600); do
		[ -e "$work/happening" ] || return 0
		call POST "$keys/seen" "$management_key"
		fresh=$(field key)
		printf '%s\n' "$fresh" >>"$work/seen"
		call GET "$secure/api/v1/$context/me" "$fresh"
		call POST "$keys/seen/rotate" "$management_key"
		printf '%s\n' "$(field key)" >>"$work/seen"
		call GET "$secure/api/v1/$context/me" "$fresh"
		call DELETE "$keys/seen" "$management_key"
		call GET "$management/api/v1/contexts" "$key"
		call POST "$secure/api/v1/$context/query" "$key" '{"query":"lighthouse","mode":"bm25"}'
		sleep 0.5
	done
}
prometheus_answers() {
	: >"$work/happening"
	what_happens &
	local status=0
	(
		cd deployments/observability
		SPECTRON_TEST_PROMETHEUS=127.0.0.1:$PROMETHEUS_PORT GOWORK=off go test -count=1 -v -run '^TestAStartedOverlayAnswers$' .
	) >"$work/answered" 2>&1 || status=$?
	rm -f "$work/happening"
	wait
	[ "$status" = 0 ] || cat "$work/answered"
	return "$status"
}

say "# replicas"
begin "$run-a"
export COMPOSE_FILE=$replicas
check "make up starts everything from nothing" up
check "it prints the five lines and nothing else" read_env "$work/env"
[ "$failed" = 0 ] || { docker compose logs --tail 20 proxy >&2; say "$passed passed, $failed failed"; exit 1; } # nothing below can be seen without it
check "there are two key managers" equal "$(count keymanager)" 2
check "and three data planes" equal "$(count spectron)" 3
check "only the proxy can be reached from outside" equal "$(published)" ""
keys=$management/api/v1/contexts/$context/keys
check "remember" answers 200 POST "$url/api/v1/$context/facts" "$key" '{"text":"The lighthouse opens at nine","infer":"none"}'
check "recall finds it" recalls "$key"
check "mint" answers 201 POST "$keys/planner" "$management_key"
old=$(field key)
check "the key is accepted by every replica" everywhere 200 "$old"
check "rotate" answers 200 POST "$keys/planner/rotate" "$management_key"
new=$(field key)
printf '%s\n' "$old" "$new" >>"$work/seen"
check "the old secret is refused by every replica at once" everywhere 401 "$old"
check "the new one is accepted by every replica" everywhere 200 "$new"
for base in "$url" "$management"; do
	check "the routes between the services are not served" answers 404 POST "$base/internal/v1/introspections" "$management_key" '{}'
done

say "# a rolling restart of both services under load"
check "no request is lost" in_turn
grep -o 'rolling restart.*' "$work/load" || true
check "the old secret is refused" everywhere 401 "$old"
check "the new one is accepted" everywhere 200 "$new"

say "# tls over it"
SPECTRON_TLS_PORT=$(free_port)
export SPECTRON_TLS_PORT
deployments/compose/selfsigned.sh localhost "$work/tls"
secure=https://localhost:$SPECTRON_TLS_PORT
head_of() { curl --silent --show-error --max-time 10 --output /dev/null --dump-header - "$@"; }
tls_is_right() {
	check "https serves" eventually answers 200 GET "$secure/health" ""
	check "a key is accepted there" eventually answers 200 GET "$secure/api/v1/$context/me" "$1"
	check "the browser is told to stay with https" contains "$(head_of "$secure/health")" 'max-age=31536000'
	leads=${url/http:/https:}
	check "http leads to https" contains "$(head_of "$url/docs?a=b" | tr A-Z a-z)" "location: ${leads%:*}:$SPECTRON_TLS_PORT/docs?a=b"
	check "with 308" contains "$(head_of "$url/docs")" ' 308 '
	check "a key over http is refused, and not led on" answers 403 GET "$url/api/v1/$context/me" "$1"
	check "TLS 1.1 is refused" refuse curl --silent --max-time 10 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 "$secure/health"
	check "TLS 1.2 is not" curl --silent --show-error --max-time 10 --tls-max 1.2 "$secure/health"
	check "the routes between the services are not served" answers 404 POST "$secure/internal/v1/introspections" "$management_key" '{}'
	check "management is on this machine's loopback" answers 200 GET "$management/api/v1/contexts" "$management_key"
}
export CURL_CA_BUNDLE=$SPECTRON_TLS_CERTIFICATE
COMPOSE_FILE=$replicas:deployments/compose/tls.yaml
check "the overlay is put on" docker compose up --detach --wait --no-build
tls_is_right "$new"

say "# observability over both"
PROMETHEUS_PORT=$(free_port)
export PROMETHEUS_PORT
COMPOSE_FILE=$replicas:deployments/compose/tls.yaml:$observability
check "the overlay is put on" docker compose up --detach --wait --no-build proxy prometheus
check "every replica is scraped, every alert evaluated, every query of the dashboards answered" prometheus_answers
check "each replica is a target of its own" grep -F 'map[dataplane:3 keymanager:2 prometheus:1]' "$work/answered"
grep -o 'Prometheus [0-9].*' "$work/answered" || true
check "metrics are not published" equal "$(published)" ""

say "# tls alone"
docker compose down --volumes --remove-orphans --timeout 2 >/dev/null 2>&1
begin "$run-b"
COMPOSE_FILE=$plain:deployments/compose/tls.yaml
public=$secure
check "make up starts everything from nothing" up
check "it prints the five lines, with https" read_env "$work/env"
url=http://localhost:$SPECTRON_PORT
tls_is_right "$key"

say "# what is left behind"
docker compose logs --no-color >"$work/logs" 2>&1
check "the logs are those of this deployment" grep -q keymanager-1 "$work/logs"
check "no secret is in them" refuse grep -qFf "$work/seen" "$work/logs"

say "$passed passed, $failed failed"
[ "$failed" = 0 ]
