/** The bytes of requests, written by hand from the kernel's headers, and of what it answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { setAddress } from "./addresses.js";
import { parseAttributes } from "./attributes.js";
import { createVeth, getLink, listLinks, parseLink, setLinkIpv4Setting, setLinkUp } from "./links.js";
import { encodeRequests, type NetlinkRequest, parseEnd, parseMessages } from "./messages.js";
import { setNeighbour } from "./neighbours.js";
import { deleteRoute, listRoutes, parseRoute, setRoute } from "./routes.js";

/** Bytes of lines of hex, each with a comment after `//`. */
function bytes(lines: string): Uint8Array {
  return Buffer.from(lines.replace(/\/\/.*$/gm, "").replace(/\s/g, ""), "hex");
}

function assertBytes(request: NetlinkRequest, lines: string): void {
  assert.equal(Buffer.from(request.body).toString("hex"), Buffer.from(bytes(lines)).toString("hex"));
}

const [MAC, PEER_MAC] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
const gateway = parseAddress("172.18.0.2");
const noRoute = { kind: "unicast", gateway: undefined, link: undefined, protocol: 77, metric: 0 } as const;

test("a request is a header with its length, flags and sequence number, and a body that is padded to 4", () => {
  const request = { action: "", object: "", type: 24, flags: 0x500, body: Uint8Array.of(1, 2, 3) };
  assert.equal(
    Buffer.from(encodeRequests([request, { ...request, flags: 0, body: new Uint8Array() }], 7)).toString("hex"),
    Buffer.from(
      bytes(`
        13000000 1800 0505 07000000 00000000  // 19 bytes, RTM_NEWROUTE, REQUEST | ACK | REPLACE | CREATE, number 7, port 0
        010203 00                             // body, padding
        10000000 1800 0500 08000000 00000000
      `),
    ).toString("hex"),
  );
});

test("routes", () => {
  assertBytes(
    setRoute({ ...noRoute, prefix: parsePrefix("10.12.0.0/16"), gateway }),
    `02 10 00 00 fe 4d 00 01 00000000  // AF_INET, /16, table main, protocol 77, scope universe, unicast
     0800 0100 0a0c0000                // RTA_DST
     0800 0500 ac120002                // RTA_GATEWAY`,
  );
  assertBytes(
    setRoute({ ...noRoute, prefix: parsePrefix("10.11.0.5/32"), link: 9, protocol: 78 }),
    `02 20 00 00 fe 4e fd 01 00000000  // /32, protocol 78, scope link
     0800 0100 0a0b0005
     0800 0400 09000000                // RTA_OIF`,
  );
  assertBytes(
    setRoute({ ...noRoute, prefix: parsePrefix("fd00:1::/64"), kind: "unreachable", metric: 1_000_000 }),
    `0a 40 00 00 fe 4d 00 07 00000000                // AF_INET6, /64, unreachable
     1400 0100 fd000001000000000000000000000000
     0800 0600 40420f00                               // RTA_PRIORITY`,
  );
  assertBytes(
    setRoute({ ...noRoute, prefix: parsePrefix("0.0.0.0/0"), gateway, link: 2, protocol: 3, onLink: true }),
    `02 00 00 00 fe 03 00 01 04000000  // RTNH_F_ONLINK
     0800 0500 ac120002
     0800 0400 02000000`,
  );
  assertBytes(
    deleteRoute({ ...noRoute, prefix: parsePrefix("10.12.0.0/16") }),
    `02 10 00 00 fe 4d ff 00 00000000  // scope nowhere and no type: any
     0800 0100 0a0c0000`,
  );
  assertBytes(
    listRoutes({ family: "IPv4", protocol: 78, link: 9 }),
    `02 00 00 00 fe 4e 00 00 00000000
     0800 0400 09000000`,
  );
});

test("links", () => {
  assertBytes(
    setLinkUp("eth0"),
    `00 00 0000 00000000 01000000 01000000  // ifi_flags and ifi_change: IFF_UP
     0900 0300 6574683000 000000            // IFLA_IFNAME "eth0", padding`,
  );
  assertBytes(
    getLink("lo"),
    `00 00 0000 00000000 00000000 00000000
     0700 0300 6c6f00 00
     0800 1d00 08000000                     // IFLA_EXT_MASK: RTEXT_FILTER_SKIP_STATS`,
  );
  assertBytes(
    listLinks("veth"),
    `00 00 0000 00000000 00000000 00000000
     0800 1d00 08000000
     1000 1280                              // IFLA_LINKINFO, nested
       0900 0100 7665746800 000000          //   IFLA_INFO_KIND "veth"`,
  );
  assertBytes(
    createVeth({ name: "a", mac: MAC, mtu: 1500 }, { name: "b", mac: PEER_MAC, mtu: 1400 }, 5),
    `00 00 0000 00000000 00000000 00000000
     0600 0300 6100 0000                    // IFLA_IFNAME
     0a00 0100 020000000001 0000            // IFLA_ADDRESS
     0800 0400 dc050000                     // IFLA_MTU
     4c00 1280                              // IFLA_LINKINFO
       0900 0100 7665746800 000000
       3c00 0280                            //   IFLA_INFO_DATA
         3800 0180                          //     VETH_INFO_PEER
           00 00 0000 00000000 00000000 00000000
           0600 0300 6200 0000
           0a00 0100 020000000002 0000
           0800 0400 78050000
           0800 1c00 05000000               //       IFLA_NET_NS_FD`,
  );
  assertBytes(
    setLinkIpv4Setting("eth0", 8, 1),
    `00 00 0000 00000000 00000000 00000000
     0900 0300 6574683000 000000
     1400 1a80                              // IFLA_AF_SPEC
       1000 0280                            //   AF_INET
         0c00 0180                          //     IFLA_INET_CONF
           0800 0800 01000000               //       rp_filter = 1`,
  );
});

test("the namespace of a veth's other end is read, and a number that names none is not", () => {
  const link = (rest: string) =>
    parseLink({
      type: 16,
      flags: 0,
      sequence: 1,
      body: bytes(`00 00 0100 07000000 01000000 00000000
                   0600 0300 6100 0000  // IFLA_IFNAME
                   0800 0500 09000000   // IFLA_LINK
                   ${rest}`),
    });
  const veth = { index: 7, name: "a", up: true, mac: "", mtu: 0, kind: "", peer: 9 };
  assert.deepEqual(link("0800 2500 00000000"), { ...veth, peerNetnsId: 0 }); // IFLA_LINK_NETNSID
  assert.deepEqual(link("0800 2500 05010000"), { ...veth, peerNetnsId: 261 });
  for (const none of ["0800 2500 ffffffff", ""]) assert.deepEqual(link(none), { ...veth, peerNetnsId: undefined });
});

test("addresses and neighbours", () => {
  assertBytes(
    setAddress({ link: 3, prefix: parsePrefix("10.11.0.5/32") }),
    `02 20 00 00 03000000  // AF_INET, /32, flags, scope universe, index
     0800 0200 0a0b0005    // IFA_LOCAL
     0800 0100 0a0b0005    // IFA_ADDRESS`,
  );
  assertBytes(
    setNeighbour({ link: 3, address: parseAddress("169.254.1.1"), mac: MAC }),
    `02 00 0000 03000000 8000 00 00  // NUD_PERMANENT
     0800 0100 a9fe0101              // NDA_DST
     0a00 0200 020000000001 0000     // NDA_LLADDR`,
  );
});

test("a route of the kernel is read, and one that is not in the main table, or of another kind, is not", () => {
  const answer = (table: string, kind: string) => ({
    type: 24,
    flags: 2,
    sequence: 1,
    body: bytes(`02 18 00 00 ${table} 4d 00 ${kind} 00000000
                 0800 0f00 fe000000  // RTA_TABLE
                 0800 0100 0a0c0100
                 0800 0500 ac120002
                 0800 0400 04000000`),
  });
  assert.deepEqual(parseRoute(answer("fe", "01")), {
    ...noRoute,
    prefix: parsePrefix("10.12.1.0/24"),
    gateway,
    link: 4,
  });
  for (const other of [answer("ff", "01"), answer("fe", "02"), { ...answer("fe", "01"), type: 25 }])
    assert.equal(parseRoute(other), undefined);
});

test("the end of a request has its errno and the kernel's text", () => {
  const [error, done, link] =
    parseMessages(
      bytes(`
        3c000000 0200 0003 01000000 00000000  // NLMSG_ERROR, CAPPED | ACK_TLVS
          9bffffff                            // -ENETUNREACH
          24000000 1800 0505 01000000 00000000
          1600 0100 4e657874686f702069732077726f6e672100 0000  // NLMSGERR_ATTR_MSG
        14000000 0300 0200 02000000 00000000 00000000
        10000000 1000 0000 03000000 00000000
      `),
    ) ?? [];
  if (error === undefined || done === undefined || link === undefined) throw new Error("not three messages");
  assert.deepEqual(parseEnd(error), { errno: 101, text: "Nexthop is wrong!" });
  assert.deepEqual(parseEnd(done), { errno: 0, text: "" });
  assert.equal(parseEnd(link), undefined);
});

test("attributes whose lengths do not fit are refused", () => {
  assert.equal(parseAttributes(bytes("0900 0100 01020304")), undefined);
  assert.equal(parseAttributes(bytes("0300 0100")), undefined);
  const parsed = [...(parseAttributes(bytes("0500 0180 07 000000 0400 0200")) ?? [])];
  assert.deepEqual(
    parsed.map(([type, value]) => [type, ...value]),
    [[1, 7], [2]],
  );
});
