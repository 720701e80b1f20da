# A subscription that loses nothing by a default: it never expires, backs off, keeps what is not
# acknowledged for a week, and keeps what cannot be handled for a month.

locals {
  pubsub = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription" "this" {
  project = var.project_id
  name    = var.name
  topic   = var.topic
  filter  = var.filter
  # For a push it is also the time limit of the request; longer than any function of the receiver takes.
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s"
  enable_message_ordering    = var.is_ordered

  expiration_policy {
    ttl = "" # never
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.delivery_attempts_max
  }

  dynamic "push_config" {
    for_each = var.push[*]

    content {
      push_endpoint = push_config.value.endpoint

      oidc_token {
        service_account_email = push_config.value.service_account
        audience              = push_config.value.audience
      }
    }
  }
}

resource "google_pubsub_topic" "dead_letters" {
  project = var.project_id
  name    = "${var.name}-dead-letters"
}

# A topic without a subscription would lose them.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project_id
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = "" # never
  }
}

# Pub/Sub itself moves a dead letter: it publishes it there and acknowledges it here.
resource "google_pubsub_topic_iam_member" "publishes_dead_letters" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "acknowledges_dead_letters" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}
