#!/bin/sh
# Initialises and unseals Vault, then sets it up as docs/operators/vault.md says. May run again, and does after each start.
set -eu
umask 077
secrets=/vault-secrets/init.txt
until vault status >/dev/null 2>&1 || [ $? -eq 2 ]; do sleep 1; done
if [ ! -s "$secrets" ]; then
  vault operator init -key-shares=1 -key-threshold=1 >"$secrets.new"
  mv "$secrets.new" "$secrets"
fi
vault operator unseal "$(sed -n 's/^Unseal Key 1: //p' "$secrets")" >/dev/null
VAULT_TOKEN=$(sed -n 's/^Initial Root Token: //p' "$secrets")
export VAULT_TOKEN
until vault secrets list >/dev/null 2>&1; do sleep 1; done
vault secrets list | grep -q '^transit/' || vault secrets enable transit
vault write transit/config/keys disable_upsert=true >/dev/null
vault policy write lethe-keys /etc/lethe/keys-policy.hcl >/dev/null
vault auth list | grep -q '^approle/' || vault auth enable approle
vault write auth/approle/role/lethe-keys token_policies=lethe-keys token_ttl=1h token_max_ttl=24h >/dev/null
vault read -field=role_id auth/approle/role/lethe-keys/role-id >/vault-login/role-id
vault write -f -field=secret_id auth/approle/role/lethe-keys/secret-id >/vault-login/secret-id
# keys runs as this user, and is the only one that mounts the folder.
chown -R 65532:65532 /vault-login
