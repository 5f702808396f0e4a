{{/* Where a process sends traces, metrics and logs. */}}

{{- define "lethe.telemetrySettings" -}}
{{- end }}

{{/* Takes a list: the root and the service. Seconds that its slowest partition is behind, as Prometheus knows them. */}}
{{- define "lethe.lagQuery" -}}
max(lethe_consumer_lag_seconds{service_name="lethe-{{ index . 1 }}", k8s_namespace_name="{{ (index . 0).Release.Namespace }}"})
{{- end }}
