# shellcheck shell=bash
# What the steps of deploy.sh are made of: commands that are shown, run, and tried again while Google
# makes something known.

# New accounts, agents and services take some minutes to be known everywhere.
TRIES_MAX=8
PAUSE_SECONDS=20

email() { printf %s "$1@$project.iam.gserviceaccount.com"; }

kebab() { printf %s "$1" | sed 's/[A-Z]/-&/g' | tr '[:upper:]' '[:lower:]'; }

lower() { printf %s "$1" | tr '[:upper:]' '[:lower:]'; }

step() {
  current_step=$1
  comment "$1"
}

comment() { printf '# %s\n' "$1" >&3; }

# Runs a gcloud command in the project, for its effect. It may not read its standard input.
cloud() {
  show gcloud "$@" --project="$project"
  if $dry_run; then return 0; fi
  local errors
  errors=$(mktemp "$work/XXXXXX")
  patiently "$errors" "$@" || fail_with "$errors" gcloud "$@" --project="$project"
  cat "$errors" >&2
}

# Whether a gcloud command finds something. In a dry run nothing is there. Only Google's own "not found"
# is a no: any other error, such as a lost connection, says nothing about it.
exists() {
  show gcloud "$@" --project="$project"
  if $dry_run; then return 1; fi
  local errors
  errors=$(mktemp "$work/XXXXXX")
  if patiently "$errors" "$@"; then return 0; fi
  is_missing "$(<"$errors")" || fail_with "$errors" gcloud "$@" --project="$project"
  return 1
}

# Runs a gcloud command that takes something away, which may be gone already.
take_away() {
  show gcloud "$@" --project="$project"
  if $dry_run; then return 0; fi
  local errors
  errors=$(mktemp "$work/XXXXXX")
  if patiently "$errors" "$@" || is_missing "$(<"$errors")"; then return 0; fi
  fail_with "$errors" gcloud "$@" --project="$project"
}

# patiently FILE COMMAND...: runs a gcloud command in the project, again while Google does not know yet
# what the steps before have made. The file gets what the last run said of errors.
patiently() {
  local errors=$1 try
  shift
  for ((try = 1; ; try++)); do
    if gcloud "$@" --project="$project" >/dev/null 2>"$errors"; then return 0; fi
    if ((try == TRIES_MAX)) || ! is_passing "$(<"$errors")"; then return 1; fi
    comment "Google does not know everything yet: try again in $PAUSE_SECONDS seconds ($try of $TRIES_MAX)"
    sleep "$PAUSE_SECONDS"
  done
}

# What a gcloud command says; in a dry run, what is given first.
ask() {
  local instead=$1
  shift
  if $dry_run; then
    show gcloud "$@" --project="$project"
    printf '%s\n' "$instead"
  else
    run gcloud "$@" --project="$project"
  fi
}

run() {
  show "$@"
  if $dry_run; then return 0; fi
  local errors
  errors=$(mktemp "$work/XXXXXX")
  "$@" 2>"$errors" || fail_with "$errors" "$@"
  cat "$errors" >&2
}

show() { quoted "$@" >&3; }

quoted() {
  local word line=''
  for word; do
    case $word in
      *\'*) word=$(printf %q "$word") ;;
      '' | *[!A-Za-z0-9_@%+=:,./~-]*) word="'$word'" ;;
    esac
    line+="${line:+ }$word"
  done
  printf '%s\n' "$line"
}

# fail_with FILE COMMAND...: ends the script after a command that said what is in the file.
fail_with() {
  local errors=$1
  shift
  cat "$errors" >&2
  printf '\ndeploy.sh stopped at: %s\nIt was: %s\n%s\n' \
    "$current_step" "$(quoted "$@")" "$(advice "$(<"$errors")")" >&2
  printf 'What is done stays done: run the same command again to go on.\n' >&2
  exit 1
}

# stop WHAT: for what no command of Google's said.
stop() {
  printf '\ndeploy.sh stopped at: %s\n%s\n' "$current_step" "$1" >&2
  exit 1
}

refuse() {
  printf 'deploy.sh: %s\n' "$1" >&2
  exit 2
}
