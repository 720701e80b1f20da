resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-gmail-push-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  depends_on                  = [google_project_service.api]
}

# Named by what it holds, so that a new build is a new object, and the functions are deployed again.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "${filesha256(var.source_zip)}.zip"
  source = var.source_zip
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.region
  repository_id = "gmail-push-images"
  format        = "DOCKER"

  cleanup_policies {
    id     = "delete-old-images"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "604800s"
    }
  }

  cleanup_policies {
    id     = "keep-recent-images"
    action = "KEEP"

    most_recent_versions {
      keep_count = 3
    }
  }

  depends_on = [google_project_service.api]
}

# All six are made without an event trigger: what calls gmailNotification is in topics.tf.
resource "google_cloudfunctions2_function" "function" {
  for_each = { for name, function in local.functions : name => function if local.is_deployed }

  project     = var.project_id
  location    = var.region
  name        = each.value.service
  description = "Gmail push receiver: ${each.key}"

  build_config {
    runtime         = "nodejs24"
    entry_point     = each.key
    service_account = google_service_account.build.id
    # One of its own: the shared one, gcf-artifacts, keeps every image for ever.
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }

    # Security patches of Node and its base image come without a new deployment.
    automatic_update_policy {}
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    available_cpu                    = tostring(each.value.cpu)
    available_memory                 = "${each.value.memoryMiB}Mi"
    timeout_seconds                  = each.value.timeoutSeconds
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = each.value.minInstances
    max_instance_count               = each.value.maxInstances
    all_traffic_on_latest_revision   = true
    # Pub/Sub and Cloud Scheduler of this project count as internal. Subscribers call `gmailApi` from
    # everywhere; IAM alone decides who may. A client that reaches `connect`
    # without the load balancer could name any address as its own.
    ingress_settings = each.value.trigger != "http" ? "ALLOW_INTERNAL_ONLY" : (
      each.key == "connect" && lookup(merge(local.balancers, var.settings), "LOAD_BALANCERS", "0") != "0" ?
      "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
    )

    # Half of the memory: Google's build would give the heap 80 % of it.
    environment_variables = merge({ NODE_OPTIONS = "--max-old-space-size=256" }, local.balancers, var.settings, {
      GOOGLE_CLOUD_PROJECT = var.project_id
      FIRESTORE_DATABASE   = google_firestore_database.receiver.name
      GMAIL_TOPIC          = google_pubsub_topic.gmail.id
      CHANGES_TOPIC        = google_pubsub_topic.changes.id
      PUBLIC_URL           = local.public_url
      OAUTH_CLIENT_ID      = var.oauth_client_id
      TOKEN_KEYS_KMS_KEY   = google_kms_crypto_key.token_keys.id
      # Else the functions-framework puts the message of an error into the answer.
      NODE_ENV = "production"
    })

    dynamic "secret_environment_variables" {
      for_each = {
        for name, version in local.secret_versions :
        name => version if contains(local.secret_readers[name], each.key)
      }

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = google_secret_manager_secret.secret[secret_environment_variables.key].secret_id
        version    = secret_environment_variables.value
      }
    }
  }

  # An instance that starts before its rights are there does not start.
  depends_on = [
    google_firestore_field.override,
    google_kms_crypto_key_iam_member.function_opens_token_keys,
    google_project_iam_member.build,
    google_project_iam_member.function_uses_firestore,
    google_pubsub_topic_iam_member.function_publishes_changes,
    google_secret_manager_secret_iam_member.function_reads_secret,
  ]
}

resource "google_cloud_scheduler_job" "schedule" {
  for_each = {
    for name, function in google_cloudfunctions2_function.function :
    name => function if local.functions[name].trigger == "schedule"
  }

  project          = var.project_id
  region           = var.region
  name             = each.value.name
  description      = "Gmail push receiver: runs ${each.key}"
  schedule         = local.functions[each.key].schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.functions[each.key].timeoutSeconds}s"

  # The next run does what this one leaves; a further try makes good an instance that did not start.
  retry_config {
    retry_count          = local.functions[each.key].retryCount
    min_backoff_duration = "${local.functions[each.key].minBackoffSeconds}s"
  }

  http_target {
    http_method = "POST"
    uri         = "${each.value.service_config[0].uri}/"

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = each.value.service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}
