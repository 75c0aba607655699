// An OpenID provider for tests, on PORT of loopback, by the name HOST: people of ACCOUNTS without passwords, one client that is led back to REDIRECT.
// With TLS_CERTIFICATE and TLS_KEY, both PEM, it speaks TLS. It writes `ready` once it listens. POST /break?how=... makes it break its ID tokens in a way from then on.
import { createHmac, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";

import Provider from "oidc-provider";

const { PORT, HOST = "127.0.0.1", REDIRECT, SIGNED_OUT, CLIENT, SECRET, KEY, TLS_CERTIFICATE: cert, TLS_KEY: key } = process.env;
const ACCOUNTS = JSON.parse(process.env.ACCOUNTS);

// By way of PEM: Node 20 can lock up when it collects the generator of a key while it writes that key as JWK.
const pem = { type: "pkcs8", format: "pem" };
const made = generateKeyPairSync("rsa", { modulusLength: 2048, publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: pem });
const signing = createPrivateKey(made.privateKey).export({ format: "jwk" });
const form = (action, rest) => `<!doctype html><html lang="en"><title>Provider</title><form method="post" action="${action}">${rest}</form></html>`;

const provider = new Provider(`${cert ? "https" : "http"}://${HOST}:${PORT}`, {
  clients: [{ client_id: CLIENT, client_secret: SECRET, redirect_uris: [REDIRECT], post_logout_redirect_uris: [SIGNED_OUT] }],
  jwks: { keys: [{ ...signing, kid: KEY, use: "sig", alg: "RS256" }] },
  cookies: { keys: ["of no importance here"] },
  claims: { openid: ["sub", "groups"], profile: ["preferred_username"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      logoutSource(ctx, hidden) {
        const action = hidden.match(/action="([^"]*)"/)[1];
        const fields = hidden.replace(/<\/?form[^>]*>/g, "");
        ctx.body = form(action, `${fields}<button name="logout" value="yes">Sign out here</button>`);
      },
    },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ACCOUNTS[id] && { accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) },
  // Nobody is asked what the client may know.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid profile");
    await grant.save();
    return grant;
  },
});

/** The ways in which a token can be none of ours. */
const BREAKS = {
  nothing: (token) => token,
  signature: ([head, claims, signature]) => [head, claims, signature.slice(0, -8) + "AAAAAAAA"],
  none: ([, claims]) => [encoded({ alg: "none" }), claims, ""],
  secret: ([, claims]) => {
    const head = encoded({ alg: "HS256", kid: KEY });
    return [head, claims, createHmac("sha256", SECRET).update(`${head}.${claims}`).digest("base64url")];
  },
  missing: () => null,
};
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
let broken = "nothing";

async function body(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

provider.use(async (ctx, next) => {
  if (ctx.path === "/break") {
    broken = ctx.query.how;
    ctx.body = broken;
  } else if (ctx.path === "/favicon.ico") {
    ctx.status = 204;
  } else if (ctx.path.startsWith("/interaction/") && ctx.method === "GET") {
    ctx.body = form(ctx.path, `<label>Account <input name="account"></label><button>Continue</button>`);
  } else if (ctx.path.startsWith("/interaction/")) {
    const account = (await body(ctx.req)).get("account");
    const result = account === "cancel" ? { error: "access_denied" } : { login: { accountId: account } };
    await provider.interactionFinished(ctx.req, ctx.res, result);
    ctx.respond = false;
  } else {
    await next();
    if (ctx.path === "/token" && ctx.body?.id_token) {
      const token = BREAKS[broken](ctx.body.id_token.split("."));
      ctx.body = { ...ctx.body, id_token: token?.join?.(".") };
    }
  }
});

const server = cert ? createTlsServer({ cert, key }, provider.callback()) : createServer(provider.callback());
server.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
