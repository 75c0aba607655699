// A day of events in a few minutes: what the pages hold must not grow with it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";

import { until } from "./until.mjs";

/** Answers of a day: one a minute. */
const ANSWERS = 1_440;
const STEP_US = 60e6;
/** Events of sessions in a day: one each six seconds. */
const EVENTS = 14_400;
/** How much faster timers of the page run. */
const FASTER = 100;
/** What may come between the first tenth of the day and its end. */
const MORE = { bytes: 2 << 20, nodes: 1000, listeners: 100 };

/** Stands between the page and the host: passes everything on, and tells a day of what the host has told once. */
class Day {
  answers = 0;
  events = 0;
  #now_us = Date.now() * 1000;
  #seq = 0;
  #templates = {};

  constructor(address) {
    this.target = new URL(address);
    this.server = createServer((asked, answer) => this.#answer(asked, answer));
  }

  async begin() {
    for (const path of ["/api/live?since=0", "/api/requests/active?limit=100", "/api/sessions/events?limit=1"]) {
      const [name] = path.split("?");
      this.#templates[name] = await until(`the host tells ${path}`, async () => {
        const told = await (await fetch(new URL(path, this.target))).json();
        return (told.recent?.points ?? told.requests ?? told.events).length > 0 && told;
      });
    }
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${this.server.address().port}/`;
  }

  #answer(asked, answer) {
    const { pathname } = new URL(asked.url, this.target);
    const make = { "/api/live": () => this.#live(), "/api/requests/active": () => this.#active() }[pathname];
    if (make) {
      this.answers += 1;
      this.#now_us += STEP_US;
      answer.writeHead(200, { "content-type": "application/json" });
      answer.end(JSON.stringify(make()));
    } else if (pathname === "/api/sessions/events" && asked.headers.accept === "text/event-stream") {
      void this.#tell(answer);
    } else {
      const { hostname, port } = this.target;
      // The host answers pages of its own origin.
      const { origin, ...rest } = asked.headers;
      const headers = { ...rest, host: this.target.host, ...(origin && { origin: this.target.origin }) };
      const passed = request({ hostname, port, path: asked.url, method: asked.method, headers }, (got) => {
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
      });
      passed.on("error", () => answer.destroy());
      answer.on("close", () => passed.destroy());
      asked.pipe(passed);
    }
  }

  #live() {
    const told = structuredClone(this.#templates["/api/live"]);
    const later_us = this.#now_us - told.live.now_us;
    told.live.now_us = this.#now_us;
    for (const second of told.live.seconds) second.start_us += later_us;
    for (const running of told.live.active) running.start_us += later_us;
    told.recent.points = told.recent.points.slice(-20).map((point, at) => {
      this.#seq += 1;
      return { ...point, seq: this.#seq, trace_id: this.#id(), start_us: this.#now_us - at * 1e6 - point.duration_us };
    });
    told.recent.missed = 0;
    told.recent.next_seq = this.#seq + 1;
    return told;
  }

  #active() {
    const told = structuredClone(this.#templates["/api/requests/active"]);
    const [one] = told.requests;
    told.requests = Array.from({ length: 20 }, (_, at) => ({ ...one, trace_id: this.#id(), running_us: at * 1e5 + (this.answers % 7) * 1e4 }));
    return told;
  }

  /** Each another one, as the pages tell them apart. */
  #id() {
    this.#seq += 1;
    return this.#seq.toString(16).padStart(32, "0");
  }

  /** As fast as the page takes them. */
  async #tell(answer) {
    const [one] = this.#templates["/api/sessions/events"].events;
    answer.writeHead(200, { "content-type": "text/event-stream" });
    while (this.events < EVENTS && !answer.destroyed) {
      this.events += 1;
      const event = { ...one, id: `${1e12 + this.events}-0`, at_ms: one.at_ms + this.events * 6000, user: `user ${this.events}` };
      const taken = answer.write(`event: session\nid: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`);
      if (!taken) await Promise.race([once(answer, "drain"), once(answer, "close")]);
      // The page draws in between.
      if (this.events % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** What the page holds once everything that can go has gone. */
async function held(page) {
  const session = await page.context().newCDPSession(page);
  for (let times = 0; times < 3; times += 1) await session.send("HeapProfiler.collectGarbage");
  const { usedSize: bytes } = await session.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners: listeners } = await session.send("Memory.getDOMCounters");
  await session.detach();
  return { bytes, nodes, listeners };
}

async function flat(page, what, passed, all) {
  await until(`a tenth of the day of ${what}`, async () => (await passed()) >= all / 10, 120_000);
  const first = await held(page);
  await until(`the day of ${what}`, async () => (await passed()) >= all, 240_000);
  const last = await held(page);
  console.log(`console: a day of ${what}: ${JSON.stringify(first)}, ${JSON.stringify(last)}`);
  for (const [name, more] of Object.entries(MORE)) {
    assert.ok(last[name] <= first[name] + more, `${what}: ${name} grew from ${first[name]} to ${last[name]}`);
  }
}

export async function day({ page, address }) {
  const stand = new Day(address);
  const there = await stand.begin();
  const own = await page.context().newPage();
  await own.addInitScript((faster) => {
    for (const name of ["setTimeout", "setInterval"]) {
      const real = window[name];
      window[name] = (call, ms = 0, ...rest) => real(call, ms / faster, ...rest);
    }
  }, FASTER);
  for (const [path, what] of [["", "figures"], ["live", "running requests"]]) {
    await own.goto(new URL(path, there).href);
    stand.answers = 0;
    await flat(own, what, () => stand.answers, ANSWERS);
  }
  await own.goto(new URL("sessions", there).href);
  const latest = own.locator("table.events tbody tr").first();
  const drawn = async () => Number(/user (\d+)/.exec(await latest.innerText())?.[1] ?? 0);
  await flat(own, "events of sessions", drawn, EVENTS);
  await own.close();
  stand.server.close();
  stand.server.closeAllConnections();
}
