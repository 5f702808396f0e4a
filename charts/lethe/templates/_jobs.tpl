{{/* Work of a job: a container that does one thing and ends. */}}

{{/*
Takes a list: the root, the job's component, the image's name, its arguments with a space between them, its settings and its
volumes as text, and its memory.
*/}}
{{- define "lethe.jobTemplate" -}}
{{- $root := index . 0 -}}
metadata:
  labels:
{{- with $root.Values.pods.labels }}
{{ toYaml . | indent 4 }}
{{- end }}
{{ include "lethe.podLabels" (list $root (index . 1)) | indent 4 }}
{{- with include "lethe.podAnnotations" $root }}
  annotations:
{{ . | indent 4 }}
{{- end }}
spec:
  restartPolicy: Never
{{ include "lethe.podSettings" $root | indent 2 }}
{{- with $root.Values.pods.tolerations }}
  tolerations:
{{ toYaml . | indent 4 }}
{{- end }}
  containers:
    - name: {{ index . 1 }}
      image: {{ include "lethe.image" (list $root (index . 2)) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ index . 3 | splitList " " | toJson }}
      env:
{{- include "lethe.environmentList" (index . 4 | fromYaml) | trim | nindent 8 }}
      resources:
        requests:
          cpu: 50m
          memory: {{ index . 6 | int }}Mi
        limits:
          cpu: "1"
          memory: {{ index . 6 | int }}Mi
      securityContext:
{{ include "lethe.containerSecurity" $root | indent 8 }}
{{- with index . 5 }}
      volumeMounts:
{{- include "lethe.mounts" . | trim | nindent 8 }}
  volumes:
{{ . | indent 4 }}
{{- end }}
{{- end }}

{{/*
Takes a list: the root, the job's component and what ends the name. A pod carries the name of its Job as a label, which
takes 63 characters: a long name of the release is cut, and stays another than those that begin alike.
*/}}
{{- define "lethe.jobName" -}}
{{- $full := include "lethe.fullname" (index . 0) -}}
{{- if gt (len $full) 34 }}{{ $full = printf "%s-%s" ($full | trunc 25 | trimSuffix "-") ($full | sha256sum | trunc 8) }}{{ end -}}
{{ printf "%s-%s-%s" $full (index . 1) (index . 2) }}
{{- end }}

{{/* Takes a list: the mode and the weight. */}}
{{- define "lethe.hookAnnotations" -}}
{{- if eq (index . 0) "hook" }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: {{ index . 1 | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
{{- end }}

{{/*
Takes a list: the root, the mode, the job's component, its template and how often and long it tries, as text. A plain Job has
the digest of its template in its name, as a Job's template cannot be changed: an upgrade makes another one. A hook has a
name of its own, as Helm does not own it: one that failed and was left for its log must not be in the way of a plain one.
*/}}
{{- define "lethe.job" -}}
{{- $root := index . 0 -}}
{{- $hook := eq (index . 1) "hook" -}}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "lethe.jobName" (list $root (index . 2) (ternary "hook" (index . 3 | sha256sum | trunc 8) $hook)) }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
{{ include "lethe.labels" (list $root (index . 2)) | indent 4 }}
{{- include "lethe.hookAnnotations" (list (index . 1) 0) }}
spec:
{{ index . 4 | indent 2 }}
  template:
{{ index . 3 | indent 4 }}
{{- end }}

{{/* Takes a list: the root, the mode, the job's component and its egress rules as text. Before the job, as it comes first. */}}
{{- define "lethe.jobPolicy" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ if eq (index . 1) "hook" }}{{ include "lethe.jobName" (list $root (index . 2) "hook") }}{{ else }}{{ include "lethe.fullname" $root }}-{{ index . 2 }}{{ end }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
{{ include "lethe.labels" (list $root (index . 2)) | indent 4 }}
{{- include "lethe.hookAnnotations" (list (index . 1) -10) }}
spec:
  podSelector:
    matchLabels:
{{ include "lethe.selector" (list $root (index . 2)) | indent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
{{ include "lethe.dnsEgress" $root | indent 4 }}
{{ index . 3 | indent 4 }}
{{- end }}
{{- end }}

{{- define "lethe.jobLimits" -}}
backoffLimit: 3
activeDeadlineSeconds: {{ .Values.jobs.deadlineSeconds | int }}
{{- end }}

{{/* Services that open what they read of their topic, and so ask the running keys. */}}
{{- define "lethe.repairedWithKeys" -}}
{{ list "tickets" "predictions" "usage" | toJson }}
{{- end }}

{{/* Takes a list: the root and the service. The stores that a repair compares, and what it needs for it. */}}
{{- define "lethe.repairEgress" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{ include "lethe.postgresEgress" $root }}
{{ include "lethe.kafkaEgress" $root }}
{{- if eq $name "analytics" }}
{{ include "lethe.clickhouseEgress" $root }}
{{- end }}
{{- if has $name (include "lethe.repairedWithKeys" $root | fromJsonArray) }}
- to:
    - podSelector:
        matchLabels:
{{ include "lethe.selector" (list $root "keys") | indent 10 }}
  ports: [{protocol: TCP, port: internal}]
{{- end }}
{{- end }}
