/** The table of settings: defaults, bounds, and which source of a value wins. */

import { describe, expect, test } from "vitest";
import { environmentName, readSettings, SettingError, type SettingName, settings } from "#dist/config.js";

const names = Object.keys(settings) as SettingName[];

/** What a person may write and what it means, and what is refused. The first value differs from the default. */
const written: Record<SettingName, { taken: [text: string, value: unknown][]; refused: string[] }> = {
  host: {
    taken: [
      ["0.0.0.0", "0.0.0.0"],
      ["::1", "::1"],
    ],
    refused: [""],
  },
  port: {
    taken: [
      ["0", 0],
      ["65535", 65_535],
    ],
    refused: ["65536", "-1", "1.5", "1e3", "0x10", " 1", "", "http"],
  },
  store: { taken: [["sqlite:/data/bus.db", "sqlite:/data/bus.db"]], refused: [""] },
  token: { taken: [["secret", "secret"]], refused: ["", "two words", "a line\n", "schlüssel"] },
  requireAgentTokens: { taken: [["true", true]], refused: ["yes", "1", "TRUE", ""] },
  corsOrigin: {
    taken: [
      ["https://page.example", ["https://page.example"]],
      ["http://localhost:5173/, HTTPS://Page.Example:443", ["http://localhost:5173", "https://page.example"]],
    ],
    refused: [
      "*",
      "null",
      "page.example",
      "https://*.page.example",
      "https://page.example/path",
      "https://user@page.example",
      "file:///page",
      "https://page.example,",
      "",
    ],
  },
  rateLimit: {
    taken: [
      ["5/s", { count: 5, windowMs: 1000 }],
      ["1/min", { count: 1, windowMs: 60_000 }],
      ["1000000/hour", { count: 1_000_000, windowMs: 3_600_000 }],
      ["off", undefined],
    ],
    refused: [
      "0/min",
      "1000001/min",
      "10",
      "10/day",
      "10/constructor",
      "-1/s",
      "1.5/s",
      "Off",
      " 10/min",
      "10 /min",
      "",
    ],
  },
  unknownRecipients: { taken: [["reject", "reject"]], refused: ["Reject", "toString", ""] },
  maxBodyBytes: {
    taken: [
      ["1", 1],
      ["2097152", 2_097_152],
    ],
    refused: ["0", "2097153", "256k", ""],
  },
  maxCalls: {
    taken: [
      ["1", 1],
      ["100000", 100_000],
    ],
    refused: ["0", "100001", ""],
  },
  tlsCert: { taken: [["/etc/cert.pem", "/etc/cert.pem"]], refused: [""] },
  tlsKey: { taken: [["/etc/key.pem", "/etc/key.pem"]], refused: [""] },
  maxAttempts: {
    taken: [
      ["1", 1],
      ["1000", 1000],
    ],
    refused: ["0", "1001", ""],
  },
  maxInbox: {
    taken: [
      ["1", 1],
      ["10000000", 10_000_000],
    ],
    refused: ["0", "10000001", ""],
  },
  retentionMs: {
    taken: [
      ["1h", 3_600_000],
      ["3650d", 3650 * 86_400_000],
      ["87600h", 3650 * 86_400_000],
    ],
    refused: ["0h", "3651d", "87601h", "30", "30m", "1.5d", "d", "30constructor", ""],
  },
  maxHops: {
    taken: [
      ["1", 1],
      ["10000", 10_000],
    ],
    refused: ["0", "10001", ""],
  },
  logLevel: {
    taken: ["trace", "debug", "warn", "error", "silent"].map((level): [string, unknown] => [level, level]),
    refused: ["verbose", "INFO", "constructor", ""],
  },
  url: {
    taken: [
      ["http://a:1", ["http://a:1"]],
      ["http://a:1, https://b/bus/", ["http://a:1", "https://b/bus"]],
    ],
    refused: ["localhost:8091", "ftp://a", "http://a,", ",", "http://", ""],
  },
  agent: { taken: [["jack", "jack"]], refused: [""] },
  outbox: {
    taken: [
      ["/var/lib/joe/outbox.db", "/var/lib/joe/outbox.db"],
      ["off", false],
    ],
    refused: [""],
  },
};

const defaults: Record<SettingName, unknown> = {
  host: "127.0.0.1",
  port: 8091,
  store: "sqlite:./data/agentbus.db",
  token: undefined,
  requireAgentTokens: false,
  corsOrigin: undefined,
  rateLimit: { count: 10, windowMs: 60_000 },
  unknownRecipients: "hold",
  maxBodyBytes: 256 * 1024,
  maxCalls: 2000,
  tlsCert: undefined,
  tlsKey: undefined,
  maxAttempts: 10,
  maxInbox: 100_000,
  retentionMs: 30 * 86_400_000,
  maxHops: 50,
  logLevel: "info",
  url: ["http://127.0.0.1:8091"],
  agent: undefined,
  outbox: "$XDG_STATE_HOME/agentbus/outbox.db",
};

describe("the settings", () => {
  test("all have the defaults that DESIGN.md names when nothing is given", () => {
    expect(readSettings({}, {})).toEqual(defaults);
  });

  test.for(names)("of %s: a flag beats the environment, and that beats the default", (name) => {
    const [text, value] = written[name].taken[0] ?? ["", undefined];
    const [other, otherValue] = written[name].taken[1] ?? [
      settings[name].default ?? "other",
      defaults[name] ?? "other",
    ];
    const variable = environmentName(name);
    expect(value).not.toEqual(defaults[name]);
    expect(readSettings({}, { [variable]: text })[name]).toEqual(value);
    expect(readSettings({ [name]: text }, { [variable]: other })[name]).toEqual(value);
    expect(readSettings({ [name]: other }, { [variable]: text })[name]).toEqual(otherValue);
  });

  test.for(names)("of %s: an empty variable counts as absent", (name) => {
    expect(readSettings({}, { [environmentName(name)]: "" })[name]).toEqual(defaults[name]);
  });

  test.for(names)("of %s: takes what is within its bounds", (name) => {
    for (const [text, value] of written[name].taken) expect(readSettings({ [name]: text }, {})[name]).toEqual(value);
  });

  test.for(names)("of %s: refuses anything else, naming the flag or the variable that it came from", (name) => {
    const variable = environmentName(name);
    for (const text of written[name].refused) {
      const byFlag = () => readSettings({ [name]: text }, {});
      expect(byFlag, text).toThrow(SettingError);
      expect(byFlag, text).toThrow(`--${settings[name].flag} must `);
      if (text !== "") expect(() => readSettings({}, { [variable]: text }), text).toThrow(`${variable} must `);
    }
    expect(written[name].refused.length).toBeGreaterThan(0);
  });

  test("are named alike on the command line and in the environment", () => {
    const variables = names.map(environmentName);
    expect(new Set(variables).size).toBe(names.length);
    expect(new Set(names.map((name) => settings[name].flag)).size).toBe(names.length);
    for (const variable of variables) expect(variable).toMatch(/^AGENTBUS_[A-Z]+(_[A-Z]+)*$/);
    expect(environmentName("rateLimit")).toBe("AGENTBUS_RATE_LIMIT");
    expect(environmentName("url")).toBe("AGENTBUS_URL");
    expect(environmentName("token")).toBe("AGENTBUS_TOKEN");
    expect(environmentName("agent")).toBe("AGENTBUS_AGENT");
    expect(settings.agent.flag).toBe("as");
  });

  test("are each explained in words, up to a full stop", () => {
    for (const name of names) expect(settings[name].help, name).toMatch(/^\w.*\w.*\.$/);
  });

  test("look at no variable of another program", () => {
    expect(readSettings({}, { HOST: "x", PORT: "1", TOKEN: "t", URL: "u", agentbus_port: "1" })).toEqual(defaults);
  });
});
