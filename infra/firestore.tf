locals {
  firestore = jsondecode(file("${path.module}/firestore.indexes.json"))

  # The other tools exempt all fields of a collection at once. Google's provider cannot
  # (hashicorp/terraform-provider-google#19598), so it exempts each field that is not indexed; what is in a
  # map is as the map.
  exempt_fields = flatten([
    for collection, fields in jsondecode(file("${path.module}/firestore.exempt.json")) : [
      for field in fields : { collectionGroup = collection, fieldPath = field, indexes = [] }
    ]
  ])
}

# A database of its own: other applications in this project keep their data, rules and indexes.
resource "google_firestore_database" "receiver" {
  project                           = var.project_id
  name                              = var.firestore_database
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  depends_on                        = [google_project_service.api]

  lifecycle {
    # Another name means another, empty database. A deployment that keeps its users in "(default)" has
    # to say so: firestore_database = "(default)".
    prevent_destroy = true
  }
}

moved {
  from = google_firestore_database.default
  to   = google_firestore_database.receiver
}

resource "google_firestore_field" "override" {
  for_each = {
    for override in concat(
      [for override in local.firestore.fieldOverrides : override if override.fieldPath != "*"],
      local.exempt_fields,
    ) : "${override.collectionGroup}/${override.fieldPath}" => override
  }

  project    = var.project_id
  database   = google_firestore_database.receiver.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  # Without any index in it, the field has none.
  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
        query_scope  = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}

resource "google_firestore_index" "composite" {
  for_each = { for index in local.firestore.indexes : jsonencode(index) => index }

  project     = var.project_id
  database    = google_firestore_database.receiver.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firebaserules_ruleset" "firestore" {
  project = var.project_id

  source {
    files {
      name    = "firestore.rules"
      content = file("${path.module}/firestore.rules")
    }
  }

  lifecycle {
    # One that is released cannot be deleted.
    create_before_destroy = true
  }

  depends_on = [google_firestore_database.receiver]
}

resource "google_firebaserules_release" "firestore" {
  project      = var.project_id
  name         = var.firestore_database == "(default)" ? "cloud.firestore" : "cloud.firestore/${var.firestore_database}"
  ruleset_name = "projects/${var.project_id}/rulesets/${google_firebaserules_ruleset.firestore.name}"
}
