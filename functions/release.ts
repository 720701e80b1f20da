import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ALL_VARIABLES, VARIABLE_NAMES } from "./src/config/variables.ts";
import functions from "./src/entries/functions.json" with { type: "json" };
import { type ArchivedFile, zip } from "./zip.ts";

/** What Terraform reads of this project, and an example that needs nothing else. */
const TERRAFORM = ["infra", "functions/src/entries/functions.json", "LICENSE"] as const;
const TERRAFORM_FILE =
  /\.(tf|tfvars\.example|rules)$|\.(indexes|exempt)\.json$|\/(services|log-\w+)\.json$|\/(token-keys|key-ring)\.sh$/;
const FIREBASE = [
  "infra/firestore.rules",
  "infra/firestore.indexes.json",
  "infra/.env.example",
  "infra/deploy/open-pages.sh",
  "LICENSE",
] as const;

/**
 * Writes the archives of a release to a folder: one for each way of deploying, from folders that were
 * built, and a file with their checksums. The same sources give the same bytes. Returns their names.
 */
export function writeRelease(root: string, built: string, out: string): string[] {
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    version: string;
  };
  const gcloud = zip([...filesIn(path.join(built, "gcloud")), deploymentOf(version)]);
  const archives: [way: string, archive: Buffer][] = [
    ["gcloud", gcloud],
    [
      "terraform",
      zip([
        ...TERRAFORM.flatMap((each) => filesAt(root, each)).filter(
          ({ path: name }) => !name.startsWith("infra/") || TERRAFORM_FILE.test(name),
        ),
        // Where the example expects it.
        { path: "functions/dist/gcloud.zip", content: gcloud },
      ]),
    ],
    [
      "firebase",
      zip([
        ...FIREBASE.flatMap((each) => filesAt(root, each)),
        { path: "firebase.json", content: firebaseSettings(root) },
        ...filesIn(path.join(built, "firebase")).map(({ path: name, content }) => ({
          path: `functions/dist/firebase/${name}`,
          content,
        })),
      ]),
    ],
  ];
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const sums = archives.map(([way, archive]) => {
    const name = `gmail-push-receiver-${version}-${way}.zip`;
    writeFileSync(path.join(out, name), archive);
    return { name, sum: createHash("sha256").update(archive).digest("hex") };
  });
  const listed = sums.map(({ name, sum }) => `${sum}  ${name}\n`).join("");
  writeFileSync(path.join(out, "SHA256SUMS"), listed);
  return [...sums.map(({ name }) => name), "SHA256SUMS"];
}

/** What `deploy.sh` has to know of a version to deploy it from another version's folder. */
function deploymentOf(version: string): ArchivedFile {
  const deployment = {
    version,
    functions,
    variables: VARIABLE_NAMES,
    required: ALL_VARIABLES.filter(({ isRequired }) => isRequired).map(({ name }) => name),
  };
  const content = Buffer.from(`${JSON.stringify(deployment, null, 2)}\n`);
  return { path: "deployment.json", content };
}

/** Without what builds the folder and what runs it on this machine. */
function firebaseSettings(root: string): Buffer {
  const { functions: codebases, firestore } = JSON.parse(
    readFileSync(path.join(root, "firebase.json"), "utf8"),
  ) as { functions: Record<string, unknown>[]; firestore: unknown };
  const deployed = codebases.map(({ predeploy: _, ...rest }) => rest);
  return Buffer.from(`${JSON.stringify({ functions: deployed, firestore }, null, 2)}\n`);
}

/** The files of a built folder; a compile cache is of this machine. */
function filesIn(folder: string): ArchivedFile[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) => filesAt(folder, name));
}

function filesAt(root: string, name: string): ArchivedFile[] {
  const at = path.join(root, name);
  if (statSync(at).isFile()) return [{ path: name, content: readFileSync(at) }];
  return readdirSync(at)
    .filter((each) => each !== ".terraform")
    .flatMap((each) => filesAt(root, `${name}/${each}`));
}
