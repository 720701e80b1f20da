import { functionsOf, valuesOf } from "./planned.ts";
import type { PlannedResource } from "./terraform.ts";

/** The services that people and Google call without an account of this project. */
const PUBLIC = new Set(["connect", "security-event"]);

const OWN_DATABASE = 'resource.name == "projects/acme-mail/databases/gmail-push"';

const PROJECT_ROLES = {
  function: ["roles/datastore.user"],
  build: ["roles/artifactregistry.writer", "roles/logging.logWriter", "roles/storage.objectViewer"],
};

/** Every right that somebody has and should not have, or needs and has not. */
export function findLeaks(resources: PlannedResource[]): string[] {
  const functions = functionsOf(resources);
  const rights = (type: string) =>
    valuesOf(resources, type).map(({ values }) => values as Record<string, string>);

  const strangers = resources
    .filter(({ type, values: { member, name } }) => {
      if (member !== "allUsers" && member !== "allAuthenticatedUsers") return false;
      return type !== "google_cloud_run_v2_service_iam_member" || !PUBLIC.has(String(name));
    })
    .map(({ values }) => `${String(values["member"])} has ${String(values["role"])}`);
  const publishers = rights("google_pubsub_topic_iam_member")
    .filter(({ topic, member }) => topic === "gmail-notifications" && member !== GMAIL)
    .map(({ topic, member }) => `${member} publishes on ${topic}`);
  const everywhere = valuesOf(resources, "google_project_iam_member")
    .filter(({ values }) => values["role"] === "roles/datastore.user")
    .filter(({ values }) => {
      const [condition] = values["condition"] as { expression: string }[];
      return condition?.expression !== OWN_DATABASE;
    })
    .map(({ values }) => `${String(values["member"])} uses every database of the project`);
  const projectWide = rights("google_project_iam_member")
    .filter(({ role = "", member }) => {
      const allowed = functions.some((its) => its.member === member) ? "function" : "build";
      return !PROJECT_ROLES[allowed].includes(role);
    })
    .map(({ role, member }) => `${member} has ${role} in the whole project`);
  const shared = functions
    .filter(({ service, member }) => !member.startsWith(`serviceAccount:${service}@`))
    .map(({ name, member }) => `${name} runs as ${member.slice("serviceAccount:".length)}`);

  const readers = rights("google_secret_manager_secret_iam_member");
  const secretId = (secret: string) => `gmail-push-${secret.toLowerCase().replaceAll("_", "-")}`;
  const blind = functions.flatMap(({ name, member, secrets }) =>
    secrets
      .filter(
        (secret) =>
          !readers.some(
            (right) => right["secret_id"] === secretId(secret) && right["member"] === member,
          ),
      )
      .map((secret) => `${name} cannot use ${secret}`),
  );
  const curious = readers.flatMap(({ secret_id: id, member }) => {
    const reader = functions.find((its) => its.member === member);
    const isUsed = reader?.secrets.some((secret) => secretId(secret) === id);
    return isUsed ? [] : [`${reader?.name ?? member} reads ${id}, which it does not use`];
  });
  return [
    ...strangers,
    ...publishers,
    ...everywhere,
    ...projectWide,
    ...shared,
    ...blind,
    ...curious,
  ];
}

const GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com";
