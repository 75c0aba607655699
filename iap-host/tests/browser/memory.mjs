// A day in front of the console: what the host tells is repeated with times that move on, as fast as the page takes it, and the page
// is as large at the end as it was early on.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, request } from "node:http";

import { until } from "./until.mjs";

/** One every two seconds for 24 hours. */
const EVENTS = 43_200;
const STEP_MS = 2000;
/** How long a page may take for all of them. */
const LONG_MS = 240_000;
/** What may have been added between the first tenth and the end, after a collection. A leak of 26 bytes an event is more. */
const MOST = { heap: 1_000_000, beside: 4_000_000, nodes: 150, listeners: 30 };

/** Events come in batches; a batch is let through once the page has drawn the one before. */
class Pace {
  given = 0;
  #limit = 0;
  #changed = [];

  constructor(batch) {
    this.batch = batch;
  }

  /** Waits for the turn of the next batch. */
  async turn(gone) {
    while (this.given >= this.#limit && !gone()) await this.#change();
    this.given += this.batch;
    this.#tell();
  }

  /** Lets events through up to a number, and waits until they were asked for. */
  async to(events) {
    this.#limit = events;
    this.#tell();
    await until(`${events} events are asked for`, () => this.given >= events, LONG_MS);
  }

  #change() {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #tell() {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}

const id = (bytes) => randomBytes(bytes).toString("hex");

/** Stands between the page and the host: all passes, but for paths of which `routes` answers in its place. */
async function between(address, routes) {
  const host = new URL(address);
  const server = createServer((incoming, outgoing) => {
    const route = routes[new URL(incoming.url, address).pathname];
    if (route && route(incoming, outgoing)) return;
    const { method, headers, url: path } = incoming;
    const passed = request({ hostname: host.hostname, port: host.port, path, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { address: `http://127.0.0.1:${server.address().port}/`, close };
}

const instead = (handler) => (incoming, outgoing) => {
  void handler(incoming, outgoing);
  return true;
};

const json = async (address, path) => (await fetch(new URL(path, address))).json();

function answer(outgoing, value) {
  outgoing.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
  outgoing.end(JSON.stringify(value));
}

/** The figures and dots of the overview: an answer has twenty events, so it is forty seconds later than the one before. */
async function dots(address) {
  const pace = new Pace(20);
  const real = await json(address, "/api/live?since=0");
  assert.ok(real.recent.points.length > 20, "there is something to repeat");
  const live = async (_, outgoing) => {
    await pace.turn(() => outgoing.destroyed);
    const later_us = pace.given * STEP_MS * 1000;
    const now_us = real.live.now_us + later_us;
    const points = Array.from({ length: pace.batch }, (_, at) => {
      const seq = pace.given - pace.batch + at + 1;
      const point = real.recent.points[seq % real.recent.points.length];
      return { ...point, seq, trace_id: id(16), start_us: now_us - (pace.batch - 1 - at) * STEP_MS * 1000 - point.duration_us };
    });
    const seconds = real.live.seconds.map((second) => ({ ...second, start_us: second.start_us + later_us }));
    const active = real.live.active.map((one) => ({ ...one, trace_id: id(16), start_us: one.start_us + later_us }));
    answer(outgoing, {
      ...real,
      live: { ...real.live, now_us, seconds, active },
      recent: { points, next_seq: pace.given + 1, missed: 0 },
    });
  };
  const drawn = async (page) => {
    // The widest plot without a click is of two minutes.
    const counts = await page.locator(".scatter-foot .key").allInnerTexts();
    const all = counts.reduce((sum, text) => sum + Number(text.replace(/\D/g, "")), 0);
    return all >= 60 && all <= 71;
  };
  return { path: "/", pace, drawn, routes: { "/api/live": instead(live) } };
}

/** Running requests: forty others with each answer. */
async function running(address) {
  const pace = new Pace(40);
  const real = await until("a request that runs", async () => {
    const view = await json(address, "/api/requests/active?limit=100");
    return view.requests.length > 0 && view;
  });
  // The page lets an answer go where it has asked again meanwhile.
  let latest = [];
  const active = async (_, outgoing) => {
    await pace.turn(() => outgoing.destroyed);
    const now_us = real.now_us + pace.given * STEP_MS * 1000;
    const requests = Array.from({ length: pace.batch }, (_, at) => {
      const one = real.requests[at % real.requests.length];
      return { ...one, trace_id: id(16), span_id: id(8), running_us: (pace.batch - at) * 100_000, start_us: now_us - (pace.batch - at) * 100_000 };
    });
    latest = [...latest, requests.at(-1).trace_id].slice(-5);
    answer(outgoing, { ...real, now_us, running: requests.length, listed: requests.length, requests });
  };
  const drawn = async (page) => {
    const shown = await page.locator(".slowest tbody tr:last-child td.main-cell").getAttribute("title");
    return latest.includes(shown);
  };
  return { path: "/live", pace, drawn, routes: { "/api/requests/active": instead(active) } };
}

/** What happens to sessions: a stream of events, of which a hundred are sent once those before are drawn. */
async function happening(address) {
  const pace = new Pace(100);
  const real = await until("an event of a session", async () => {
    const page = await json(address, "/api/sessions/events?limit=50");
    return page.events.length > 5 && page.events;
  });
  let last = "";
  const stream = async (outgoing) => {
    outgoing.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    while (!outgoing.destroyed) {
      await pace.turn(() => outgoing.destroyed);
      let text = "";
      for (let at = 0; at < pace.batch; at += 1) {
        const number = pace.given - pace.batch + at;
        const event = real[number % real.length];
        last = id(32);
        const told = { ...event, id: `${9e12 + number}-0`, key: last, at_ms: event.at_ms + number * STEP_MS };
        text += `event: session\nid: ${told.id}\ndata: ${JSON.stringify(told)}\n\n`;
      }
      outgoing.write(text);
      await drawnBatch();
    }
  };
  let page = null;
  const drawn = async (shown) => (await shown.locator(`.events a[title="${last}"]`).count()) === 1;
  const drawnBatch = () => page.locator(`.events a[title="${last}"]`).waitFor({ state: "attached" }).catch(() => {});
  const opened = (shown) => (page = shown);
  const events = (incoming, outgoing) => {
    if (!incoming.headers.accept?.includes("text/event-stream")) return false;
    void stream(outgoing);
    return true;
  };
  return { path: "/sessions", pace, drawn, opened, routes: { "/api/sessions/events": events } };
}

/** What the page holds, after a collection. */
async function size(devtools) {
  await devtools.send("HeapProfiler.collectGarbage");
  await devtools.send("HeapProfiler.collectGarbage");
  // Objects of scripts; beside them those of the document, and buffers, of which a browser lets go when it likes.
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await devtools.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners } = await devtools.send("Memory.getDOMCounters");
  return { heap: usedSize, beside: embedderHeapUsedSize + backingStorageSize, nodes, listeners: jsEventListeners };
}

function compare(what, early, late) {
  const grown = Object.keys(MOST).map((name) => `${name} ${early[name]} → ${late[name]}`);
  console.log(`  ${what}: ${grown.join(", ")}`);
  for (const name of Object.keys(MOST)) {
    assert.ok(late[name] - early[name] <= MOST[name], `${what}: ${name} grew from ${early[name]} to ${late[name]}`);
  }
}

/** Opens a page whose polls of a second follow each other without a pause. */
async function open({ page: other }, address) {
  const page = await other.context().newPage();
  page.setDefaultTimeout(60_000);
  await page.addInitScript(() => {
    const { setTimeout, setInterval } = window;
    window.setTimeout = (act, ms, ...more) => setTimeout(act, ms === 1000 ? 0 : ms, ...more);
    window.setInterval = (act, ms, ...more) => setInterval(act, ms === 1000 ? 4 : ms, ...more);
  });
  await page.goto(address);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.enable");
  return { page, devtools };
}

export async function day(world) {
  for (const source of [dots, running, happening]) {
    const { path, pace, drawn, opened, routes } = await source(world.address);
    const proxy = await between(world.address, routes);
    const { page, devtools } = await open(world, new URL(path, proxy.address).href);
    opened?.(page);
    const sizes = [];
    for (const events of [EVENTS / 10, EVENTS]) {
      await pace.to(events);
      await until(`${source.name}: ${events} events are drawn`, () => drawn(page));
      sizes.push(await size(devtools));
    }
    compare(`${source.name}, ${EVENTS} events`, ...sizes);
    await page.close();
    proxy.close();
  }
}

/** The list of transactions and its scatter, read anew again and again. */
export async function again(world) {
  const { page, devtools } = await open(world, new URL("/transactions", world.address).href);
  const rows = page.locator("main tbody tr");
  const sizes = [];
  for (const times of [15, 135]) {
    for (let turn = 0; turn < times; turn += 1) {
      const answered = page.waitForResponse((response) => response.url().includes("/api/points"));
      await page.getByRole("button", { name: "Refresh" }).click();
      await answered;
      await page.locator("section[aria-busy=false]").waitFor();
      await rows.nth(49).waitFor();
    }
    sizes.push(await size(devtools));
  }
  compare("transactions, read 150 times", ...sizes);
  await page.close();
}
