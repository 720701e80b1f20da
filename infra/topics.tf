resource "google_pubsub_topic" "gmail" {
  project    = var.project_id
  name       = "gmail-notifications"
  depends_on = [google_project_service.api]
}

# Gmail publishes by this account of its own (Gmail push guide, "Grant publish rights on your topic").
resource "google_pubsub_topic_iam_member" "gmail_publishes" {
  project = var.project_id
  topic   = google_pubsub_topic.gmail.name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
}

resource "google_pubsub_topic" "changes" {
  project = var.project_id
  name    = "mailbox-changes"
  # A subscriber who comes later or has to start again can seek back this far.
  message_retention_duration = "604800s"
  depends_on                 = [google_project_service.api]
}

# A push subscription of our own in place of an event trigger: Eventarc's keeps a message for a day,
# has no dead letters, and its settings are not ours.
module "notifications" {
  source = "./modules/subscription"
  count  = local.is_deployed ? 1 : 0

  project_id     = var.project_id
  project_number = data.google_project.this.number
  name           = "gmail-notifications"
  topic          = google_pubsub_topic.gmail.id
  push = {
    endpoint        = google_cloudfunctions2_function.function["gmailNotification"].service_config[0].uri
    audience        = google_cloudfunctions2_function.function["gmailNotification"].service_config[0].uri
    service_account = google_service_account.pubsub.email
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker, google_project_service_identity.pubsub]
}
