/** The broker: one node for both roles, SCRAM over TLS for everybody, the broker's own principal as administrator. */
export function brokerProperties(password: string): string {
  const login = jaas('broker', password);
  return `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:9093
controller.listener.names=CONTROLLER
listeners=SECURE://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093
advertised.listeners=SECURE://kafka:9092
listener.security.protocol.map=SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SECURE
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=${login}
ssl.keystore.type=PEM
ssl.keystore.location=/run/lethe/store.pem
ssl.truststore.type=PEM
ssl.truststore.location=/run/lethe/authority.crt
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:broker;User:ANONYMOUS
log.dirs=/var/lib/kafka/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`;
}

/** For Kafka's own commands. */
export function clientProperties(user: string, password: string): string {
  return `security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=${jaas(user, password)}
ssl.truststore.type=PEM
ssl.truststore.location=/run/lethe/authority.crt
`;
}

function jaas(user: string, password: string): string {
  const module = 'org.apache.kafka.common.security.scram.ScramLoginModule required';
  return `${module} username="${user}" password="${password}";`;
}

/** A role and a schema of its own for each service; run once, on an empty folder. `passwords` are hexadecimal. */
export function postgresRoles(passwords: ReadonlyMap<string, string>): string {
  return [...passwords]
    .filter(([name]) => !name.includes('-'))
    .map(
      ([name, password]) =>
        `create role ${name} login password '${password}';\ncreate schema ${name} authorization ${name};\n`,
    )
    .join('');
}

/** One user, who makes and fills the ledger; the user that comes with the image is gone. */
export function clickHouseUsers(passwordSha256: string): string {
  return `<clickhouse>
  <users>
    <default remove="1" />
    <lethe_analytics>
      <password_sha256_hex>${passwordSha256}</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT CREATE DATABASE, CREATE TABLE, DROP TABLE, ALTER TABLE, SELECT, INSERT ON ledger.*</query>
        <query>GRANT CREATE DATABASE, CREATE TABLE, DROP TABLE, ALTER TABLE, SELECT, INSERT ON released.*</query>
        <query>GRANT SELECT ON system.*</query>
      </grants>
    </lethe_analytics>
  </users>
</clickhouse>
`;
}
