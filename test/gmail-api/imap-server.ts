import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import { once } from "node:events";
import type { Emulator, EmulatorSource } from "../support/emulator-source.ts";
import { freePort, startProgram } from "../support/program.ts";

/** Dovecot never runs as root here: then it runs as this user. */
const NOBODY = { name: "nobody", group: "nogroup", id: 65_534 };
const START_MS_MAX = 20_000;

/** Debian does not put `/usr/sbin` on everybody's path. */
const PATH = `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin`;

/**
 * Returns Dovecot, which accepts XOAUTH2 only: it asks Google's `tokeninfo` endpoint whose the token is,
 * and wants the scope that Gmail wants for IMAP. Version 2.4 reads another configuration.
 */
export function findImapServer(tokenInfoUrl: () => string): EmulatorSource {
  const options = { encoding: "utf8", env: { ...process.env, PATH } } as const;
  const { stdout } = spawnSync("dovecot", ["--version"], options);
  if (stdout?.startsWith("2.3.") !== true) {
    return { kind: "missing", why: "no Dovecot 2.3: apt-get install dovecot-imapd" };
  }
  return { kind: "found", start: () => start(tokenInfoUrl()) };
}

async function start(tokenInfoUrl: string): Promise<Emulator> {
  const folder = mkdtempSync(path.join(tmpdir(), "imap-server-"));
  const isRoot = process.getuid?.() === 0;
  const port = await freePort();
  writeFileSync(path.join(folder, "oauth2.conf"), oauth2Configuration(tokenInfoUrl));
  const file = path.join(folder, "dovecot.conf");
  writeFileSync(file, configuration(folder, port, isRoot ? NOBODY : ownName()));
  if (isRoot) chownSync(folder, NOBODY.id, NOBODY.id);
  mkdirSync(path.join(folder, "mail"));
  if (isRoot) chownSync(path.join(folder, "mail"), NOBODY.id, NOBODY.id);

  const dovecot = ["dovecot", "-F", "-c", file];
  const id = String(NOBODY.id);
  const asNobody = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups"];
  const [command = "", ...args] = isRoot ? [...asNobody, ...dovecot] : dovecot;
  const program = startProgram({ command, args, env: { PATH } });
  const stop = async () => {
    await program.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await program.until(() => greets(port), START_MS_MAX);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: `127.0.0.1:${port}`, output: program.output, stop };
}

function ownName(): { name: string; group: string } {
  const { username: name, gid } = userInfo();
  const { stdout } = spawnSync("id", ["-gn"], { encoding: "utf8" });
  return { name, group: stdout?.trim() || String(gid) };
}

function oauth2Configuration(tokenInfoUrl: string): string {
  return `tokeninfo_url = ${tokenInfoUrl}?access_token=
username_attribute = email
scope = https://mail.google.com/
`;
}

/** One user for everything, so that nothing needs root; no delay for a rejected sign-in. */
function configuration(
  folder: string,
  port: number,
  { name, group }: { name: string; group: string },
): string {
  return `protocols = imap
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = /dev/stderr
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = xoauth2
auth_failure_delay = 0
default_internal_user = ${name}
default_internal_group = ${group}
default_login_user = ${name}
first_valid_uid = 1
mail_location = maildir:${folder}/mail/%u
passdb {
  driver = oauth2
  args = ${folder}/oauth2.conf
}
userdb {
  driver = static
  args = uid=${name} gid=${group} home=${folder}/mail/%u
}
service imap-login {
  chroot =
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
`;
}

async function greets(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    const [greeting] = await once(socket, "data");
    return String(greeting).startsWith("* OK");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
