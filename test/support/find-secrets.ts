const PART_CHARACTERS = 18;

/** The secrets of which the text holds 18 characters in a row, as they are or encoded. */
export function findSecrets(searched: string, secrets: readonly string[]): string[] {
  return secrets.filter((secret) => {
    // In base64 a part looks the same wherever it begins at a multiple of three bytes.
    for (let at = 0; at + PART_CHARACTERS <= secret.length; at += PART_CHARACTERS / 2) {
      const part = Buffer.from(secret.slice(at, at + PART_CHARACTERS));
      const forms = (["utf8", "hex", "base64", "base64url"] as const).map((it) =>
        part.toString(it),
      );
      if (forms.some((form) => searched.includes(form))) return true;
    }
    return false;
  });
}
