# What the keys service may do in Vault or OpenBao, and nothing more. Its Transit engine is one of its own.

# It looks whether Transit would make keys by itself; an administrator sets that.
path "transit/config/keys" {
  capabilities = ["read"]
}

# One key per tenant: made, looked at, deleted. Never exportable.
path "transit/keys/+" {
  capabilities       = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "type"       = ["aes256-gcm96"]
    "derived"    = [true]
    "exportable" = [false]
  }
}

path "transit/keys/+/rotate" {
  capabilities = ["create", "update"]
}

path "transit/keys/+/config" {
  capabilities       = ["create", "update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
    "deletion_allowed"       = []
  }
}

path "transit/keys/+/trim" {
  capabilities = ["create", "update"]
}

# "update" without "create": a key that does not exist is not made by encrypting, whatever config/keys says.
path "transit/encrypt/+" {
  capabilities = ["update"]
}

path "transit/decrypt/+" {
  capabilities = ["update"]
}

# Renewing, looking up and revoking its own token are in Vault's default policy.
