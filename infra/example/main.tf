# A whole deployment, and one subscriber. Copy it to where your own Terraform is kept, with a backend
# that others share, and change the two paths.

terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
  # The budget's API bills its calls to a project.
  user_project_override = true
  billing_project       = var.project_id
}

module "receiver" {
  source = "../"

  project_id      = var.project_id
  region          = var.region
  source_zip      = abspath("${path.module}/../../functions/dist/gcloud.zip")
  oauth_client_id = var.oauth_client_id
  secret_versions = var.secret_versions
  secret_writes   = var.secret_writes
  secrets         = { OAUTH_CLIENT_SECRET = var.oauth_client_secret }

  settings = {
    APP_NAME = "Example"
  }
}

# New messages only, pulled by a program of yours, in order for each mailbox.
module "new_messages" {
  source = "../modules/subscription"

  project_id            = var.project_id
  project_number        = module.receiver.project_number
  name                  = "new-messages"
  topic                 = module.receiver.changes_topic
  filter                = "attributes.ce-type = \"mailbox.message.added\""
  is_ordered            = true
  delivery_attempts_max = 20
}
