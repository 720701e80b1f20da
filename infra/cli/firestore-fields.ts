import { z } from "zod";
import settings from "../firestore.indexes.json" with { type: "json" };

/** What a field of a collection is meant to have: its own indexes, and a TTL policy or none. */
export interface WantedField {
  collectionGroup: string;
  fieldPath: string;
  ttl?: boolean;
  indexes: { order?: string; arrayConfig?: string; queryScope: string }[];
}

/** The fields of `firestore.indexes.json`. */
export const WANTED_FIELDS = settings.fieldOverrides as readonly WantedField[];

/** Firestore v1, `projects.databases.collectionGroups.fields`. */
export const Field = z.object({
  indexConfig: z
    .object({
      usesAncestorConfig: z.boolean().default(false),
      indexes: z
        .array(
          z.object({
            queryScope: z.string().default(""),
            state: z.string().default(""),
            fields: z.array(z.object({ order: z.string().optional() })).default([]),
          }),
        )
        .default([]),
    })
    .default({ usesAncestorConfig: true, indexes: [] }),
  ttlConfig: z.object({ state: z.string().default("") }).optional(),
});
/** A field as Firestore has it. */
export type Field = z.infer<typeof Field>;

/** Returns whether a field has exactly the indexes that it is meant to have, ready or not. */
export function hasIndexes({ indexConfig }: Field, { indexes: meant }: WantedField): boolean {
  const { usesAncestorConfig, indexes: has } = indexConfig;
  const isThere = ({ order, queryScope }: WantedField["indexes"][number]) =>
    has.some((index) => index.queryScope === queryScope && index.fields[0]?.order === order);
  return !usesAncestorConfig && has.length === meant.length && meant.every(isThere);
}

/** Returns whether Firestore deletes documents by this field, or is about to. */
export function isExpiring({ ttlConfig }: Field): boolean {
  return ttlConfig?.state === "ACTIVE" || ttlConfig?.state === "CREATING";
}
