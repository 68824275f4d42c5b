#!/usr/bin/env bash
# Runs the blocks of the documents that are fenced as `sh compose`, in order, as they stand there: each document in a clone of
# its own, under a project name, an image name and ports of its own. `make test-compose` runs it; it needs Docker with Compose and Go.
set -euo pipefail
cd "$(dirname "$0")/../.."

run=spectron-docs-$$
export SPECTRON_DOCS_COMPOSE=$run SPECTRON_IMAGE=$run:local SPECTRON_BACKUP_IMAGE=$run-backup:local SPECTRON_VERSION=docs-test
unset COMPOSE_FILE COMPOSE_PROFILES SPECTRON_SECRETS SPECTRON_BACKUPS SPECTRON_BACKUP_NAME SPECTRON_BACKUP_USER SPECTRON_PUBLIC_URL SPECTRON_PUBLIC_MANAGEMENT_URL SPECTRON_API_KEY SPECTRON_MANAGEMENT_API_KEY
unset MAKEFLAGS MFLAGS MAKELEVEL # a reader's make is not run by another
trap 'docker image rm --force "$SPECTRON_BACKUP_IMAGE" "$SPECTRON_IMAGE" "$run-proxy:local" >/dev/null 2>&1 || true' EXIT

if [ -z "${HAPROXY_IMAGE:-}" ]; then # as overlays.sh does
	export HAPROXY_IMAGE=$run-proxy:local
	docker build --quiet --tag "$HAPROXY_IMAGE" --build-arg "DEBIAN_IMAGE=${DEBIAN_IMAGE:-debian:bookworm-slim}" deployments/compose/proxy >/dev/null
fi

GOPROXY=$(go env GOPROXY) GOSUMDB=$(go env GOSUMDB) # for the image, too
export GOPROXY GOSUMDB
go test -count=1 -v -timeout 60m -run '^TestBlocks$' ./services/spectrond/internal/docs/
