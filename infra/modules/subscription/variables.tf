variable "project_id" {
  description = "The project of the subscription."
  type        = string
}

variable "project_number" {
  description = "Its number, by which Pub/Sub's own account is called."
  type        = string
}

variable "name" {
  description = "The short name of the subscription; its dead letters go to NAME-dead-letters."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,200}$", var.name)) && !startswith(var.name, "goog")
    error_message = "Must be three or more lower case letters, digits or hyphens, and not start with goog."
  }
}

variable "topic" {
  description = "The full name of the topic: projects/PROJECT/topics/TOPIC."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.topic))
    error_message = "Must be a full name: projects/PROJECT/topics/TOPIC."
  }
}

variable "push" {
  description = "Where messages are posted, and the account that Pub/Sub proves itself by, with a token for the audience. Without it they are pulled."
  type = object({
    endpoint        = string
    audience        = string
    service_account = string
  })
  default = null

  validation {
    condition     = var.push == null || can(regex("^https://", var.push.endpoint))
    error_message = "The endpoint must be an https URL."
  }
}

variable "is_ordered" {
  description = "Whether messages of one ordering key come one after the other. Cannot be changed later."
  type        = bool
  default     = false
}

variable "filter" {
  description = "Which messages are wanted, by their attributes: attributes.ce-type = \"mailbox.message.added\". Cannot be changed later."
  type        = string
  default     = null
}

variable "delivery_attempts_max" {
  description = "How often a message is tried before it is a dead letter: 5 to 100. With 10 s to 10 min between tries, 100 last about 16 hours."
  type        = number
  default     = 100

  validation {
    condition     = var.delivery_attempts_max >= 5 && var.delivery_attempts_max <= 100
    error_message = "Must be 5 to 100."
  }
}
