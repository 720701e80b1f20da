variable "project_id" {
  description = "The project to deploy into."
  type        = string
}

variable "region" {
  description = "Where it runs."
  type        = string
  default     = "europe-west1"
}

variable "oauth_client_id" {
  description = "The OAuth client, once it has been made."
  type        = string
  default     = null
}

variable "secret_versions" {
  description = "The versions of the secrets, once they have been added."
  type        = map(string)
  default     = {}
}
