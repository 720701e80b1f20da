# What is built on the events of the log. `npm run generate` writes log-events.json from
# functions/src/platform/log-events.ts.
locals {
  log_events = jsondecode(file("${path.module}/log-events.json"))

  # The events with a note of their own in an alert. Every record at CRITICAL raises one.
  alerting_events = local.log_events.alerts

  # What the dashboard counts in addition to everything from WARNING on.
  connection_events = [for event, chart in local.log_events.charts : event if chart == "connection"]
  sync_events       = [for event, chart in local.log_events.charts : event if chart == "sync"]

  # As the filters of Cloud Logging (x OR y) and of Cloud Monitoring (one_of(x, y)) list them.
  service_names = [for function in values(local.functions) : "\"${function.service}\""]
  our_logs      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", local.service_names)})"
  our_runs      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=one_of(${join(", ", local.service_names)})"
  quoted = {
    connection = join(", ", [for event in local.connection_events : "\"${event}\""])
    sync       = join(", ", [for event in local.sync_events : "\"${event}\""])
  }
}
