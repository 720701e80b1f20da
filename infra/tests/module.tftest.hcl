# What the module promises to those who use it, for `terraform test` in this folder. Nothing is created.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
}

mock_provider "google-beta" {}

variables {
  project_id = "acme-mail"
  region     = "europe-west1"
  # Any file: nothing is uploaded.
  source_zip      = "../functions/dist/gcloud.zip"
  oauth_client_id = "1234-abcd.apps.googleusercontent.com"
  secret_versions = { OAUTH_CLIENT_SECRET = "1", TOKEN_KEYS = "1" }
}

run "keeps_the_functions_until_there_are_secrets" {
  command = plan

  variables {
    secret_versions = {}
  }

  assert {
    condition     = length(google_cloudfunctions2_function.function) == 0
    error_message = "Functions cannot start before their secrets exist."
  }
  assert {
    condition     = output.redirect_uri == "https://connect-123456789012.europe-west1.run.app/callback"
    error_message = "The redirect URI has to be known before anything is created."
  }
}

run "stores_the_secrets_that_it_is_given" {
  command = plan

  variables {
    secret_versions = {}
    secret_writes   = { OAUTH_CLIENT_SECRET = 3, TOKEN_KEYS = 1 }
    secrets         = { OAUTH_CLIENT_SECRET = "GOCSPX-in-no-state" }
  }

  assert {
    condition     = tostring(google_secret_manager_secret_version.written["OAUTH_CLIENT_SECRET"].secret_data_wo_version) == "3"
    error_message = "The number decides whether the value is written again."
  }
  assert {
    condition     = google_secret_manager_secret_version.written["OAUTH_CLIENT_SECRET"].secret_data == null
    error_message = "A secret has to be write-only."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.function) == 6
    error_message = "One apply has to be enough."
  }
}

run "opens_pages_where_all_users_is_refused" {
  command = plan

  variables {
    invoker_iam_check = false
  }

  assert {
    condition     = length(setintersection(keys(google_cloud_run_v2_service_iam_member.invoker), ["connect", "securityEvent"])) == 0
    error_message = "A policy of the organization refuses allUsers."
  }
  assert {
    condition     = join(",", keys(terraform_data.open)) == "connect,securityEvent"
    error_message = "Only the public functions are open."
  }
}

run "refuses_a_second_key_ring" {
  command = plan

  variables {
    secret_versions = { OAUTH_CLIENT_SECRET = "1" }
    secret_writes   = { TOKEN_KEYS = 2 }
  }

  expect_failures = [var.secret_writes]
}

run "lets_in_only_who_is_named" {
  command = plan

  assert {
    condition     = !contains(keys(google_cloud_run_v2_service_iam_member.invoker), "gmailApi")
    error_message = "Only named accounts may call gmailApi."
  }
  assert {
    condition     = google_firestore_database.receiver.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "The database is protected."
  }
  assert {
    condition     = length(google_compute_global_address.domain) == 0
    error_message = "Without domains there is no load balancer to pay for."
  }
}

run "puts_a_load_balancer_before_domains" {
  command = plan

  variables {
    domains = { connect = "connect.example.com" }
  }

  assert {
    condition     = google_cloudfunctions2_function.function["connect"].service_config[0].ingress_settings == "ALLOW_INTERNAL_AND_GCLB"
    error_message = "connect must not be reached around its load balancer."
  }
  assert {
    condition     = output.redirect_uri == "https://connect.example.com/callback"
    error_message = "The pages are at the domain."
  }
}

run "refuses_a_secret_as_a_setting" {
  command = plan

  variables {
    settings = { OAUTH_CLIENT_SECRET = "GOCSPX-in-the-state" }
  }

  expect_failures = [var.settings]
}

run "refuses_versions_that_move" {
  command = plan

  variables {
    secret_versions = { OAUTH_CLIENT_SECRET = "latest", TOKEN_KEYS = "1" }
  }

  expect_failures = [var.secret_versions]
}

run "refuses_everybody_as_a_caller_of_gmail_api" {
  command = plan

  variables {
    gmail_api_callers = ["allUsers"]
  }

  expect_failures = [var.gmail_api_callers]
}
