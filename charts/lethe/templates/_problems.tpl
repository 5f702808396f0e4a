{{/* What values leave open, all of it at once, a line each. */}}

{{- define "lethe.problems" -}}
{{- $v := .Values -}}
{{- range $name, $digest := $v.image.digests }}
{{- if and (not $digest) (not $v.image.allowUnpinned) (or (ne $name "client") $v.test.enabled) }}
image.digests.{{ $name }}: give the digest of the image, sha256:…, or set image.allowUnpinned for trying
{{- end }}
{{- end }}
{{- if not $v.postgresql.host }}
postgresql.host: say where PostgreSQL is
{{- end }}
{{- if not $v.kafka.brokers }}
kafka.brokers: name brokers as host:port
{{- end }}
{{- if not $v.clickhouse.url }}
clickhouse.url: say where ClickHouse is, https://host:port
{{- end }}
{{- if not $v.tokens.issuer }}
tokens.issuer: say whose access tokens are taken
{{- end }}
{{- if and (eq $v.tokens.source "url") (not $v.tokens.url) }}
tokens.url: say where the JWKS is
{{- end }}
{{- if and (eq $v.tokens.source "publicKey") (ne (len $v.tokens.algorithms) 1) }}
tokens.algorithms: with source publicKey name the one algorithm of that key
{{- end }}
{{- if eq $v.kms.type "vault" }}
{{- if not $v.kms.vault.address }}
kms.vault.address: say where Vault is, https://host:port
{{- end }}
{{- if and (eq $v.kms.vault.auth "kubernetes") (not $v.kms.vault.role) }}
kms.vault.role: name the role of the Kubernetes login
{{- end }}
{{- else if not $v.kms.aws.region }}
kms.aws.region: name the region of the keys
{{- end }}
{{- if $v.networkPolicy.enabled }}
{{- include "lethe.missingPeers" (list "postgresql" $v.postgresql) }}
{{- include "lethe.missingPeers" (list "kafka" $v.kafka) }}
{{- include "lethe.missingPeers" (list "clickhouse" $v.clickhouse) }}
{{- include "lethe.missingPeers" (list (printf "kms.%s" $v.kms.type) (get $v.kms $v.kms.type)) }}
{{- if eq $v.tokens.source "url" }}{{ include "lethe.missingPeers" (list "tokens" $v.tokens) }}{{ end }}
{{- if $v.telemetry.endpoint }}{{ include "lethe.missingPeers" (list "telemetry" $v.telemetry) }}{{ end }}
{{- if not $v.networkPolicy.dnsPeers }}
networkPolicy.dnsPeers: say where the DNS of the cluster is
{{- end }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.host) }}
ingress.host: give the name that clients use
{{- end }}
{{- if gt (int $v.kafka.minInsyncReplicas) (int $v.kafka.replicationFactor) }}
kafka.minInsyncReplicas: is more than kafka.replicationFactor
{{- end }}
{{- range $name, $wish := $v.jobs.repair }}
{{- $own := get $v.services $name }}
{{- $isStopped := and (eq (int $own.replicas) 0) (eq (dig "scaling" "mode" "fixed" $own) "fixed") }}
{{- if and (ne $wish "off") (not $isStopped) }}
jobs.repair.{{ $name }}: no process of it may run: services.{{ $name }}.replicas 0, with scaling.mode fixed
{{- end }}
{{- end }}
{{- range $name, $own := $v.services }}
{{- with $own.scaling }}
{{- if and (ne .mode "fixed") (gt (int .minReplicas) (int .maxReplicas)) }}
services.{{ $name }}.scaling.minReplicas: is more than maxReplicas
{{- end }}
{{- if and (eq .mode "lag") (not $v.monitoring.prometheusAddress) }}
monitoring.prometheusAddress: services.{{ $name }} is scaled by lag: say where KEDA asks for it
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.monitoring.serviceMonitor.enabled (not $v.monitoring.serviceMonitor.selector) }}
monitoring.serviceMonitor.selector: name the labels of the collector's Service
{{- end }}
{{- end }}

{{/* Takes a list: the name and the values of an endpoint. */}}
{{- define "lethe.missingPeers" -}}
{{- if not (index . 1).peers }}
{{ index . 0 }}.peers: say where it is by CIDR or selector, for the NetworkPolicy
{{- end }}
{{- end }}
