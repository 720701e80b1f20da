/** Names one security event token: a digest of its issuer and its `jti` (RFC 8417 §2.2). */
export type SecurityEventId = string & { readonly __brand: "SecurityEventId" };

/** The security event tokens that have been handled. Each method throws what the store throws. */
export interface SeenEvents {
  has(id: SecurityEventId): Promise<boolean>;
  /** Records a token until `expireAt` or later. */
  add(id: SecurityEventId, expireAt: Date): Promise<void>;
}
