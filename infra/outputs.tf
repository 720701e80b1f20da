output "connect_url" {
  description = "Where people connect a mailbox: send them to /start below it."
  value       = local.public_url
}

output "redirect_uri" {
  description = "The redirect URI to register with the OAuth client."
  value       = "${local.public_url}/callback"
}

output "risc_url" {
  description = "Where Google may send security events. It takes only hosts on a domain that the project has verified: see domains."
  value       = try("https://${coalesce(var.domains.security_events)}", local.urls["securityEvent"])
}

output "load_balancer_address" {
  description = "The address to point the domains of domains to (an A record for each)."
  value       = one([for address in google_compute_global_address.domain : address.address])
}

output "gmail_api_url" {
  description = "The root URL of Gmail's API for subscribers, and the audience of their ID tokens."
  value       = local.urls["gmailApi"]
}

output "changes_topic" {
  description = "The topic of the changes, to subscribe to."
  value       = google_pubsub_topic.changes.id
}

output "project_number" {
  description = "The number of the project, which the module subscription asks for."
  value       = data.google_project.this.number
}

output "service_accounts" {
  description = "The account that each function runs as."
  value       = { for name, account in google_service_account.function : name => account.email }
}

output "secrets" {
  description = "The secret to add a version to, for each name in secret_versions."
  value       = { for name, secret in google_secret_manager_secret.secret : name => secret.secret_id }
}

output "token_keys_kms_key" {
  description = "The Cloud KMS key to encrypt TOKEN_KEYS with."
  value       = google_kms_crypto_key.token_keys.id
}
