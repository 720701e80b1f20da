# One account for each function, so that each can do, and be seen to do, only what it calls.
resource "google_service_account" "function" {
  for_each = local.functions

  project      = var.project_id
  account_id   = each.value.service
  display_name = "Runs the function ${each.key}"
  depends_on   = [google_project_service.api]
}

resource "google_project_iam_member" "function_uses_firestore" {
  for_each = local.functions

  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.function[each.key].member

  condition {
    title      = "gmail-push-database"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.receiver.name}\""
  }
}

# Every one of them may find that a grant has ended, and announces it.
resource "google_pubsub_topic_iam_member" "function_publishes_changes" {
  for_each = local.functions

  project = var.project_id
  topic   = google_pubsub_topic.changes.name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function[each.key].member
}

resource "google_kms_crypto_key_iam_member" "function_opens_token_keys" {
  for_each = local.functions

  crypto_key_id = google_kms_crypto_key.token_keys.id
  role          = "roles/cloudkms.cryptoKeyDecrypter"
  member        = google_service_account.function[each.key].member
}

resource "google_secret_manager_secret_iam_member" "function_reads_secret" {
  for_each = {
    for pair in flatten([
      for secret, readers in local.secret_readers : [
        for reader in readers : { secret = secret, reader = reader }
      ]
    ]) : "${pair.secret} ${pair.reader}" => pair
  }

  project   = var.project_id
  secret_id = google_secret_manager_secret.secret[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.reader].member
}

# The two callers of the functions that are not public.
resource "google_service_account" "pubsub" {
  project      = var.project_id
  account_id   = "notification-push"
  display_name = "Pub/Sub pushes notifications as this account"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "scheduler" {
  project      = var.project_id
  account_id   = "schedules"
  display_name = "Cloud Scheduler calls as this account"
  depends_on   = [google_project_service.api]
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = {
    for name, function in google_cloudfunctions2_function.function :
    name => function if local.functions[name].public ? var.invoker_iam_check : local.functions[name].trigger != "http"
  }

  project  = var.project_id
  location = var.region
  name     = each.value.name
  role     = "roles/run.invoker"
  member = local.functions[each.key].public ? "allUsers" : {
    topic    = google_service_account.pubsub.member
    schedule = google_service_account.scheduler.member
  }[local.functions[each.key].trigger]
}

# Where a policy of the organization refuses allUsers. Each deployment of a function asks again, and Google's
# provider has no argument for it.
resource "terraform_data" "open" {
  for_each = {
    for name, function in google_cloudfunctions2_function.function :
    name => function.name if local.functions[name].public && !var.invoker_iam_check
  }

  provisioner "local-exec" {
    command     = "gcloud run services update ${each.value} --no-invoker-iam-check --region=${var.region} --project=${var.project_id}"
    environment = { CLOUDSDK_CORE_DISABLE_PROMPTS = "1" }
  }

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.function[each.key]]
  }
}

# Each of these accounts can read the mail of every connected person.
resource "google_cloud_run_v2_service_iam_member" "gmail_api_caller" {
  for_each = local.is_deployed ? var.gmail_api_callers : []

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.function["gmailApi"].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${each.key}"
}

# Without one of its own, Cloud Build builds as the default compute account, an editor.
resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = "function-build"
  display_name = "Builds the functions"
  depends_on   = [google_project_service.api]
}

resource "google_project_iam_member" "build" {
  for_each = toset([
    "roles/artifactregistry.writer",
    "roles/logging.logWriter",
    "roles/storage.objectViewer",
  ])

  project = var.project_id
  role    = each.key
  member  = google_service_account.build.member
}
