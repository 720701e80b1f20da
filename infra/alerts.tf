# Alerts on what is logged look at the log itself: a metric made of it cannot be alerted on until
# some minutes after it was made, and then shows a count where this shows the entry.
resource "google_monitoring_alert_policy" "event" {
  for_each = local.alerting_events

  project               = var.project_id
  display_name          = "Gmail push: ${each.key}"
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key

    condition_matched_log {
      filter = "${local.our_logs} AND jsonPayload.event=\"${each.key}\" AND severity>=${each.value.severity}"
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "${each.value.note} ${local.runbook}#${each.key}"
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "other_critical_event" {
  project               = var.project_id
  display_name          = "Gmail push: another critical event"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "CRITICAL"

    condition_matched_log {
      filter = "${local.our_logs} AND severity>=CRITICAL AND NOT jsonPayload.event=(${join(" OR ", [for event in keys(local.alerting_events) : "\"${event}\""])})"
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "Only a person can mend it. functions/ARCHITECTURE.md says what the event means; a record without one is not ours, but of the instance itself. ${local.runbook}#another-critical-event"
  }

  depends_on = [google_project_service.api]
}

locals {
  runbook              = "What to do: infra/RUNBOOK.md"
  subscription_metrics = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription"

  alerting_metrics = {
    "dead letters" = {
      filter    = "${local.subscription_metrics}/num_undelivered_messages\" AND resource.labels.subscription_id=\"gmail-notifications-dead-letters\""
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = "60s"
      threshold = 0
      severity  = "ERROR"
      note      = "Notifications failed a hundred times each. No change is lost, because mailboxes are read without them too; the log of gmailNotification says why they failed."
    }
    "notifications wait" = {
      filter    = "${local.subscription_metrics}/oldest_unacked_message_age\" AND resource.labels.subscription_id=\"gmail-notifications\""
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = "300s"
      threshold = 900
      severity  = "ERROR"
      note      = "A notification has waited for more than a quarter of an hour: gmailNotification fails, or has too few instances."
    }
    "requests above budget" = {
      filter    = "${local.our_runs} AND metric.type=\"run.googleapis.com/request_count\""
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      period    = "3600s"
      threshold = var.requests_per_hour_max
      severity  = "WARNING"
      note      = "More requests in an hour than requests_per_hour_max. Have more mailboxes been connected, or does somebody call the public functions?"
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
    content = "Failed notifications come again and schedules run again, so nothing is lost yet. Look for `notification_failed`, `request_failed` and `due_user_failed` in its log. ${local.runbook}#a-function-fails"
  }

  depends_on = [google_project_service.api]
}

# A run that went through answers 204. None for this long means that it fails or is not called. What
# never ran at all is not absent for Cloud Monitoring: its failures show as those of a function.
resource "google_monitoring_alert_policy" "schedule_not_run" {
  for_each = {
    mailboxReconciliation = { duration = "600s", note = "Mailboxes are read only when Gmail pushes, and nothing that was put off is done." }
    watchRenewal          = { duration = "1800s", note = "Watches are not renewed. They end seven days after they were made." }
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
