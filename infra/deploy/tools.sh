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

# Runs a gcloud command in the project, for its effect. It may not read its standard input: it is run
# again while Google does not know yet what the steps before have made.
cloud() {
  show gcloud "$@" --project="$project"
  if $dry_run; then return 0; fi
  local try errors
  errors=$(mktemp "$work/XXXXXX")
  for ((try = 1; ; try++)); do
    if gcloud "$@" --project="$project" >/dev/null 2>"$errors"; then break; fi
    if ((try == TRIES_MAX)) || ! is_passing "$(<"$errors")"; then
      cat "$errors" >&2
      fail "$(quoted gcloud "$@" --project="$project")" "$(<"$errors")"
    fi
    comment "Google does not know everything yet: try again in $PAUSE_SECONDS seconds ($try of $TRIES_MAX)"
    sleep "$PAUSE_SECONDS"
  done
  cat "$errors" >&2
}

# Whether a gcloud command finds something. In a dry run nothing is there.
exists() {
  show gcloud "$@" --project="$project"
  ! $dry_run && gcloud "$@" --project="$project" >/dev/null 2>&1
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
  "$@" 2>"$errors" || {
    cat "$errors" >&2
    fail "$(quoted "$@")" "$(<"$errors")"
  }
  cat "$errors" >&2
}

# Runs what may fail because there is nothing to do.
attempt() {
  show "$@"
  if $dry_run; then return 0; fi
  "$@" >/dev/null 2>&1 || true
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

# fail COMMAND WHAT-IT-SAID
fail() {
  printf '\ndeploy.sh stopped at: %s\nIt was: %s\n%s\n' "$current_step" "$1" "$(advice "$2")" >&2
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
