import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { parseTarget } from "./parse-target.js";

test("a target is a pod or an address, with a port and a protocol", () => {
  const pod = (name: string, context?: string) => ({ context, namespace: "shop", name });
  const at = (address: string) => ({ address: parseAddress(address) });
  const cases: readonly (readonly [string, object, number, number])[] = [
    ["shop/web-0:8080", pod("web-0"), 6, 8080],
    ["west/shop/web-0:53/udp", pod("web-0", "west"), 17, 53],
    ["arn:aws:eks:eu:1:cluster/west/shop/web-0:80/TCP", pod("web-0", "arn:aws:eks:eu:1:cluster/west"), 6, 80],
    ["203.0.113.7:9/sctp", at("203.0.113.7"), 132, 9],
    ["[2001:db8::1]:443", at("2001:db8::1"), 6, 443],
    ["10.1.0.5:8/icmp", at("10.1.0.5"), 1, 8 << 8],
  ];
  for (const [text, end, protocol, port] of cases) assert.deepEqual(parseTarget(text), { end, protocol, port }, text);
});

test("what cannot be a target is refused with what to write", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["shop/web-0", /has no port; write POD:PORT\/PROTO/],
    ["shop/web-0:80/gre", /"gre" is none of tcp, udp, sctp, icmp/],
    ["shop/web-0:0", /a port is 1 to 65535/],
    ["shop/web-0:70000", /a port is 1 to 65535/],
    ["10.1.0.5:256/icmp", /an ICMP type is 0 to 255/],
    ["web-0:80", /write NAMESPACE\/POD or CONTEXT\/NAMESPACE\/POD/],
    ["/shop/web-0:80", /its context is empty/],
    ["Shop/web-0:80", /Cannot use "Shop" as a namespace in --to/],
  ];
  for (const [text, expected] of cases) assert.throws(() => parseTarget(text), expected, text);
});
