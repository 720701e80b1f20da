#!/usr/bin/env bash
# Takes an empty Google Cloud project to a running receiver, and a running one to the present code
# and settings. What is there already is left alone or brought up to date, so that it can be run
# again at any time, above all after it has stopped. See --help.
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")/.."
source infra/deploy/tools.sh
source infra/deploy/advice.sh
source infra/deploy/remove.sh

usage() {
  cat <<'END'
Usage: infra/deploy.sh --project PROJECT [--region REGION] [--env-file FILE] [--leave-firestore]
                       [--artefact ZIP]
                       [--gmail-api-caller ACCOUNT]... [--check | --remove] [--dry-run]

  --project   the Google Cloud project, which also owns the OAuth client
  --region    of the functions, the database and the key; REGION of the env file unless said
  --env-file  settings, without secrets; infra/.env.PROJECT unless said (see infra/.env.example)
  --leave-firestore
              leaves the rules and indexes of the database as they are: for a database that
              something else uses too (npm run doctor says what is missing)
  --artefact  the archive of a release for gcloud (npm run package), in place of a build: the code of that
              version, with the settings and sizes of this folder. Checked by a SHA256SUMS next to it
  --gmail-api-caller
              the email address of a service account that may call gmailApi, and with it read the mail
              of every connected person; once for each. An account that could call it before still can
  --check     checks the project and says what would stop a deployment, with the command that fixes it;
              changes nothing, and works for the other ways of deploying too
  --remove    takes away what this script made and could make again, and says what it leaves: the database,
              the keys and secrets, and the topic of the changes
  --dry-run   prints every command, one on a line, as an empty project would need it, and runs none
              of them; what only the cloud knows stands there as PROJECT_NUMBER or 000000

Needs gcloud (signed in, as an owner of the project), Node 20 or newer, openssl, and `npm ci` done.
Secrets are asked for at the terminal. Without one, give them their first version beforehand:

  gcloud secrets create OAUTH_CLIENT_SECRET --replication-policy=automatic --project=PROJECT
  gcloud secrets versions add OAUTH_CLIENT_SECRET --data-file=- --project=PROJECT
END
}

GMAIL_TOPIC=gmail-notifications
DEAD_LETTERS=gmail-notifications-dead-letters
# In addition to one account per function: the callers of the private ones, and the builder.
EVENT_INVOKER=event-invoker
SCHEDULE_INVOKER=schedule-invoker
BUILDER=function-build
KEY_RING=gmail-push-receiver
KEY=token-keys
IMAGES=gmail-push-images
ENVIRONMENT_FILE=functions/dist/environment.yaml
# Of a database with many users, an index takes long.
INDEX_TRIES_MAX=90

main() {
  read_options "$@"
  check_tools
  read_settings
  find_project
  if $removing; then
    remove
    return 0
  fi
  check_project
  enable_services
  find_deployed
  make_accounts
  make_topics
  make_database
  make_key
  make_secrets
  grant_rights
  make_image_store
  finish_database
  deploy_functions
  keep_dead_letters
  make_schedules
  keep_links_out_of_logs
  say_what_is_left
}

read_options() {
  project='' region='' env_file='' dry_run=false leave_firestore=false check_only=false removing=false
  gmail_api_callers=() artefact=''
  while (($# > 0)); do
    case $1 in
      --project | --region | --env-file | --artefact | --gmail-api-caller)
        (($# > 1)) || refuse "$1 needs a value"
        case $1 in
          --project) project=$2 ;;
          --region) region=$2 ;;
          --gmail-api-caller) gmail_api_callers+=("$2") ;;
          --artefact) [[ $2 == /* ]] && artefact=$2 || artefact=$called_from/$2 ;;
          --env-file) [[ $2 == /* ]] && env_file=$2 || env_file=$called_from/$2 ;;
        esac
        shift 2
        ;;
      --leave-firestore) leave_firestore=true && shift ;;
      --check) check_only=true && shift ;;
      --remove) removing=true && shift ;;
      --dry-run) dry_run=true && shift ;;
      --help | -h) usage && exit 0 ;;
      *) refuse "what is $1? See --help" ;;
    esac
  done
  [[ $project =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] || refuse "--project needs a project id"
  local caller
  for caller in ${gmail_api_callers[@]+"${gmail_api_callers[@]}"}; do
    [[ $caller =~ ^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$ ]] ||
      refuse "--gmail-api-caller needs the email address of a service account, not $caller"
  done
  [[ -z $artefact || -r $artefact ]] || refuse "$artefact cannot be read"
  [[ -n $env_file || ! -f infra/.env.$project ]] || env_file=infra/.env.$project
  [[ -z $env_file || -r $env_file ]] || refuse "$env_file cannot be read"
  # gcloud takes the safe answer, instead of asking in the middle.
  export CLOUDSDK_CORE_DISABLE_PROMPTS=1
}

check_tools() {
  local tool tools='node openssl'
  $dry_run || tools+=' gcloud npm'
  [[ -z $artefact ]] || tools+=' unzip'
  for tool in $tools; do
    command -v "$tool" >/dev/null || refuse "$tool is not installed"
  done
  [[ -x node_modules/.bin/tsx ]] || refuse "run \`npm ci\` first"
}

read_settings() {
  local assignments
  assignments=$(node_modules/.bin/tsx infra/deploy-settings.ts "$project" "$region" \
    ${env_file:+"$env_file"}) || refuse "fix ${env_file:-what is missing: see infra/.env.example}"
  # Sets region, public_url, function_names and what else infra/deploy-settings.ts names; all quoted.
  eval "$assignments"
}

# of FUNCTION NAME: one of its settings
of() {
  local variable=function_$1_$2
  printf %s "${!variable}"
}

# Cloud Run serves a function at a URL with the number of the project in it.
find_project() {
  step 'Project'
  project_number=$(ask PROJECT_NUMBER projects describe "$project" '--format=value(projectNumber)')
  public_url=${public_url/connect-PROJECT_NUMBER./connect-$project_number.}
  environment=${environment//connect-PROJECT_NUMBER./connect-$project_number.}
}

# What would stop a deployment later, before anything is created. What cannot be checked stops nothing.
check_project() {
  step 'Checks'
  local command=(node_modules/.bin/tsx infra/deploy-check.ts "$project" "$region" "$oauth_client_id"
    "$firestore_database")
  if $check_only; then command+=(--all); fi
  comment 'gcloud auth print-access-token | ...'
  show "${command[@]}"
  if $dry_run; then return 0; fi
  "${command[@]}" < <(access_token) || stop 'See what failed above, each with what fixes it.'
  if $check_only; then exit 0; fi
}

enable_services() {
  step 'Services'
  cloud services enable "${services[@]}"
}

# A receiver that runs already keeps its URL and its database until the settings name others: with
# another URL Google would refuse every sign-in, and in another database there are no users.
find_deployed() {
  step 'What runs already'
  deployed=false
  local gmail_topic had_url had_database
  read_connect || return 0
  [[ -n $gmail_topic ]] ||
    stop "There is a function named connect in $region that is not this receiver's: use another project."
  deployed=true
  stays PUBLIC_URL "$public_url" "$had_url" \
    "first add $public_url/callback to the redirect URIs of the OAuth client, then"
  stays FIRESTORE_DATABASE "$firestore_database" "${had_database:-(default)}" \
    'move the users first (infra/docs/runbook.md, "Moving to a database of its own"), then'
}

# Sets gmail_topic, had_url and had_database, if there is a function connect.
read_connect() {
  exists functions describe connect --region="$region" || return 1
  local had=serviceConfig.environmentVariables
  had=$(ask '' functions describe connect --region="$region" \
    "--format=value[separator='|']($had.GMAIL_TOPIC,$had.PUBLIC_URL,$had.FIRESTORE_DATABASE)")
  IFS='|' read -r gmail_topic had_url had_database <<<"$had"
}

# stays NAME VALUE VALUE-THAT-RUNS HOW-TO-MOVE
stays() {
  [[ $2 != "$3" && " $named_settings " != *" $1 "* ]] || return 0
  stop "The receiver that runs has $1=$3, which the settings do not name. To keep it, add this line to
${env_file:-infra/.env.$project}: $1=$3
To change it, $4 add: $1=$2"
}

make_accounts() {
  step 'Service accounts'
  # Google makes these of its own when they are first needed, and a trigger that is made in the same
  # minute is rejected.
  local service
  for service in pubsub eventarc; do
    cloud beta services identity create --service=$service.googleapis.com
  done
  local name
  for name in "${function_names[@]}"; do
    account "$(kebab "$name")" "Gmail push receiver: $name"
  done
  account $EVENT_INVOKER 'Gmail push receiver: delivers notifications'
  account $SCHEDULE_INVOKER 'Gmail push receiver: runs the schedules'
  account $BUILDER 'Gmail push receiver: builds the functions'
}

account() {
  exists iam service-accounts describe "$(email "$1")" ||
    cloud iam service-accounts create "$1" --display-name="$2"
}

make_topics() {
  step 'Topics'
  topic $GMAIL_TOPIC
  # A subscriber that comes late can seek back.
  topic "$changes_topic" --message-retention-duration=7d
  topic $DEAD_LETTERS
  exists pubsub subscriptions describe $DEAD_LETTERS ||
    cloud pubsub subscriptions create $DEAD_LETTERS --topic=$DEAD_LETTERS \
      --message-retention-duration=7d --expiration-period=never
  cloud pubsub topics add-iam-policy-binding $GMAIL_TOPIC --role=roles/pubsub.publisher \
    --member=serviceAccount:gmail-api-push@system.gserviceaccount.com
}

topic() {
  exists pubsub topics describe "$1" || cloud pubsub topics create "$@"
}

make_database() {
  step 'Firestore'
  exists firestore databases describe "--database=$firestore_database" ||
    cloud firestore databases create "--database=$firestore_database" --location="$region" \
      --type=firestore-native --delete-protection --enable-pitr
  if $leave_firestore; then
    comment "The rules and indexes of $firestore_database are left as they are"
    return 0
  fi
  # First the rules, which stop at another application's database. The token is piped: it is on no
  # command line.
  comment 'gcloud auth print-access-token | ...'
  run node_modules/.bin/tsx infra/firestore-rules.ts "$project" "$firestore_database" < <(access_token)
  find_unfit_fields
  local number index flags
  for number in $unindexed_fields; do
    flags=()
    # A word for each of them.
    for index in ${field_indexes[number]}; do flags+=("--index=$index"); done
    ((${#flags[@]} > 0)) || flags=(--disable-indexes)
    # Each takes a minute or more, so they are not waited for one after the other.
    cloud firestore indexes fields update "${field_paths[number]}" \
      --collection-group="${field_groups[number]}" "--database=$firestore_database" "${flags[@]}" --async
  done
}

# Sets unindexed_fields and unexpired_fields: the places in field_paths of what is to be changed.
find_unfit_fields() {
  local assignments fields
  fields=$(ask '[]' firestore indexes fields list "--database=$firestore_database" --format=json)
  assignments=$(printf %s "$fields" | node_modules/.bin/tsx infra/firestore-fields.ts)
  eval "$assignments"
}

# A field has one change at a time, and functions fail until their indexes are there.
finish_database() {
  if $leave_firestore; then return 0; fi
  step 'Indexes'
  local number try pending
  for ((try = 1; ; try++)); do
    pending=$(ask '' firestore operations list "--database=$firestore_database" \
      '--filter=done!=true' '--format=value(name)')
    [[ -n $pending ]] || break
    ((try < INDEX_TRIES_MAX)) || stop "Firestore still makes indexes. Run the same command again later."
    comment "Firestore makes indexes: look again in $PAUSE_SECONDS seconds ($try of $INDEX_TRIES_MAX)"
    sleep "$PAUSE_SECONDS"
  done
  for number in $unexpired_fields; do
    cloud firestore fields ttls update "${field_paths[number]}" \
      --collection-group="${field_groups[number]}" "--database=$firestore_database" --enable-ttl --async
  done
}

access_token() { $dry_run || gcloud auth print-access-token; }

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
  local value
  case $1 in
    TOKEN_KEYS)
      comment 'a new key ring, wrapped by the key | ... | base64 | ...'
      value=$(run gcloud kms encrypt --key=$KEY --keyring=$KEY_RING --location="$region" \
        --plaintext-file=- --ciphertext-file=- \
        --additional-authenticated-data-file=<(printf gmail-push-receiver/token-keys) --project="$project" < <(new_key_ring) |
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

new_key_ring() {
  local id
  id=$(date -u +%Y-%m-%d)
  printf '{"primary":"%s","keys":{"%s":"%s"}}' "$id" "$id" "$(openssl rand -base64 32)"
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

grant_rights() {
  step 'Rights'
  local name member secret
  for name in "${function_names[@]}"; do
    member=serviceAccount:$(email "$(kebab "$name")")
    may_use_database "$member"
    cloud pubsub topics add-iam-policy-binding "$changes_topic" --member="$member" \
      --role=roles/pubsub.publisher
    cloud kms keys add-iam-policy-binding $KEY --keyring=$KEY_RING --location="$region" \
      --member="$member" --role=roles/cloudkms.cryptoKeyDecrypter
    for secret in $(of "$name" secrets); do
      cloud secrets add-iam-policy-binding "$secret" --member="$member" \
        --role=roles/secretmanager.secretAccessor
    done
  done
  # Without a condition, even where other bindings of the project have one.
  cloud projects add-iam-policy-binding "$project" --member="serviceAccount:$(email $BUILDER)" \
    --role=roles/cloudbuild.builds.builder --condition=None
}

# Only the receiver's own database: the role alone opens every database of the project.
may_use_database() {
  local condition="resource.name==\"projects/$project/databases/$firestore_database\""
  cloud projects add-iam-policy-binding "$project" --member="$1" --role=roles/datastore.user \
    "--condition=expression=$condition,title=gmail-push-database"
  # An older version of this script granted it without the condition.
  if $deployed; then
    attempt gcloud projects remove-iam-policy-binding "$project" --member="$1" \
      --role=roles/datastore.user --condition=None --project="$project"
  fi
}

# One of its own: the shared one, gcf-artifacts, keeps every image for ever.
make_image_store() {
  step 'Images'
  exists artifacts repositories describe $IMAGES --location="$region" ||
    cloud artifacts repositories create $IMAGES --location="$region" --repository-format=docker
  cloud artifacts repositories set-cleanup-policies $IMAGES --location="$region" \
    --policy=infra/image-cleanup.json --no-dry-run
}

deploy_functions() {
  step 'Functions'
  if [[ -n $artefact ]]; then
    unpack_artefact
  else
    run npm run --silent build >&2
  fi
  comment "the settings, into $ENVIRONMENT_FILE"
  $dry_run || printf '%s\n' "$environment" >$ENVIRONMENT_FILE
  # The first one shows what is wrong. A build takes minutes, so the others go at the same time.
  deploy_function "${function_names[0]}"
  local name running=() failed=false
  for name in "${function_names[@]:1}"; do
    if $dry_run; then
      deploy_function "$name"
    else
      deploy_function "$name" >"$work/$name.log" 2>&1 3>&1 &
      running+=("$! $name")
    fi
  done
  for name in ${running[@]+"${running[@]}"}; do
    wait "${name% *}" || failed=true
    cat "$work/${name#* }.log" >&3
  done
  if $failed; then exit 1; fi
}

unpack_artefact() {
  local sums name sum
  sums=$(dirname "$artefact")/SHA256SUMS name=$(basename "$artefact")
  if [[ -r $sums ]]; then
    sum=$(openssl dgst -sha256 -r "$artefact" | cut -d ' ' -f 1)
    grep -qx "$sum  $name" "$sums" || stop "$name is not what $sums says. Get it again."
  fi
  $dry_run || rm -rf functions/dist/gcloud
  run unzip -q "$artefact" -d functions/dist/gcloud
}

deploy_function() {
  local name=$1 trigger flags caller
  trigger=$(of "$name" trigger)
  flags=(--trigger-http)
  if [[ $trigger == topic ]]; then
    flags=(--trigger-topic=$GMAIL_TOPIC --trigger-service-account="$(email $EVENT_INVOKER)")
  fi
  if $(of "$name" retry); then flags+=(--retry); fi
  # What calls a public function is said below: a policy of the organization may forbid it here.
  if ! $(of "$name" public); then flags+=(--no-allow-unauthenticated); fi
  cloud functions deploy "$name" --gen2 --region="$region" --runtime=nodejs24 \
    --source=functions/dist/gcloud --entry-point="$name" "${flags[@]}" \
    --ingress-settings="$(ingress_of "$name")" \
    --timeout="$(of "$name" timeout)s" --memory="$(of "$name" memory)Mi" \
    --cpu="$(of "$name" cpu)" --concurrency="$(of "$name" concurrency)" \
    --min-instances="$(of "$name" min)" --max-instances="$(of "$name" max)" \
    --env-vars-file=$ENVIRONMENT_FILE --set-secrets="$(pinned "$(of "$name" secrets)")" \
    --docker-repository="projects/$project/locations/$region/repositories/$IMAGES" \
    --run-service-account="$(email "$(kebab "$name")")" \
    --build-service-account="projects/$project/serviceAccounts/$(email $BUILDER)"
  if $(of "$name" public); then let_everybody_call "$name"; fi
  case $trigger in
    topic) may_invoke "$name" "$(email $EVENT_INVOKER)" ;;
    schedule) may_invoke "$name" "$(email $SCHEDULE_INVOKER)" ;;
  esac
  [[ $name == gmailApi ]] || return 0
  for caller in ${gmail_api_callers[@]+"${gmail_api_callers[@]}"}; do
    may_invoke "$name" "$caller"
  done
}

ingress_of() {
  # A client that reaches it without the load balancer could name any address as its own.
  if [[ $1 == connect && ${load_balancers:-0} != 0 ]]; then
    echo internal-and-gclb
  # Subscribers call gmailApi from everywhere; IAM alone decides who may.
  elif [[ $(of "$1" trigger) == http ]]; then
    echo all
  else
    echo internal-only
  fi
}

# An organization that lets only its own accounts in does not let everybody in by a right. Cloud Run can
# leave the question out instead; each deployment asks it again.
let_everybody_call() {
  local command errors
  command=(gcloud functions add-invoker-policy-binding "$1" --region="$region" --member=allUsers
    --project="$project")
  show "${command[@]}"
  if $dry_run; then return 0; fi
  errors=$(mktemp "$work/XXXXXX")
  "${command[@]}" >/dev/null 2>"$errors" && return 0
  case $(<"$errors") in
    *'permitted customer'* | *allowedPolicyMemberDomains*)
      cloud run services update "$(lower "$1")" --region="$region" --no-invoker-iam-check
      ;;
    *)
      cat "$errors" >&2
      fail "$(quoted "${command[@]}")" "$(<"$errors")"
      ;;
  esac
}

# may_invoke FUNCTION ACCOUNT
may_invoke() {
  cloud functions add-invoker-policy-binding "$1" --region="$region" --member="serviceAccount:$2"
}

# "A B" -> A=A:3,B=B:1
pinned() {
  local secret version pins=''
  for secret in $1; do
    version=version_of_$secret
    pins+=${pins:+,}$secret=$secret:${!version}
  done
  printf %s "$pins"
}

# Eventarc made the subscription: it drops after a day what cannot be delivered.
keep_dead_letters() {
  step 'Dead letters'
  local agent trigger subscription
  agent=serviceAccount:service-$project_number@gcp-sa-pubsub.iam.gserviceaccount.com
  trigger=$(ask "projects/$project/locations/$region/triggers/gmailnotification-000000" \
    functions describe gmailNotification --region="$region" '--format=value(eventTrigger.trigger)')
  subscription=$(ask \
    "projects/$project/subscriptions/eventarc-$region-gmailnotification-000000-sub-000" \
    eventarc triggers describe "$trigger" '--format=value(transport.pubsub.subscription)')
  cloud pubsub topics add-iam-policy-binding $DEAD_LETTERS --member="$agent" \
    --role=roles/pubsub.publisher
  cloud pubsub subscriptions add-iam-policy-binding "$subscription" --member="$agent" \
    --role=roles/pubsub.subscriber
  # Twenty attempts are more than two hours. A notification is only a hint: nothing is lost then.
  cloud pubsub subscriptions update "$subscription" --dead-letter-topic=$DEAD_LETTERS \
    --max-delivery-attempts=20 --min-retry-delay=10s --max-retry-delay=600s \
    --message-retention-duration=7d --expiration-period=never
}

make_schedules() {
  step 'Schedules'
  local name job uri flags is_there
  for name in "${function_names[@]}"; do
    [[ $(of "$name" trigger) == schedule ]] || continue
    job=$(kebab "$name")
    # By its run.app address: to a private function, nothing else counts as internal.
    uri=$(ask "https://$(lower "$name")-PROJECT_NUMBER.$region.run.app" \
      functions describe "$name" --region="$region" '--format=value(serviceConfig.uri)')
    flags=(--location="$region" --schedule="$(of "$name" schedule)" --time-zone=Etc/UTC --uri="$uri"
      --http-method=POST --oidc-service-account-email="$(email $SCHEDULE_INVOKER)"
      --oidc-token-audience="$uri" --attempt-deadline="$(of "$name" timeout)s"
      --max-retry-attempts="$(of "$name" retries)" --min-backoff="$(of "$name" backoff)s")
    is_there=false
    if exists scheduler jobs describe "$job" --location="$region"; then is_there=true; fi
    $is_there || cloud scheduler jobs create http "$job" "${flags[@]}"
    if $is_there || $dry_run; then cloud scheduler jobs update http "$job" "${flags[@]}"; fi
  done
}

# Cloud Run logs the URL of every request: some hold a code of Google's or a link that restores access.
keep_links_out_of_logs() {
  step 'Request logs'
  local names verb=add
  names=$(ask '' logging sinks describe _Default '--format=value(exclusions[].name)')
  # The items of a list are separated by semicolons.
  [[ ";$names;" != *";$exclusion_name;"* ]] || verb=update
  cloud logging sinks update _Default "--$verb-exclusion=$exclusion"
}

say_what_is_left() {
  step 'What is left'
  comment "People connect at $public_url/start"
  comment "Redirect URI of the OAuth client: $public_url/callback"
  comment "Changes arrive on $changes_topic: subscribe to it."
  comment "Is all of it well? npm run doctor -- --project $project --region $region"
}

# Shown text goes to the script's own output, even while other output is captured.
exec 3>&1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
main "$@"
