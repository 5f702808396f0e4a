#!/usr/bin/env bash
# A folder that Docker builds an image with one Kafka broker from, of what this machine has: a Java cut down to the
# modules that Kafka uses, the system's libraries it is linked with, and Kafka's jars. Nothing is pulled; there is no
# shell in it. Prints the folder, which stays in the cache.
#
#   deploy/local/kafka-image.sh
#
# Needs a JDK (jlink) beside what kafka.sh needs; the same settings from the environment.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=${LETHE_KAFKA_VERSION:-4.1.2}
context=${XDG_CACHE_HOME:-$HOME/.cache}/lethe/kafka-image-$version

fail() { echo "kafka-image.sh: $*" >&2; exit 1; }

if [ -e "$context/complete" ]; then echo "$context"; exit; fi
command -v "${JAVA_HOME:+$JAVA_HOME/bin/}jlink" >/dev/null || fail "jlink is needed (apt-get install openjdk-17-jdk-headless)"
java=$(dirname "$(readlink -f "$(command -v "${JAVA_HOME:+$JAVA_HOME/bin/}jlink")")")
jars=$("$here/kafka.sh" fetch)

mkdir -p "$(dirname "$context")"
work=$(mktemp -d "$context.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/opt/kafka/libs" "$root/etc" "$root/tmp" "$work/data"
chmod 755 "$work"; chmod 1777 "$root/tmp"

modules=java.base,java.logging,java.management,java.naming,java.security.jgss,java.security.sasl,java.sql,java.xml
modules+=,java.desktop,java.scripting,java.rmi,java.compiler,java.net.http,jdk.unsupported,jdk.management
modules+=,jdk.crypto.ec,jdk.security.auth,jdk.zipfs
"$java/jlink" --no-header-files --no-man-pages --strip-debug --add-modules "$modules" --output "$root/opt/java"
# The program and whatever it loads later, without the parts for windows and sound: they need libraries of their own.
{ echo "$root/opt/java/bin/java"
  find "$root/opt/java/lib" -name '*.so' ! -name 'lib*awt*' ! -name 'libfont*' ! -name 'libsplash*' ! -name 'libj*sound*' \
    ! -name 'liblcms*' ! -name 'libjavajpeg*' ! -name 'libmlib*'
} | xargs -n 1 ldd | grep -oE '(^|[[:space:]])/[^ ]+' | grep -vF "$root" | sort -u | xargs -I{} cp -L --parents {} "$root"

cp "$jars"/*.jar "$root/opt/kafka/libs"
printf 'root:x:0:0:root:/:/\nkafka:x:1001:1001::/var/lib/kafka:/\n' >"$root/etc/passwd"
printf 'root:x:0:\nkafka:x:1001:\n' >"$root/etc/group"
cat >"$root/opt/kafka/log4j2.properties" <<'LOG'
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
# The broker talks to itself over INTERNAL; whoever starts a container says what EXTERNAL is called outside of it.
cat >"$root/opt/kafka/server.properties" <<'PROPERTIES'
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:9093
controller.listener.names=CONTROLLER
listeners=EXTERNAL://0.0.0.0:9092,INTERNAL://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093
advertised.listeners=EXTERNAL://127.0.0.1:9092,INTERNAL://127.0.0.1:9094
listener.security.protocol.map=EXTERNAL:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs=/var/lib/kafka
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# Compaction and deletion within a second or so.
log.initial.task.delay.ms=100
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.io.buffer.size=262144
PROPERTIES
# Without a shell nothing could format the data folder inside: the image has a formatted one.
sed "s|^log.dirs=.*|log.dirs=$work/data|" "$root/opt/kafka/server.properties" >"$work/format.properties"
"$java/java" -cp "$jars/*" kafka.tools.StorageTool format --standalone -t MkU3OEVBNTcwNTJENDM2Qk \
  -c "$work/format.properties" >"$work/format.log" 2>&1 || { cat "$work/format.log" >&2; fail "the data folder could not be formatted"; }

cat >"$work/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY root/ /
COPY --chown=1001:1001 data/ /var/lib/kafka/
USER 1001:1001
EXPOSE 9092
ENTRYPOINT ["/opt/java/bin/java", "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", \
  "-XX:MaxDirectMemorySize=256m", "-Dlog4j2.configurationFile=/opt/kafka/log4j2.properties", "-cp", "/opt/kafka/libs/*", \
  "kafka.Kafka", "/opt/kafka/server.properties"]
DOCKERFILE
touch "$work/complete"
# Two processes may build at once: the slower one throws its copy away.
mv -T "$work" "$context" 2>/dev/null || true
echo "$context"
