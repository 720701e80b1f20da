locals {
  exclusion = jsondecode(file("${path.module}/log-exclusion.json"))
}

# Cloud Run logs the URL of every request: some hold a code of Google's or a link that restores access.
# An exclusion of the sink _Default: other sinks of the project have to leave them out themselves.
resource "google_logging_project_exclusion" "links" {
  project     = var.project_id
  name        = local.exclusion.name
  description = local.exclusion.description
  filter      = local.exclusion.filter
  depends_on  = [google_project_service.api]
}
