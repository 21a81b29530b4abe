/** Which names and addresses are this machine itself. */
import { BlockList, isIP } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** "localhost", names under it, 127.0.0.0/8, ::1 (also in brackets). */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  const family = isIP(address);
  if (family === 0) return address === "localhost" || address.endsWith(".localhost");
  return loopback.check(address, family === 4 ? "ipv4" : "ipv6");
}
