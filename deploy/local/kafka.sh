#!/usr/bin/env bash
# One Apache Kafka broker (KRaft, no container) on loopback, for tests and for trying things out.
#
#   deploy/local/kafka.sh fetch            the jars from Maven Central into the cache; prints their folder
#   deploy/local/kafka.sh start FOLDER     starts a broker whose data lies in FOLDER; prints "version", "address", "pid"
#   deploy/local/kafka.sh stop FOLDER      asks it to end, and kills it after 20 s
#   deploy/local/kafka.sh kill FOLDER      kill -9; a later start recovers
#
# Needs Java 17 or newer; fetch needs Maven. From the environment:
#   LETHE_KAFKA_VERSION   default 4.1.2
#   LETHE_KAFKA_JARS      a folder that has the jars already; nothing is fetched then
#   LETHE_KAFKA_PORT      for the first start in FOLDER; default: any free one, and it is kept
#   LETHE_KAFKA_EXTRA     a file that is appended to server.properties
#   LETHE_KAFKA_VOTERS    for one of several brokers: ID@127.0.0.1:CONTROLLER_PORT of each, separated by commas; a controller
#                         port is one above its broker's port. They start at the same time, each in a folder of its own
#   LETHE_KAFKA_NODE      its id among them; default 1
#   XDG_CACHE_HOME        the cache is its subfolder lethe; default ~/.cache
set -euo pipefail

version=${LETHE_KAFKA_VERSION:-4.1.2}
jars=${LETHE_KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/lethe/kafka-$version}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
voters=${LETHE_KAFKA_VOTERS:-}

fail() { echo "kafka.sh: $*" >&2; exit 1; }

fetch() {
  if [ -e "$jars/complete" ]; then return; fi
  [ -z "${LETHE_KAFKA_JARS:-}" ] || return 0
  command -v mvn >/dev/null || fail "Maven is needed to fetch the jars (or set LETHE_KAFKA_JARS)"
  mkdir -p "$(dirname "$jars")"
  local work; work=$(mktemp -d "$jars.XXXXXX")
  cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>lethe</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.3</version>
    </dependency>
  </dependencies>
</project>
POM
  mvn -B -ntp -q -f "$work/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$work" >&2 || { rm -rf "$work"; fail "Maven could not fetch Kafka $version"; }
  touch "$work/complete"
  # Two processes may fetch at once: the slower one throws its copy away.
  mv -T "$work" "$jars" 2>/dev/null || rm -rf "$work"
}

free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 20000))
    if ! accepts "$port" && ! accepts $((port + 1)) && ! accepts $((port + 2)); then echo "$port"; return; fi
  done
  fail "no free port"
}

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The broker of FOLDER, not another process that has its number now.
running() {
  local pid state
  pid=$(cat "$folder/pid" 2>/dev/null) || return 1
  state=$(ps -o stat= -p "$pid" 2>/dev/null) || return 1
  case $state in Z*) return 1 ;; esac
  ps -ww -o args= -p "$pid" | grep -qF "$folder/server.properties"
}

configure() {
  local port=$1
  local quorum="controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))" replicas=1 in_sync=1
  if [ -n "$voters" ]; then
    quorum="controller.quorum.voters=$voters"
    replicas=$(wc -w <<<"${voters//,/ }")
    in_sync=$((replicas / 2 + 1))
  fi
  cat >"$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=${LETHE_KAFKA_NODE:-1}
$quorum
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/data
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
background.threads=2
num.recovery.threads.per.data.dir=1
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=$replicas
offsets.topic.segment.bytes=1048576
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=$replicas
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$in_sync
group.initial.rebalance.delay.ms=0
# After a crash the controller takes the broker back only once its old session has timed out (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=300
# Compaction and deletion within a second or so.
log.initial.task.delay.ms=100
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.io.buffer.size=262144
PROPERTIES
  if [ -n "${LETHE_KAFKA_EXTRA:-}" ]; then
    # The file may say @PORT@, @CONTROLLER_PORT@, @TLS_PORT@ and @FOLDER@.
    sed -e "s|@PORT@|$port|g" -e "s|@CONTROLLER_PORT@|$((port + 1))|g" -e "s|@TLS_PORT@|$((port + 2))|g" -e "s|@FOLDER@|$folder|g" \
      "$LETHE_KAFKA_EXTRA" >>"$folder/server.properties"
  fi
  cat >"$folder/log4j2.properties" <<'LOG'
status=error
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %-5p %c{1} - %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=OUT
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=info
LOG
}

start() {
  if running; then fail "a broker runs in $folder already"; fi
  command -v "$java" >/dev/null || fail "Java 17 or newer is needed"
  fetch
  if [ ! -s "$folder/port" ]; then
    if [ -n "${LETHE_KAFKA_PORT:-}" ]; then echo "$LETHE_KAFKA_PORT"; else free_port; fi >"$folder/port"
  fi
  local port; port=$(cat "$folder/port")
  configure "$port"
  local jvm=(-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxDirectMemorySize=256m
    "-Dlog4j2.configurationFile=$folder/log4j2.properties" -cp "$jars/*")
  if [ ! -s "$folder/data/meta.properties" ]; then
    # shellcheck disable=SC2046,SC2086
    "$java" "${jvm[@]}" kafka.tools.StorageTool format $([ -n "$voters" ] || echo --standalone) -t MkU3OEVBNTcwNTJENDM2Qk \
      -c "$folder/server.properties" ${LETHE_KAFKA_FORMAT:-} >"$folder/format.log" 2>&1 ||
      { cat "$folder/format.log" >&2; fail "the data folder could not be formatted"; }
  fi
  touch "$folder/broker.log"
  local before; before=$(grep -c 'Kafka Server started' "$folder/broker.log" || true)
  # A session of its own: Ctrl-C in the caller's terminal is not for the broker.
  setsid "$java" "${jvm[@]}" kafka.Kafka "$folder/server.properties" </dev/null >>"$folder/broker.log" 2>&1 &
  echo $! >"$folder/pid"
  local deadline=$((SECONDS + 300))
  # The port opens up to a second before requests are answered.
  until [ "$(grep -c 'Kafka Server started' "$folder/broker.log" || true)" -gt "$before" ]; do
    running || { tail -n 40 "$folder/broker.log" >&2; fail "the broker ended while it started"; }
    [ $SECONDS -lt $deadline ] || { tail -n 40 "$folder/broker.log" >&2; fail "the broker is not up after 300 s"; }
    sleep 0.1
  done
  echo "version $version"
  echo "address 127.0.0.1:$port"
  echo "pid $(cat "$folder/pid")"
}

stop() {
  if ! running; then rm -f "$folder/pid"; return; fi
  local pid; pid=$(cat "$folder/pid")
  kill "-$1" "$pid"
  for _ in $(seq 200); do
    running || { rm -f "$folder/pid"; return; }
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$folder/pid"
}

usage() { sed -n '4,7p' "$0" | sed 's/^# *//' >&2; exit 2; }

case "${1:-} $#" in
  'fetch 1') fetch; echo "$jars" ;;
  'start 2' | 'stop 2' | 'kill 2')
    mkdir -p "$2"; folder=$(cd "$2" && pwd)
    case $1 in start) start ;; stop) stop TERM ;; kill) stop KILL ;; esac ;;
  *) usage ;;
esac
