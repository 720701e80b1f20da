variable "project_id" {
  description = "The project to deploy into. Gmail wants it to be the one that owns the OAuth client."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "Must be a project id, such as acme-mail-prod."
  }
}

variable "region" {
  description = "Where the functions run and the schedules are kept."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Must be a region, such as europe-west1."
  }
}

variable "firestore_location" {
  description = "Where Firestore keeps the users: a region or a multi-region (eur3, nam5). Cannot be changed later. The region when not set."
  type        = string
  default     = null

  validation {
    condition     = var.firestore_location == null || can(regex("^[a-z0-9-]+$", var.firestore_location))
    error_message = "Must be a Firestore location, such as eur3 or europe-west1."
  }
}

variable "firestore_database" {
  description = "The Firestore database that keeps the users, which this module creates. A deployment from before there was this variable keeps them in \"(default)\", and has to say so here."
  type        = string
  default     = "gmail-push"

  validation {
    condition     = can(regex("^([(]default[)]|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.firestore_database))
    error_message = "Must be the id of a Firestore database, such as gmail-push, or (default)."
  }
}

variable "source_zip" {
  description = "The built functions as a zip file: infra/docs/deploy-terraform.md says how it is made."
  type        = string

  validation {
    condition     = can(regex("\\.zip$", var.source_zip)) && fileexists(var.source_zip)
    error_message = "There is no such zip file: build it first, as infra/docs/deploy-terraform.md says."
  }
}

variable "public_url" {
  description = "Where people reach the function connect: https, without a slash at its end. A domain of your own, or the address that Cloud Run gives it when not set."
  type        = string
  default     = null

  validation {
    condition     = var.public_url == null || can(regex("^https://[^/?#@\\s]+(/[^?#\\s]*[^/?#\\s])?$", var.public_url))
    error_message = "Must be an https URL without user, query, fragment or a slash at its end."
  }
}

variable "domains" {
  description = "Domains of your own, for which this module creates a load balancer and a certificate: one for the pages of connect, and one where Google sends security events, if you want them. Point them to the output load_balancer_address."
  type = object({
    connect         = string
    security_events = optional(string)
  })
  default = null

  validation {
    condition = alltrue([
      for domain in [try(var.domains.connect, null), try(var.domains.security_events, null)] :
      domain == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z]{2,}$", domain))
    ])
    error_message = "Must be host names in lower case, such as connect.example.com."
  }
  validation {
    condition     = var.domains == null || var.public_url == null
    error_message = "Set domains or public_url, not both."
  }
}

variable "secret_versions" {
  description = "Which version the functions read of each secret that you add by hand, by the name of its environment variable. With neither this nor secret_writes, everything is made but the functions."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.secret_versions), keys(local.secret_readers))) == 0
    error_message = "The secrets are ${join(", ", keys(local.secret_readers))}."
  }
  validation {
    condition     = alltrue([for version in values(var.secret_versions) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "Must be version numbers: an instance reads \"latest\" only when it starts, so two of them could disagree."
  }
  validation {
    condition = length(var.secret_versions) + length(var.secret_writes) == 0 || length(setsubtract(
      ["OAUTH_CLIENT_SECRET", "TOKEN_KEYS"], concat(keys(var.secret_versions), keys(var.secret_writes))
    )) == 0
    error_message = "OAUTH_CLIENT_SECRET and TOKEN_KEYS are both needed, in secret_versions or in secret_writes."
  }
  validation {
    condition     = length(setintersection(keys(var.secret_writes), keys(var.secret_versions))) == 0
    error_message = "A secret is either in secret_versions or in secret_writes."
  }
  validation {
    condition = (
      contains(concat(keys(var.secret_versions), keys(var.secret_writes)), "NOTICE_SMTP_URL") ==
      contains(keys(var.settings), "NOTICE_FROM")
    )
    error_message = "Mail to people needs both the secret NOTICE_SMTP_URL and the setting NOTICE_FROM."
  }
}

variable "secret_writes" {
  description = "The secrets that this module stores, by the names of their environment variables, each with a number that you raise when its value in secrets has changed. For TOKEN_KEYS, 1 makes a new key ring, by gcloud and openssl; later ones are added by hand and named in secret_versions."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.secret_writes), keys(local.secret_readers))) == 0
    error_message = "The secrets are ${join(", ", keys(local.secret_readers))}."
  }
  validation {
    condition     = lookup(var.secret_writes, "TOKEN_KEYS", 1) == 1
    error_message = "TOKEN_KEYS can only be 1: another key ring would open no token that the first has sealed. infra/docs/runbook.md says how keys are rotated."
  }
}

variable "secrets" {
  description = "The values of the secrets in secret_writes, but for TOKEN_KEYS. They are ephemeral: no plan and no state contains them, so that every plan needs them."
  type        = map(string)
  default     = {}
  ephemeral   = true

  validation {
    condition     = alltrue([for name in keys(var.secret_writes) : try(length(var.secrets[name]) > 0, false) if name != "TOKEN_KEYS"])
    error_message = "Every secret in secret_writes needs its value in secrets, except TOKEN_KEYS."
  }
}

variable "invoker_iam_check" {
  description = "Whether Cloud Run asks IAM who may call the public functions. Set it to false where a policy of the organization (iam.allowedPolicyMemberDomains) refuses allUsers: then nothing is asked for these two, and gcloud says so to Cloud Run after each deployment."
  type        = bool
  default     = true
}

variable "oauth_client_id" {
  description = "The OAuth client of type \"web application\", made by hand: Google has no API for it. Needed once secret_versions or secret_writes is set."
  type        = string
  default     = null

  validation {
    condition     = var.oauth_client_id != null || length(var.secret_versions) + length(var.secret_writes) == 0
    error_message = "Must be set once secret_versions or secret_writes is."
  }
  validation {
    condition     = var.oauth_client_id == null || can(regex("^[!-~]+$", var.oauth_client_id))
    error_message = "Must be an OAuth client id, without white space."
  }
}

variable "settings" {
  description = "Further environment variables of the functions: the optional ones of functions/docs/configuration.md, such as GMAIL_SCOPES or RETURN_TO_URLS."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "The names must be in capitals, as in functions/docs/configuration.md."
  }
  validation {
    condition     = length(setintersection(keys(var.settings), keys(local.secret_readers))) == 0
    error_message = "A secret belongs into Secret Manager: see secret_writes."
  }
  validation {
    condition = length(setintersection(keys(var.settings), [
      "GOOGLE_CLOUD_PROJECT", "FIRESTORE_DATABASE", "GMAIL_TOPIC", "CHANGES_TOPIC", "PUBLIC_URL", "OAUTH_CLIENT_ID",
      "TOKEN_KEYS_KMS_KEY", "GMAIL_EMULATOR_HOST", "NODE_ENV",
    ])) == 0
    error_message = "This module sets GOOGLE_CLOUD_PROJECT, FIRESTORE_DATABASE, the topics, PUBLIC_URL, OAUTH_CLIENT_ID, TOKEN_KEYS_KMS_KEY and NODE_ENV itself, and GMAIL_EMULATOR_HOST is for loopback only."
  }
}

variable "gmail_api_callers" {
  description = "The service accounts that may call gmailApi, by their email addresses. Each of them can read the mail of every connected person."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.gmail_api_callers : can(regex("^[a-z0-9-]+@[a-z0-9.-]+[.]gserviceaccount[.]com$", account))])
    error_message = "Must be email addresses of service accounts, such as help-desk@acme-mail.iam.gserviceaccount.com."
  }
}

variable "notification_channels" {
  description = "Cloud Monitoring channels that alerts are sent to: projects/PROJECT/notificationChannels/ID. Without one they are only shown."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])
    error_message = "Must be full names: projects/PROJECT/notificationChannels/ID."
  }
}

variable "requests_per_hour_max" {
  description = "More requests than this in an hour, over all functions, raise an alert. A mailbox causes about one for each published change."
  type        = number
  default     = 100000

  validation {
    condition     = var.requests_per_hour_max >= 1000
    error_message = "Must be 1000 or more: the schedules alone make 66."
  }
}

variable "budget" {
  description = "A monthly budget for the project, in whole units of the billing account's currency: mails go to its administrators at 50, 90 and 100 %. It does not stop anything."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "The billing account must look like 012345-6789AB-CDEF01."
  }
  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, false)
    error_message = "The amount must be a whole number, 1 or more."
  }
}
