# shellcheck shell=bash
# What to do about an error of Google's, by what it says: the same error can end several steps.

# Whether an error says that there is no such thing.
is_missing() {
  case $1 in
    *NOT_FOUND* | *[Nn]'ot found'* | *'status=[404]'* | *'database '*' does not exist'*) return 0 ;;
    *) return 1 ;;
  esac
}

# Whether an error ends by itself, within minutes.
is_passing() {
  case $1 in
    *'Eventarc Service Agent'* | *'unable to queue the operation'*) return 0 ;;
    *[Ss]'ervice account '*' does not exist'* | *'concurrent policy changes'*) return 0 ;;
    *SERVICE_DISABLED* | *'has not been used in project '*) return 0 ;;
  esac
  return 1
}

# advice WHAT-WAS-SAID
advice() {
  case $1 in
    *'Eventarc Service Agent'* | *[Ss]'ervice account '*' does not exist'* | *SERVICE_DISABLED* | *'has not been used in project '*)
      echo 'Google takes some minutes to make new accounts and services known: wait, and run it again.'
      ;;
    *'unable to queue the operation'*)
      echo 'Another deployment is under way, maybe of a run that was stopped: wait for its end, and run it again.'
      ;;
    *CpuAllocPerProjectRegion* | *'Quota violated'*) cat <<END
The project may not use as many CPUs in $region as the functions could take together with what runs
there. Ask for more (Cloud Run Admin API, "Total CPU allocation"), or lower maxInstances in
functions/src/entries/functions.json:
  https://console.cloud.google.com/iam-admin/quotas?project=$project
END
      ;;
    *'permitted customer'* | *allowedPolicyMember*) domain_advice ;;
    *requireInvokerIam*) cat <<END
A policy of the organization does not allow public functions without a right of everybody. An administrator
of its policies runs this:
  gcloud org-policies reset run.managed.requireInvokerIam --project=$project
END
      ;;
    *gcp.resourceLocations*) cat <<END
A policy of the organization (gcp.resourceLocations) does not allow $region. Choose another one with
--region, or let an administrator allow it. This shows what is allowed:
  gcloud org-policies describe gcp.resourceLocations --effective --project=$project
END
      ;;
    *allowedIngress*) cat <<END
A policy of the organization does not allow functions that the internet reaches. An administrator of
its policies runs this:
  gcloud org-policies reset run.allowedIngress --project=$project
  gcloud org-policies reset cloudfunctions.allowedIngressSettings --project=$project
END
      ;;
    *disableServiceAccountCreation*) cat <<END
A policy of the organization does not allow new service accounts. An administrator of its policies runs
this:
  gcloud org-policies reset iam.disableServiceAccountCreation --project=$project
END
      ;;
    *[Bb]illing*) cat <<END
The project has no billing account. This lists yours, and links one:
  gcloud billing accounts list
  gcloud billing projects link $project --billing-account=ACCOUNT
END
      ;;
    *actAs* | *'iam.serviceAccountUser'*) cat <<END
You may not run functions as the accounts that were made. An owner of the project runs this:
  gcloud projects add-iam-policy-binding $project --member=user:YOU --role=roles/iam.serviceAccountUser --condition=None
END
      ;;
    *'Reauthentication'* | *'refreshing your current auth tokens'* | *'active account selected'*)
      printf 'Sign in again:\n  gcloud auth login\n'
      ;;
    *"is not the receiver's own"*)
      echo 'For a database that something else uses too, run it again with --leave-firestore.'
      ;;
    *'Build failed'*) cat <<END
Google's build of the functions failed. This shows why:
  gcloud builds list --region=$region --limit=1 --project=$project
END
      ;;
    *PERMISSION_DENIED* | *'does not have permission'* | *'may not exist'*) cat <<END
You may not do this in the project, or the project does not exist. An owner of it runs this:
  gcloud projects add-iam-policy-binding $project --member=user:YOU --role=roles/owner --condition=None
END
      ;;
    *) echo "See what Google said above. infra/docs/deploy-gcloud.md has more." ;;
  esac
}

domain_advice() {
  cat <<END
A policy of the organization (iam.allowedPolicyMemberDomains) lets only its own accounts in, and Gmail
publishes with an account of Google's. The policy is asked only when a right is given, so an administrator
of the organization's policies lifts it for this project, and puts it back once deploy.sh is done:
  gcloud org-policies reset iam.allowedPolicyMemberDomains --project=$project
  gcloud org-policies delete iam.allowedPolicyMemberDomains --project=$project
END
}
