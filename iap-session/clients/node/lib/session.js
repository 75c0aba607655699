// The session of one request. Its attributes are a plain object, compared with what was loaded.

import { isDeepStrictEqual } from "node:util";
import { SessionClosed, SessionUnavailable } from "./errors.js";
import { encode } from "./values.js";

export class Session {
  #client;
  #endpoint;
  #target = Object.create(null);
  #stored = new Map();
  #state = {};
  #closed = false;

  constructor(client, endpoint) {
    this.#client = client;
    this.#endpoint = endpoint;
    this.attributes = new Proxy(this.#target, {
      defineProperty: (target, name, descriptor) => {
        this.#open();
        if (descriptor.value !== undefined) encode(name, descriptor.value);
        return Reflect.defineProperty(target, name, descriptor);
      },
      deleteProperty: (target, name) => {
        this.#open();
        return Reflect.deleteProperty(target, name);
      },
    });
  }

  get user() {
    return this.#state.user ?? null;
  }

  get new() {
    return this.#state.new ?? true;
  }

  get version() {
    return this.#state.version ?? 0;
  }

  get handle() {
    return this.#state.handle ?? null;
  }

  get ended() {
    return this.#state.ended ?? null;
  }

  async load() {
    this.#state = await this.#call("GET", "/session");
    for (const [name, value] of Object.entries(this.#state.attributes)) {
      this.#target[name] = value;
      this.#stored.set(name, encode(name, value));
    }
  }

  async login(user) {
    if (typeof user !== "string") throw new TypeError("the name of a user is a string");
    this.#state = await this.#call("POST", "/session/login", JSON.stringify({ user }));
  }

  async logout() {
    this.#state = await this.#call("POST", "/session/logout");
  }

  async rotate() {
    this.#state = await this.#call("POST", "/session/rotate");
  }

  async destroy() {
    await this.#call("DELETE", "/session");
    this.#state = {};
    this.#stored.clear();
    for (const name of Object.keys(this.#target)) delete this.#target[name];
  }

  /** All attributes at once. */
  replace(attributes) {
    if (attributes === null || typeof attributes !== "object") {
      throw new TypeError("request.session is an object; request.iap.destroy() ends the session");
    }
    const entries = Object.entries(attributes);
    for (const name of Object.keys(this.#target)) delete this.attributes[name];
    for (const [name, value] of entries) this.attributes[name] = value;
  }

  async save() {
    const changes = this.changes();
    if (!changes) return;
    await this.#call("PATCH", "/session", changes.body);
    this.#stored = changes.now;
  }

  /** What a save would send, or null. Throws a TypeError for what is not JSON. */
  changes() {
    const now = new Map();
    for (const [name, value] of Object.entries(this.#target)) {
      if (value !== undefined) now.set(name, encode(name, value));
    }
    const set = [...now].filter(([name, text]) => this.#stored.get(name) !== text);
    const remove = [...this.#stored.keys()].filter((name) => !now.has(name));
    if (set.length + remove.length === 0) return null;
    const members = set.map(([name, text]) => `${JSON.stringify(name)}:${text}`);
    return { body: `{"set":{${members}},"remove":${JSON.stringify(remove)}}`, now };
  }

  /** Adds to a whole number, at once; no two requests get the same sum. */
  async increment(name, by = 1) {
    await this.save();
    const body = JSON.stringify({ name, by });
    const { value } = await this.#call("POST", "/session/increment", body, { once: true });
    this.#keep(name, value);
    return value;
  }

  /** Sets an attribute if it has the expected value, at once; `undefined` stands for no attribute. */
  async compareAndSet(name, expected, value) {
    if (value !== undefined) encode(name, value);
    await this.save();
    const { attributes, versions } = await this.#call("GET", "/session?versions");
    this.#keep(name, attributes[name]);
    const wanted = expected === undefined ? undefined : JSON.parse(encode(name, expected));
    if (!isDeepStrictEqual(attributes[name], wanted)) return false;
    const change = value === undefined ? { remove: [name] } : { set: { [name]: value } };
    const body = JSON.stringify({ ...change, if: { [name]: versions[name] ?? null } });
    try {
      await this.#call("PATCH", "/session", body, { once: true });
    } catch (error) {
      if (error.apiStatus !== 412) throw error;
      this.#keep(name, (await this.#call("GET", "/session")).attributes[name]);
      return false;
    }
    this.#keep(name, value);
    return true;
  }

  /** Takes over what is stored. */
  #keep(name, value) {
    if (value === undefined) {
      delete this.#target[name];
      this.#stored.delete(name);
    } else {
      this.#target[name] = value;
      this.#stored.set(name, encode(name, value));
    }
  }

  /** Gives up what is not saved, so that an error handler's answer does not fail for it again. */
  reset() {
    for (const name of Object.keys(this.#target)) delete this.#target[name];
    for (const [name, text] of this.#stored) this.#target[name] = JSON.parse(text);
  }

  close() {
    this.#closed = true;
  }

  async #call(method, path, body, options) {
    if (!this.#endpoint) {
      throw new SessionUnavailable(
        "the request has no session: it did not come through the gateway, " +
          "or the gateway has too many requests in flight",
      );
    }
    this.#open();
    return this.#client.call(this.#endpoint, method, path, body, options);
  }

  #open() {
    if (this.#closed) {
      throw new SessionClosed("the response head is out; the session cannot be changed any more");
    }
  }
}
