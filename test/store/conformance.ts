/**
 * What every engine must do, whatever it keeps the mail in: the meaning of each verb of the Store, subject by subject in
 * conformance/. It knows no engine.
 */
import { describe } from "vitest";
import { testAcking } from "./conformance/acking.ts";
import { testAgents } from "./conformance/agents.ts";
import { testDeadLetters } from "./conformance/dead-letters.ts";
import { testDying } from "./conformance/dying.ts";
import { testGivingBack } from "./conformance/giving-back.ts";
import { testHistory } from "./conformance/history.ts";
import { testInboxCap } from "./conformance/inbox-cap.ts";
import { testLeases } from "./conformance/leases.ts";
import { testMarkRead } from "./conformance/mark-read.ts";
import { testMessages } from "./conformance/messages.ts";
import { testPulling } from "./conformance/pulling.ts";
import { testRateLimit } from "./conformance/rate-limit.ts";
import { testRecipients } from "./conformance/recipients.ts";
import { testRedriving } from "./conformance/redriving.ts";
import { testRequestKeys } from "./conformance/request-keys.ts";
import { testRetention } from "./conformance/retention.ts";
import { testSending } from "./conformance/sending.ts";
import { testServing } from "./conformance/serving.ts";
import { testWatching } from "./conformance/watching.ts";
import type { OpenStore } from "./store-under-test.ts";

/** Runs the whole suite on one engine. */
export function testStore(name: string, open: OpenStore): void {
  describe(name, () => {
    testSending(open);
    testRequestKeys(open);
    testRateLimit(open);
    testRecipients(open);
    testPulling(open);
    testMarkRead(open);
    testLeases(open);
    testGivingBack(open);
    testAcking(open);
    testDeadLetters(open);
    testDying(open);
    testRedriving(open);
    testInboxCap(open);
    testAgents(open);
    testMessages(open);
    testHistory(open);
    testRetention(open);
    testServing(open);
    testWatching(open);
  });
}
