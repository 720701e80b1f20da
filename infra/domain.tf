# The domains of `domains`, as a load balancer in front of the functions: run.app cannot be verified, and an
# app for people outside of the organization needs a domain that can.
locals {
  domains  = { for name, domain in { connect = try(var.domains.connect, null), securityEvent = try(var.domains.security_events, null) } : name => domain if domain != null }
  balanced = local.is_deployed ? local.domains : {}
  # The pages take a person's address from what the load balancer adds.
  balancers = var.domains == null ? {} : { LOAD_BALANCERS = "1" }
  # One load balancer, if there is one.
  balancer = length(local.balanced) > 0 ? toset(["gmail-push"]) : toset([])
}

resource "google_compute_global_address" "domain" {
  for_each = length(local.domains) > 0 ? toset(["gmail-push"]) : toset([])

  project    = var.project_id
  name       = each.key
  depends_on = [google_project_service.compute]
}

# Google issues it once the domains lead to the address, and renews it.
resource "google_compute_managed_ssl_certificate" "domain" {
  for_each = length(local.domains) > 0 ? toset([join(",", values(local.domains))]) : toset([])

  project = var.project_id
  name    = "gmail-push-${substr(sha256(each.key), 0, 8)}"

  managed {
    domains = values(local.domains)
  }

  lifecycle {
    # One that is in use cannot be deleted.
    create_before_destroy = true
  }

  depends_on = [google_project_service.compute]
}

resource "google_compute_region_network_endpoint_group" "domain" {
  for_each = local.balanced

  project               = var.project_id
  region                = var.region
  name                  = "gmail-push-${local.functions[each.key].service}"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloudfunctions2_function.function[each.key].name
  }
}

resource "google_compute_backend_service" "domain" {
  for_each = local.balanced

  project               = var.project_id
  name                  = "gmail-push-${local.functions[each.key].service}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"

  # Without log_config it logs nothing: its log would have the codes and links that request logs leave out.
  backend {
    group = google_compute_region_network_endpoint_group.domain[each.key].id
  }
}

resource "google_compute_url_map" "domain" {
  for_each = local.balancer

  project         = var.project_id
  name            = each.key
  default_service = google_compute_backend_service.domain["connect"].id

  dynamic "host_rule" {
    for_each = local.balanced

    content {
      hosts        = [host_rule.value]
      path_matcher = local.functions[host_rule.key].service
    }
  }

  dynamic "path_matcher" {
    for_each = local.balanced

    content {
      name            = local.functions[path_matcher.key].service
      default_service = google_compute_backend_service.domain[path_matcher.key].id
    }
  }
}

resource "google_compute_target_https_proxy" "domain" {
  for_each = local.balancer

  project          = var.project_id
  name             = each.key
  url_map          = google_compute_url_map.domain[each.key].id
  ssl_certificates = [for certificate in google_compute_managed_ssl_certificate.domain : certificate.id]
}

resource "google_compute_global_forwarding_rule" "domain" {
  for_each = local.balancer

  project               = var.project_id
  name                  = each.key
  load_balancing_scheme = "EXTERNAL_MANAGED"
  port_range            = "443"
  target                = google_compute_target_https_proxy.domain[each.key].id
  ip_address            = google_compute_global_address.domain[each.key].id
}

resource "google_project_service" "compute" {
  for_each = length(local.domains) > 0 ? toset(["compute.googleapis.com"]) : toset([])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}
