/** The page's server and the browser that opens it. */
import { type Browser, chromium } from "playwright-core";
import { preview } from "vite";
import { BROWSERS } from "./clients.ts";
import { findProgram } from "./find-tools.ts";

export interface PageServer {
  /** The page, at the root of its origin. */
  readonly url: string;
  readonly origin: string;
  close(): Promise<void>;
}

/** Of what `vite build` has made. */
export async function servePage(root: string): Promise<PageServer> {
  const server = await preview({ root, logLevel: "silent", preview: { host: "127.0.0.1", port: 0 } });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error("the page's server does not listen");
  return { url, origin: new URL(url).origin, close: () => server.close() };
}

/** With a profile of its own, which goes with it. */
export function openBrowser(): Promise<Browser> {
  const executablePath = findProgram(...BROWSERS);
  if (executablePath === undefined) throw new Error("there is no browser");
  const quietly = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
  const args = ["--no-sandbox", ...quietly, "--disable-component-update", "--disable-sync"];
  return chromium.launch({ executablePath, args, headless: true });
}
