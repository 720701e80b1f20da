# shellcheck shell=bash
# The Firestore database with its rules and indexes.

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
