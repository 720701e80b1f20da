/** What was asked for cannot be done; the message says why and holds no secret. */
export class Refusal extends Error {
  override name = "Refusal";
}
