# What test.sh and overlays.sh share: it is sourced by them, after `work`, `passed` and `failed` are set.
# shellcheck shell=bash disable=SC2034

say() { printf '%s\n' "$*"; }
redact() { sed -E -e 's/sp-[a-z2-7]{16}-[A-Za-z0-9]+/sp-REDACTED/g' -e 's/spl_[a-z0-9-]+_sa_[A-Za-z0-9_]+/spl_REDACTED/g'; }

# check NAME COMMAND...: one PASS or FAIL; what the command printed is shown, without keys, when it fails.
check() {
	local name=$1
	shift
	if "$@" >"$work/output" 2>&1; then
		passed=$((passed + 1))
		say "PASS $name"
	else
		failed=$((failed + 1))
		say "FAIL $name"
		redact <"$work/output" | tail -n 20 >&2
	fi
}

equal() { [ "$1" = "$2" ] || { say "got $1, want $2"; return 1; }; }
contains() { case $1 in *"$2"*) ;; *) say "$1"; say "does not contain $2"; return 1 ;; esac; }
refuse() { ! "$@"; }
eventually() { # the command succeeds within half a minute: a service that lost its database finds it again
	local end=$((SECONDS + 30))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { say "$port"; return; }
	done
}

# call METHOD URL KEY [JSON]: leaves the answer in $status and $body. The key goes by a file: arguments are seen by all.
call() {
	local answer
	answer=$(curl --silent --show-error --max-time 30 --request "$1" --header @<(printf 'Authorization: Bearer %s\n' "$3") \
		${4:+--header 'Content-Type: application/json' --data "$4"} --write-out '\n%{http_code}' "$2") || true
	status=${answer##*$'\n'}
	body=${answer%$'\n'*}
}
answers() { # answers WANT METHOD URL KEY [JSON]
	local want=$1
	shift
	call "$@"
	[ "$status" = "$want" ] || { say "got $status, want $want: $body"; return 1; }
}
recalls() { answers 200 POST "$url/api/v1/$context/query" "$1" '{"query":"lighthouse","mode":"bm25"}' && contains "$body" 'The lighthouse opens at nine'; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$body"; }

# read_env FILE: takes the five values that a bootstrap printed, and insists on exactly those lines.
read_env() {
	local names='SPECTRON_URL SPECTRON_MANAGEMENT_URL SPECTRON_CONTEXT_ID SPECTRON_MANAGEMENT_API_KEY SPECTRON_API_KEY'
	[ "$(cut -d= -f1 "$1" | tr '\n' ' ')" = "$names " ] || { say "lines: $(cut -d= -f1 "$1" | tr '\n' ' ')"; return 1; }
	url=$(sed -n 's/^SPECTRON_URL=//p' "$1")
	management=$(sed -n 's/^SPECTRON_MANAGEMENT_URL=//p' "$1")
	context=$(sed -n 's/^SPECTRON_CONTEXT_ID=//p' "$1")
	management_key=$(sed -n 's/^SPECTRON_MANAGEMENT_API_KEY=//p' "$1")
	key=$(sed -n 's/^SPECTRON_API_KEY=//p' "$1")
	printf '%s\n' "$management_key" "$key" >>"$work/seen"
	equal "$url $management" "${public:-http://127.0.0.1:$SPECTRON_PORT} http://127.0.0.1:$SPECTRON_MANAGEMENT_PORT"
}

begin() { # begin PROJECT: a fresh project, and ports, for what follows
	export COMPOSE_PROJECT_NAME=$1
	SPECTRON_PORT=$(free_port)
	until SPECTRON_MANAGEMENT_PORT=$(free_port) && [ "$SPECTRON_MANAGEMENT_PORT" != "$SPECTRON_PORT" ]; do :; done
	export SPECTRON_PORT SPECTRON_MANAGEMENT_PORT
}
up() { deployments/compose/up.sh >"$work/env" 2>>"$work/stderr" || { tail -n 30 "$work/stderr"; return 1; }; }
