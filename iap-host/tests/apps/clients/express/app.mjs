// The application of the clients' tests in Express, with `iap-session`. Environment: PORT.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import express from "express";
import iapSession from "iap-session";

const app = express();
app.get("/express/ready", (request, response) => response.send("ok"));
app.use((request, response, next) => {
  response.setHeader("x-before", "kept");
  next();
});
app.use(iapSession());

const state = ({ iap, session }) => ({ user: iap.user, new: iap.new, attributes: session });
const value = ({ query }) => JSON.parse(query.value);

app.get("/express/state", (request, response) => response.json(state(request)));

app.post("/express/set", (request, response) => {
  request.session[request.query.name] = value(request);
  response.json(state(request));
});

app.post("/express/append", (request, response) => {
  request.session[request.query.name].push(value(request));
  response.json(state(request));
});

app.post("/express/remove", (request, response) => {
  delete request.session[request.query.name];
  response.json(state(request));
});

app.post("/express/increment", async (request, response) => {
  response.json(await request.iap.increment(request.query.name, Number(request.query.by)));
});

// JSON has no undefined.
const absent = (value) => value ?? undefined;

app.post("/express/exchange", async (request, response) => {
  const expected = absent(JSON.parse(request.query.expected));
  response.json(await request.iap.compareAndSet(request.query.name, expected, absent(value(request))));
});

app.post("/express/replace", (request, response) => {
  request.session = { only: 1, none: undefined };
  response.json(state(request));
});

app.post("/express/login", async (request, response) => {
  try {
    await request.iap.login(request.query.user);
  } catch ({ apiStatus, kind }) {
    return response.json({ status: apiStatus, kind });
  }
  response.json(state(request));
});

app.post("/express/logout", async (request, response) => {
  await request.iap.logout();
  response.json(state(request));
});

app.post("/express/rotate", async (request, response) => {
  await request.iap.rotate();
  response.json(state(request));
});

app.post("/express/destroy", async (request, response) => {
  request.session.lost = true;
  await request.iap.destroy();
  request.session.begun = true;
  response.json(state(request));
});

app.post("/express/bad", (request, response) => {
  const circle = [];
  circle.push(circle);
  const { session } = request;
  const values = [new Date(), { in: new Map() }, 1n, NaN, { gone: undefined }, [,], () => 1, circle, "\ud800"];
  const said = [];
  for (const wrong of values) {
    try {
      session.wrong = wrong;
    } catch (error) {
      said.push(`${error.name}: ${error.message}`);
    }
  }
  response.json({ tried: values.length, said });
});

app.post("/express/bad-inside", (request, response) => {
  request.session.list = [];
  request.session.list.push(new Date());
  response.setHeader("x-app", "dropped");
  response.status(201).send("this is not to be seen");
});

app.post("/express/large", (request, response) => {
  request.session.large = "x".repeat(70_000);
  response.writeHead(201, { "x-app": "dropped" });
  response.end("this is not to be seen");
});

app.post("/express/late", (request, response) => {
  request.session.early = true;
  response.status(203).write("first ", () => {
    try {
      request.session.late = true;
    } catch (error) {
      response.end(error.name);
    }
  });
  response.statusCode = 500;
});

// More than the buffers hold, by a source that stops when it is told to.
app.post("/express/stream", async (request, response) => {
  request.session.streamed = true;
  await pipeline(Readable.from(Array(64).fill("x".repeat(32 << 10))), response);
});

app.use((error, request, response, next) => {
  if (error.status !== 503) console.error(`${error.name}: ${error.message}`);
  response.status(error.status ?? 500).send(error.name);
});

app.listen(Number(process.env.PORT), "127.0.0.1");
