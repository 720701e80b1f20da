/**
 * Finds which fields of `firestore.indexes.json` a database does not have as they are meant:
 * `gcloud firestore indexes fields list --format=json | tsx infra/firestore-fields.ts`. Prints
 * assignments for `deploy.sh`: `unindexed_fields` and `unexpired_fields`, each the places of fields in
 * the file, separated by spaces.
 */
import { text } from "node:stream/consumers";
import { z } from "zod";
import { Field, WANTED_FIELDS, hasIndexes, isExpiring } from "./cli/firestore-fields.ts";

const Fields = z.array(Field.extend({ name: z.string() }));

const fields = Fields.parse(JSON.parse((await text(process.stdin)) || "[]"));
const places = WANTED_FIELDS.map((wanted, place) => {
  const end = `/collectionGroups/${wanted.collectionGroup}/fields/${wanted.fieldPath}`;
  const field = fields.find(({ name }) => name.replaceAll("`", "").endsWith(end));
  return {
    place,
    isIndexed: field !== undefined && hasIndexes(field, wanted),
    isExpired: !wanted.ttl || (field !== undefined && isExpiring(field)),
  };
});
const listed = (chosen: typeof places) => `'${chosen.map(({ place }) => place).join(" ")}'`;
process.stdout.write(
  `unindexed_fields=${listed(places.filter(({ isIndexed }) => !isIndexed))}\n` +
    `unexpired_fields=${listed(places.filter(({ isExpired }) => !isExpired))}\n`,
);
