import { describe, expect, it } from "vitest";
import { canonicalScope } from "../../functions/src/domain/scope.ts";

const PREFIX = "https://www.googleapis.com/auth/";

describe("the name of a scope", () => {
  it.each([
    ["email", `${PREFIX}userinfo.email`],
    ["profile", `${PREFIX}userinfo.profile`],
    [`${PREFIX}userinfo.profile`, `${PREFIX}userinfo.profile`],
    ["openid", "openid"],
    ["https://mail.google.com", "https://mail.google.com/"],
    [`${PREFIX}gmail.metadata`, `${PREFIX}gmail.metadata`],
    ["constructor", "constructor"],
  ])("%s is the one that Google grants, %s", (name, granted) => {
    expect(canonicalScope(name)).toBe(granted);
  });
});
