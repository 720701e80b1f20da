import { parseMail } from "./mime.ts";

/** The methods that take a mail as it is, and the field of their JSON that it stands for. */
export const UPLOADS = {
  "messages.send": [],
  "messages.insert": [],
  "messages.import": [],
  "drafts.create": ["message"],
  "drafts.update": ["message"],
  "drafts.send": ["message"],
} as const;

/**
 * Reads the body of an upload: a mail alone (`uploadType=media`), or JSON and a mail
 * (`uploadType=multipart`). Returns the JSON that says the same; `undefined` for anything else.
 */
export function readUpload(
  method: keyof typeof UPLOADS,
  contentType: string,
  body: Uint8Array,
): unknown {
  const root = parseMail(
    Buffer.concat([Buffer.from(`Content-Type: ${contentType}\r\n\r\n`), Buffer.from(body)]),
  );
  if (root.mimeType === "message/rfc822") return withRaw(method, {}, body);
  const [json, mail] = root.parts;
  if (root.mimeType !== "multipart/related" || json === undefined || mail === undefined) {
    return undefined;
  }
  const fields = readJson(json.body);
  return fields && withRaw(method, fields, mail.body);
}

function withRaw(method: keyof typeof UPLOADS, fields: object, mail: Uint8Array): object {
  const raw = Buffer.from(mail).toString("base64url");
  const [field] = UPLOADS[method];
  if (field === undefined) return { ...fields, raw };
  const given = (fields as Record<string, unknown>)[field];
  return { ...fields, [field]: { ...(typeof given === "object" && given), raw } };
}

function readJson(bytes: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
