{{/* Where a process sends traces, metrics and logs, and by what it is scaled. */}}

{{- define "lethe.telemetrySettings" -}}
{{- with .Values.telemetry }}
{{- if .endpoint -}}
LETHE_TELEMETRY_ENDPOINT: {{ .endpoint | quote }}
LETHE_TELEMETRY_TRACE_RATIO: {{ .traceRatio | quote }}
LETHE_TELEMETRY_INTERVAL_MS: {{ .intervalMs | int | quote }}
{{- if .existingSecret }}
{{- if .authorityKey }}
LETHE_TELEMETRY_AUTHORITY_FILE: /etc/lethe/telemetry/ca.crt
{{- end }}
{{- if .headersKey }}
LETHE_TELEMETRY_HEADERS_FILE: /etc/lethe/telemetry/headers
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Empty when the collector asks for nothing. */}}
{{- define "lethe.telemetryVolume" -}}
{{- $telemetry := .Values.telemetry -}}
{{- $entries := list -}}
{{- with $telemetry.authorityKey }}{{ $entries = append $entries (printf "%s=ca.crt" .) }}{{ end -}}
{{- with $telemetry.headersKey }}{{ $entries = append $entries (printf "%s=headers" .) }}{{ end -}}
{{- if and $telemetry.endpoint $telemetry.existingSecret $entries -}}
{{ include "lethe.secretVolume" (list "telemetry" $telemetry.existingSecret $entries) }}
{{- end -}}
{{- end }}

{{/* Takes the service. For how long its slowest partition waits, to be read or to reach the log, in seconds. */}}
{{- define "lethe.lagQuery" -}}
max(lethe_consumer_lag_seconds{job="lethe/{{ . }}"} or lethe_relay_lag_seconds{job="lethe/{{ . }}"})
{{- end }}

{{/* Each change moves partitions from pod to pod: go down one at a time, whoever decides. */}}
{{- define "lethe.scalingBehavior" -}}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - type: Pods
      value: 1
      periodSeconds: 120
{{- end }}
