import { startPlayground } from "./playground.ts";

const { url, close } = await startPlayground({ pagePort: 3000, connectPort: 8080 });

console.log(`
The receiver runs on this machine, against an emulated Google. Open

  ${url}/

1. Connect ada@example.com; Google's consent page opens in a new tab.
2. Deliver a mail and watch the change arrive. Then change her password and deliver another.
3. Open the link in the re-authorization event, or in the mail to her, and allow access: what was
   missed arrives.

Ctrl-C ends it.`);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void close());
