# These policies match log entries, not a log-based metric: a new metric cannot be alerted on for some
# minutes, and its alert would show a count instead of the entry. Google charges for each condition, so
# events share two. Each event has incidents of its own, because the condition extracts it as a label.
locals {
  # What is alerted on below CRITICAL.
  lesser_events = { for event, alert in local.alerting_events : event => alert.severity if alert.severity != "CRITICAL" }

  event_alerts = {
    "a critical event" = {
      severity = "CRITICAL"
      # Every one, so that a new event is never silent.
      filter = "severity>=CRITICAL"
      events = local.alerting_events
      note   = "Only a person can fix this. A record without an event comes from the instance itself."
    }
    "an event to look at" = {
      severity = "ERROR"
      filter   = "severity<CRITICAL AND (${join(" OR ", [for event, severity in local.lesser_events : "(jsonPayload.event=\"${event}\" AND severity>=${severity})"])})"
      events   = { for event in keys(local.lesser_events) : event => local.alerting_events[event] }
      note     = "Changes may be late or missing."
    }
  }
}

resource "google_monitoring_alert_policy" "event" {
  for_each = local.event_alerts

  project               = var.project_id
  display_name          = "Gmail push: ${each.key}"
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key

    condition_matched_log {
      filter           = "${local.our_logs} AND ${each.value.filter}"
      label_extractors = { event = "EXTRACT(jsonPayload.event)" }
    }
  }

  alert_strategy {
    auto_close = "3600s"

    # Another event may come soon after the first.
    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content = "${each.value.note} The event is `$${log.extracted_label.event}`.\n\n${join("\n", [for event, alert in each.value.events : "- `${event}`: ${alert.note}"])}\n\nEach has a section there. ${local.runbook}#${replace(each.key, " ", "-")}"
  }

  depends_on = [google_project_service.api]
}

locals {
  runbook              = "What to do: infra/docs/runbook.md"
  subscription_metrics = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription"

  alerting_metrics = {
    "dead letters" = {
      filter    = "${local.subscription_metrics}/num_undelivered_messages\" AND resource.labels.subscription_id=\"gmail-notifications-dead-letters\""
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = "60s"
      threshold = 0
      severity  = "ERROR"
      note      = "Each of these notifications failed a hundred times. No change is lost, because the reconciliation reads mailboxes without notifications too. The log of gmailNotification says why they failed."
    }
    "notifications wait" = {
      filter    = "${local.subscription_metrics}/oldest_unacked_message_age\" AND resource.labels.subscription_id=\"gmail-notifications\""
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = "300s"
      threshold = 900
      severity  = "ERROR"
      note      = "A notification has waited for more than 15 minutes: gmailNotification fails, or has too few instances."
    }
    "requests above budget" = {
      filter    = "${local.our_runs} AND metric.type=\"run.googleapis.com/request_count\""
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      period    = "3600s"
      threshold = var.requests_per_hour_max
      severity  = "WARNING"
      note      = "The functions received more than requests_per_hour_max requests in an hour. Have more mailboxes been connected, or is someone flooding the public functions?"
    }
  }
}

resource "google_monitoring_alert_policy" "metric" {
  for_each = local.alerting_metrics

  project               = var.project_id
  display_name          = "Gmail push: ${each.key}"
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = "0s"

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    content = "${each.value.note} ${local.runbook}#${replace(each.key, " ", "-")}"
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "failing_function" {
  project               = var.project_id
  display_name          = "Gmail push: a function fails"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "more than 5 % of its requests in ten minutes"

    condition_threshold {
      filter             = "${local.our_runs} AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
      denominator_filter = "${local.our_runs} AND metric.type=\"run.googleapis.com/request_count\""
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.05
      duration           = "0s"

      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.labels.service_name"]
      }

      denominator_aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.labels.service_name"]
      }
    }
  }

  documentation {
    content = "Nothing is lost yet: Pub/Sub redelivers failed notifications, and schedules run again. Look for `notification_failed`, `request_failed` and `due_user_failed` in its log. ${local.runbook}#a-function-fails"
  }

  depends_on = [google_project_service.api]
}

# A successful run responds with 204. None for this long means that the function fails or is not
# called. Cloud Monitoring does not count a function that never ran as absent: its failures raise the
# alert above.
resource "google_monitoring_alert_policy" "schedule_not_run" {
  for_each = {
    mailboxReconciliation = { duration = "600s", note = "Mailboxes are read only when Gmail sends a notification, and scheduled retries do not run." }
    watchRenewal          = { duration = "1800s", note = "Watches are not renewed. A watch ends seven days after its last renewal." }
  }

  project               = var.project_id
  display_name          = "Gmail push: ${each.key} has not run"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "no run for ${each.value.duration}"

    condition_absent {
      filter   = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.functions[each.key].service}\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"2xx\""
      duration = each.value.duration

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content = "${each.value.note} ${local.runbook}#${lower(each.key)}-has-not-run"
  }

  depends_on = [google_project_service.api]
}
