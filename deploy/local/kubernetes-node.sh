#!/usr/bin/env bash
# One Kubernetes 1.34 with one real node, in a network namespace of its own: etcd, API server, controller manager,
# scheduler; containerd, kubelet, kube-proxy, CoreDNS. For tests alone: tokens in a file, no fsync, policies not enforced.
#
#   deploy/local/kubernetes-node.sh start FOLDER NAMESPACE    prints the kubeconfig's path once the node is ready
#   deploy/local/kubernetes-node.sh stop FOLDER NAMESPACE     ends everything in it and removes the namespace
#   deploy/local/kubernetes-node.sh import FOLDER IMAGE.tar   what `docker save` wrote
#   deploy/local/kubernetes-node.sh ctr FOLDER ARGUMENTS...
#
# FOLDER/bin has kube-local, kube-node, coredns, pause and kubectl (deploy/local/kubernetes-node.ts puts them there). The
# rest (containerd, runc, CNI, nftables) is unpacked from Debian's packages into FOLDER. Needs root on Debian.
# The node is 10.99.0.1 in the namespace, pods are 10.244.0.0/24; nothing leaves it.
set -euo pipefail
umask 022

cmd=${1:?start, stop, import or ctr} dir=$(cd "${2:?folder}" && pwd)
bin=$dir/bin pki=$dir/pki run=$dir/run log=$dir/log node=$dir/node deb=$dir/node/deb
address=10.99.0.1 port=6443

inside() { nsenter "--net=/run/netns/$ns" "$@"; }
kubectl() { inside "$bin/kubectl" --kubeconfig "$dir/kubeconfig" "$@"; }
ctr() { LD_LIBRARY_PATH=$deb/usr/lib/x86_64-linux-gnu "$deb/usr/bin/ctr" -a "$node/containerd.sock" -n k8s.io "$@"; }

# The process of a pid file, not another one that has its number now.
alive() {
  local pid; pid=$(cat "$run/$1.pid" 2>/dev/null) || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$dir/"
}

launch() {
  local name=$1; shift
  setsid nohup nsenter "--net=/run/netns/$ns" "$@" >"$log/$name.log" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
}

until_ok() {
  local name=$1 ends=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $ends ] || { echo "$name is not ready" >&2; tail -n 20 "$log/$name.log" >&2; exit 1; }
    sleep 0.3
  done
}

kubeconfig() {
  cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://$address:$port", certificate-authority: $pki/apiserver.crt}}]
users: [{name: local, user: {token: $(sed -n "s/^\([^,]*\),$1,.*/\1/p" "$pki/tokens.csv")}}]
contexts: [{name: local, context: {cluster: local, user: local}}]
current-context: local
YAML
}

network() {
  ip netns add "$ns"
  inside ip link set lo up
  inside ip link add node0 type veth peer name node0p
  inside ip link set node0p up
  inside ip addr add "$address/32" dev node0
  inside ip link set node0 up
  inside ip route add default dev node0 # so that ClusterIPs have a route
}

control_plane() {
  for user in 'admin,admin,"system:masters"' 'system:node:node-0,node,"system:nodes"' system:kube-proxy,proxy, \
    system:kube-controller-manager,manager, system:kube-scheduler,scheduler,; do
    echo "$(openssl rand -hex 24),$user"
  done >"$pki/tokens.csv"
  # What the API server shows the kubelet; the kubelet trusts exactly it.
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/O=system:masters/CN=kube-apiserver" \
    -addext "extendedKeyUsage=clientAuth" -keyout "$pki/kubelet-client.key" -out "$pki/kubelet-client.crt" 2>/dev/null
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  launch etcd "$bin/kube-local" etcd --name local --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster local=http://127.0.0.1:2380
  # It writes itself a certificate into --cert-dir; clients trust that file.
  launch kube-apiserver "$bin/kube-local" kube-apiserver --etcd-servers http://127.0.0.1:2379 \
    --bind-address "$address" --secure-port "$port" --advertise-address "$address" --endpoint-reconciler-type lease \
    --cert-dir "$pki" --service-cluster-ip-range 10.96.0.0/16 --allow-privileged=false --anonymous-auth=false \
    --token-auth-file "$pki/tokens.csv" --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --service-account-issuer https://kubernetes.default.svc --service-account-signing-key-file "$pki/sa.key" \
    --service-account-key-file "$pki/sa.key" --kubelet-client-certificate "$pki/kubelet-client.crt" \
    --kubelet-client-key "$pki/kubelet-client.key" --kubelet-preferred-address-types InternalIP --profiling=false
  until_ok kube-apiserver 120 test -s "$pki/apiserver.crt"
  kubeconfig admin "$dir/kubeconfig"
  kubeconfig system:kube-controller-manager "$dir/manager.kubeconfig"
  kubeconfig system:kube-scheduler "$dir/scheduler.kubeconfig"
  kubeconfig system:node:node-0 "$dir/kubelet.kubeconfig"
  kubeconfig system:kube-proxy "$dir/proxy.kubeconfig"
  until_ok kube-apiserver 180 kubectl get --raw /readyz
  launch kube-controller-manager "$bin/kube-local" kube-controller-manager --kubeconfig "$dir/manager.kubeconfig" \
    --use-service-account-credentials --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/apiserver.crt" \
    --leader-elect=false --secure-port 0 --flex-volume-plugin-dir "$dir/flexvolume"
  launch kube-scheduler "$bin/kube-local" kube-scheduler --kubeconfig "$dir/scheduler.kubeconfig" --leader-elect=false --secure-port 0
  until_ok kube-controller-manager 120 kubectl -n default get serviceaccount default
}

unpack() {
  [ -x "$deb/usr/bin/containerd" ] && return
  mkdir -p "$deb" "$node/packages"
  (cd "$node/packages" && apt-get download containerd runc containernetworking-plugins nftables libnftables1 libnftnl11 >/dev/null 2>&1)
  for package in "$node"/packages/*.deb; do dpkg -x "$package" "$deb"; done
}

# The image of the one container that every pod has.
pause_image() {
  local work=$node/pause; mkdir -p "$work"
  tar -C "$bin" --owner=0 --group=0 -cf "$work/layer.tar" pause
  local diff; diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/pause"],"User":"65532:65532"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$diff" >"$work/config.json"
  printf '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf "$node/pause.tar" config.json layer.tar manifest.json
}

configure_node() {
  mkdir -p "$node"/{kubelet,podlogs,cni,sysctl,state,images}
  : >"$node/resolv.conf"
  cat >"$node/containerd.toml" <<T
version = 2
root = "$node/images"
state = "$node/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$node/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$deb/usr/lib/cni"
    conf_dir = "$node/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "$deb/usr/sbin/runc"
T
  cat >"$node/cni/10-bridge.conflist" <<J
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$node/ipam","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"loopback"}]}
J
  cat >"$node/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/kubelet-client.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
clusterDNS: [$address]
clusterDomain: cluster.local
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$node/containerd.sock
evictionHard: {memory.available: 0%, nodefs.available: 0%, imagefs.available: 0%, nodefs.inodesFree: 0%, imagefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
makeIPTablesUtilChains: false
podLogsDir: $node/podlogs
volumePluginDir: $node/volumeplugins
resolvConf: $node/resolv.conf
readOnlyPort: 0
healthzPort: 0
Y
  cat >"$node/Corefile" <<Y
.:53 {
	bind $address
	errors
	kubernetes cluster.local in-addr.arpa {
		kubeconfig $dir/kubeconfig local
		ttl 5
	}
}
Y
  cat >"$node/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
bindAddress: $address
healthzBindAddress: ""
metricsBindAddress: ""
clusterCIDR: 10.244.0.0/16
hostnameOverride: node-0
clientConnection: {kubeconfig: $dir/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y
  # The kubelet sets these machine-wide; in its own mount namespace it finds them as it wants them, and changes nothing.
  cat >"$node/enter.sh" <<'E'
set -e
dir=$1 node=$1/node deb=$1/node/deb bin=$1/bin log=$1/log run=$1/run address=$2
mount --make-rshared /
pin() { printf '%s\n' "$2" >"$node/sysctl/${1//\//.}"; mount --bind "$node/sysctl/${1//\//.}" "/proc/sys/$1"; }
pin vm/overcommit_memory 1; pin vm/panic_on_oom 0; pin kernel/panic 10; pin kernel/panic_on_oops 1
pin kernel/keys/root_maxkeys 1000000; pin kernel/keys/root_maxbytes 25000000
for place in /var/log /run/containerd /var/lib/cni /var/lib/kubelet; do mkdir -p "$place"; mount -t tmpfs tmpfs "$place"; done
export PATH=$deb/usr/bin:$deb/usr/sbin:$PATH LD_LIBRARY_PATH=$deb/usr/lib/x86_64-linux-gnu
"$deb/usr/bin/containerd" --config "$node/containerd.toml" >"$log/containerd.log" 2>&1 & echo $! >"$run/containerd.pid"
for _ in $(seq 300); do ctr -a "$node/containerd.sock" version >/dev/null 2>&1 && break; sleep 0.2; done
ctr -a "$node/containerd.sock" -n k8s.io images import "$node/pause.tar"
"$bin/kube-node" kubelet --config "$node/kubelet.yaml" --kubeconfig "$dir/kubelet.kubeconfig" --root-dir "$node/kubelet" \
  --cert-dir "$node/kubelet-pki" --hostname-override node-0 --node-ip "$address" >"$log/kubelet.log" 2>&1 & echo $! >"$run/kubelet.pid"
"$bin/kube-node" kube-proxy --config "$node/proxy.yaml" >"$log/kube-proxy.log" 2>&1 & echo $! >"$run/kube-proxy.pid"
"$bin/coredns" -conf "$node/Corefile" >"$log/coredns.log" 2>&1 & echo $! >"$run/coredns.pid"
wait
E
}

start() {
  mkdir -p "$run" "$log" "$node"
  (umask 077; mkdir -p "$pki")
  unpack
  pause_image
  network
  control_plane
  configure_node
  setsid nohup nsenter "--net=/run/netns/$ns" unshare --mount --propagation slave \
    bash "$node/enter.sh" "$dir" "$address" >"$log/enter.log" 2>&1 </dev/null &
  echo $! >"$run/enter.pid"
  until_ok enter 120 kubectl get node node-0
  until_ok kubelet 120 kubectl wait --for=condition=Ready node/node-0 --timeout=5s
  echo "$dir/kubeconfig"
}

end() {
  if alive "$1"; then kill "-${2:-TERM}" "$(cat "$run/$1.pid")" 2>/dev/null || true; fi
}

stop() {
  local name id
  for name in kubelet kube-proxy coredns; do end "$name"; done
  sleep 1
  for id in $(ctr tasks ls -q 2>/dev/null); do ctr tasks kill -s KILL "$id" >/dev/null 2>&1 || true; done
  sleep 1
  for id in $(ctr tasks ls -q 2>/dev/null); do ctr tasks rm -f "$id" >/dev/null 2>&1 || true; done
  for id in $(ctr containers ls -q 2>/dev/null); do ctr containers rm "$id" >/dev/null 2>&1 || true; done
  for name in containerd enter kube-scheduler kube-controller-manager kube-apiserver etcd; do end "$name"; done
  sleep 2
  for name in containerd enter kube-scheduler kube-controller-manager kube-apiserver etcd kubelet kube-proxy coredns; do
    end "$name" KILL
  done
  for name in /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods; do
    if [ -d "$name" ]; then find "$name" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
  done
  ip netns del "$ns" 2>/dev/null || true
}

case $cmd in
  start | stop) ns=${3:?name of the network namespace}; "$cmd" ;;
  import) ctr images import --digests "${3:?image}" ;;
  ctr) shift 2; ctr "$@" ;;
  *) sed -n '5,8p' "$0" | sed 's/^# *//' >&2; exit 2 ;;
esac
