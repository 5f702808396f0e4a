{{/* Ways out. A rule without peers would be one to everywhere, so it is left away; missing peers are a problem anyway. */}}

{{/* Takes a list: peers and ports. */}}
{{- define "lethe.egress" -}}
{{- if index . 0 -}}
- to:
{{ toYaml (index . 0) | indent 4 }}
  ports:
{{- range index . 1 | uniq }}
    - protocol: TCP
      port: {{ int . }}
{{- end }}
{{- end -}}
{{- end }}

{{- define "lethe.dnsEgress" -}}
{{- with .Values.networkPolicy.dnsPeers -}}
- to:
{{ toYaml . | indent 4 }}
  ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
{{- end -}}
{{- end }}

{{- define "lethe.postgresEgress" -}}
{{- $pg := .Values.postgresql -}}
{{- $ports := list (toString (int $pg.port)) -}}
{{- if $pg.lockHost }}{{ $ports = append $ports (toString (int $pg.lockPort)) }}{{ end -}}
{{ include "lethe.egress" (list $pg.peers $ports) }}
{{- end }}

{{- define "lethe.clickhouseEgress" -}}
{{ include "lethe.egress" (list .Values.clickhouse.peers (list (include "lethe.portOfUrl" .Values.clickhouse.url))) }}
{{- end }}

{{- define "lethe.kafkaEgress" -}}
{{- $ports := list -}}
{{- range .Values.kafka.brokers }}{{ $ports = append $ports (regexFind "[0-9]+$" .) }}{{ end -}}
{{- if $ports }}{{ include "lethe.egress" (list .Values.kafka.peers $ports) }}{{ end -}}
{{- end }}
