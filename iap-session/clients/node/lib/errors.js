// No message holds a token or a value of the session.

/** The session API has refused. `status` is what the client gets from Express. */
export class SessionError extends Error {
  constructor(message, { apiStatus, kind } = {}) {
    super(message);
    this.name = new.target.name;
    this.status = 500;
    this.apiStatus = apiStatus;
    this.kind = kind;
  }
}

/** There is no session right now. `headers` are those that Express's own error handler sends. */
export class SessionUnavailable extends SessionError {
  constructor(message, { retryAfter, ...rest } = {}) {
    super(message, rest);
    this.status = 503;
    if (retryAfter !== undefined) this.headers = { "Retry-After": String(retryAfter) };
  }
}

/** The response head is out: what is changed now would be lost. */
export class SessionClosed extends SessionError {}
