/** The model behind the verbs of the Store, each in a chapter of its own. */
import type { Agent } from "#dist/message.js";
import type { AgentQuery, HistoryQuery, NewMessage, Pull, Store, StorePolicy } from "#dist/store.js";
import * as ending from "./ending.ts";
import { type Bounce, Mail } from "./mail.ts";
import * as pulling from "./pulling.ts";
import { send } from "./sending.ts";
import * as viewing from "./viewing.ts";

export class ModelBus {
  readonly mail: Mail;
  #bounces: Bounce[] = [];

  constructor(policy: StorePolicy) {
    this.mail = new Mail(policy);
  }

  /** The process was started again, its clock says this. */
  restart(now: number): void {
    this.mail.now = now;
    ending.mendTimes(this.mail);
  }

  /** Letters written since the last time: the engine made their ids and texts, the model has to learn them. */
  takeBounces(): Bounce[] {
    const taken = this.#bounces;
    this.#bounces = [];
    return taken;
  }

  send(messages: readonly NewMessage[]) {
    return send(this.mail, messages);
  }

  pull(pull: Pull) {
    return pulling.pull(this.mail, pull);
  }

  ack(agent: string, messageIds: readonly string[], leaseId: string | undefined) {
    return pulling.ack(this.mail, agent, messageIds, leaseId);
  }

  extendLease(agent: string, leaseId: string, ms: number) {
    return pulling.extendLease(this.mail, agent, leaseId, ms);
  }

  giveBack(agent: string, leaseId: string, messageIds: readonly string[] | undefined) {
    return pulling.giveBack(this.mail, agent, leaseId, messageIds);
  }

  registerAgent(name: string, description: string | undefined): Agent {
    const agent = this.mail.register(name);
    agent.description = description ?? agent.description;
    return viewing.agentOf(this.mail, agent);
  }

  removeAgent(name: string, force: boolean): number {
    const { count, bounces } = ending.remove(this.mail, name, force);
    this.#bounces = bounces;
    return count;
  }

  redrive(agent: string, messageIds: readonly string[] | undefined) {
    return ending.redrive(this.mail, agent, messageIds);
  }

  sweep(): void {
    this.#bounces = ending.sweep(this.mail);
  }

  retain(): void {
    ending.retain(this.mail);
  }

  /** Everything here is findable at once. */
  index(): void {}

  listAgents(query: AgentQuery) {
    return viewing.listAgents(this.mail, query);
  }

  agentNames(max: number): string[] {
    const names = [...this.mail.agents.keys()].filter((name) => this.mail.isRegistered(name));
    return names.sort().slice(0, max);
  }

  getMessage(agent: string, messageId: string) {
    return viewing.getMessage(this.mail, agent, messageId);
  }

  getReceipt(messageId: string, limit: number, after: string | undefined) {
    return viewing.getReceipt(this.mail, messageId, limit, after);
  }

  listMessages(query: HistoryQuery) {
    return viewing.listMessages(this.mail, query);
  }
}

/** What the model and a real store both answer. */
export type Verb = keyof ModelBus & keyof Store;
