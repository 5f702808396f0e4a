{{/* What everything is called and labelled. */}}

{{- define "lethe.name" -}}
{{ .Values.nameOverride | default "lethe" }}
{{- end }}

{{- define "lethe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains "lethe" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-lethe" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* By which a Deployment, a Service and a policy find pods: never changed, as a Deployment's selector cannot be. */}}
{{- define "lethe.releaseSelector" -}}
app.kubernetes.io/name: {{ include "lethe.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Takes a list: the root and the component. */}}
{{- define "lethe.selector" -}}
{{ include "lethe.releaseSelector" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Of pods: none that every version of the chart changes, as all pods would be made anew. */}}
{{- define "lethe.podLabels" -}}
{{ include "lethe.selector" . }}
app.kubernetes.io/part-of: lethe
{{- end }}

{{- define "lethe.labels" -}}
{{ include "lethe.podLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: lethe-{{ (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What the chart knows of the services, written from the services themselves. */}}
{{- define "lethe.services" -}}
{{ .Files.Get "files/services.json" }}
{{- end }}

{{/* Takes a list: the root and the image's name. */}}
{{- define "lethe.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- $digest := get $image.digests (index . 1) -}}
{{- $name := printf "%s/%s" $image.repository (index . 1) -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- if $digest -}}
{{ $name }}@{{ $digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Port of https://host[:port]. */}}
{{- define "lethe.portOfUrl" -}}
{{- $host := (urlParse .).host | default "" -}}
{{- if regexMatch ":[0-9]+$" $host }}{{ regexFind "[0-9]+$" $host }}{{ else if hasPrefix "http:" . }}80{{ else }}443{{ end -}}
{{- end }}
