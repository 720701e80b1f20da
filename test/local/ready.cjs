// Runs before `npm start`, `npm run demo` and `npm test`, with no packages and on any version of Node:
// says what is missing in place of the errors that would follow.
const fs = require("node:fs");
const path = require("node:path");

const NODE_MIN = 20;
const root = path.resolve(__dirname, "../..");
const problems = [];
if (Number(process.versions.node.split(".")[0]) < NODE_MIN) {
  problems.push(`Node.js ${NODE_MIN} or later is needed, and this is ${process.versions.node}.`);
}
if (!fs.existsSync(path.join(root, "node_modules/.bin/tsx"))) {
  problems.push("The packages are not installed: run `npm ci` first.");
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
