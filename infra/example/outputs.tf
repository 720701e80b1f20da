output "receiver" {
  description = "Everything that the next steps need: addresses, secrets, the KMS key."
  value       = module.receiver
}

output "new_messages" {
  description = "The subscription to pull from."
  value       = module.new_messages.subscription
}
