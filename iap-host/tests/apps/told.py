"""Those who are told: a webhook and a mail server, and GET /seen with what they got. Environment: PORT, SMTP."""

import email.header
import email.policy
import json
import os
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

seen = {"hooks": [], "mails": []}


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        letter = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        seen["mails"].append(
            {"to": envelope.rcpt_tos, "headers": list(letter.keys()), "subject": letter["subject"],
             "text": letter.get_content()}
        )
        return "250 kept"


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        seen["hooks"].append({"path": self.path, "body": json.loads(body), "signed": "iap-signature" in self.headers})
        self.send_response(204)
        self.end_headers()

    def do_GET(self):
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    Controller(Mailbox(), hostname="127.0.0.1", port=int(os.environ["SMTP"])).start()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hook).serve_forever()
