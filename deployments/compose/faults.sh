#!/usr/bin/env bash
# Does to a deployment of replicas what goes wrong in real ones, under load, and writes down what clients saw: which requests failed and how,
# for how long, what was lost of what had been acknowledged, and whether a dead key was ever accepted. The table goes to the file that is
# named, or to stdout. Everything is under names and ports of its own and removed in the end.
#
#   deployments/compose/faults.sh [FILE]       all of them, about ten minutes; `make faults` writes docs/faults.md
#   FAULTS='kill' deployments/compose/faults.sh    those whose names match
#
# Needs Docker with Compose on Linux, bash, curl and Go. Images are built from those of docker-compose.yml and DEBIAN_IMAGE.
set -euo pipefail
cd "$(dirname "$0")/../.."
table=${1:-}

work=$(mktemp -d)
run=spectron-faults-$$
export SPECTRON_IMAGE=$run:local SPECTRON_SECRETS=$work/secrets SPECTRON_VERSION=faults SPECTRON_SPL_BOOTSTRAP=off
export COMPOSE_PROJECT_NAME=$run FAULTS_IMAGE=$run
export COMPOSE_FILE=docker-compose.yml:deployments/compose/replicas.yaml:deployments/compose/faults/overlay.yaml
unset COMPOSE_PROFILES SPECTRON_PUBLIC_URL SPECTRON_PUBLIC_MANAGEMENT_URL SPECTRON_API_KEY SPECTRON_MANAGEMENT_API_KEY
unset SPECTRON_KEYMANAGERS SPECTRON_DATAPLANES SPECTRON_DRAIN_DELAY
passed=0 failed=0

clean() {
	docker compose down --volumes --remove-orphans --timeout 2 >/dev/null 2>&1 || true
	docker image rm --force "$SPECTRON_IMAGE" "$run-proxy" "$run-postgres" "$run-toolbox" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap clean EXIT
. deployments/compose/testing.sh

cat >"$work/all" <<'DRILLS'
a data plane killed | 5s | engine kill spectron-1 | engine start spectron-1
a data plane paused | 6s | engine pause spectron-2 | unpause spectron-2
a key manager killed | 5s | engine kill keymanager-1 | engine start keymanager-1
a key manager paused | 6s | engine pause keymanager-2 | unpause keymanager-2
both key managers killed | 5s | engine kill keymanager-1 keymanager-2 | engine start keymanager-1 keymanager-2
both key managers paused | 6s | engine pause keymanager-1 keymanager-2 | unpause keymanager-1 keymanager-2
the proxy killed | 3s | engine kill proxy-1 | engine start proxy-1
the proxy paused | 3s | engine pause proxy-1 | unpause proxy-1
Postgres killed | 3s | engine kill postgres-1 | engine start postgres-1
Postgres paused | 6s | engine pause postgres-1 | unpause postgres-1
Postgres restarted | 0s | engine restart postgres-1 | true
a data plane cut off from both key managers | 6s | deaf spectron-1 | mend spectron-1
every data plane cut off from both key managers | 6s | deaf spectron-1 spectron-2 spectron-3 | mend spectron-1 spectron-2 spectron-3
a key manager cut off from Postgres | 6s | cut keymanager-1 postgres-1 | mend keymanager-1
a data plane cut off from Postgres | 6s | cut spectron-3 postgres-1 | mend spectron-3
a data plane unplugged (docker network disconnect) | 6s | unplug spectron-2 | plug spectron-2
the disk of Postgres full | 6s | docker exec $(c postgres-1) sh -c 'dd if=/dev/zero of=/var/lib/postgresql/data/ballast bs=1M 2>/dev/null; true' | docker exec $(c disk-1) rm /var/lib/postgresql/data/ballast
the clock of Postgres set forward by a second | 6s | clock +1 | true
the clock of Postgres set back by a minute | 6s | clock -59 | true
DRILLS

# Each in a shell of its own, which knows the words of tools.sh (below).
grep -E "${FAULTS:-.}" "$work/all" | awk -v tools="$work/tools.sh" -F ' [|] ' '{printf "%s | %s | . %s; %s | . %s; %s\n", $1, $2, tools, $3, tools, $4}' >"$work/drills"

image() { # image TARGET NAME
	docker build --quiet --target "$1" --tag "$2" --file deployments/compose/faults/Dockerfile \
		--build-arg "POSTGRES_IMAGE=${POSTGRES_IMAGE:-postgres:17}" --build-arg "DEBIAN_IMAGE=${DEBIAN_IMAGE:-debian:bookworm-slim}" \
		deployments/compose/faults >/dev/null
}
say 'building the images' >&2
if [ -z "${HAPROXY_IMAGE:-}" ]; then
	export HAPROXY_IMAGE=$run-proxy
	docker build --quiet --tag "$HAPROXY_IMAGE" --build-arg "DEBIAN_IMAGE=${DEBIAN_IMAGE:-debian:bookworm-slim}" deployments/compose/proxy >/dev/null
fi
for target in postgres toolbox; do image "$target" "$run-$target"; done

begin "$run"
say 'starting the deployment' >&2
up || exit 1

# The commands of the drills; each runs in a shell of its own.
cat >"$work/tools.sh" <<TOOLS
c() { for name in "\$@"; do printf '%s\n' "$run-\$name"; done; }
engine() { local what=\$1; shift; docker "\$what" \$(c "\$@") >/dev/null; }
unpause() { engine unpause "\$@"; }
address() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$run-\$1"; }
tables() { docker run --rm --cap-add NET_ADMIN --network "container:$run-\$1" "$run-toolbox" sh -c "\$2"; }
cut() { # cut NAME PEER...: packets between them are dropped, without a word, on every network
	local name=\$1 rules=: peer ip
	shift
	for peer in "\$@"; do
		for ip in \$(address "\$peer"); do rules="\$rules; iptables -A INPUT -s \$ip -j DROP; iptables -A OUTPUT -d \$ip -j DROP"; done
	done
	tables "\$name" "\$rules"
}
deaf() { # deaf NAME...: data planes do not hear from any key manager, directly or through the proxy
	for name in "\$@"; do
		tables "\$name" 'iptables -A OUTPUT -p tcp --dport 9091:9092 -j DROP; iptables -A INPUT -p tcp --sport 9091:9092 -j DROP'
	done
}
mend() { for name in "\$@"; do tables "\$name" 'iptables -F INPUT; iptables -F OUTPUT'; done; }
unplug() { docker network disconnect "${run}_planes" "$run-\$1"; }
plug() { docker network connect --alias spectron "${run}_planes" "$run-\$1"; }
clock() { docker exec --user root "$run-postgres-1" sh -c 'printf %s "\$0" >/faketime/offset' "\$1"; }
TOOLS

status=0
(
	cd services/spectrond
	SPECTRON_DRILLS=$work/drills SPECTRON_DRILLS_ENV=$work/env SPECTRON_DRILLS_TABLE=$work/table SPECTRON_DRILLS_FROM=$OLDPWD \
		go test -count=1 -v -timeout 1h -run '^TestDrills$' ./internal/rollout
) 2>&1 | redact >&2 || status=$?
[ -s "$work/table" ] || exit 1
say "the drills are done" >&2
machine() {
	printf 'This run: %s cores, %s GiB, Linux %s, Docker %s, PostgreSQL %s, HAProxy %s.\n\n' "$(nproc)" "$(awk '/MemTotal/ {print int($2 / 1048576 + 0.5)}' /proc/meminfo)" \
		"$(uname -r | cut -d. -f1-2)" "$(docker version --format '{{.Server.Version}}' | cut -d+ -f1)" \
		"$(docker compose exec -T postgres psql --version 2>/dev/null | grep -oE '[0-9]+[.][0-9]+' | head -n 1)" \
		"$(docker compose exec -T proxy haproxy -v | grep -oE '[0-9]+[.][0-9]+[.][0-9]+' | head -n 1)"
}
if [ -n "$table" ]; then { cat deployments/compose/faults/preface.md; machine; cat "$work/table"; } >"$table"; else cat "$work/table"; fi
exit "$status"
