#!/usr/bin/env bash
# Runs after `firebase deploy`, in the folder of firebase.json. Where a policy of the organization refuses
# allUsers, INVOKER_IAM_CHECK=false in infra/.env.PROJECT lets the CLI deploy the public functions as private
# ones, and this tells Cloud Run to ask for no right. Each deployment of a function asks again.
set -euo pipefail
project=$GCLOUD_PROJECT
files=()
for file in infra/.env "infra/.env.$project"; do
  [[ ! -f $file ]] || files+=("--env-file=$file")
done

setting() { env -u "$1" node ${files[@]+"${files[@]}"} -p "process.env['$1'] ?? ''"; }

if [[ $(setting INVOKER_IAM_CHECK) != false ]]; then exit 0; fi
if ! command -v gcloud >/dev/null; then
  echo 'open-pages.sh: gcloud is not installed, and without it the pages stay closed' >&2
  exit 1
fi
region=$(setting REGION)
for service in connect securityevent; do
  CLOUDSDK_CORE_DISABLE_PROMPTS=1 gcloud run services update "$service" --no-invoker-iam-check \
    --region="${region:-us-central1}" --project="$project"
done
