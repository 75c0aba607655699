import type { Problem } from "./types";

/** How long an answer may take before it counts as none. */
const TIMEOUT_MS = 15_000;

export class ApiError extends Error {
  constructor(
    /** 0 when no answer came at all. */
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }
}

/** What went wrong, as an error of the API. */
export const asApiError = (error: unknown): ApiError =>
  error instanceof ApiError ? error : new ApiError(0, error instanceof Error ? error.message : String(error));

let unauthorized: () => void = () => undefined;

/** Who is told when an answer is 401. */
export function onUnauthorized(listener: () => void): void {
  unauthorized = listener;
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function queryString(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "" && value !== false) params.set(name, String(value));
  }
  const text = params.toString();
  return text && `?${text}`;
}

async function request(
  method: string,
  path: string,
  signal?: AbortSignal,
  json?: unknown,
  fields: Record<string, string> = {},
): Promise<Response> {
  const signals = [AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])];
  let response: Response;
  try {
    const headers = { accept: "application/json", ...(json === undefined ? {} : { "content-type": "application/json" }), ...fields };
    const body = json === undefined ? null : JSON.stringify(json);
    response = await fetch(path, { method, signal: AbortSignal.any(signals), headers, body });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "");
  }
  if (!response.ok) {
    if (response.status === 401 && path !== "/api/access/sign-in") unauthorized();
    const problem = (await response.json().catch(() => null)) as Problem | null;
    throw new ApiError(response.status, problem?.detail ?? response.statusText);
  }
  return response;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request("GET", path, signal)).json()) as T;
}

export async function remove(path: string): Promise<void> {
  await request("DELETE", path);
}

/** Takes something away that needs words, and is answered. */
export async function removeWith<T>(path: string, json: unknown, fields?: Record<string, string>): Promise<T> {
  return (await (await request("DELETE", path, undefined, json, fields)).json()) as T;
}

export async function post<T>(path: string, json: unknown, fields?: Record<string, string>): Promise<T> {
  return (await (await request("POST", path, undefined, json, fields)).json()) as T;
}
