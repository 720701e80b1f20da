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
