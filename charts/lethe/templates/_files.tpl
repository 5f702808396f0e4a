{{/* Secrets as files. A pod is given the entries that it needs of a Secret, and no others. */}}

{{/* Takes a list: name, Secret, entries as "entry=file". */}}
{{- define "lethe.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 | quote }}
    defaultMode: 0440
    items:
{{- range index . 2 }}
{{- $parts := splitn "=" 2 . }}
      - key: {{ $parts._0 | quote }}
        path: {{ $parts._1 | quote }}
{{- end }}
{{- end }}

{{- define "lethe.postgresVolume" -}}
{{- $pg := (index . 0).Values.postgresql -}}
{{- $entries := list (printf "%s=password" (index . 1)) -}}
{{- if $pg.authorityKey }}{{ $entries = append $entries (printf "%s=ca.crt" $pg.authorityKey) }}{{ end -}}
{{ include "lethe.secretVolume" (list "postgresql" $pg.existingSecret $entries) }}
{{- end }}

{{/* Takes a list: the root and the user's entry. Empty when Kafka asks for nothing. */}}
{{- define "lethe.kafkaVolume" -}}
{{- $kafka := (index . 0).Values.kafka -}}
{{- $user := index . 1 -}}
{{- $entries := list -}}
{{- if ne $kafka.sasl "none" }}{{ $entries = append $entries (printf "%s=password" $user) }}{{ end -}}
{{- if $kafka.authorityKey }}{{ $entries = append $entries (printf "%s=ca.crt" $kafka.authorityKey) }}{{ end -}}
{{- if $kafka.clientCertificates }}
{{- $entries = concat $entries (list (printf "%s.crt=client.crt" $user) (printf "%s.key=client.key" $user)) -}}
{{- end -}}
{{- if $entries }}{{ include "lethe.secretVolume" (list "kafka" $kafka.existingSecret $entries) }}{{ end -}}
{{- end }}

{{/* Takes a list: the root, the service and its facts. */}}
{{- define "lethe.serviceVolumes" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $facts := index . 2 -}}
{{- $values := $root.Values -}}
{{ include "lethe.secretVolume" (list "internal" (get $values.internalTls.existingSecrets $name) (list "tls.crt=tls.crt" "tls.key=tls.key" "ca.crt=ca.crt")) }}
{{ include "lethe.postgresVolume" (list $root $name) }}
{{ include "lethe.kafkaVolume" (list $root $name) }}
{{- if $facts.hasPublicApi }}
{{ include "lethe.secretVolume" (list "public" $values.publicTls.existingSecret (list "tls.crt=tls.crt" "tls.key=tls.key")) }}
{{- if eq $values.tokens.source "jwks" }}
{{ include "lethe.secretVolume" (list "tokens" $values.tokens.existingSecret (list "jwks.json=jwks.json")) }}
{{- else if eq $values.tokens.source "publicKey" }}
{{ include "lethe.secretVolume" (list "tokens" $values.tokens.existingSecret (list "public-key.pem=public-key.pem")) }}
{{- end }}
{{- end }}
{{- if eq $name "analytics" }}
{{- $entries := list "password=password" -}}
{{- with $values.clickhouse.authorityKey }}{{ $entries = append $entries (printf "%s=ca.crt" .) }}{{ end }}
{{ include "lethe.secretVolume" (list "clickhouse" $values.clickhouse.existingSecret $entries) }}
{{- end }}
{{- if eq $name "privacy" }}
{{ include "lethe.secretVolume" (list "certificate-signing" $values.certificateSigning.existingSecret (list (printf "%s=signing.jwk" $values.certificateSigning.secretKey))) }}
{{- end }}
{{- if eq $name "keys" }}
{{ include "lethe.kmsVolumes" $root }}
{{- end }}
{{ include "lethe.telemetryVolume" $root }}
{{- end }}

{{- define "lethe.kmsVolumes" -}}
{{- if eq .Values.kms.type "vault" -}}
{{- $vault := .Values.kms.vault -}}
{{- $entries := list -}}
{{- if eq $vault.auth "approle" }}{{ $entries = list "role-id=role-id" "secret-id=secret-id" }}{{ end -}}
{{- if eq $vault.auth "token-file" }}{{ $entries = list "token=token" }}{{ end -}}
{{- with $vault.authorityKey }}{{ $entries = append $entries (printf "%s=ca.crt" .) }}{{ end -}}
{{- if $entries }}{{ include "lethe.secretVolume" (list "vault" $vault.existingSecret $entries) }}{{ end }}
{{- if eq $vault.auth "kubernetes" }}
- name: vault-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          audience: {{ $vault.audience | quote }}
          expirationSeconds: 3600
          path: token
{{- end }}
{{- else if .Values.kms.aws.existingSecret -}}
{{ include "lethe.secretVolume" (list "aws" .Values.kms.aws.existingSecret (list "access-key-id=access-key-id" "secret-access-key=secret-access-key")) }}
{{- end -}}
{{- end }}

{{/* Takes volumes as text: each is mounted under its name. */}}
{{- define "lethe.mounts" -}}
{{- range . | fromYamlArray }}
- name: {{ .name }}
  mountPath: /etc/lethe/{{ .name }}
  readOnly: true
{{- end }}
{{- end }}
