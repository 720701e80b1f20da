/** The URLs of Google's services, or of an emulator. */
export interface GoogleEndpoints {
  authorize: string;
  token: string;
  revoke: string;
  /** The keys that sign ID tokens. */
  certs: string;
  riscConfiguration: string;
  gmail: string;
}

/** The issuer of ID tokens, also in the `iss` of callbacks; an emulator uses it, too. */
export const GOOGLE_ISSUER = "https://accounts.google.com";

/** Returns Google's own URLs, or those of an emulator on loopback with the same paths. */
export function googleEndpoints(emulatorHost: string | undefined): GoogleEndpoints {
  if (emulatorHost !== undefined) {
    const origin = `http://${emulatorHost}`;
    return endpointsAt({ accounts: origin, oauth: origin, certs: origin, gmail: origin });
  }
  return endpointsAt({
    accounts: GOOGLE_ISSUER,
    oauth: "https://oauth2.googleapis.com",
    certs: "https://www.googleapis.com",
    gmail: "https://gmail.googleapis.com",
  });
}

function endpointsAt(at: {
  accounts: string;
  oauth: string;
  certs: string;
  gmail: string;
}): GoogleEndpoints {
  return {
    authorize: `${at.accounts}/o/oauth2/v2/auth`,
    token: `${at.oauth}/token`,
    revoke: `${at.oauth}/revoke`,
    certs: `${at.certs}/oauth2/v3/certs`,
    riscConfiguration: `${at.accounts}/.well-known/risc-configuration`,
    gmail: `${at.gmail}/`,
  };
}
