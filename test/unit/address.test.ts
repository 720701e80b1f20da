import { afterProfile, afterSignIn } from "../../functions/src/domain/addresses.ts";
import { describe, expect, it } from "vitest";
import { addressOf } from "../support/users.ts";

const OLD = addressOf("ada@example.com");
const NEW = addressOf("ada.l@example.com");
const THIRD = addressOf("countess@example.com");
const GMAIL = addressOf("ada@gmail.com");
const DOTTED = addressOf("a.d.a@gmail.com");
const GOOGLEMAIL = addressOf("ada@googlemail.com");

describe("the addresses of a user, once Gmail's profile names one", () => {
  it.each([
    ["the stored one", { emailAddress: OLD }, OLD, { emailAddress: OLD }],
    ["another one: a rename", { emailAddress: OLD }, NEW, { emailAddress: NEW }],
    [
      "the other domain of Gmail",
      { emailAddress: GOOGLEMAIL },
      GMAIL,
      { emailAddress: GOOGLEMAIL, notifiedAs: GMAIL },
    ],
    [
      "the address with dots",
      { emailAddress: GMAIL },
      DOTTED,
      { emailAddress: GMAIL, notifiedAs: DOTTED },
    ],
    [
      "what notifications named before",
      { emailAddress: OLD, notifiedAs: GMAIL },
      GMAIL,
      { emailAddress: OLD, notifiedAs: GMAIL },
    ],
    [
      "a respelling of what notifications named before",
      { emailAddress: OLD, notifiedAs: GMAIL },
      DOTTED,
      { emailAddress: OLD, notifiedAs: DOTTED },
    ],
    [
      "the stored one, in place of another spelling",
      { emailAddress: GOOGLEMAIL, notifiedAs: GMAIL },
      GOOGLEMAIL,
      { emailAddress: GOOGLEMAIL },
    ],
    [
      "a third one: a rename that ends both",
      { emailAddress: OLD, notifiedAs: GMAIL },
      NEW,
      { emailAddress: NEW },
    ],
  ])("%s", (_, stored, named, expected) => {
    expect(afterProfile(stored, named)).toEqual(expected);
  });

  it("ignores dots in Gmail's own domains only", () => {
    const dotted = addressOf("a.da@example.com");
    expect(afterProfile({ emailAddress: OLD }, dotted)).toEqual({ emailAddress: dotted });
  });
});

describe("the addresses of a user after a sign-in", () => {
  it.each([
    ["new, both agree", undefined, OLD, OLD, { emailAddress: OLD }],
    ["new, they differ", undefined, OLD, GMAIL, { emailAddress: OLD, notifiedAs: GMAIL }],
    ["new, Gmail does not answer", undefined, OLD, undefined, { emailAddress: OLD }],
    ["known, both confirm", { emailAddress: OLD }, OLD, OLD, { emailAddress: OLD }],
    ["known, both name a new one", { emailAddress: OLD }, NEW, NEW, { emailAddress: NEW }],
    [
      "known, only the ID token confirms it",
      { emailAddress: OLD },
      OLD,
      GMAIL,
      { emailAddress: OLD, notifiedAs: GMAIL },
    ],
    ["known, only Gmail confirms it", { emailAddress: NEW }, OLD, NEW, { emailAddress: NEW }],
    [
      "known, Gmail does not answer",
      { emailAddress: OLD, notifiedAs: GMAIL },
      OLD,
      undefined,
      { emailAddress: OLD, notifiedAs: GMAIL },
    ],
    [
      "known as notified, Gmail does not answer",
      { emailAddress: OLD, notifiedAs: GMAIL },
      GMAIL,
      undefined,
      { emailAddress: OLD, notifiedAs: GMAIL },
    ],
    [
      "a rename, Gmail does not answer",
      { emailAddress: OLD, notifiedAs: GMAIL },
      NEW,
      undefined,
      { emailAddress: NEW },
    ],
    [
      "a rename, they differ",
      { emailAddress: OLD },
      NEW,
      THIRD,
      { emailAddress: NEW, notifiedAs: THIRD },
    ],
  ])("%s", (_, stored, signedIn, named, expected) => {
    expect(afterSignIn(stored, signedIn, named)).toEqual(expected);
  });
});
