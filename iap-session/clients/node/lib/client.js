// Calls of the session API over kept connections.

import http from "node:http";
import { SessionClosed, SessionError, SessionUnavailable } from "./errors.js";

const TOKEN = /^[A-Za-z0-9_-]{22}$/;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const MAX_ANSWER = 16 << 20;

export class Client {
  constructor({ url, timeout = 5000 } = {}) {
    this.url = url && new URL(url);
    this.timeout = timeout;
    this.agent = new http.Agent({ keepAlive: true, maxFreeSockets: 16 });
  }

  /** Where a request with these headers has its session, or null. */
  endpoint(headers) {
    const token = headers["iap-session-token"];
    if (!TOKEN.test(token ?? "")) return null;
    if (this.url) return { token, url: this.url };
    try {
      const url = new URL(headers["iap-session-url"]);
      return url.protocol === "http:" && LOOPBACK.test(url.hostname) ? { token, url } : null;
    } catch {
      return null;
    }
  }

  /**
   * One call; the answer's JSON, or null if it has none. One that may be made only once goes by a connection of
   * its own: on a kept one nobody could tell whether it has arrived.
   */
  async call(endpoint, method, path, body, { once = false } = {}) {
    let answer;
    do {
      answer = await this.exchange(endpoint, method, path, body, once ? false : this.agent);
    } while (answer.stale);
    const { status, retryAfter, text } = answer;
    if (status === 204) return null;
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      throw new SessionError("the session API has answered something that is not JSON", { apiStatus: status });
    }
    if (status < 300) return value;
    throw refusal(status, retryAfter, value ?? {});
  }

  exchange({ token, url }, method, path, body, agent) {
    return new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}` };
      if (body !== undefined) {
        headers["Content-Type"] = "application/json";
        headers["Content-Length"] = Buffer.byteLength(body);
      }
      const { hostname, port } = url;
      const fail = (reason) => reject(new SessionUnavailable(`the session API does not answer: ${reason}`));
      const call = http.request({
        agent,
        hostname: hostname.replace(/^\[|\]$/g, ""),
        port: port || 80,
        method,
        path,
        headers,
        timeout: this.timeout,
      });
      call.on("timeout", () => call.destroy(Object.assign(new Error(), { code: "ETIMEDOUT" })));
      call.on("error", (error) => {
        // The server has closed a kept connection meanwhile.
        if (call.reusedSocket && ["ECONNRESET", "EPIPE"].includes(error.code)) resolve({ stale: true });
        else fail(error.code ?? error.name);
      });
      call.on("response", (response) => {
        const chunks = [];
        let length = 0;
        response.on("data", (chunk) => {
          length += chunk.length;
          if (length > MAX_ANSWER) call.destroy(Object.assign(new Error(), { code: "too long" }));
          else chunks.push(chunk);
        });
        response.on("error", (error) => fail(error.code ?? error.name));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode, retryAfter: response.headers["retry-after"], text });
        });
      });
      call.end(body);
    });
  }
}

function refusal(apiStatus, retryAfter, problem) {
  const message = `the session API has refused: ${problem.detail ?? problem.title ?? "no reason given"}`;
  const details = { apiStatus, kind: problem.kind };
  if (apiStatus === 401) return new SessionClosed(message, details);
  if (apiStatus === 503) return new SessionUnavailable(message, { ...details, retryAfter });
  return new SessionError(message, details);
}
