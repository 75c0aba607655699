"""The application of the clients' tests in Flask, with `iap_session`. Environment: PORT."""

import json
import os

from flask import Flask, Response, jsonify, request, session
from iap_session import SessionClosed, SessionError, SessionUnavailable
from iap_session.flask import SessionInterface

app = Flask(__name__)
app.session_interface = SessionInterface()


def state():
    return jsonify(user=session.user, new=session.new, attributes=dict(session))


def value():
    return json.loads(request.args["value"])


@app.errorhandler(SessionUnavailable)
def unavailable(error):
    return "no session", 503


@app.get("/flask/ready")
def ready():
    return "ok"


@app.get("/flask/state")
def show():
    return state()


@app.post("/flask/set")
def set_attribute():
    session[request.args["name"]] = value()
    return state()


@app.post("/flask/append")
def append():
    session[request.args["name"]].append(value())
    return state()


@app.post("/flask/remove")
def remove():
    del session[request.args["name"]]
    return state()


@app.post("/flask/increment")
def increment():
    return jsonify(session.increment(request.args["name"], int(request.args["by"])))


@app.post("/flask/exchange")
def exchange():
    expected = json.loads(request.args["expected"])
    return jsonify(session.compare_and_set(request.args["name"], expected, value()))


@app.post("/flask/login")
def login():
    try:
        session.login(request.args["user"])
    except SessionError as error:
        return jsonify(status=error.status, kind=error.kind)
    return state()


@app.post("/flask/logout")
def logout():
    session.logout()
    return state()


@app.post("/flask/rotate")
def rotate():
    session.rotate()
    return state()


@app.post("/flask/destroy")
def destroy():
    session["lost"] = True
    session.destroy()
    session["begun"] = True
    return state()


@app.post("/flask/bad")
def bad():
    circle = []
    circle.append(circle)
    values = [object(), {"in": {1}}, {1: 2}, float("nan"), 2**64, circle, "\ud800", b"bytes"]
    said = []
    for wrong in values:
        try:
            session["wrong"] = wrong
        except (TypeError, ValueError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return jsonify(tried=len(values), said=said)


@app.post("/flask/bad-inside")
def bad_inside():
    session["list"] = []
    session["list"].append(object())
    return "this is not to be seen"


@app.post("/flask/large")
def large():
    session["large"] = "x" * 70_000
    return "this is not to be seen"


@app.post("/flask/late")
def late():
    held = session._get_current_object()
    held["early"] = True

    def body():
        yield "first "
        try:
            held["late"] = True
        except SessionClosed as error:
            yield type(error).__name__

    return Response(body())


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), threaded=True)
