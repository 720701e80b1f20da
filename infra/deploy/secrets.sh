# shellcheck shell=bash
# The key and the secrets. No value is on a command line.

make_key() {
  step 'Key'
  exists kms keyrings describe $KEY_RING --location="$region" ||
    cloud kms keyrings create $KEY_RING --location="$region"
  exists kms keys describe $KEY --keyring=$KEY_RING --location="$region" ||
    cloud kms keys create $KEY --keyring=$KEY_RING --location="$region" --purpose=encryption
}

# The functions get the versions that are the newest now: all instances of a revision hold the same.
make_secrets() {
  step 'Secrets'
  local secret version
  for secret in "${secrets[@]}"; do
    exists secrets describe "$secret" ||
      cloud secrets create "$secret" --replication-policy=automatic
    version=$(newest_version "$secret" '')
    if [[ -z $version ]]; then
      first_version "$secret"
      version=$(newest_version "$secret" 1)
    fi
    printf -v "version_of_$secret" %s "$version"
  done
}

newest_version() {
  ask "$2" secrets versions list "$1" --filter=state=ENABLED --sort-by=~createTime --limit=1 \
    '--format=value(name.basename())'
}

first_version() {
  local value key_ring
  case $1 in
    TOKEN_KEYS)
      comment 'a new key ring, wrapped by the key | ... | base64 | ...'
      # Not made in `< <(...)`, where a failure goes unnoticed and half a key ring would be stored.
      key_ring=$(new_key_ring)
      value=$(run gcloud kms encrypt --key=$KEY --keyring=$KEY_RING --location="$region" \
        --plaintext-file=- --ciphertext-file=- \
        --additional-authenticated-data-file=<(printf gmail-push-receiver/token-keys) --project="$project" < <(printf %s "$key_ring") |
        base64 | tr -d '\n')
      ;;
    RETURN_TO_SECRET)
      comment 'a new random value | ...'
      value=$(openssl rand -hex 32)
      ;;
    NOTICE_SMTP_URL) value=$(typed_for NOTICE_FROM "$notice_from" "$1") ;;
    OTEL_EXPORTER_OTLP_HEADERS) 
      value=$(typed_for OTEL_EXPORTER_OTLP_ENDPOINT "$otel_exporter_otlp_endpoint" "$1")
      ;;
    *)
      comment 'what is typed | ...'
      value=$(typed "$1")
      ;;
  esac
  run gcloud secrets versions add "$1" --data-file=- --project="$project" \
    < <(printf %s "$value") >/dev/null
}

# typed_for SETTING ITS-VALUE SECRET: a secret that goes with a setting. Where the setting needs no
# secret, such as a collector without headers, people type `none`.
typed_for() {
  comment "\`none\`, or what is typed when $1 is set | ..."
  if [[ $2 == '' ]]; then printf none; else typed "$3"; fi
}

typed() {
  local value
  if $dry_run; then return; fi
  [[ -t 0 ]] || stop "The secret $1 has no version, and there is no terminal to ask at. See --help."
  read -rsp "$1: " value && printf '\n' >&2
  [[ -n $value ]] || stop "The secret $1 cannot be empty."
  printf %s "$value"
}
