/**
 * The printed report: the machine, the phases, and a thousand waiting pulls.
 */
import { alignTable } from "./align-table.ts";
import { BATCH_SENDERS, LEASED_AT_ONCE, SENDERS, WORKERS } from "./bus-phases.ts";
import { megabytes, milliseconds, rate } from "./figures.ts";
import type { MachineFacts } from "./machine-facts.ts";
import { BODY_BYTES } from "./mail.ts";
import { type Measured, phaseTable } from "./phase-table.ts";
import { median, quantile } from "./statistics.ts";
import { type Mode, WAITERS, type WaitingSample } from "./waiting-pulls.ts";

export interface Results extends Measured {
  readonly facts: MachineFacts;
  readonly rounds: number;
  readonly phaseMs: number;
  readonly waiting: readonly WaitingSample[];
}

export function report(results: Results): string {
  const { waiting } = results;
  const waits = `${WAITERS.toLocaleString("en")} waiting pulls, each with an inbox and a connection of its own: ${memory(waiting)}`;
  return [
    heading(results),
    phaseTable(results),
    `${cpuLine(results)}\n${notes(results)}`,
    `${waits}\n${wakeUpTable(waiting)}`,
  ].join("\n\n");
}

function heading({ facts, rounds, phaseMs }: Results): string {
  const { cores, processor, system, node, sqlite, loadBefore, fsyncP50Ms, fsyncP99Ms, folder, inMemory } = facts;
  const fsync = `fsync of 4 KiB in ${folder}: p50 ${milliseconds(fsyncP50Ms)} ms, p99 ${milliseconds(fsyncP99Ms)} ms`;
  return [
    `agentbus bench: medians of ${rounds} round${rounds === 1 ? "" : "s"}, ${phaseMs / 1000} s a phase; bodies of ${BODY_BYTES} bytes; every commit synced`,
    `${cores} cores ${processor} · ${system} · Node ${node.slice(1)} · SQLite ${sqlite} · load before: ${loadBefore.toFixed(1)}`,
    inMemory ? `${fsync}. A FILE SYSTEM IN MEMORY: nothing here was durable; take another --folder` : fsync,
  ].join("\n");
}

function cpuLine({ samples, bus }: Results): string {
  const most = bus.sends.at(-1);
  const known = ((most && samples.get(most)) ?? []).map(({ cpu }) => cpu).filter((cpu) => cpu !== undefined);
  if (known.length === 0) return "Server CPU time: unknown, there is no /proc here.";
  const total = median(known.map(({ totalMs }) => totalMs * 1000));
  const loop = median(known.map(({ loopMs }) => loopMs * 1000));
  return `Server CPU per Send with ${SENDERS.at(-1)} senders: ${total.toFixed(0)} µs, ${loop.toFixed(0)} µs of it in the event loop's thread.`;
}

function notes({ samples, bare, other }: Results): string {
  const fastest = Math.max(
    ...bare.map((phase) => median((samples.get(phase) ?? []).map(({ callsPerSecond }) => callsPerSecond))),
  );
  return [
    `Server CPU is for one message. The load comes from one process, which can make ${rate(fastest)} calls/s or more.`,
    `Latency is one call's; "lease ${LEASED_AT_ONCE} + Ack": of both calls and their two commits, ${WORKERS} in flight; batches: ${BATCH_SENDERS} in flight.`,
    "× bare HTTP compares calls, × raw messages: with inserts one in a transaction (its calls/s), and a hundred.",
    ...(other ? ["× other: this build over the other one."] : []),
  ].join("\n");
}

function memory(waiting: readonly WaitingSample[]): string {
  const before: number[] = [];
  const more: number[] = [];
  for (const { bytesBefore, bytesWith } of waiting) {
    if (bytesBefore === undefined || bytesWith === undefined) return "memory unknown, there is no /proc here";
    before.push(bytesBefore);
    more.push(bytesWith - bytesBefore);
  }
  const each = (median(more) / WAITERS / 1024).toFixed(0);
  return `server memory ${megabytes(median(before))} MB without, ${megabytes(median(before) + median(more))} MB with them, ${each} KB each`;
}

function wakeUpTable(waiting: readonly WaitingSample[]): string {
  const wakeUps = waiting.flatMap((sample) => sample.wakeUps);
  const row = (mode: Mode, label: string) => {
    const these = wakeUps.filter((wakeUp) => wakeUp.mode === mode);
    const answered = these.map(({ afterAnswerMs }) => afterAnswerMs);
    const issued = these.map(({ afterIssueMs }) => afterIssueMs);
    const times = [answered, issued].flatMap((each) => [quantile(each, 0.5), quantile(each, 0.99)]);
    return [label, ...times.map(milliseconds), String(these.length)];
  };
  return alignTable([
    [
      "until the right one has its answer, ms",
      "since Send answered: p50",
      "p99",
      "since Send issued: p50",
      "p99",
      "wake-ups",
    ],
    row("look", "it looks (below 0: before the sender)"),
    row("lease", "it leases: one more commit"),
  ]);
}
