/** The group commit: whatever arrived while the last commit ran is the next batch, and every write gets its own outcome. */

import { describe, expect, test } from "vitest";
import { GroupCommit } from "#dist/store/group-commit.js";

const MIB = 1024 * 1024;

interface Commit {
  readonly batch: readonly string[];
  /** Ends it well; each write is answered with itself and an exclamation mark. */
  succeed(): void;
  fail(error: Error): void;
}

/** A group commit whose commits end when the test says so. Writes are texts; a number in one is its weight in MiB. */
function controlled() {
  const commits: Commit[] = [];
  const commit = (batch: readonly string[]) =>
    new Promise<readonly string[]>((resolve, reject) => {
      commits.push({ batch, succeed: () => resolve(batch.map((write) => `${write}!`)), fail: reject });
    });
  const group = new GroupCommit<string, string>({ commit, weigh: (write) => Number.parseFloat(write) * MIB || 0 });
  return { group, commits };
}

/** Until everything that is ready to run has run. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The commit number n, which must have begun. */
function at(commits: readonly Commit[], n: number): Commit {
  const commit = commits[n];
  if (commit === undefined) throw new Error(`no commit number ${n} has begun, only ${commits.length}`);
  return commit;
}

describe("the group commit", () => {
  test("commits a lone write at once, without a timer", async () => {
    const { group, commits } = controlled();
    const outcome = group.submit("a");
    await settled();
    expect(at(commits, 0).batch).toEqual(["a"]);
    at(commits, 0).succeed();
    expect(await outcome).toBe("a!");
  });

  test("takes what is submitted together as one batch, in order", async () => {
    const { group, commits } = controlled();
    const outcomes = Promise.all(["a", "b", "c"].map((write) => group.submit(write)));
    await settled();
    expect(commits.map(({ batch }) => batch)).toEqual([["a", "b", "c"]]);
    at(commits, 0).succeed();
    expect(await outcomes).toEqual(["a!", "b!", "c!"]);
  });

  test("answers nobody before the commit is over", async () => {
    const { group, commits } = controlled();
    let answered = false;
    const outcome = group.submit("a").then(() => {
      answered = true;
    });
    await settled();
    expect(answered).toBe(false);
    at(commits, 0).succeed();
    await outcome;
    expect(answered).toBe(true);
  });

  test("makes what arrived during a commit the next batch, and never runs two at once", async () => {
    const { group, commits } = controlled();
    const first = group.submit("a");
    await settled();
    const later = [group.submit("b")];
    await settled();
    later.push(group.submit("c"));
    await settled();
    expect(commits).toHaveLength(1);
    at(commits, 0).succeed();
    await first;
    await settled();
    expect(commits.map(({ batch }) => batch)).toEqual([["a"], ["b", "c"]]);
    at(commits, 1).succeed();
    expect(await Promise.all(later)).toEqual(["b!", "c!"]);
    await settled();
    expect(commits).toHaveLength(2);
  });

  test("takes what is submitted on hearing of a commit into the next batch", async () => {
    const { group, commits } = controlled();
    const again = group.submit("a").then((outcome) => group.submit(`after ${outcome}`));
    await settled();
    at(commits, 0).succeed();
    await settled();
    at(commits, 1).succeed();
    expect(await again).toBe("after a!!");
  });

  test("fails every write of a batch that fails, and no other", async () => {
    const { group, commits } = controlled();
    const lost = Promise.allSettled([group.submit("a"), group.submit("b")]);
    await settled();
    const next = group.submit("c");
    const error = new Error("the disk is full");
    at(commits, 0).fail(error);
    expect(await lost).toEqual([
      { status: "rejected", reason: error },
      { status: "rejected", reason: error },
    ]);
    await settled();
    expect(at(commits, 1).batch).toEqual(["c"]);
    at(commits, 1).succeed();
    expect(await next).toBe("c!");
  });

  test("survives a commit that throws instead of rejecting", async () => {
    let broken = true;
    const group = new GroupCommit<string, string>({
      commit: (batch) => {
        if (broken) throw new Error("broken");
        return Promise.resolve(batch);
      },
      weigh: () => 0,
    });
    await expect(group.submit("a")).rejects.toThrow("broken");
    broken = false;
    expect(await group.submit("b")).toBe("b");
    await expect(group.drained()).resolves.toBeUndefined();
  });

  test("puts at most a thousand writes into one batch", async () => {
    const { group, commits } = controlled();
    const outcomes = Promise.all(Array.from({ length: 2001 }, () => group.submit("a")));
    for (const size of [1000, 1000, 1]) {
      await settled();
      expect(commits.at(-1)?.batch).toHaveLength(size);
      commits.at(-1)?.succeed();
    }
    expect(await outcomes).toHaveLength(2001);
    expect(commits).toHaveLength(3);
  });

  test("puts at most 8 MiB into one batch, in order, and a heavier write into one of its own", async () => {
    const { group, commits } = controlled();
    const outcomes = Promise.all(["4", "4", "1", "20", "1", "7", "0.5"].map((write) => group.submit(write)));
    for (const batch of [["4", "4"], ["1"], ["20"], ["1", "7"], ["0.5"]]) {
      await settled();
      expect(commits.at(-1)?.batch).toEqual(batch);
      commits.at(-1)?.succeed();
    }
    expect(await outcomes).toHaveLength(7);
  });

  test("is drained when nothing waits and nothing runs", async () => {
    const { group, commits } = controlled();
    await expect(group.drained()).resolves.toBeUndefined();
    const outcomes = [group.submit("a")];
    await settled();
    outcomes.push(group.submit("b"));
    let drained = 0;
    const waits = [group.drained(), group.drained()].map((wait) =>
      wait.then(() => {
        drained++;
      }),
    );
    at(commits, 0).succeed();
    await settled();
    expect(drained).toBe(0);
    at(commits, 1).succeed();
    await Promise.all([...waits, ...outcomes]);
    expect(drained).toBe(2);
  });

  test("is drained after a failure too", async () => {
    const { group, commits } = controlled();
    const lost = group.submit("a");
    const drained = group.drained();
    await settled();
    at(commits, 0).fail(new Error("lost"));
    await expect(lost).rejects.toThrow("lost");
    await expect(drained).resolves.toBeUndefined();
  });
});
