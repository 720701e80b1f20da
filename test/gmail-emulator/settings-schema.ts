import { z } from "zod";
import type { Settings } from "./google.ts";

const whole = z.int().nonnegative();

/** Settings as the control API and the command line take them: any part of them. */
export const settingsSchema = z
  .strictObject({
    accessTokenSeconds: z.int().positive(),
    authorizationCodeMs: z.int().positive(),
    refreshTokensMax: z.int().positive(),
    refreshTokenRotations: whole,
    rotatedTokenDies: z.boolean(),
    historyIdStepMax: z.int().positive(),
    historyPageMax: z.int().positive(),
    messagePageMax: z.int().positive(),
    emptyHistoryPages: whole.max(9999),
    pageTokenRefusals: whole,
    pageTokenMs: whole,
    pageTokenCharactersMin: whole.max(4096),
    unknownLabel: z.enum(["refused", "empty"]),
    startAboveHead: z.enum(["empty", "not_found"]),
    quota: z.union([
      z.literal("off"),
      z.strictObject({
        unitsPerUserMinute: z.int().positive(),
        unitsPerProjectMinute: z.int().positive(),
      }),
    ]),
    notificationHistoryId: z.enum(["number", "string"]),
    notificationIdAhead: z.enum(["no", "with_head", "past_head"]),
    notificationLimit: z.enum(["off", "one_per_second"]),
    watchOutlivesGrant: z.boolean(),
    stopDelayMs: whole,
  } satisfies Record<keyof Settings, z.ZodType>)
  .partial();
