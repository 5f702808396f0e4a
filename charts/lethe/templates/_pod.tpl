{{/* What every pod of the chart has in common. */}}

{{- define "lethe.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int .Values.pods.userId }}
  runAsGroup: {{ int .Values.pods.userId }}
  fsGroup: {{ int .Values.pods.userId }}
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end }}

{{- define "lethe.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Of a limit of memory in MiB: what is not the heap are buffers, TLS, code and stacks. */}}
{{- define "lethe.heapMiB" -}}
{{ div (mul (int .) 65) 100 }}
{{- end }}

{{- define "lethe.podAnnotations" -}}
{{- $annotations := deepCopy .Values.pods.annotations -}}
{{- if .Values.pods.restartedAt }}{{ $_ := set $annotations "lethe/restarted-at" .Values.pods.restartedAt }}{{ end -}}
{{- if $annotations }}{{ toYaml $annotations }}{{ end -}}
{{- end }}

{{/* Takes a dict of variables; sorted by name, so that two renders are equal. */}}
{{- define "lethe.environmentList" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
