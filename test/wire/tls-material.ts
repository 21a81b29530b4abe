/** Certificates and keys made by openssl for one test, and what a TLS server shows to whoever connects. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { onTestFinished } from "vitest";

export interface Certificate {
  /** The file of each, and the certificate's own text. */
  readonly cert: string;
  readonly key: string;
  readonly pem: string;
}

/** A certificate of this machine, signed by itself, with a common name to know it by. */
export function makeCertificate(folder: string, name: string): Certificate {
  const [cert, key] = [`${folder}/${name}.cert.pem`, `${folder}/${name}.key.pem`];
  const made = ["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  try {
    execFileSync("openssl", [...made, ...subject, "-keyout", key, "-out", cert], { stdio: "pipe" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new Error("openssl is missing: apt-get install openssl");
    throw error;
  }
  return { cert, key, pem: readFileSync(cert, "utf8") };
}

/** A finished handshake, open until the test ends. Rejects when the server refuses it. */
export function shakeHands(port: number, ca: string, alpn?: readonly string[]): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", ca, ...(alpn && { ALPNProtocols: [...alpn] }) };
    const socket = tls.connect(options, () => resolve(socket));
    socket.on("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

/** The common name in the certificate that a new connection is shown. */
export async function nameShown(port: number, trusted: readonly Certificate[]): Promise<unknown> {
  const socket = await shakeHands(port, trusted.map(({ pem }) => pem).join("\n"));
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}
