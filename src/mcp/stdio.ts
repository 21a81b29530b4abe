/**
 * The tools on standard input and output, for a host that starts this process. Nothing else may write to stdout. It must
 * not know tools.
 */
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import { type BusServerParts, busServer } from "./bus-server.ts";

/** Resolves when the host is gone. */
export function serveOnStdio(parts: BusServerParts): Promise<void> {
  return new Promise((resolve) => {
    const transport = new StdioServerTransport();
    serveStdio(() => busServer(parts), { transport, maxSubscriptions: 0, onerror: parts.report });
    const closed = transport.onclose;
    transport.onclose = () => {
      closed?.();
      resolve();
    };
  });
}
