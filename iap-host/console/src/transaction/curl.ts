import type { Summary } from "../api/types";

/** A word of a shell, whatever is in it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The request again, for a shell. What its body and its cookies were is not kept. */
export function curl({ method, host, path }: Summary): string {
  const parts = ["curl", "--include"];
  if (method !== "GET") parts.push("--request", quoted(method));
  return [...parts, quoted(`${location.protocol}//${host || "localhost"}${path}`)].join(" ");
}
