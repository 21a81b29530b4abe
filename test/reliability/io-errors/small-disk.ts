/** A disk of a few megabytes that really gets full, and can be made read-only: a tmpfs of the test's own. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "../../start-bus.ts";

export interface SmallDisk {
  readonly folder: string;
  /** Takes the rest of it, to the last byte. */
  fill(): void;
  /** Gives back what fill() took. */
  free(): void;
  freeBytes(): number;
  readOnly(): void;
}

/**
 * Tests that mount are skipped by name where that is not allowed: run them as root, in a container with
 * --cap-add SYS_ADMIN, or: unshare --user --map-root-user --mount npm test.
 */
export const CAN_MOUNT = canMount();

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", folder]).status === 0;
  if (mounted) spawnSync("umount", [folder]);
  rmdirSync(folder);
  return mounted;
}

/** Call it before anything lies on it is started. */
export function smallDisk(bytes: number): SmallDisk {
  const folder = temporaryFolder();
  const mount = (...args: string[]) => execFileSync("mount", args, { stdio: "pipe" });
  mount("-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder);
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", folder]);
  });
  const filler = `${folder}/filler`;
  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  };
  return {
    folder,
    freeBytes,
    fill: () => {
      while (freeBytes() > 0) {
        try {
          writeFileSync(filler, Buffer.alloc(freeBytes()), { flag: "a" });
        } catch {
          // Someone else was quicker: then it is full, or there is a little more.
        }
      }
    },
    free: () => rmSync(filler),
    readOnly: () => {
      mount("-o", "remount,ro", folder);
    },
  };
}
