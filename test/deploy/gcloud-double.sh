#!/usr/bin/env bash
# Stands for gcloud where infra/deploy.sh is run to its end, since no cloud can be had: notes every
# call, remembers what was made, and refuses the calls that contain what $CLOUD/refused holds.
set -euo pipefail

printf '%s\n' "gcloud $*" >>"$CLOUD/calls"
# What everybody on this machine sees of the processes, while a secret passes.
case "$*" in
  'kms encrypt'* | 'secrets versions add'*) ps -ww -eo args >>"$CLOUD/processes" ;;
esac
# Ends the script, as a kill does, once the call that contains this is done.
if [[ -e $CLOUD/kill && "$*" == *"$(<"$CLOUD/kill")"* ]]; then
  rm "$CLOUD/kill"
  trap 'kill -KILL "$(<"$CLOUD/pid")"' EXIT
fi
# Each refusal is a file: a part of the call, how often (0: always), and what is said.
for refusal in "$CLOUD"/refusals/*; do
  [[ -e $refusal ]] || continue
  { read -r part && read -r times && read -r said; } <"$refusal"
  [[ "$*" == *"$part"* ]] || continue
  if ((times == 1)); then rm "$refusal"; elif ((times > 1)); then printf '%s\n' "$part" $((times - 1)) "$said" >"$refusal"; fi
  printf '%s\n' "$said" >&2
  exit 1
done

flags='' words=()
for word; do
  case $word in
    --*) flags+=" $word" ;;
    http) ;;
    # An account is made by its name and found by its address.
    *) words+=("${word%@*.iam.gserviceaccount.com}") ;;
  esac
done
is_there() {
  [[ -e $CLOUD/things/$1 ]] && return
  printf 'ERROR: (gcloud) NOT_FOUND: There is no %s\n' "$1" >&2
  exit 1
}

said="${words[*]}"
# The thing, whatever is done with it.
thing=${said/ create/}
thing=${thing/ describe/}
thing=${thing//\//+}

case $said in
  'auth print-access-token') echo "$ACCESS_TOKEN" ;;
  'secrets versions list '*) [[ ! -e $CLOUD/secrets/${words[3]} ]] || echo 1 ;;
  'secrets versions describe 1')
    secret=${flags#*--secret=} secret=${secret%% *}
    [[ -e $CLOUD/secrets/$secret ]] && echo ENABLED || is_there "secrets versions 1 of $secret"
    ;;
  'secrets versions add '*)
    cat >"$CLOUD/secrets/${words[3]}"
    echo "projects/1/secrets/${words[3]}/versions/1"
    ;;
  'kms encrypt') printf 'wrapped:' && cat ;;
  'logging sinks describe _Default') cat "$CLOUD/exclusions" 2>/dev/null || true ;;
  'logging sinks update _Default')
    case $flags in
      *--add-exclusion=*) [[ ! -e $CLOUD/exclusions ]] && echo 'others;gmail-push-links' >"$CLOUD/exclusions" ;;
      *--remove-exclusions=*) rm "$CLOUD/exclusions" ;;
      *) [[ -e $CLOUD/exclusions ]] ;;
    esac
    ;;
  'firestore indexes fields list')
    for field in "$CLOUD"/fields/*; do [[ ! -e $field ]] || cat "$field"; done | paste -sd, | sed 's/^/[/; s/$/]/'
    ;;
  'firestore indexes fields update '*)
    group=${flags#*--collection-group=} group=${group%% *}
    indexes=$(grep -oE 'order=[A-Z]+' <<<"$flags" | sed -E 's/order=(.*)/{"queryScope":"COLLECTION","state":"READY","fields":[{"order":"\1"}]}/' | paste -sd, || true)
    printf '{"name":"projects/p/databases/d/collectionGroups/%s/fields/%s","indexConfig":{"indexes":[%s]}}\n' \
      "$group" "${words[4]}" "$indexes" >"$CLOUD/fields/$group ${words[4]/\*/all}"
    ;;
  'firestore fields ttls update '*)
    group=${flags#*--collection-group=} group=${group%% *}
    sed -i 's/}$/,"ttlConfig":{"state":"CREATING"}}/' "$CLOUD/fields/$group ${words[4]}"
    ;;
  'functions list') cat "$CLOUD/regions" 2>/dev/null || true ;;
  'functions deploy '*)
    : >"$CLOUD/things/functions ${words[2]}"
    cp functions/dist/environment.yaml "$CLOUD/environment"
    ;;
  *'identity create') ;;
  *' create'*)
    if [[ -e $CLOUD/things/$thing ]]; then
      printf 'ERROR: (gcloud) ALREADY_EXISTS: There is a %s\n' "$thing" >&2
      exit 1
    fi
    : >"$CLOUD/things/$thing"
    ;;
  *' delete '*)
    thing=${said/ delete/}
    thing=${thing//\//+}
    is_there "$thing"
    rm "$CLOUD/things/$thing"
    ;;
  *' describe '* | 'firestore databases describe')
    case $flags in
      *projectNumber*) echo PROJECT_NUMBER ;;
      *eventTrigger.trigger*) echo projects/demo-proj/locations/us-central1/triggers/gmailnotification-000000 ;;
      *transport.pubsub*) echo projects/demo-proj/subscriptions/eventarc-us-central1-gmailnotification-000000-sub-000 ;;
      *environmentVariables*)
        node -e 'const its = JSON.parse(require("fs").readFileSync(process.argv[1]));
          console.log([its.GMAIL_TOPIC, its.PUBLIC_URL, its.FIRESTORE_DATABASE].join("|"))' "$CLOUD/environment"
        ;;
      *serviceConfig.uri*) echo "https://${words[2],,}-PROJECT_NUMBER.us-central1.run.app" ;;
      *) is_there "$thing" ;;
    esac
    ;;
esac
