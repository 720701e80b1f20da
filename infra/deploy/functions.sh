# shellcheck shell=bash
# The functions, who may call them, and where their images are.

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

# Sets release, the file in which the archive says what its version needs.
read_artefact() {
  release=''
  if [[ -z $artefact ]]; then return 0; fi
  step 'Release'
  local sums name sum
  sums=$(dirname "$artefact")/SHA256SUMS name=$(basename "$artefact")
  if [[ -r $sums ]]; then
    sum=$(openssl dgst -sha256 -r "$artefact" | cut -d ' ' -f 1)
    grep -qxF "$sum  $name" "$sums" || stop "$name is not what $sums says. Get it again."
  else
    comment 'There is no SHA256SUMS next to it: it is taken as it is'
  fi
  release=$work/deployment.json
  unzip -p "$artefact" deployment.json >"$release" 2>/dev/null || release=''
  [[ -n $release ]] || comment 'It does not say what it needs: the functions are those of this folder'
}

# An older version may lack a function. What runs of a newer one would go on next to it.
name_left_functions() {
  local name
  for name in ${left_functions[@]+"${left_functions[@]}"}; do
    if exists functions describe "$name" --region="$region"; then
      comment "$name is not in this version, and runs on as it is. This would remove it:"
      show gcloud functions delete "$name" --region="$region" --project="$project"
    fi
  done
}

unpack_artefact() {
  $dry_run || rm -rf functions/dist/gcloud
  # A folder in which nothing was built has none.
  mkdir -p functions/dist
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
  if [[ $invoker_iam_check == false ]]; then
    leave_out_the_question "$1"
    return 0
  fi
  command=(functions add-invoker-policy-binding "$1" --region="$region" --member=allUsers)
  show gcloud "${command[@]}" --project="$project"
  if $dry_run; then return 0; fi
  errors=$(mktemp "$work/XXXXXX")
  if patiently "$errors" "${command[@]}"; then return 0; fi
  case $(<"$errors") in
    *'permitted customer'* | *allowedPolicyMember*) leave_out_the_question "$1" ;;
    *)
      fail_with "$errors" gcloud "${command[@]}" --project="$project"
      ;;
  esac
}

leave_out_the_question() {
  cloud run services update "$(lower "$1")" --region="$region" --no-invoker-iam-check
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
