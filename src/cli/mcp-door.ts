/** What a bus serves at /mcp. It must not know the tools, nor how the door is reached. */
import type { Logger } from "../server/log.ts";
import type { MountedDoor } from "../server/mounted-door.ts";
import { packageVersion } from "../server/package-version.ts";

/** Loaded with its first call: 20 MB that a bus without MCP hosts need not have. */
export function mcpDoor(log: Logger): MountedDoor {
  let loading: Promise<MountedDoor> | undefined;
  const load = async () => {
    const { openMcpDoor } = await import("../mcp/http.ts");
    return openMcpDoor({ version: packageVersion(), report: (err) => log.error({ err }, "an MCP tool failed") });
  };
  return async (call) => {
    loading ??= load();
    return (await loading)(call);
  };
}
