# Counts of what is logged, for the dashboard: Cloud Logging has the entries themselves.
resource "google_logging_metric" "events" {
  project     = var.project_id
  name        = "gmail-push-events"
  description = "What the Gmail push receiver logged."
  filter      = "${local.our_logs} AND jsonPayload.event:*"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    dynamic "labels" {
      for_each = ["event", "outcome", "severity"]

      content {
        key = labels.value
      }
    }
  }

  label_extractors = {
    event    = "EXTRACT(jsonPayload.event)"
    outcome  = "EXTRACT(jsonPayload.outcome)"
    severity = "EXTRACT(severity)"
  }

  depends_on = [google_project_service.api]
}

locals {
  event_counts = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.events.name}\" AND metric.labels"
  run_metrics  = "${local.our_runs} AND metric.type=\"run.googleapis.com"

  # Read from the top: does the stream flow, has anyone lost access, does anything fail.
  charts = [
    {
      title  = "Notifications pushed, by answer"
      filter = "${local.subscription_metrics}/push_request_count\" AND resource.labels.subscription_id=\"gmail-notifications\""
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "metric.labels.response_class"
    },
    {
      title  = "Oldest notification that waits, seconds"
      filter = "${local.subscription_metrics}/oldest_unacked_message_age\" AND resource.labels.subscription_id=\"gmail-notifications\""
      each   = "ALIGN_MAX", all = "REDUCE_MAX", by = "resource.labels.subscription_id"
    },
    {
      title  = "Mailboxes synced, by outcome"
      filter = "${local.event_counts}.event=one_of(${local.quoted.sync})"
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "metric.labels.outcome"
    },
    {
      title  = "Publishes of changes, by answer"
      filter = "resource.type=\"pubsub_topic\" AND resource.labels.topic_id=\"${google_pubsub_topic.changes.name}\" AND metric.type=\"pubsub.googleapis.com/topic/send_request_count\""
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "metric.labels.response_class"
    },
    {
      title  = "Connections"
      filter = "${local.event_counts}.event=one_of(${local.quoted.connection})"
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "metric.labels.event"
    },
    {
      title  = "Warnings, errors and alerts"
      filter = "${local.event_counts}.severity=one_of(\"WARNING\", \"ERROR\", \"CRITICAL\")"
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "metric.labels.event"
    },
    {
      title  = "Requests, by function"
      filter = "${local.run_metrics}/request_count\""
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "resource.labels.service_name"
    },
    {
      title  = "Requests that failed, by function"
      filter = "${local.run_metrics}/request_count\" AND metric.labels.response_code_class=\"5xx\""
      each   = "ALIGN_DELTA", all = "REDUCE_SUM", by = "resource.labels.service_name"
    },
    {
      title  = "Duration of a request, 95 % are below, milliseconds"
      filter = "${local.run_metrics}/request_latencies\""
      each   = "ALIGN_PERCENTILE_95", all = "REDUCE_MAX", by = "resource.labels.service_name"
    },
    {
      title  = "Instances, by function"
      filter = "${local.run_metrics}/container/instance_count\""
      each   = "ALIGN_MAX", all = "REDUCE_SUM", by = "resource.labels.service_name"
    },
  ]
}

resource "google_monitoring_dashboard" "receiver" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "Gmail push receiver"
    gridLayout = {
      columns = "2"
      widgets = [
        for chart in local.charts : {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = "300s"
                    perSeriesAligner   = chart.each
                    crossSeriesReducer = chart.all
                    groupByFields      = [chart.by]
                  }
                }
              }
            }]
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.api]
}
