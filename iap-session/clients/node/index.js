import { Client } from "./lib/client.js";
import { holdHead } from "./lib/head.js";
import { Session } from "./lib/session.js";

export { SessionClosed, SessionError, SessionUnavailable } from "./lib/errors.js";

export default function iapSession(options = {}) {
  const client = new Client(options);
  return function iapSession(request, response, next) {
    if (request.iap) return next();
    const session = new Session(client, client.endpoint(request.headers));
    session.load().then(() => {
      request.iap = session;
      Object.defineProperty(request, "session", {
        configurable: true,
        enumerable: true,
        get: () => session.attributes,
        set: (attributes) => session.replace(attributes),
      });
      holdHead(response, session, next);
      next();
    }, next);
  };
}
