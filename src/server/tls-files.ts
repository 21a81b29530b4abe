/**
 * Certificate and key from files, and again when they change: a renewed certificate needs no restart. It knows files, not
 * connections.
 */
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { createSecureContext } from "node:tls";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How often the files are looked at: no watching by the kernel, for certificates are often links that are switched. */
const LOOK_EVERY_MS = 2000;

/** Throws an Error that names flag and file when they can't be read or don't belong together. */
export function readTls({ cert, key }: TlsFiles): TlsMaterial {
  const material = { cert: read("--tls-cert", cert), key: read("--tls-key", key) };
  try {
    createSecureContext(material);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `--tls-cert ${cert} and --tls-key ${key} can't be used together: ${why}; give a certificate in PEM and the key it was made with`,
      { cause },
    );
  }
  return material;
}

/** Calls `changed` with what is new and in order, `failed` when it is not: the old one stays then. Returns what stops it. */
export function watchTls(
  files: TlsFiles,
  changed: (material: TlsMaterial) => void,
  failed: (error: unknown) => void,
): () => void {
  const look = () => {
    try {
      changed(readTls(files));
    } catch (error) {
      failed(error);
    }
  };
  const paths = [files.cert, files.key];
  for (const path of paths) watchFile(path, { interval: LOOK_EVERY_MS, persistent: false }, look);
  return () => {
    for (const path of paths) unwatchFile(path, look);
  };
}

function read(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${flag} ${path} can't be read: ${why}; give a PEM file that this user may read`, { cause });
  }
}
