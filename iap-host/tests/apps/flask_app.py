"""A Flask application for the tests: SQLite behind it, OpenTelemetry's own instrumentation in it,
and its user's session in the gateway, by the session API.

Environment: PORT, OTLP (the receiver's base URL), DATABASE (a file)."""

import json
import os
import sqlite3
import urllib.error
import urllib.request

from flask import Flask, jsonify, request
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "flask-app"}))
exporter = OTLPSpanExporter(endpoint=os.environ["OTLP"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
trace.set_tracer_provider(provider)
SQLite3Instrumentor().instrument()

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)


def database():
    return sqlite3.connect(os.environ["DATABASE"])


def session(method, path="/session", body=None):
    """One call of the session API, for the session of the current request."""
    call = urllib.request.Request(
        request.headers["iap-session-url"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer " + request.headers["iap-session-token"],
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(call, timeout=5) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return {"refused": error.code}


@app.get("/flask/ready")
def ready():
    return "ok"


@app.get("/flask/items")
def items():
    # Its instrumentation sees cursors only, not the shortcuts of a connection.
    rows = database().cursor().execute("SELECT name FROM item WHERE price < ?", (100,)).fetchall()
    return jsonify([name for (name,) in rows])


@app.post("/flask/login")
def login():
    return jsonify(session("POST", "/session/login", {"user": request.args["user"]}))


@app.get("/flask/whoami")
def whoami():
    return jsonify(header=request.headers.get("iap-user"), session=session("GET"))


@app.post("/flask/set")
def set_attribute():
    return jsonify(session("PATCH", body={"set": {request.args["name"]: request.args["value"]}}))


@app.get("/flask/headers")
def headers():
    return jsonify({name.lower(): value for name, value in request.headers.items()})


if __name__ == "__main__":
    with database() as db:
        db.execute("CREATE TABLE item (name TEXT, price INTEGER)")
        db.execute("INSERT INTO item VALUES ('pencil', 20), ('desk', 9000)")
    app.run(port=int(os.environ["PORT"]), threaded=True)
