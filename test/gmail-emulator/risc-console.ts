/** What a developer does for the RISC API in the Cloud console. */
export interface RiscConsole {
  /** Hosts that events may be delivered to. */
  setAuthorizedDomains(domains: readonly string[]): void;
  /** Google sign-in by Firebase Authentication takes the stream over. */
  setStreamOwner(owner: "developer" | "firebase"): void;
}
