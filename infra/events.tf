# Everything here that goes by what the functions log; functions/ARCHITECTURE.md has all events.
locals {
  # Somebody has to look at these. Every other event at CRITICAL has one policy together, so that a
  # new one is never silent.
  alerting_events = {
    config_invalid  = { severity = "CRITICAL", note = "Nothing works. The field `problems` names every variable that is wrong." }
    token_keys_invalid     = { severity = "CRITICAL", note = "Nothing works: TOKEN_KEYS is not a key ring, or Cloud KMS does not open it. See `problems` or `error`." }
    misconfigured           = { severity = "CRITICAL", note = "Google refuses our client, project or topic; `reason` says which. No user is flagged. Mailboxes go on by themselves once it is mended." }
    circuit_open            = { severity = "CRITICAL", note = "Google refused our configuration for three users with no success in between; this instance pauses the call for a minute at a time." }
    fleet_guard             = { severity = "CRITICAL", note = "Many grants failed at once and no refresh succeeds, so it may be a mistake of ours, and nobody more is flagged. Was the OAuth client, its secret or TOKEN_KEYS changed?" }
    mailbox_delayed         = { severity = "CRITICAL", note = "A mailbox has been incomplete for MAILBOX_DELAYED_AFTER_MS (half an hour unless it is set), and subscribers were told. One mailbox: Google refuses it, and after a day it becomes unavailable. Many: look for a cause of ours beside it." }
    grant_of_another_client = { severity = "CRITICAL", note = "Stored grants belong to another OAuth client than the configured one. No user is flagged, and their mailboxes wait. Was OAUTH_CLIENT_ID changed?" }
    token_decrypt_failed = { severity = "CRITICAL", note = "A stored token does not open with our keys. Is a key missing from TOKEN_KEYS?" }
    renewal_misconfigured   = { severity = "CRITICAL", note = "Watches cannot be renewed because of our set-up; they end seven days after they were made." }
    authorization_failed    = { severity = "CRITICAL", note = "A person could not connect because of our set-up." }
    history_gap             = { severity = "ERROR", note = "Gmail no longer keeps the history after a cursor. The gap is told and recovered; many of them mean that mailboxes are read too seldom." }
    push_missed             = { severity = "ERROR", note = "Mailboxes change and Gmail tells nothing. May Gmail publish to the topic gmail-notifications, and is its subscription there?" }
    watch_lapsed            = { severity = "WARNING", note = "A watch ended before it was renewed. The mailbox is read every few minutes until it is." }
  }

  # What the dashboard counts beside everything from WARNING on.
  connection_events = ["user_connected", "user_flagged", "user_disconnected", "mailbox_restored"]
  sync_events       = ["mailbox_synced"]

  # As the filters of Cloud Logging (x OR y) and of Cloud Monitoring (one_of(x, y)) list them.
  service_names = [for function in values(local.functions) : "\"${function.service}\""]
  our_logs      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", local.service_names)})"
  our_runs      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=one_of(${join(", ", local.service_names)})"
  quoted = {
    connection = join(", ", [for event in local.connection_events : "\"${event}\""])
    sync       = join(", ", [for event in local.sync_events : "\"${event}\""])
  }
}
