import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface HostingProxy {
  url: string;
  close(): void;
}

/**
 * Stands in front of a site as Firebase Hosting does: of all cookies only `__session` gets through to
 * the site. What the site says of its own address is changed to the proxy's.
 */
export async function startHostingProxy(site: string): Promise<HostingProxy> {
  const server = createServer((request, response) => {
    const forward = async () => {
      const cookies = (request.headers.cookie ?? "").split("; ");
      const passed = cookies.filter((each) => each.startsWith("__session="));
      const answer = await fetch(`${site}${request.url ?? "/"}`, {
        method: request.method ?? "GET",
        redirect: "manual",
        ...(passed.length > 0 && { headers: { cookie: passed.join("; ") } }),
      });
      const text = (await answer.text()).replaceAll(site, url);
      for (const [name, value] of answer.headers) {
        if (name !== "content-length" && name !== "set-cookie") {
          response.setHeader(name, value.replaceAll(site, url));
        }
      }
      response.setHeader("set-cookie", answer.headers.getSetCookie());
      response.writeHead(answer.status).end(text);
    };
    forward().catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
