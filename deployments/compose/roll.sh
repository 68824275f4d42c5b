#!/bin/sh
# Replaces the containers of both services one by one, by ones of the present image and configuration, without a request being lost: each
# goes on serving until the proxy has noticed that it will end, and finishes what it has begun. For deployments with replicas.yaml:
#
#   export COMPOSE_FILE=docker-compose.yml:deployments/compose/replicas.yaml
#   docker compose build && docker compose run --rm migrate    # for a new release: its schema first, which the old one runs on
#   deployments/compose/roll.sh
set -eu
cd "$(dirname "$0")/../.."
for service in ${*:-keymanager spectron}; do
	for container in $(docker compose ps --quiet "$service"); do
		docker stop --time 45 "$container" >/dev/null
		docker rm "$container" >/dev/null
		docker compose up --detach --no-deps --no-recreate --wait "$service" >/dev/null 2>&1
		# It is healthy by its own word. The proxy looks its name up, and asks for its health, twice a second.
		sleep 3
		echo "replaced a $service"
	done
done
