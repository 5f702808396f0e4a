/**
 * What a broker needs beside its plaintext listener to be spoken to over TLS with SCRAM, where nothing is allowed that
 * no ACL lists: for the properties of kafka.sh. The plaintext listener stays for whoever administrates the broker, on
 * loopback; the other one is two ports above it.
 */
export const securedProperties = `
listeners=SASL_SSL://127.0.0.1:@TLS_PORT@,PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@
advertised.listeners=SASL_SSL://127.0.0.1:@TLS_PORT@,PLAINTEXT://127.0.0.1:@PORT@
listener.security.protocol.map=SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.client.auth=none
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
`;

/** The address of the secured listener, from that of the plaintext one. */
export function securedAddress(plaintextAddress: string): string {
  const port = Number(plaintextAddress.slice(plaintextAddress.lastIndexOf(':') + 1));
  return `127.0.0.1:${port + 2}`;
}

/** How users come to be when the broker's folder is formatted. */
export function scramUsers(passwords: ReadonlyMap<string, string>): string {
  const words = Array.from(
    passwords,
    ([name, password]) => `--add-scram SCRAM-SHA-512=[name=${name},password=${password}]`,
  );
  return words.join(' ');
}
