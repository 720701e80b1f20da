/** Where Google is: one set of addresses for the real one and one for an emulator. */
export interface GoogleEndpoints {
  authorize: string;
  token: string;
  revoke: string;
  /** The keys that sign ID tokens. */
  certs: string;
  riscConfiguration: string;
  gmail: string;
}

/** The issuer in ID tokens and in the `iss` of callbacks; an emulator signs with it too. */
export const GOOGLE_ISSUER = "https://accounts.google.com";

/** Google's own addresses, or those of an emulator on loopback that serves the same paths. */
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
