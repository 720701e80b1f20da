# shellcheck shell=bash
# Takes away what deploy.sh made and could make again. What cannot be made again stays.

remove() {
  find_removable
  step 'Schedules'
  local name secret member
  for name in "${function_names[@]}"; do
    [[ $(of "$name" trigger) == schedule ]] || continue
    gone scheduler jobs "$(kebab "$name")" --location="$region"
  done
  step 'Functions'
  for name in "${function_names[@]}"; do
    gone functions '' "$name" --region="$region"
  done
  step 'Topics'
  gone pubsub subscriptions $DEAD_LETTERS
  gone pubsub topics $DEAD_LETTERS
  gone pubsub topics $GMAIL_TOPIC
  # While the accounts are there: afterwards the rights would stay, of accounts that are gone.
  step 'Rights'
  for name in "${function_names[@]}"; do
    member=serviceAccount:$(email "$(kebab "$name")")
    forbid projects '' "$project" --member="$member" --role=roles/datastore.user --all
    forbid pubsub topics "$changes_topic" --member="$member" --role=roles/pubsub.publisher
    forbid kms keys $KEY --keyring=$KEY_RING --location="$region" --member="$member" \
      --role=roles/cloudkms.cryptoKeyDecrypter
    for secret in $(of "$name" secrets); do
      forbid secrets '' "$secret" --member="$member" --role=roles/secretmanager.secretAccessor
    done
  done
  forbid projects '' "$project" --member="serviceAccount:$(email $BUILDER)" \
    --role=roles/cloudbuild.builds.builder --all
  step 'Service accounts'
  for name in "${function_names[@]}"; do
    gone iam service-accounts "$(email "$(kebab "$name")")"
  done
  for name in $EVENT_INVOKER $SCHEDULE_INVOKER $BUILDER; do
    gone iam service-accounts "$(email "$name")"
  done
  step 'Images'
  gone artifacts repositories $IMAGES --location="$region"
  step 'Request logs'
  if $dry_run || keeps_links_out; then
    cloud logging sinks update _Default --remove-exclusions="$exclusion_name"
  fi
  say_what_stays
}

# Another application's function connect means that this is not the receiver's project.
find_removable() {
  step 'What runs'
  local gmail_topic had_url had_database
  stop_elsewhere
  read_connect || return 0
  [[ -n $gmail_topic ]] || stop "The function connect in $region is not this receiver's: nothing was removed."
}

# gone GROUP SUBGROUP NAME FLAGS...: deletes it, if it is there.
gone() {
  local group=("$1") name=$3
  [[ -z $2 ]] || group+=("$2")
  shift 3
  if $dry_run || exists "${group[@]}" describe "$name" "$@"; then
    cloud "${group[@]}" delete "$name" "$@"
  fi
}

# forbid GROUP SUBGROUP NAME FLAGS...: takes a right away, if it is there.
forbid() {
  local group=("$1") name=$3
  [[ -z $2 ]] || group+=("$2")
  shift 3
  take_away "${group[@]}" remove-iam-policy-binding "$name" "$@"
}

say_what_stays() {
  step 'What stays'
  comment "The database $firestore_database: everything about the people, and their sealed grants"
  comment "The secrets ${secrets[*]}, and the key $KEY: without them no grant opens"
  comment "The topic $changes_topic: its subscribers may not have read everything"
  comment "The services that were enabled: something else may use them"
  comment "Gmail's watches: they end within seven days, and people still see the app in their Google account"
  comment "To go on later, run deploy.sh again. To erase everything about the people:"
  show gcloud firestore databases update "--database=$firestore_database" --no-delete-protection --project="$project"
  show gcloud firestore databases delete "--database=$firestore_database" --project="$project"
  for secret in "${secrets[@]}"; do show gcloud secrets delete "$secret" --project="$project"; done
  show gcloud pubsub topics delete "$changes_topic" --project="$project"
}
