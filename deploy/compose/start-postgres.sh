#!/bin/bash
# PostgreSQL takes a private key only from a file that is its own and nobody else's.
set -euo pipefail
mkdir -p /var/run/lethe
install -o postgres -g postgres -m 600 /run/lethe/tls.crt /run/lethe/tls.key /var/run/lethe
exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/var/run/lethe/tls.crt -c ssl_key_file=/var/run/lethe/tls.key \
  -c max_connections=200
