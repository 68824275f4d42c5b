#!/usr/bin/env bash
# Runs the whole story on Docker Compose, from nothing, under a project name, an image name and ports of its own, so that a
# deployment on the same machine is left alone. It prints a line for each thing seen and removes all it made.
# `make test-compose` runs it; it needs Docker with Compose, bash and curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
run=spectron-test-$$
export SPECTRON_IMAGE=$run:local SPECTRON_SECRETS=$work/secrets SPECTRON_VERSION=compose-test
unset COMPOSE_FILE COMPOSE_PROFILES SPECTRON_PUBLIC_URL SPECTRON_PUBLIC_MANAGEMENT_URL SPECTRON_API_KEY SPECTRON_MANAGEMENT_API_KEY
passed=0 failed=0

clean() {
	local project
	for project in "$run-a" "$run-b"; do
		docker compose --project-name "$project" down --volumes --timeout 2 >/dev/null 2>&1 || true
	done
	docker rm --force --volumes "$run-alone" >/dev/null 2>&1 || true
	docker image rm --force "$SPECTRON_IMAGE" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap clean EXIT

. deployments/compose/testing.sh

as_role() { # as_role ROLE SQL, over TCP, where the password is asked for
	docker compose exec -T postgres sh -c 'PGPASSWORD=$(cat "/run/secrets/$1_password") exec psql -v ON_ERROR_STOP=1 -At -h 127.0.0.1 -U "spectron_$1" -d spectron -c "$2"' sh "$1" "$2"
}
tables() { docker compose exec -T postgres psql -At -U postgres -d spectron -c "SELECT tablename FROM pg_tables WHERE schemaname = '$1'"; }
forbidden() { # forbidden ROLE SCHEMA: every table of SCHEMA is refused to ROLE
	local table count=0 answer
	for table in $(tables "$2"); do
		if answer=$(as_role "$1" "SELECT * FROM $2.\"$table\" LIMIT 1" 2>&1); then say "$1 reads $2.$table"; return 1; fi
		contains "$answer" 'permission denied' || return 1
		count=$((count + 1))
	done
	say "$count tables"
	[ "$count" -gt 0 ]
}

bootstrap_exits() { # bootstrap_exits STATUS: by hand, in the running container
	local got=0
	docker compose exec -T spectron spectrond bootstrap >"$work/env" 2>>"$work/stderr" || got=$?
	tail -n 5 "$work/stderr"
	equal "$got" "$1"
}

say "# the first start"
begin "$run-a"
check "make up starts everything from nothing" up
check "it prints the five lines and nothing else" read_env "$work/env"
check "the secret files are in a folder for their owner alone" equal "$(ls -ld "$SPECTRON_SECRETS" | cut -c1-10)" drwx------
[ "$failed" = 0 ] || { say "$passed passed, $failed failed"; exit 1; } # nothing below can be seen without it

say "# the story"
keys=$management/api/v1/contexts/$context/keys
check "remember" answers 200 POST "$url/api/v1/$context/facts" "$key" '{"text":"The lighthouse opens at nine","infer":"none"}'
check "recall finds it" recalls "$key"
check "mint with ttl_seconds" answers 201 POST "$keys/planner?ttl_seconds=3600" "$management_key"
old=$(field key)
check "the minted key is accepted" answers 200 GET "$url/api/v1/$context/me" "$old"
check "and recalls" recalls "$old"
check "rotate" answers 200 POST "$keys/planner/rotate" "$management_key"
new=$(field key)
printf '%s\n' "$old" "$new" >>"$work/seen"
check "the old secret is refused at once" answers 401 GET "$url/api/v1/$context/me" "$old"
check "the new secret is accepted" answers 200 GET "$url/api/v1/$context/me" "$new"
check "list" answers 200 GET "$keys" "$management_key"
check "the list names the key" contains "$body" '"planner"'
list_is_clean() { ! grep -qE 'sp-[a-z2-7]{16}-[A-Za-z0-9]' <<<"$body"; }
check "the list holds no secret" list_is_clean
check "one host serves both planes" answers 200 GET "$url/api/v1/contexts" "$management_key"
check "a context key is refused on the management routes" answers 403 GET "$management/api/v1/contexts" "$key"

say "# spl"
spl=$url/v1
first='{"name":"admin","actors":["did:sync:user:admin"],"scopes":["admin"],"with_token":true}'
check "the first service account needs no credential" answers 201 POST "$spl/bootstrap/service-account" "" "$first"
token=$(field token) account=$(field id)
check "the second does" answers 409 POST "$spl/bootstrap/service-account" "" "$first"
check "without a token nothing is told" answers 401 GET "$spl/identity" ""
check "its token is accepted" answers 200 GET "$spl/identity" "$token"
check "and not on the other face" answers 401 GET "$url/api/v1/$context/me" "$token"
check "a key is not accepted on this one" answers 401 GET "$spl/identity" "$key"
check "another token of it" answers 201 POST "$spl/service-accounts/$account/tokens" "$token" '{"env_tag":"ci"}'
revoked=$(field token) revoked_id=$(field token_id)
printf '%s\n' "$token" "$revoked" >>"$work/seen"
check "is accepted" answers 200 GET "$spl/identity" "$revoked"
check "revoke it" answers 200 DELETE "$spl/service-accounts/$account/tokens/$revoked_id" "$token"
check "it is refused at once" answers 401 GET "$spl/identity" "$revoked"
check "a record" answers 201 POST "$spl/records" "$token" '{"thread":"th_test","act":"KNOW","actor":"did:sync:user:admin","body":{"topic":"lighthouse"}}'
record=$(field id)

say "# once"
check "a second bootstrap exits 3" bootstrap_exits 3
check "and prints nothing" equal "$(cat "$work/env")" ""
check "make up again succeeds" up
check "and prints nothing" equal "$(cat "$work/env")" ""
check "the first keys still work" recalls "$key"

say "# the roles"
check "the data plane's role reads its own schema" as_role data "SELECT count(*) FROM data.turns"
check "every table of control is refused to the data plane's role" forbidden data control
check "every table of data is refused to the key manager's role" forbidden control data

say "# killed and restarted"
for service in postgres keymanager spectron; do
	docker compose kill --signal KILL "$service" >/dev/null 2>&1
	check "$service comes back after kill -9" docker compose up --detach --wait --no-build
	check "the memory is there" eventually recalls "$key"
	check "the rotated key is accepted" eventually answers 200 GET "$url/api/v1/$context/me" "$new"
	check "the secret before it is refused" answers 401 GET "$url/api/v1/$context/me" "$old"
	check "the record is there" eventually answers 200 GET "$spl/records/$record" "$token"
	check "the revoked token is refused" answers 401 GET "$spl/identity" "$revoked"
	check "the list is the same" eventually answers 200 GET "$keys" "$management_key"
	check "with the key in it" contains "$body" '"planner"'
done

say "# what is left behind"
docker compose logs --no-color >"$work/logs" 2>&1
cat "$work/stderr" >>"$work/logs"
docker compose exec -T postgres pg_dumpall -U postgres >"$work/dump"
# Each key whole, its secret part, and whatever was written to secret files.
{
	cat "$work/seen"
	sed 's/.*[-_]//' "$work/seen"
	for file in "$SPECTRON_SECRETS"/*; do sed 's/^1://' "$file"; echo; done
} | grep . >"$work/needles"
check "the search finds the keys where they are" grep -qFf "$work/needles" "$work/seen"
check "the dump is one of this deployment" grep -q 'The lighthouse opens at nine' "$work/dump"
check "no secret is in it" refuse grep -qFf "$work/needles" "$work/dump"
check "the logs are those of this deployment" grep -q "keymanager-1" "$work/logs"
check "no secret is in them" refuse grep -qFf "$work/needles" "$work/logs"

say "# by hand"
docker compose down --volumes --timeout 2 >/dev/null 2>&1
begin "$run-b"
check "a fresh deployment starts without bootstrap" docker compose up --detach --wait
check "docker compose exec spectron spectrond bootstrap" bootstrap_exits 0
check "it prints the same five lines" read_env "$work/env"
check "its key is accepted" answers 200 GET "$url/api/v1/$context/me" "$key"
check "the key of another deployment is not" answers 401 GET "$url/api/v1/$context/me" "$new"
check "a second one exits 3" bootstrap_exits 3

say "# the image"
size=$(docker image inspect --format '{{.Size}}' "$SPECTRON_IMAGE")
check "it is smaller than 60 MB ($((size / 1000000)) MB)" test "$size" -lt 60000000
check "it knows its version" contains "$(docker run --rm "$SPECTRON_IMAGE" version)" "$SPECTRON_VERSION"
check "its user is not root" equal "$(docker image inspect --format '{{.Config.User}}' "$SPECTRON_IMAGE")" 65532:65532
check "it has no shell" refuse docker run --rm --entrypoint /bin/sh "$SPECTRON_IMAGE" -c true
docker run --detach --name "$run-alone" --read-only --cap-drop ALL --volume /var/lib/spectron "$SPECTRON_IMAGE" \
	dev start --bind-address 0.0.0.0:9090 --data-dir /var/lib/spectron >/dev/null
healthy() { equal "$(docker container inspect --format '{{.State.Health.Status}}' "$run-alone")" healthy; }
check "docker run --read-only becomes healthy" eventually healthy
started=$SECONDS
docker stop -t 20 "$run-alone" >/dev/null
check "it stops when asked ($((SECONDS - started)) s)" equal "$(docker container inspect --format '{{.State.ExitCode}}' "$run-alone")" 0

say "$passed passed, $failed failed"
[ "$failed" = 0 ]
