data "google_project" "this" {
  project_id = var.project_id
}

locals {
  # What the six functions are, the same for every deploy tool.
  settings = jsondecode(file("${path.module}/../functions/src/entries/functions.json"))

  # The name of a Cloud Run service has no capitals: gmailNotification is gmail-notification.
  functions = {
    for name, setting in local.settings :
    name => merge(setting, { service = lower(replace(name, "/([A-Z])/", "-$1")) })
  }

  # Cloud Run serves under this URL and under the one with a random part. It is known before
  # anything is made, and so it can be registered with Google and given to the functions.
  urls = {
    for name, function in local.functions :
    name => "https://${function.service}-${data.google_project.this.number}.${var.region}.run.app"
  }
  public_url = coalesce(
    var.public_url,
    try("https://${var.domains.connect}", null),
    local.urls["connect"],
  )

  # The functions read their secrets as they start, so there have to be versions first.
  is_deployed = length(var.secret_versions) + length(var.secret_writes) > 0
}

resource "google_project_service" "api" {
  # The same as deploy.sh enables.
  for_each = toset(jsondecode(file("${path.module}/services.json")))

  project = var.project_id
  service = each.key
  # Others may use it in this project.
  disable_on_destroy = false
}

# Google's own account of Pub/Sub, which moves dead letters. Google makes it when it is first needed, and a
# right for it fails before that.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  project    = var.project_id
  service    = "pubsub.googleapis.com"
  depends_on = [google_project_service.api]
}
