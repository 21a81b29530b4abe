"""An agent in Python: waits for one task, works on it under a lease, answers, and only then acknowledges it.

From the root of agentbus:
  pip install connectrpc==0.13.0 protoc-gen-connectrpc==0.13.0 protoc-gen-py==0.7.0
  npx buf generate --template examples/python/buf.gen.yaml -o my-agent
  cp examples/python/agent.py my-agent && python my-agent/agent.py
"""

import os

from agentbus.v1.message_bus_connect import MessageBusClientSync
from agentbus.v1.message_bus_pb import AckRequest, PullInboxRequest, SendRequest

URL = os.environ.get("AGENTBUS_URL", "http://127.0.0.1:8091")
TOKEN = os.environ.get("AGENTBUS_TOKEN", "")
ME = os.environ.get("AGENTBUS_AGENT", "pia")

headers = {"x-bus-token": TOKEN} if TOKEN else {}
bus = MessageBusClientSync(URL)

pulled = bus.pull_inbox(
    PullInboxRequest(agent=ME, max_messages=1, lease_seconds=60, wait_seconds=30), headers=headers, timeout_ms=40_000
)
for message in pulled.messages:
    print(f"{message.sender}: {message.subject}: {message.body}")
    answer = SendRequest(
        sender=ME,
        recipient=message.sender,
        subject=f"Re: {message.subject}",
        body="done",
        in_reply_to=message.id,
        request_id=f"reply:{message.id}",  # a second try is stored once
    )
    bus.send(answer, headers=headers, timeout_ms=10_000)
    bus.ack(AckRequest(agent=ME, message_ids=[message.id], lease_id=pulled.lease_id), headers=headers, timeout_ms=10_000)
