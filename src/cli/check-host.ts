/** What doctor finds out about this host and this process. It must not call a bus. */
import { type Check, ok, warn } from "./doctor-check.ts";

const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

export function checkHost(): Check[] {
  return [ok("node", `${process.versions.node}, ${process.platform} ${process.arch}`), checkProxies()];
}

/** Curl, Python and others obey these; Node does not by itself. */
function checkProxies(): Check {
  const set = PROXIES.flatMap((name) => [name, name.toLowerCase()]).filter((name) => process.env[name]);
  if (set.length === 0) return ok("proxy", "none in the environment");
  const { NO_PROXY, no_proxy } = process.env;
  const except = NO_PROXY || no_proxy;
  return warn(
    "proxy",
    `${set.join(", ")} ${set.length === 1 ? "is" : "are"} set: agentbus connects directly all the same, but curl and other clients go there, except to ${except || "nobody: name the bus in NO_PROXY"}`,
  );
}
