/**
 * Refuses text that no UTF-8 can carry. Without it protobuf would put U+FFFD in place of half a character, and the bus
 * would store what nobody wrote. It knows fields by their descriptors only.
 */
import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { invalidField } from "./bus-refusal.ts";

/** Throws a BusRefusal that names the field as in JSON. */
export function refuseBrokenText(schema: DescMessage, message: Readonly<Record<string, unknown>>, within = ""): void {
  for (const field of schema.fields) {
    const value = message[field.localName];
    const name = within + field.jsonName;
    if (field.fieldKind === "scalar" && field.scalar === ScalarType.STRING) refuseBroken(name, value);
    if (field.fieldKind !== "list" || !Array.isArray(value)) continue;
    for (const [i, item] of value.entries()) {
      if (field.listKind === "message") refuseBrokenText(field.message, item, `${name}[${i}].`);
      else refuseBroken(`${name}[${i}]`, item);
    }
  }
}

function refuseBroken(name: string, value: unknown): void {
  if (typeof value !== "string" || value.isWellFormed()) return;
  throw invalidField(name, "holds half of a surrogate pair, which UTF-8 cannot carry: cut text between characters");
}
