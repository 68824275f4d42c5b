#!/bin/sh
# From nothing to a running Spectron: writes the secrets that are missing, builds and starts the containers, and bootstraps.
# On stdout there is nothing but the NAME=value lines of the first bootstrap; a deployment that has been bootstrapped
# before is only started. `make up` runs it.
set -eu
cd "$(dirname "$0")/../.."

deployments/compose/secrets.sh
SPECTRON_VERSION=${SPECTRON_VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unversioned)}
export SPECTRON_VERSION
docker compose up --detach --build --wait >&2

status=0
docker compose run --rm --no-deps -T bootstrap || status=$?
case $status in
0) echo 'Spectron is up. The keys above are shown this once: keep them.' >&2 ;;
3) echo 'Spectron is up. It has been bootstrapped before; its keys are not shown again.' >&2 ;;
*) exit "$status" ;;
esac
