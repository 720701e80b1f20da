import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EN } from "../../functions/src/texts/en.ts";
import { LANGUAGES, textsFor } from "../../functions/src/texts/languages.ts";
import type { Texts } from "../../functions/src/texts/texts.ts";
import { APPLICATION, openEveryPage } from "../support/every-page.ts";
import { httpVisitor } from "../support/http-visitor.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const OTHERS = Object.values(LANGUAGES).filter((texts) => texts !== EN);

describe("the language of a person", () => {
  it.each([
    [null, "en"],
    ["", "en"],
    ["de", "de"],
    ["de-AT", "de"],
    ["DE-at", "de"],
    ["pt-PT,pt;q=0.9,en;q=0.8", "pt-BR"],
    ["fr-FR,fr;q=0.9,de;q=0.8,en;q=0.7", "de"],
    ["en;q=0.5, pt;q=0.6", "pt-BR"],
    ["en-GB, de", "en"],
    ["de;q=0.8,en;q=0.8", "de"],
    ["de;q=0, pt;q=0.1", "pt-BR"],
    ["*, de;q=0.5", "en"],
    ["fr, *;q=0.5, de;q=0.1", "en"],
    ["de-AT, de;q=0", "en"],
    ["de;q=nonsense", "en"],
    ["constructor, __proto__", "en"],
  ])("of %s is %s", (header, language) => {
    expect(textsFor(header).language).toBe(language);
  });

  it("is read from the first 20 entries of a header, however long it is", () => {
    expect(textsFor(`${"fr,".repeat(19)}de`).language).toBe("de");
    expect(textsFor(`${"fr,".repeat(20)}de`).language).toBe("en");
  });
});

/** Every sentence by its key, with sample values in the sentences that take some. */
function sentencesOf(texts: object, path = ""): [key: string, sentence: string][] {
  return Object.entries(texts).flatMap(([name, value]: [string, unknown]) => {
    const key = `${path}${name}`;
    if (typeof value === "string") return [[key, value] as [string, string]];
    if (typeof value === "object" && value !== null) return sentencesOf(value, `${key}.`);
    return samplesFor(key).map((values, index) => {
      const sentence = (value as (...all: unknown[]) => string)(...values);
      return [`${key}.${index}`, sentence] as [string, string];
    });
  });
}

const APP = "Tidy & Desk";

function samplesFor(key: string): unknown[][] {
  if (key === "dateTime") return [[new Date("2026-03-01T12:30:00Z")]];
  if (key === "connected.recovered") return [[0], [1], [1_234]];
  return [[APP, "ada@example.com"]];
}

describe.each(OTHERS)("the texts in $language", (texts: Texts) => {
  it("translate every sentence, with the same values in it", () => {
    const english = sentencesOf(EN);
    const translated = new Map(sentencesOf(texts));
    expect([...translated.keys()]).toEqual(english.map(([key]) => key));
    expect(english.length).toBeGreaterThan(90);
    const faults = english.filter(([key, sentence]) => {
      const other = translated.get(key) ?? "";
      const isValueLost = [APP, "ada@example.com"].some(
        (value) => sentence.includes(value) !== other.includes(value),
      );
      return other === sentence || other.trim() === "" || isValueLost;
    });
    expect(faults).toEqual([]);
  });

  it("write dates and numbers as the language does", () => {
    const { dateTime, connected } = texts;
    expect(dateTime(new Date("2026-03-01T12:30:00Z"))).toMatch(
      /^1(\.|º)? .*(März|março).*12:30 UTC$/,
    );
    expect(connected.recovered(1_234)).toContain("1.234");
  });
});

describe("the pages for a person who prefers another language", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario({ env: { RETURN_TO_URLS: APPLICATION } });
  });
  afterEach(() => scenario.close());

  it.each(OTHERS)("are all in $language, from the first to the last", async (texts) => {
    const visitor = httpVisitor(scenario, "ada@example.com", `${texts.language},en;q=0.5`);
    const pages: [name: string, response: Response][] = [];
    await openEveryPage(
      scenario,
      visitor,
      (name) => void pages.push([name, visitor.page()]),
      texts,
    );
    expect(pages.length).toBeGreaterThan(30);
    const english = new Set(sentencesOf(EN).map(([, sentence]) => sentence));
    for (const [name, response] of pages) {
      const { headers } = response;
      const found = {
        name,
        varies: headers.get("vary"),
        language: headers.get("content-language"),
      };
      expect(found).toEqual({ name, varies: "accept-language", language: texts.language });
      const text = await response.text();
      expect(text).toContain(`<html lang="${texts.language}">`);
      const words = [...text.matchAll(/>([^<>]+)</g)].map(([, each = ""]) =>
        each.trim().replaceAll("&#39;", "'"),
      );
      const left = words.filter((each) => english.has(each));
      expect({ name, left }).toEqual({ name, left: [] });
    }
  });

  it("say in that language that a client has to wait", async () => {
    await scenario.close();
    scenario = await startScenario({
      env: { RETURN_TO_URLS: APPLICATION, PAGES_PER_MINUTE: "1" },
    });
    const headers = { "accept-language": "de" };
    const responses = [];
    for (let page = 0; page < 40; page += 1) {
      responses.push(await fetch(scenario.publicUrl, { headers }));
    }
    const busy = responses.find(({ status }) => status === 429);
    expect(await busy?.text()).toContain("Zu viele Anfragen");
  });
});
