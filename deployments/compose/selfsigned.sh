#!/bin/sh
# Writes a self-signed certificate and its key, for trying deployments/compose/tls.yaml; what is there is never changed.
#
#   selfsigned.sh [NAME [FOLDER]]    for the host name NAME (localhost) and 127.0.0.1; FOLDER by default tls beside this script
#
# Clients trust it when they are told to: curl --cacert tls.crt, or SSL_CERT_FILE=tls.crt for Go programs. Needs openssl.
set -eu
umask 077
name=${1:-localhost}
folder=${2:-$(dirname "$0")/tls}
mkdir -p "$folder"
chmod 700 "$folder"
[ ! -e "$folder/tls.crt" ] || exit 0
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=$name" \
	-addext "subjectAltName=DNS:$name,IP:127.0.0.1" -keyout "$folder/.tls.key" -out "$folder/.tls.crt" 2>/dev/null
# Compose mounts them as they are, and the proxy runs as a user of its own; only you may enter the folder.
chmod 444 "$folder/.tls.key" "$folder/.tls.crt"
mv "$folder/.tls.key" "$folder/tls.key"
mv "$folder/.tls.crt" "$folder/tls.crt"
