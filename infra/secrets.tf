locals {
  # Who reads each secret: turned round from what functions.json says of each function.
  secret_readers = transpose({ for name, function in local.functions : name => function.secrets })
}

# Only the secrets, not what they hold: that would stand in the state of Terraform.
resource "google_secret_manager_secret" "secret" {
  for_each = local.secret_readers

  project   = var.project_id
  secret_id = "gmail-push-${lower(replace(each.key, "_", "-"))}"

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
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
