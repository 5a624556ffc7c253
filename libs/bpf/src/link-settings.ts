/**
 * Changes an IPv4 setting of a device by rtnetlink. That needs only CAP_NET_ADMIN, while /proc/sys is read-only in an
 * unprivileged container.
 */
import { setLinkIpv4Setting } from "./netlink/links.js";
import { openNetlink, runAll, withNetlink } from "./netlink/netlink.js";

/** IPV4_DEVCONF_RP_FILTER in linux/ip.h: /proc/sys/net/ipv4/conf/<device>/rp_filter. */
const RP_FILTER = 8;

/** Sets rp_filter, the source validation of a device. Rejects with `NETLINK`: ENODEV when the device does not exist. */
export async function setReversePathFilter(device: string, value: 0 | 1 | 2): Promise<void> {
  await withNetlink(openNetlink, undefined, (netlink) =>
    runAll(netlink, [setLinkIpv4Setting(device, RP_FILTER, value)]),
  );
}
