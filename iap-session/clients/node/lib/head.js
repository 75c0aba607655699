// Holds a response back, from the first call that would send its head, until the session is saved.

const HELD = ["writeHead", "flushHeaders", "write", "end"];

/** `next` gets the error if the session cannot be saved; nothing of the response is out then. */
export function holdHead(response, session, next) {
  const original = Object.fromEntries(HELD.map((name) => [name, response[name]]));
  const headers = response.getHeaders();
  let calls = null;
  let status;
  let passes = false;

  const replay = () => {
    session.close();
    passes = true;
    delete response.headersSent;
    [response.statusCode, response.statusMessage] = status;
    for (const [name, parameters] of calls) original[name].apply(response, parameters);
    const waits = calls.some(([name]) => name === "write") && !response.writableEnded;
    calls = null;
    if (waits && !response.writableNeedDrain) response.emit("drain");
  };

  const fail = (error) => {
    delete response.headersSent;
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    [response.statusCode, response.statusMessage] = [200, undefined];
    session.reset();
    // What an error handler sends is held again.
    calls = null;
    next(error);
  };

  for (const name of HELD) {
    response[name] = function held(...parameters) {
      if (!passes && !calls && isUnchanged(session)) {
        session.close();
        passes = true;
      }
      if (passes) return original[name].apply(response, parameters);
      if (calls) {
        calls.push([name, parameters]);
      } else {
        calls = [[name, parameters]];
        status = [response.statusCode, response.statusMessage];
        // Whoever asks shall see that the answer is decided.
        Object.defineProperty(response, "headersSent", { configurable: true, value: true });
        session.save().then(replay, fail);
      }
      return name === "write" ? false : response;
    };
  }
}

function isUnchanged(session) {
  try {
    return session.changes() === null;
  } catch {
    // `save` reports it.
    return false;
  }
}
