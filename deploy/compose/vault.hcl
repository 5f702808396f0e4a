storage "raft" {
  path    = "/vault/file"
  node_id = "laptop"
}
listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/run/lethe/tls.crt"
  tls_key_file  = "/run/lethe/tls.key"
}
api_addr      = "https://vault:8200"
cluster_addr  = "https://vault:8201"
disable_mlock = true
