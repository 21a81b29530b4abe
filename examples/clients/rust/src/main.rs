//! An agent in Rust over gRPC: sends a task and two notes, works on its inbox under leases, answers, acknowledges.
//! What it prints, a line for each step with tabs in between, is told in the README one folder up.
use std::{
    env,
    error::Error,
    fmt::Display,
    time::{Duration, Instant},
};

use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

use bus_v1::{
    AckRequest, GetMessageRequest, Message, PullInboxRequest, PullInboxResponse, RegisterAgentRequest, SendRequest,
    message_bus_client::MessageBusClient,
};

mod bus_v1 {
    tonic::include_proto!("agentbus.v1");
}

const TEXT: &str = "Grüße · 日本語 · 🚀";
/// A task and two notes from another agent, and the answer to its own task.
const EXPECTED: i32 = 4;
/// A call's deadline: longer than any wait below.
const DEADLINE: Duration = Duration::from_secs(40);

struct Agent {
    name: String,
    token: Option<MetadataValue<Ascii>>,
    bus: MessageBusClient<Channel>,
}

impl Agent {
    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(DEADLINE);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("x-bus-token", token.clone());
        }
        request
    }

    /// Repeats the very same request, with its request_id, for as long as the bus says when to.
    async fn call<Q: Clone, A>(
        &self,
        method: impl AsyncFn(MessageBusClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Status> {
        loop {
            let refused = match method(self.bus.clone(), self.request(message.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(refused) => refused,
            };
            let Some(wait) = refused.get_details_retry_info().and_then(|retry| retry.retry_delay) else {
                return Err(refused);
            };
            tell(&["refused", &reason(&refused), &wait.as_millis().to_string()]);
            tokio::time::sleep(wait).await;
        }
    }

    async fn send(&self, message: SendRequest) -> Result<(), Status> {
        let subject = message.subject.clone();
        let sent = self.call(async |mut bus, request| bus.send(request).await, message).await?;
        tell(&["sent", &subject, &sent.id, &sent.deduplicated.to_string()]);
        Ok(())
    }

    /// Waits until there is mail, and leases it.
    async fn pull(&self, max_messages: i32, lease_seconds: i32) -> Result<PullInboxResponse, Status> {
        loop {
            let request = PullInboxRequest {
                agent: self.name.clone(),
                max_messages,
                lease_seconds,
                wait_seconds: 30,
                request_id: Some(Uuid::new_v4().to_string()),
                ..Default::default()
            };
            let pulled = self.call(async |mut bus, request| bus.pull_inbox(request).await, request).await?;
            for m in &pulled.messages {
                let attempt = m.delivery_attempt().to_string();
                tell(&["got", &m.subject, &m.id, &m.sender, &m.body, &attempt, m.in_reply_to()]);
            }
            if !pulled.messages.is_empty() {
                return Ok(pulled);
            }
        }
    }

    /// A task is answered; notes and answers are only read.
    async fn work(&self, message: &Message) -> Result<(), Status> {
        if message.subject != "Task" {
            return Ok(());
        }
        let answer = SendRequest {
            sender: self.name.clone(),
            recipient: message.sender.clone(),
            subject: format!("Re: {}", message.subject),
            body: format!("done: {}", message.body),
            in_reply_to: Some(message.id.clone()),
            // Whoever works on it again answers once.
            request_id: Some(format!("reply:{}", message.id)),
            ..Default::default()
        };
        self.send(answer).await
    }
}

/// Why a call failed, for programs.
fn reason(refused: &Status) -> String {
    refused.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn tell(fields: &[impl Display]) {
    let words: Vec<String> = fields.iter().map(ToString::to_string).collect();
    println!("{}", words.join("\t"));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("AGENTBUS_URL").unwrap_or_else(|_| "http://127.0.0.1:8091".into());
    let name = env::var("AGENTBUS_AGENT").unwrap_or_else(|_| "rus".into());
    let peer = env::var("AGENTBUS_PEER").unwrap_or_else(|_| name.clone());
    let token = env::var("AGENTBUS_TOKEN").ok().map(|token| token.parse()).transpose()?;
    let bus = MessageBusClient::new(Endpoint::from_shared(url)?.connect().await?);
    let agent = Agent { name: name.clone(), token, bus };

    let register = RegisterAgentRequest { agent: name.clone(), description: Some("a Rust agent (gRPC)".into()) };
    let registered = agent.call(async |mut bus, request| bus.register_agent(request).await, register).await?;
    tell(&["registered", &registered.agent.unwrap_or_default().name]);

    let unknown = GetMessageRequest { agent: name.clone(), message_id: "no-such-message".into() };
    if let Err(refused) = agent.call(async |mut bus, request| bus.get_message(request).await, unknown).await {
        tell(&["error", &reason(&refused)]);
    }

    let to_peer = |subject: &str| SendRequest {
        sender: name.clone(),
        recipient: peer.clone(),
        subject: subject.into(),
        body: TEXT.into(),
        request_id: Some(Uuid::new_v4().to_string()),
        ..Default::default()
    };
    let task = to_peer("Task");
    agent.send(task.clone()).await?;
    agent.send(to_peer("Note 1")).await?;
    agent.send(to_peer("Note 2")).await?;
    agent.send(task).await?; // as if its answer had been lost

    agent.pull(1, 1).await?; // as if it had died over this one: it comes again
    let mut acked = 0;
    while acked < EXPECTED {
        let pulled = agent.pull(10, 30).await?;
        for message in &pulled.messages {
            agent.work(message).await?;
        }
        let message_ids = pulled.messages.into_iter().map(|message| message.id).collect();
        let done = AckRequest { agent: name.clone(), message_ids, lease_id: pulled.lease_id };
        let count = agent.call(async |mut bus, request| bus.ack(request).await, done).await?.acked_count;
        tell(&["acked", &count.to_string()]);
        acked += count;
    }

    let began = Instant::now();
    let wait = PullInboxRequest { agent: name.clone(), wait_seconds: 2, ..Default::default() };
    let quiet = agent.call(async |mut bus, request| bus.pull_inbox(request).await, wait).await?;
    tell(&["quiet", &quiet.messages.len().to_string(), &began.elapsed().as_millis().to_string()]);
    Ok(())
}
