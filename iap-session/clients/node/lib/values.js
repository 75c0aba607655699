// Values of attributes as JSON: refused if they would come back as something else.

const MAX_DEPTH = 100;

/** The JSON text of an attribute; a TypeError names what has none. */
export function encode(name, value) {
  if (typeof name !== "string") throw new TypeError("the name of a session attribute is a string");
  check(name, name, 0);
  check(name, value, 0);
  return JSON.stringify(value);
}

function check(name, value, depth) {
  const refuse = (what) => {
    throw new TypeError(`session attribute ${JSON.stringify(name)} ${what}`);
  };
  if (depth > MAX_DEPTH) refuse("is nested too deeply, or in a circle");
  if (value === null || typeof value === "boolean") return;
  if (typeof value === "string") {
    if (!isUnicode(value)) refuse("has text that is not Unicode");
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) refuse("has a number that is not finite");
  } else if (Array.isArray(value)) {
    // Not forEach, which leaves holes out.
    for (const item of value) check(name, item, depth + 1);
  } else if (isPlain(value)) {
    for (const key of Object.keys(value)) {
      if (!isUnicode(key)) refuse("has text that is not Unicode");
      check(name, value[key], depth + 1);
    }
  } else {
    refuse(`has ${describe(value)}, which is not JSON`);
  }
}

function isPlain(value) {
  if (typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return plain && typeof value.toJSON !== "function";
}

function describe(value) {
  if (typeof value !== "object") return value === undefined ? "undefined" : `a ${typeof value}`;
  return `an object of ${Object.getPrototypeOf(value)?.constructor?.name || "an unknown class"}`;
}

function isUnicode(text) {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}
