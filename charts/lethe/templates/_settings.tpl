{{/* The variables of the processes, and the files that they name. */}}

{{/* Takes a list: the root and the service; PostgreSQL alone, which is all that a migration needs. */}}
{{- define "lethe.postgresSettings" -}}
{{- $pg := (index . 0).Values.postgresql -}}
{{- $user := printf "%s%s" $pg.userPrefix (index . 1) -}}
LETHE_POSTGRES_URL: {{ printf "postgres://%s@%s:%d/%s" $user $pg.host (int $pg.port) $pg.database | quote }}
LETHE_POSTGRES_PASSWORD_FILE: /etc/lethe/postgresql/password
{{- if $pg.lockHost }}
LETHE_POSTGRES_LOCK_URL: {{ printf "postgres://%s@%s:%d/%s" $user $pg.lockHost (int $pg.lockPort) $pg.database | quote }}
{{- end }}
{{- if $pg.authorityKey }}
LETHE_POSTGRES_CA_FILE: /etc/lethe/postgresql/ca.crt
{{- end }}
{{- end }}

{{/* Takes a list: the root and the user's name in the Secret. */}}
{{- define "lethe.kafkaSettings" -}}
{{- $kafka := (index . 0).Values.kafka -}}
LETHE_KAFKA_BROKERS: {{ join "," $kafka.brokers | quote }}
LETHE_KAFKA_SASL: {{ $kafka.sasl }}
{{- if ne $kafka.sasl "none" }}
LETHE_KAFKA_USERNAME: {{ index . 1 | quote }}
LETHE_KAFKA_PASSWORD_FILE: /etc/lethe/kafka/password
{{- end }}
{{- if $kafka.authorityKey }}
LETHE_KAFKA_CA_FILE: /etc/lethe/kafka/ca.crt
{{- end }}
{{- if $kafka.clientCertificates }}
LETHE_KAFKA_CERTIFICATE_FILE: /etc/lethe/kafka/client.crt
LETHE_KAFKA_PRIVATE_KEY_FILE: /etc/lethe/kafka/client.key
{{- end }}
LETHE_KAFKA_REPLICATION_FACTOR: {{ $kafka.replicationFactor | int | quote }}
LETHE_KAFKA_MIN_INSYNC_REPLICAS: {{ $kafka.minInsyncReplicas | int | quote }}
LETHE_KAFKA_MAX_COMPACTION_LAG_MS: {{ $kafka.maxCompactionLagMs | int | quote }}
LETHE_KAFKA_DELETE_RETENTION_MS: {{ $kafka.deleteRetentionMs | int | quote }}
LETHE_KAFKA_MESSAGE_BYTES_MAX: {{ $kafka.messageBytesMax | int | quote }}
{{- end }}

{{- define "lethe.tokenSettings" -}}
{{- with .Values.tokens -}}
LETHE_TOKEN_ISSUER: {{ .issuer | quote }}
LETHE_TOKEN_AUDIENCE: {{ .audience | quote }}
LETHE_TOKEN_ALGORITHMS: {{ join "," .algorithms | quote }}
{{- if eq .source "url" }}
LETHE_TOKEN_JWKS_URL: {{ .url | quote }}
{{- else if eq .source "jwks" }}
LETHE_TOKEN_JWKS_FILE: /etc/lethe/tokens/jwks.json
{{- else }}
LETHE_TOKEN_PUBLIC_KEY_FILE: /etc/lethe/tokens/public-key.pem
{{- end }}
{{- end }}
{{- end }}

{{- define "lethe.clickhouseSettings" -}}
{{- with .Values.clickhouse -}}
LETHE_CLICKHOUSE_URL: {{ .url | quote }}
LETHE_CLICKHOUSE_USER: {{ .username | quote }}
LETHE_CLICKHOUSE_PASSWORD_FILE: /etc/lethe/clickhouse/password
{{- if .authorityKey }}
LETHE_CLICKHOUSE_CA_FILE: /etc/lethe/clickhouse/ca.crt
{{- end }}
LETHE_ANALYTICS_LEDGER_TABLES: {{ .tables }}
{{- with .cluster }}
LETHE_ANALYTICS_LEDGER_CLUSTER: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "lethe.kmsSettings" -}}
LETHE_KEYS_KMS: {{ .Values.kms.type }}
{{- if eq .Values.kms.type "vault" }}
{{- with .Values.kms.vault }}
LETHE_KEYS_VAULT_ADDRESS: {{ .address | quote }}
LETHE_KEYS_VAULT_TRANSIT_MOUNT: {{ .transitMount | quote }}
LETHE_KEYS_VAULT_KEY_PREFIX: {{ .keyPrefix | quote }}
LETHE_KEYS_VAULT_AUTH: {{ .auth }}
{{- with .namespace }}
LETHE_KEYS_VAULT_NAMESPACE: {{ . | quote }}
{{- end }}
{{- with .authMount }}
LETHE_KEYS_VAULT_AUTH_MOUNT: {{ . | quote }}
{{- end }}
{{- if eq .auth "approle" }}
LETHE_KEYS_VAULT_ROLE_ID_FILE: /etc/lethe/vault/role-id
LETHE_KEYS_VAULT_SECRET_ID_FILE: /etc/lethe/vault/secret-id
{{- else if eq .auth "kubernetes" }}
LETHE_KEYS_VAULT_ROLE: {{ .role | quote }}
LETHE_KEYS_VAULT_JWT_FILE: /etc/lethe/vault-token/token
{{- else }}
LETHE_KEYS_VAULT_TOKEN_FILE: /etc/lethe/vault/token
{{- end }}
{{- if .authorityKey }}
NODE_EXTRA_CA_CERTS: /etc/lethe/vault/ca.crt
{{- end }}
{{- end }}
{{- else }}
{{- with .Values.kms.aws }}
LETHE_KEYS_AWS_REGION: {{ .region | quote }}
LETHE_KEYS_AWS_ALIAS_PREFIX: {{ .aliasPrefix | quote }}
LETHE_KEYS_AWS_PENDING_WINDOW_DAYS: {{ .pendingWindowDays | int | quote }}
{{- with .endpoint }}
LETHE_KEYS_AWS_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if .existingSecret }}
LETHE_KEYS_AWS_ACCESS_KEY_ID_FILE: /etc/lethe/aws/access-key-id
LETHE_KEYS_AWS_SECRET_ACCESS_KEY_FILE: /etc/lethe/aws/secret-access-key
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes a list: the root, the service and its facts. Everything that the service's process is told. */}}
{{- define "lethe.serviceSettings" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $facts := index . 2 -}}
{{- $own := get $root.Values.services $name -}}
{{- range $variable, $value := $own.settings }}
{{ $variable }}: {{ if kindIs "float64" $value }}{{ $value | int64 | quote }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
NODE_OPTIONS: --max-old-space-size={{ include "lethe.heapMiB" $own.memoryMiB }}
LETHE_LOG_LEVEL: {{ $root.Values.logLevel }}
LETHE_DRAIN_DELAY_MS: {{ $root.Values.drain.delayMs | int | quote }}
LETHE_SHUTDOWN_GRACE_MS: {{ $root.Values.drain.graceMs | int | quote }}
LETHE_INTERNAL_CERTIFICATE_FILE: /etc/lethe/internal/tls.crt
LETHE_INTERNAL_PRIVATE_KEY_FILE: /etc/lethe/internal/tls.key
LETHE_INTERNAL_AUTHORITY_FILE: /etc/lethe/internal/ca.crt
{{- range $facts.calls }}
LETHE_PEER_{{ upper . }}: {{ include "lethe.fullname" $root }}-{{ . }}:7482
{{- end }}
{{ include "lethe.postgresSettings" (list $root $name) }}
{{ include "lethe.kafkaSettings" (list $root (printf "%s%s" $root.Values.kafka.userPrefix $name)) }}
{{- if $facts.hasPublicApi }}
LETHE_PUBLIC_CERTIFICATE_FILE: /etc/lethe/public/tls.crt
LETHE_PUBLIC_PRIVATE_KEY_FILE: /etc/lethe/public/tls.key
{{ include "lethe.tokenSettings" $root }}
{{- end }}
{{- if eq $name "analytics" }}
{{ include "lethe.clickhouseSettings" $root }}
{{- end }}
{{- if eq $name "keys" }}
{{ include "lethe.kmsSettings" $root }}
{{- end }}
{{- if eq $name "privacy" }}
LETHE_PRIVACY_SIGNING_KEY_FILE: /etc/lethe/certificate-signing/signing.jwk
{{- end }}
{{ include "lethe.telemetrySettings" $root }}
{{- end }}
