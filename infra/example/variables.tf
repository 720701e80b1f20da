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

variable "oauth_client_secret" {
  description = "Its secret, from the environment (TF_VAR_oauth_client_secret): every plan needs it while secret_writes names it, and none contains it."
  type        = string
  default     = null
  ephemeral   = true
}

variable "secret_writes" {
  description = "The secrets that Terraform stores."
  type        = map(number)
  default     = { OAUTH_CLIENT_SECRET = 1, TOKEN_KEYS = 1 }
}

variable "secret_versions" {
  description = "The versions of the secrets that were added by hand."
  type        = map(string)
  default     = {}
}
