import type { IncomingMessage, ServerResponse } from "node:http";

/** What an attribute can be. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The attributes of the session. Changes are found by comparing, and saved before the response head. */
export type Attributes = { [name: string]: any };

/** What else there is to the session of a request. */
export interface Session {
  /** Who is logged in. */
  readonly user: string | null;
  /** Whether nothing is stored yet. */
  readonly new: boolean;
  /** How often the stored session was written. */
  readonly version: number;
  /** What may be told of the session: /revocations names it by this. It changes with the id. */
  readonly handle: string | null;
  /** Why the session before was ended. */
  readonly ended: "destroyed" | "operator" | "evicted" | null;
  /** The same as `request.session`. */
  readonly attributes: Attributes;
  /** Logs a user in whom the application has recognised. */
  login(user: string): Promise<void>;
  /** Takes the user out of the session, which keeps its attributes. */
  logout(): Promise<void>;
  /** Gives the session a new id. */
  rotate(): Promise<void>;
  /** Ends the session. What is set afterwards begins a new one. */
  destroy(): Promise<void>;
  /** Adds to a whole number and returns the sum; stored at once. No two requests get the same sum. */
  increment(name: string, by?: number): Promise<number>;
  /**
   * Sets an attribute if it has the expected value, and says whether it did; `undefined` stands for no attribute.
   * Stored at once: of requests that expect the same, one gets `true`.
   */
  compareAndSet(name: string, expected: Json | undefined, value: Json | undefined): Promise<boolean>;
  /** Sends what has changed so far; done before the response head in any case. */
  save(): Promise<void>;
}

export interface Options {
  /** The address of the session API; else each request says it, and it has to be a loopback address. */
  url?: string;
  /** Milliseconds without an answer after which a call fails. 5000 if absent. */
  timeout?: number;
}

/** The session API has refused. */
export class SessionError extends Error {
  /** What the client gets: 500, or 503 if there is no session right now. */
  status: number;
  /** The status of the API's answer. */
  apiStatus?: number;
  /** The `kind` of the API's answer. */
  kind?: string;
}

/** There is no session right now. */
export class SessionUnavailable extends SessionError {
  headers?: { "Retry-After": string };
}

/** The response head is out: what is changed now would be lost. */
export class SessionClosed extends SessionError {}

/** Middleware for Express and Connect: loads the session of each request that passes it. */
export default function iapSession(
  options?: Options,
): (request: IncomingMessage, response: ServerResponse, next: (error?: any) => void) => void;

declare module "http" {
  interface IncomingMessage {
    /** The attributes of the request's session. */
    session: Attributes;
    /** Its user, and what can be done with it. */
    iap: Session;
  }
}
