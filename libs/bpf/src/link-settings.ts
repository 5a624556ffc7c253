/**
 * Changes an IPv4 setting of a device by rtnetlink. That needs only CAP_NET_ADMIN, while /proc/sys is read-only in an
 * unprivileged container.
 */
import { native } from "./native.js";

/** IPV4_DEVCONF_RP_FILTER in linux/ip.h: /proc/sys/net/ipv4/conf/<device>/rp_filter. */
const RP_FILTER = 8;

const RTM_SETLINK = 19;
const NLM_F_REQUEST_ACK = 1 | 4;
const NESTED = 0x8000;
const IFLA_IFNAME = 3;
const IFLA_AF_SPEC = 26;
const AF_INET = 2;
const IFLA_INET_CONF = 1;

/** Sets rp_filter, the source validation of a device. Rejects with ENODEV when the device does not exist. */
export function setReversePathFilter(device: string, value: 0 | 1 | 2): Promise<void> {
  const setting = attribute(RP_FILTER, Buffer.from(Uint32Array.of(value).buffer));
  const ofIpv4 = attribute(AF_INET | NESTED, attribute(IFLA_INET_CONF | NESTED, setting));
  const attributes = [attribute(IFLA_IFNAME, Buffer.from(`${device}\0`)), attribute(IFLA_AF_SPEC | NESTED, ofIpv4)];
  // struct nlmsghdr, and an empty struct ifinfomsg, because IFLA_IFNAME names the device.
  const head = Buffer.alloc(16 + 16);
  const message = Buffer.concat([head, ...attributes]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(RTM_SETLINK, 4);
  message.writeUInt16LE(NLM_F_REQUEST_ACK, 6);
  return native().routeRequest(message);
}

/** A netlink attribute: length without padding, type, bytes, padding to 4. */
function attribute(type: number, bytes: Buffer): Buffer {
  const whole = Buffer.alloc((4 + bytes.length + 3) & ~3);
  whole.writeUInt16LE(4 + bytes.length, 0);
  whole.writeUInt16LE(type, 2);
  bytes.copy(whole, 4);
  return whole;
}
