#!/usr/bin/env bash
# Takes an empty Google Cloud project to a running receiver, and a running one to the present code
# and settings. What is there already is left alone or brought up to date, so that it can be run
# again at any time, above all after it has stopped. See --help.
set -euo pipefail
called_from=$PWD
# CDPATH could lead elsewhere.
CDPATH='' cd -- "$(dirname -- "$0")/.."
source infra/deploy/tools.sh
source infra/deploy/advice.sh
source infra/deploy/database.sh
source infra/deploy/key-ring.sh
source infra/deploy/secrets.sh
source infra/deploy/functions.sh
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
              version, its functions and their sizes, with the settings and the numbers of instances of
              this folder; what differs is said. Checked by a SHA256SUMS next to it
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
  read_artefact
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
  name_left_functions
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
  local assignments file=$env_file
  # Terraform has its settings elsewhere.
  if $check_only && [[ -z $file ]]; then
    file=$work/.env
    echo OAUTH_CLIENT_ID=unknown >"$file"
  fi
  assignments=$(node_modules/.bin/tsx infra/deploy-settings.ts "$project" "$region" "$file" "$release") ||
    refuse "fix ${env_file:-what is missing: cp infra/.env.example infra/.env.$project, and set it there}"
  # Sets region, public_url, function_names and what else infra/deploy-settings.ts names; all quoted.
  eval "$assignments"
  local note
  for note in ${release_notes[@]+"${release_notes[@]}"}; do comment "$note"; done
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
  stop_elsewhere
  read_connect || return 0
  [[ -n $gmail_topic ]] ||
    stop "There is a function named connect in $region that is not this receiver's: use another project."
  deployed=true
  stays PUBLIC_URL "$public_url" "$had_url" \
    "first add $public_url/callback to the redirect URIs of the OAuth client, then"
  stays FIRESTORE_DATABASE "$firestore_database" "${had_database:-(default)}" \
    'move the users first (infra/docs/runbook.md, "Moving to a database of its own"), then'
}

# A receiver in another region would keep its topic, accounts and secrets, but not its key.
stop_elsewhere() {
  local regions other
  regions=$(ask '' functions list '--format=value(name.segment(3))' \
    '--filter=name~/functions/connect$ AND serviceConfig.environmentVariables.GMAIL_TOPIC:*')
  for other in $regions; do
    [[ $other == "$region" ]] || stop "The receiver of this project runs in $other, not in $region.
Run it again with --region $other, or put REGION=$other into ${env_file:-infra/.env.$project}."
  done
}

# Sets gmail_topic, had_url and had_database, if there is a function connect.
read_connect() {
  exists functions describe connect --region="$region" || return 1
  local had=serviceConfig.environmentVariables
  had=$(ask '' functions describe connect --region="$region" \
    "--format=value[separator='|']($had.GMAIL_TOPIC,$had.PUBLIC_URL,$had.FIRESTORE_DATABASE)") || exit 1
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
    take_away projects remove-iam-policy-binding "$project" --member="$1" \
      --role=roles/datastore.user --condition=None
  fi
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
  local verb=add
  if keeps_links_out; then verb=update; fi
  cloud logging sinks update _Default "--$verb-exclusion=$exclusion"
}

keeps_links_out() {
  local names
  names=$(ask '' logging sinks describe _Default '--format=value(exclusions[].name)') || exit 1
  # The items of a list are separated by semicolons.
  [[ ";$names;" == *";$exclusion_name;"* ]]
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
# Functions are deployed in the background, where an interrupt does not arrive.
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
main "$@"
