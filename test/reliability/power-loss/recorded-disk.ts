/**
 * Plays recorded calls onto a disk that can lose its power between any two of them: everything synced before is there,
 * names included; of the rest anything may be. It knows no database.
 */
import { dirname } from "node:path";
import type { Chance } from "../../wire/seeded-chance.ts";
import { DiskFile } from "./disk-file.ts";
import { type Call, isDatabase } from "./trace-reader.ts";

type NameChange = { readonly path: string; readonly file: DiskFile | "folder" | undefined };
type Names = Map<string, DiskFile | "folder">;

export class RecordedDisk {
  /** As the process sees them. */
  readonly #names: Names = new Map();
  /** As they are on the disk for certain. */
  readonly #disk: Names = new Map();
  /** Names made and removed that no sync of their folder covers yet, in order. */
  #unsynced: NameChange[] = [];

  play(call: Call): void {
    switch (call.kind) {
      case "create":
        if (!this.#names.has(call.path)) this.#rename(call.path, call.folder ? "folder" : new DiskFile());
        break;
      case "unlink":
        this.#rename(call.path, undefined);
        break;
      case "rename": {
        const file = this.#names.get(call.path);
        this.#rename(call.path, undefined);
        this.#rename(call.to, file);
        break;
      }
      case "write":
        this.#file(call.path)?.change({ offset: call.offset, data: call.data });
        break;
      case "truncate":
        this.#file(call.path)?.change({ offset: call.size, data: undefined });
        break;
      case "sync":
        this.#sync(call.path, call.ok);
        break;
      case "answer":
        break;
    }
  }

  /** Paths and contents of the database's files, as a power loss now may leave them. */
  afterPowerLoss(chance: Chance): Map<string, Buffer> {
    const names = new Map(this.#disk);
    // File systems keep the order of changes of names; how many reached the disk is open.
    for (const change of this.#unsynced.slice(0, chance.integer(this.#unsynced.length + 1))) set(names, change);
    const left = new Map<string, Buffer>();
    for (const [path, file] of names) {
      if (file !== "folder" && isDatabase(path) && this.#hasFolders(path, names)) {
        left.set(path, file.afterPowerLoss(chance));
      }
    }
    return left;
  }

  /** Paths and contents of the database's files as processes see them: to compare with the real ones. */
  seen(): Map<string, Buffer> {
    const seen = new Map<string, Buffer>();
    for (const [path, file] of this.#names) if (file !== "folder" && isDatabase(path)) seen.set(path, file.seen);
    return seen;
  }

  #file(path: string): DiskFile | undefined {
    const file = this.#names.get(path);
    if (file === undefined && isDatabase(path)) throw new Error(`${path} was written before it was made`);
    return file === "folder" ? undefined : file;
  }

  #rename(path: string, file: DiskFile | "folder" | undefined): void {
    set(this.#names, { path, file });
    this.#unsynced.push({ path, file });
  }

  #sync(path: string, ok: boolean): void {
    const file = this.#names.get(path);
    if (file instanceof DiskFile) {
      if (ok) file.synced();
      else file.syncFailed();
      return;
    }
    // Anything else is a folder, perhaps one that was there before.
    if (!ok) return;
    const inFolder = (change: NameChange) => dirname(change.path) === path;
    for (const change of this.#unsynced.filter(inFolder)) set(this.#disk, change);
    this.#unsynced = this.#unsynced.filter((change) => !inFolder(change));
  }

  /** Whether every folder that the process made on the way to this file is on the disk. */
  #hasFolders(path: string, names: Names): boolean {
    for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
      if (this.#names.has(folder) && !names.has(folder)) return false;
    }
    return true;
  }
}

function set(names: Names, { path, file }: NameChange): void {
  if (file === undefined) names.delete(path);
  else names.set(path, file);
}
