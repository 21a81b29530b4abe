/**
 * Tells a request of so many pieces that decoding it would hold up everyone else: four mebibytes hold two million empty
 * messages. It counts bytes of JSON or protobuf without decoding them, and knows no request.
 */

/** Smaller ones can't hold many. */
const HARMLESS_BYTES = 64 * 1024;
/** A batch of a thousand messages has some ten thousand values. */
const MAX_JSON_VALUES = 100_000;
/** Of the outermost message: a batch has a thousand. */
const MAX_FIELDS = 10_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

export type Format = "json" | "binary";

/** What is wrong with it, with the limit; undefined: nothing. */
export function tooManyPieces(message: Uint8Array, format: Format): string | undefined {
  if (message.length <= HARMLESS_BYTES) return undefined;
  if (format === "json") {
    return countValues(message) > MAX_JSON_VALUES ? `a request may have ${MAX_JSON_VALUES} values` : undefined;
  }
  return countFields(message) > MAX_FIELDS ? `a request may have ${MAX_FIELDS} fields` : undefined;
}

/** Commas outside of texts, about. */
function countValues(json: Uint8Array): number {
  let values = 0;
  let inText = false;
  for (let at = 0; at < json.length && values <= MAX_JSON_VALUES; at++) {
    const byte = json[at];
    if (inText && byte === BACKSLASH) at++;
    else if (byte === QUOTE) inText = !inText;
    else if (byte === COMMA && !inText) values++;
  }
  return values;
}

/** Fields until the end, or until what only a decoder can judge. */
function countFields(message: Uint8Array): number {
  let fields = 0;
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; at < message.length; shift += 7) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length && fields <= MAX_FIELDS) {
    const wireType = varint() % 8;
    fields++;
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 2) {
      const length = varint(); // it moves `at` itself
      at += length;
    } else if (wireType === 5) at += 4;
  }
  return fields;
}
