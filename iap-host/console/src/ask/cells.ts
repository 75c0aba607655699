import { bytes, dateTime, duration, number } from "../format";
import type { Cell, Unit } from "../api/types";

/** Units whose values are no numbers. */
const TEXTS: Unit[] = ["text", "route", "trace", "code", "time"];

export const isNumber = (unit: Unit): boolean => !TEXTS.includes(unit);

/** A value with its unit. */
export function show(value: Cell, unit: Unit): string {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  switch (unit) {
    case "us":
      return duration(value);
    case "percent":
      return `${number(value, 1)} %`;
    case "per_second":
      return `${number(value, value < 0.1 ? 4 : 2)}/s`;
    case "times":
      return `${number(value, 2)}×`;
    case "bytes":
      return bytes(value);
    case "time":
      return dateTime(value / 1000);
    default:
      return number(value, 2);
  }
}
