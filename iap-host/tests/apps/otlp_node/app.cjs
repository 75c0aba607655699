// An application with OpenTelemetry's own instrumentation of HTTP, as its documents have it.
// Environment: PORT; OTLP (host and port of the receiver); PROTOCOL (proto, http for JSON, or grpc).
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { NodeTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-node");

const { OTLP, PORT, PROTOCOL } = process.env;
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${PROTOCOL}`);
const url = PROTOCOL === "grpc" ? `http://${OTLP}` : `http://${OTLP}/v1/traces`;
const exporter = new OTLPTraceExporter({ url, compression: "gzip" });
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": `node-${PROTOCOL}` }),
  spanProcessors: [new SimpleSpanProcessor(exporter)],
});
provider.register();
// What is sent to the receiver is no part of the application.
const ignoreOutgoingRequestHook = (request) => `${request.hostname ?? request.host}:${request.port}` === OTLP;
registerInstrumentations({ instrumentations: [new HttpInstrumentation({ ignoreOutgoingRequestHook })] });

// Only now: what is required before is not instrumented.
const http = require("node:http");
http
  .createServer((request, response) => {
    if (request.url.endsWith("/stock")) return response.end("7");
    http.get(`http://127.0.0.1:${PORT}${request.url}/stock`, (answer) => answer.pipe(response));
  })
  .listen(Number(PORT), "127.0.0.1");
