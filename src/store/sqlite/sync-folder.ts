/** Makes names last: a new file or folder survives a power loss only when the folder that it lies in was synced. */
import { closeSync, fsyncSync, openSync } from "node:fs";

export function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
