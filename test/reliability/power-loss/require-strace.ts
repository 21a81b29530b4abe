/** strace, without which nobody sees or breaks a system call. Its absence is a failure with advice, never a skipped test. */
import { execFileSync } from "node:child_process";

/** Throws when strace cannot trace here. */
export function requireStrace(): void {
  try {
    execFileSync("strace", ["-o", "/dev/null", "true"], { stdio: "pipe" });
  } catch (error) {
    throw new Error(
      "this test needs a strace that may trace (apt-get install strace; in a container: --cap-add SYS_PTRACE)",
      { cause: error },
    );
  }
}
