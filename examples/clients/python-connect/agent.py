"""An agent in Python over Connect: sends a task and two notes, works on its inbox under leases, answers, acknowledges.

What it prints, a line for each step with tabs in between, is told in the README one folder up.
"""

import os
import time
import uuid

from agentbus.v1.message_bus_connect import MessageBusClientSync
from agentbus.v1.message_bus_pb import (
    AckRequest,
    GetMessageRequest,
    PullInboxRequest,
    RegisterAgentRequest,
    SendRequest,
)
from connectrpc.errors import ConnectError
from google.rpc.error_details_pb import ErrorInfo, RetryInfo

ME = os.environ.get("AGENTBUS_AGENT", "pia")
PEER = os.environ.get("AGENTBUS_PEER", ME)
TOKEN = os.environ.get("AGENTBUS_TOKEN")
TEXT = "Grüße · 日本語 · 🚀"
# A task and two notes from another agent, and the answer to its own task.
EXPECTED = 4
# A call's deadline: longer than any wait below.
TIMEOUT_MS = 40_000

bus = MessageBusClientSync(os.environ.get("AGENTBUS_URL", "http://127.0.0.1:8091"))
headers = {"x-bus-token": TOKEN} if TOKEN else {}


def tell(*fields):
    print(*fields, sep="\t", flush=True)


def detail(error, kind):
    """The detail of this kind that came with an error, or None."""
    return next((found for each in error.details if (found := each.value(kind))), None)


def call(method, request):
    """Repeats the very same request, with its request_id, for as long as the bus says when to."""
    while True:
        try:
            return method(request, headers=headers, timeout_ms=TIMEOUT_MS)
        except ConnectError as error:
            retry = detail(error, RetryInfo)
            if retry is None:
                raise
            wait_ms = retry.retry_delay.seconds * 1000 + -(-retry.retry_delay.nanos // 1_000_000)
            tell("refused", detail(error, ErrorInfo).reason, wait_ms)
            time.sleep(wait_ms / 1000)


def send(request):
    sent = call(bus.send, request)
    tell("sent", request.subject, sent.id, str(sent.deduplicated).lower())


def pull(max_messages, lease_seconds):
    """Waits until there is mail, and leases it."""
    while True:
        request = PullInboxRequest(
            agent=ME,
            max_messages=max_messages,
            lease_seconds=lease_seconds,
            wait_seconds=30,
            request_id=str(uuid.uuid4()),
        )
        pulled = call(bus.pull_inbox, request)
        for m in pulled.messages:
            tell("got", m.subject, m.id, m.sender, m.body, m.delivery_attempt, m.in_reply_to or "")
        if pulled.messages:
            return pulled


def work(message):
    """A task is answered; notes and answers are only read."""
    if message.subject != "Task":
        return
    answer = SendRequest(
        sender=ME,
        recipient=message.sender,
        subject=f"Re: {message.subject}",
        body=f"done: {message.body}",
        in_reply_to=message.id,
        request_id=f"reply:{message.id}",  # whoever works on it again answers once
    )
    send(answer)


registered = call(bus.register_agent, RegisterAgentRequest(agent=ME, description="a Python agent (Connect)"))
tell("registered", registered.agent.name)

try:
    call(bus.get_message, GetMessageRequest(agent=ME, message_id="no-such-message"))
except ConnectError as error:
    tell("error", detail(error, ErrorInfo).reason)

task = SendRequest(sender=ME, recipient=PEER, subject="Task", body=TEXT, request_id=str(uuid.uuid4()))
send(task)
for note in ("Note 1", "Note 2"):
    send(SendRequest(sender=ME, recipient=PEER, subject=note, body=TEXT, request_id=str(uuid.uuid4())))
send(task)  # as if its answer had been lost

pull(max_messages=1, lease_seconds=1)  # as if it had died over this one: it comes again
acked = 0
while acked < EXPECTED:
    pulled = pull(max_messages=10, lease_seconds=30)
    for message in pulled.messages:
        work(message)
    done = AckRequest(agent=ME, message_ids=[message.id for message in pulled.messages], lease_id=pulled.lease_id)
    count = call(bus.ack, done).acked_count
    tell("acked", count)
    acked += count

began = time.monotonic()
quiet = call(bus.pull_inbox, PullInboxRequest(agent=ME, wait_seconds=2))
tell("quiet", len(quiet.messages), round((time.monotonic() - began) * 1000))
