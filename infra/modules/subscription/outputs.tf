output "subscription" {
  description = "The full name of the subscription."
  value       = google_pubsub_subscription.this.id
}

output "dead_letters" {
  description = "The full name of the subscription that keeps its dead letters."
  value       = google_pubsub_subscription.dead_letters.id
}
