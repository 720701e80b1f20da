#!/usr/bin/env bash
# Makes the first version of the secret TOKEN_KEYS: a new key ring, encrypted with a key of Cloud KMS. The
# Terraform module runs this, because a resource would keep the key ring in its state:
#
#   PROJECT=... SECRET=... KMS_KEY=projects/... bash infra/deploy/token-keys.sh
#
# A version that exists is left alone, so that it can be run again after it has stopped anywhere.
set -euo pipefail
source "$(dirname -- "$0")/key-ring.sh"
export CLOUDSDK_CORE_DISABLE_PROMPTS=1

main() {
  local tool state key_ring wrapped version
  for tool in gcloud openssl; do
    command -v "$tool" >/dev/null || stop "$tool is not installed"
  done
  if state=$(gcloud secrets versions describe 1 --secret="$SECRET" '--format=value(state)' --project="$PROJECT" 2>&1); then
    case $state in
      *ENABLED*) echo "$SECRET has a first version: it is left as it is" ;;
      *) stop "the first version of $SECRET is not enabled: name another one in secret_versions" ;;
    esac
    return 0
  fi
  [[ $state == *NOT_FOUND* ]] || stop "$state"
  key_ring=$(new_key_ring)
  wrapped=$(printf %s "$key_ring" | gcloud kms encrypt --key="$KMS_KEY" --plaintext-file=- --ciphertext-file=- \
    --additional-authenticated-data-file=<(printf gmail-push-receiver/token-keys) --project="$PROJECT" |
    base64 | tr -d '\n')
  version=$(printf %s "$wrapped" |
    gcloud secrets versions add "$SECRET" --data-file=- '--format=value(name)' --project="$PROJECT")
  [[ ${version##*/} == 1 ]] || stop "the key ring is version ${version##*/} of $SECRET: name it in secret_versions"
}

stop() {
  printf 'token-keys.sh: %s\n' "$1" >&2
  exit 1
}

main
