# shellcheck shell=bash
# What TOKEN_KEYS holds, before it is encrypted.
new_key_ring() {
  local id key
  id=$(date -u +%Y-%m-%d)
  key=$(openssl rand -base64 32) || exit 1
  printf '{"primary":"%s","keys":{"%s":"%s"}}' "$id" "$id" "$key"
}
