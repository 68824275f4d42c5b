#!/usr/bin/env bash
# Runs the blocks of the documents that are fenced as `sh compose`, in order, as they stand there: each document in a clone of
# its own, under a project name, an image name and ports of its own. `make test-compose` runs it; it needs Docker with Compose and Go.
set -euo pipefail
cd "$(dirname "$0")/../.."

run=spectron-docs-$$
export SPECTRON_DOCS_COMPOSE=$run SPECTRON_IMAGE=$run:local SPECTRON_VERSION=docs-test
unset SPECTRON_SECRETS SPECTRON_PUBLIC_URL SPECTRON_PUBLIC_MANAGEMENT_URL SPECTRON_API_KEY SPECTRON_MANAGEMENT_API_KEY
trap 'docker image rm --force "$SPECTRON_IMAGE" >/dev/null 2>&1 || true' EXIT

GOPROXY=$(go env GOPROXY) GOSUMDB=$(go env GOSUMDB) # for the image, too
export GOPROXY GOSUMDB
go test -count=1 -v -timeout 60m -run '^TestBlocks$' ./services/spectrond/internal/docs/
