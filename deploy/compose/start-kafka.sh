#!/bin/bash
# Formats the folder once, with the users of SCRAM; then the broker.
set -euo pipefail
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --standalone --cluster-id "$(cat /run/lethe/cluster-id)" \
  --config /run/lethe/server.properties $(cat /run/lethe/users)
exec /opt/kafka/bin/kafka-server-start.sh /run/lethe/server.properties
