"""An agent in Python over gRPC: sends a task and two notes, works on its inbox under leases, answers, acknowledges.

What it prints, a line for each step with tabs in between, is told in the README one folder up.
"""

import os
import time
import uuid
from urllib.parse import urlsplit

import grpc
from agentbus.v1.message_bus_pb2 import (
    AckRequest,
    GetMessageRequest,
    PullInboxRequest,
    RegisterAgentRequest,
    SendRequest,
)
from agentbus.v1.message_bus_pb2_grpc import MessageBusStub
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

ME = os.environ.get("AGENTBUS_AGENT", "pit")
PEER = os.environ.get("AGENTBUS_PEER", ME)
TOKEN = os.environ.get("AGENTBUS_TOKEN")
TEXT = "Grüße · 日本語 · 🚀"
# A task and two notes from another agent, and the answer to its own task.
EXPECTED = 4
# A call's deadline: longer than any wait below.
TIMEOUT_S = 40

url = os.environ.get("AGENTBUS_URL", "http://127.0.0.1:8091")
bus = MessageBusStub(grpc.insecure_channel(urlsplit(url).netloc))
metadata = [("x-bus-token", TOKEN)] if TOKEN else []


def tell(*fields):
    print(*fields, sep="\t", flush=True)


def detail(error, kind):
    """The detail of this kind that came with an error, or None."""
    status = rpc_status.from_call(error)
    for any_of_them in status.details if status else ():
        found = kind()
        if any_of_them.Unpack(found):
            return found
    return None


def call(method, request):
    """Repeats the very same request, with its request_id, for as long as the bus says when to."""
    while True:
        try:
            return method(request, metadata=metadata, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            retry = detail(error, RetryInfo)
            if retry is None:
                raise
            wait_ms = retry.retry_delay.ToMilliseconds() + 1
            tell("refused", detail(error, ErrorInfo).reason, wait_ms)
            time.sleep(wait_ms / 1000)


def send(request):
    sent = call(bus.Send, request)
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
        pulled = call(bus.PullInbox, request)
        for m in pulled.messages:
            tell("got", m.subject, m.id, m.sender, m.body, m.delivery_attempt, m.in_reply_to)
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


registered = call(bus.RegisterAgent, RegisterAgentRequest(agent=ME, description="a Python agent (gRPC)"))
tell("registered", registered.agent.name)

try:
    call(bus.GetMessage, GetMessageRequest(agent=ME, message_id="no-such-message"))
except grpc.RpcError as error:
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
    count = call(bus.Ack, done).acked_count
    tell("acked", count)
    acked += count

began = time.monotonic()
quiet = call(bus.PullInbox, PullInboxRequest(agent=ME, wait_seconds=2))
tell("quiet", len(quiet.messages), round((time.monotonic() - began) * 1000))
