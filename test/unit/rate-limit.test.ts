import { describe, expect, it } from "vitest";
import { clientOf, rateLimit } from "../../functions/src/platform/rate-limit.ts";
import { movableClock } from "../support/scenario.ts";

/** Goal: a client gets what it may have, others get theirs, and remembering them costs a fixed size. */

const taken = (take: () => boolean, tries: number) =>
  Array.from({ length: tries }, take).filter(Boolean).length;

/** A clock that stands still. */
function setClock() {
  let at = 0;
  return {
    ...movableClock(),
    now: () => new Date(at),
    advance: (ms: number) => {
      at += ms;
    },
  };
}

describe("a limit of 30 a minute", () => {
  it("allows 60 at once, then 30 in each minute", () => {
    const clock = setClock();
    const limit = rateLimit({ perMinute: 30 }, clock);
    expect(taken(() => limit.take("a"), 100)).toBe(60);
    clock.advance(60_000);
    expect(taken(() => limit.take("a"), 100)).toBe(30);
    clock.advance(3_600_000);
    expect(taken(() => limit.take("a"), 100)).toBe(60);
  });

  it("is each client's own", () => {
    const limit = rateLimit({ perMinute: 30 }, setClock());
    taken(() => limit.take("a"), 100);
    expect(limit.take("a")).toBe(false);
    expect(limit.take("b")).toBe(true);
  });

  it("does not count returned requests", () => {
    const limit = rateLimit({ perMinute: 30 }, setClock());
    taken(() => limit.take(), 60);
    limit.giveBack();
    expect(taken(() => limit.take(), 100)).toBe(1);
  });

  it("is not affected by a clock that goes back", () => {
    const clock = setClock();
    const limit = rateLimit({ perMinute: 30 }, clock);
    taken(() => limit.take("a"), 60);
    clock.advance(-3_600_000);
    expect(limit.take("a")).toBe(false);
  });

  it("remembers the last 10,000 clients, and no more", () => {
    const limit = rateLimit({ perMinute: 30 }, setClock());
    taken(() => limit.take("first"), 60);
    for (let other = 1; other < 10_000; other++) limit.take(`other ${other}`);
    expect(limit.take("first")).toBe(false);
    for (let other = 1; other <= 10_000; other++) limit.take(`another ${other}`);
    expect(limit.take("first")).toBe(true);
  });
});

describe("a client", () => {
  it.each([
    ["the address of the connection, without a proxy", undefined, "127.0.0.1", 0, "127.0.0.1"],
    ["what the front end added last", "6.6.6.6, 1.2.3.4", "169.254.1.1", 0, "1.2.3.4"],
    [
      "before a load balancer, the one before",
      "6.6.6.6,1.2.3.4,35.1.1.1",
      "169.254.1.1",
      1,
      "1.2.3.4",
    ],
    ["the connection, where an entry is missing", "1.2.3.4", "169.254.1.1", 1, "169.254.1.1"],
    ["the network of an IPv6 address", "2001:db8:1:2:3:4:5:6", "::1", 0, "2001:db8:1:2"],
    ["the same network, written in another way", "2001:0DB8:1:2::7", "::1", 0, "2001:db8:1:2"],
    ["a network with zeros", "2001:db8::7", "::1", 0, "2001:db8:0:0"],
    ["an IPv4 address in IPv6", undefined, "::ffff:127.0.0.1", 0, "127.0.0.1"],
    ["an IPv4 address in IPv6, in hexadecimal", "::FFFF:c633:6409", "::1", 0, "198.51.100.9"],
    ["an IPv4 address in IPv6, in full", "0:0:0:0:0:ffff:198.51.100.9", "::1", 0, "198.51.100.9"],
    ["an IPv6 address with a zone", undefined, "fe80::1%eth0", 0, "fe80:0:0:0"],
    ["nobody in particular, where there is no address", "unknown", "1.2.3.4", 0, ""],
    ["nobody in particular, where there is nothing at all", undefined, undefined, 0, ""],
  ])("is %s", (_, forwardedFor, socketAddress, loadBalancers, client) => {
    expect(clientOf(forwardedFor, socketAddress, loadBalancers)).toBe(client);
  });
});
