#!/bin/sh
# Writes the secret files that docker-compose.yml mounts, those that are missing; what is there is never changed.
#
#   secrets.sh [FOLDER]    by default SPECTRON_SECRETS, else the folder secrets beside this script
#
# Only you may enter the folder. The files in it are readable by all, because Compose mounts them as they are and the
# containers run as users of their own.
set -eu
umask 077
folder=${1:-${SPECTRON_SECRETS:-$(dirname "$0")/secrets}}
mkdir -p "$folder"
chmod 700 "$folder"

# keep NAME VALUE: by rename, so that an interrupted run leaves no half secret behind.
keep() {
	[ ! -e "$folder/$1" ] || return 0
	printf '%s' "$2" >"$folder/.$1"
	chmod 444 "$folder/.$1"
	mv "$folder/.$1" "$folder/$1"
}

random() { # 256 random bits, in hexadecimal: safe in a URL as it is
	od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

keep postgres_password "$(random)"
for role in owner control data; do
	keep "${role}_password" "$(random)"
	keep "${role}_connection_string" \
		"postgres://spectron_$role:$(cat "$folder/${role}_password")@postgres:5432/spectron?sslmode=disable"
done
keep pepper "1:$(random)"
keep service_secret "$(random)"
keep seal_secret "$(random)"
keep grafana_password "$(random)"
