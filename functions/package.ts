// Writes the archives of a release to functions/dist/release, from what `npm run build` has made.
import path from "node:path";
import { ROOT } from "./bundling.ts";
import { writeRelease } from "./release.ts";

const dist = path.join(ROOT, "functions/dist");
for (const name of writeRelease(ROOT, dist, path.join(dist, "release"))) {
  console.log(`functions/dist/release/${name}`);
}
