#!/usr/bin/env bash
# Takes a backup on Docker Compose by the overlay backup, drops everything, and restores it into a deployment that is empty: what was
# live lives, what was dead stays dead. All under names and ports of its own; it prints a line for each thing seen and removes all it made.
# `make test-compose` runs it; it needs Docker with Compose, bash and curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
run=spectron-backup-$$
export SPECTRON_IMAGE=$run:local SPECTRON_BACKUP_IMAGE=$run-tools:local SPECTRON_SECRETS=$work/secrets SPECTRON_VERSION=backup-test SPECTRON_SPL_BOOTSTRAP=off
export SPECTRON_BACKUPS=$work/backups COMPOSE_FILE=docker-compose.yml:deployments/compose/backup.yaml
unset COMPOSE_PROFILES SPECTRON_PUBLIC_URL SPECTRON_PUBLIC_MANAGEMENT_URL SPECTRON_API_KEY SPECTRON_MANAGEMENT_API_KEY SPECTRON_BACKUP_NAME
passed=0 failed=0

clean() {
	local project
	for project in "$run-a" "$run-b"; do
		docker compose --project-name "$project" down --volumes --timeout 2 >/dev/null 2>&1 || true
		docker image prune --force --filter "label=com.docker.compose.project=$project" >/dev/null 2>&1 || true # each run builds one
	done
	docker image rm --force "$SPECTRON_BACKUP_IMAGE" "$SPECTRON_IMAGE" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap clean EXIT

. deployments/compose/testing.sh

# The folder is the user's who writes there; root hands it to another one, so that nothing is root in a container.
mkdir -m 700 "$SPECTRON_BACKUPS"
SPECTRON_BACKUP_USER=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then
	SPECTRON_BACKUP_USER=65532:65532
	chown "$SPECTRON_BACKUP_USER" "$SPECTRON_BACKUPS"
fi
export SPECTRON_BACKUP_USER
backup=$SPECTRON_BACKUPS/spectron.backup

tool() { docker compose run --rm -T "$@"; }
audit_is_whole() { SPECTRON_MANAGEMENT_API_KEY=$management_key docker compose exec -T -e SPECTRON_MANAGEMENT_API_KEY spectron spectrond audit verify; }

say "# a deployment, and its backup"
begin "$run-a"
check "make up starts everything from nothing" up
check "it prints the five lines and nothing else" read_env "$work/env"
[ "$failed" = 0 ] || { say "$passed passed, $failed failed"; exit 1; } # nothing below can be seen without it
keys=$management/api/v1/contexts/$context/keys
check "remember" answers 200 POST "$url/api/v1/$context/facts" "$key" '{"text":"The lighthouse opens at nine","infer":"none"}'
check "mint a key that stays" answers 201 POST "$keys/stays" "$management_key"
stays=$(field key)
check "mint a key that goes" answers 201 POST "$keys/goes" "$management_key"
goes=$(field key)
check "mint a key that goes after the backup" answers 201 POST "$keys/later" "$management_key"
later=$(field key)
printf '%s\n' "$stays" "$goes" "$later" >>"$work/seen"
check "the key that goes is accepted" answers 200 GET "$url/api/v1/$context/me" "$goes"
check "one is revoked" answers 204 DELETE "$keys/goes" "$management_key"
check "and refused" answers 401 GET "$url/api/v1/$context/me" "$goes"
check "backup" tool backup
check "it is for its owner alone" equal "$(ls -ln "$backup" | awk '{print substr($1, 1, 10), $3":"$4}')" "-rw------- $SPECTRON_BACKUP_USER"
check "nothing else is in the folder" equal "$(ls -A "$SPECTRON_BACKUPS")" spectron.backup
check "it is whole" tool restore --verify-only
check "nobody is root" refuse equal "$(tool --entrypoint id backup -u 2>/dev/null)" 0
check "another one is revoked after it" answers 204 DELETE "$keys/later" "$management_key"
check "a target that is not empty is refused" refuse tool restore
cut -d- -f2 <<<"$later" >"$SPECTRON_BACKUPS/revoked.txt"
chmod 644 "$SPECTRON_BACKUPS/revoked.txt"

say "# restored elsewhere"
docker compose logs --no-color >"$work/logs" 2>&1
docker compose down --volumes --timeout 2 >/dev/null 2>&1
begin "$run-b"
check "an empty Postgres" docker compose up --detach --wait postgres
check "restore" tool restore --revoked /backups/revoked.txt
check "the services start" docker compose up --detach --wait --no-build
url=http://127.0.0.1:$SPECTRON_PORT management=http://127.0.0.1:$SPECTRON_MANAGEMENT_PORT
keys=$management/api/v1/contexts/$context/keys
check "the live key is accepted" eventually answers 200 GET "$url/api/v1/$context/me" "$stays"
check "its memory is there" recalls "$stays"
check "so is that of the first key" recalls "$key"
check "what was revoked before is refused" answers 401 GET "$url/api/v1/$context/me" "$goes"
check "and what was revoked after the backup" answers 401 GET "$url/api/v1/$context/me" "$later"
check "the management key is accepted" answers 200 GET "$keys" "$management_key"
check "the restored deployment mints" answers 201 POST "$keys/new" "$management_key"
check "its audit log is whole" audit_is_whole

say "# restored in the place of what is there"
check "the services stop" docker compose stop spectron keymanager
check "restore --force" tool restore --force --revoked /backups/revoked.txt
check "the services start" docker compose up --detach --wait --no-build
check "the live key is accepted" eventually answers 200 GET "$url/api/v1/$context/me" "$stays"
check "what was revoked is refused" answers 401 GET "$url/api/v1/$context/me" "$later"

say "# what is left behind"
docker compose logs --no-color >>"$work/logs" 2>&1
{
	sed 's/.*-//' "$work/seen"
	for file in "$SPECTRON_SECRETS"/*; do sed 's/^1://' "$file"; echo; done
} | grep . >"$work/needles"
check "the search finds the keys where they are" grep -qFf "$work/needles" "$work/seen"
check "no secret is in the logs" refuse grep -qFf "$work/needles" "$work/logs"
check "nor in the backup" refuse grep -qaFf "$work/needles" "$backup"

say "$passed passed, $failed failed in $SECONDS s"
[ "$failed" = 0 ]
