locals {
  # Who reads each secret: turned round from what functions.json says of each function.
  secret_readers = transpose({ for name, function in local.functions : name => function.secrets })
}

# Only the secrets: what they hold is added by hand, or below.
resource "google_secret_manager_secret" "secret" {
  for_each = local.secret_readers

  project   = var.project_id
  secret_id = "gmail-push-${lower(replace(each.key, "_", "-"))}"

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

# Values of var.secrets. They are write-only: no plan and no state contains them.
resource "google_secret_manager_secret_version" "written" {
  for_each = { for name, number in var.secret_writes : name => number if name != "TOKEN_KEYS" }

  secret                 = google_secret_manager_secret.secret[each.key].id
  secret_data_wo         = var.secrets[each.key]
  secret_data_wo_version = each.value
  # An instance that runs still reads it, and so does an earlier deployment.
  deletion_policy = "ABANDON"

  lifecycle {
    create_before_destroy = true
  }
}

# A resource of the provider would keep the key ring in the state, so gcloud encrypts and stores it.
resource "terraform_data" "token_keys" {
  for_each = { for name, number in var.secret_writes : name => number if name == "TOKEN_KEYS" }

  provisioner "local-exec" {
    interpreter = ["bash"]
    command     = "${path.module}/deploy/token-keys.sh"
    environment = {
      PROJECT = var.project_id
      SECRET  = google_secret_manager_secret.secret["TOKEN_KEYS"].secret_id
      KMS_KEY = google_kms_crypto_key.token_keys.id
    }
  }
}

locals {
  # The version of each secret that the functions read.
  secret_versions = merge(
    var.secret_versions,
    { for name, written in google_secret_manager_secret_version.written : name => written.version },
    { for name, made in terraform_data.token_keys : name => "1" },
  )
}

resource "google_kms_key_ring" "receiver" {
  project    = var.project_id
  name       = "gmail-push"
  location   = var.region
  depends_on = [google_project_service.api]
}

# Encrypts the key ring that seals tokens: who reads the secret still cannot open anything.
resource "google_kms_crypto_key" "token_keys" {
  name            = "token-keys"
  key_ring        = google_kms_key_ring.receiver.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s"

  lifecycle {
    # With it every stored grant would be lost, and every person would have to connect again.
    prevent_destroy = true
  }
}
