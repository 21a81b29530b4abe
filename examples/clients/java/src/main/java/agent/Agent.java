package agent;

import static java.nio.charset.StandardCharsets.UTF_8;

import agentbus.v1.AckRequest;
import agentbus.v1.GetMessageRequest;
import agentbus.v1.Message;
import agentbus.v1.MessageBusGrpc;
import agentbus.v1.MessageBusGrpc.MessageBusBlockingStub;
import agentbus.v1.PullInboxRequest;
import agentbus.v1.PullInboxResponse;
import agentbus.v1.RegisterAgentRequest;
import agentbus.v1.SendRequest;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.stream.Collectors;

/**
 * An agent in Java over gRPC: sends a task and two notes, works on its inbox under leases, answers, acknowledges. What it
 * prints, a line for each step with tabs in between, is told in the README one folder up.
 */
public final class Agent {
  private static final String TEXT = "Grüße · 日本語 · 🚀";
  /** A task and two notes from another agent, and the answer to its own task. */
  private static final int EXPECTED = 4;
  /** A call's deadline: longer than any wait below. */
  private static final int DEADLINE_S = 40;

  /** UTF-8, whatever the locale. */
  private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), true, UTF_8);

  private final String me = env("AGENTBUS_AGENT", "jan");
  private final String peer = env("AGENTBUS_PEER", me);
  private final MessageBusBlockingStub bus;

  private Agent(ManagedChannel channel) {
    Metadata headers = new Metadata();
    String token = env("AGENTBUS_TOKEN", "");
    if (!token.isEmpty()) headers.put(Metadata.Key.of("x-bus-token", Metadata.ASCII_STRING_MARSHALLER), token);
    bus = MessageBusGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  public static void main(String[] args) throws InterruptedException {
    URI url = URI.create(env("AGENTBUS_URL", "http://127.0.0.1:8091"));
    ManagedChannel channel = ManagedChannelBuilder.forTarget(url.getAuthority()).usePlaintext().build();
    try {
      new Agent(channel).run();
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private void run() throws InterruptedException {
    var registration = RegisterAgentRequest.newBuilder().setAgent(me).setDescription("a Java agent (gRPC)").build();
    tell("registered", call(MessageBusBlockingStub::registerAgent, registration).getAgent().getName());

    try {
      var unknown = GetMessageRequest.newBuilder().setAgent(me).setMessageId("no-such-message").build();
      call(MessageBusBlockingStub::getMessage, unknown);
    } catch (StatusRuntimeException refused) {
      tell("error", reason(refused));
    }

    SendRequest task = toPeer("Task");
    send(task);
    send(toPeer("Note 1"));
    send(toPeer("Note 2"));
    send(task); // as if its answer had been lost

    pull(1, 1); // as if it had died over this one: it comes again
    for (int acked = 0; acked < EXPECTED; ) {
      PullInboxResponse pulled = pull(10, 30);
      var done = AckRequest.newBuilder().setAgent(me).setLeaseId(pulled.getLeaseId());
      for (Message message : pulled.getMessagesList()) {
        work(message);
        done.addMessageIds(message.getId());
      }
      int count = call(MessageBusBlockingStub::ack, done.build()).getAckedCount();
      tell("acked", count);
      acked += count;
    }

    long began = System.nanoTime();
    var wait = PullInboxRequest.newBuilder().setAgent(me).setWaitSeconds(2).build();
    int quiet = call(MessageBusBlockingStub::pullInbox, wait).getMessagesCount();
    tell("quiet", quiet, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began));
  }

  private SendRequest toPeer(String subject) {
    return SendRequest.newBuilder()
        .setSender(me)
        .setRecipient(peer)
        .setSubject(subject)
        .setBody(TEXT)
        .setRequestId(UUID.randomUUID().toString())
        .build();
  }

  /** A task is answered; notes and answers are only read. */
  private void work(Message message) throws InterruptedException {
    if (!message.getSubject().equals("Task")) return;
    send(SendRequest.newBuilder()
        .setSender(me)
        .setRecipient(message.getSender())
        .setSubject("Re: " + message.getSubject())
        .setBody("done: " + message.getBody())
        .setInReplyTo(message.getId())
        .setRequestId("reply:" + message.getId()) // whoever works on it again answers once
        .build());
  }

  private void send(SendRequest request) throws InterruptedException {
    var sent = call(MessageBusBlockingStub::send, request);
    tell("sent", request.getSubject(), sent.getId(), sent.getDeduplicated());
  }

  /** Waits until there is mail, and leases it. */
  private PullInboxResponse pull(int maxMessages, int leaseSeconds) throws InterruptedException {
    while (true) {
      var request = PullInboxRequest.newBuilder()
          .setAgent(me)
          .setMaxMessages(maxMessages)
          .setLeaseSeconds(leaseSeconds)
          .setWaitSeconds(30)
          .setRequestId(UUID.randomUUID().toString())
          .build();
      PullInboxResponse pulled = call(MessageBusBlockingStub::pullInbox, request);
      for (Message m : pulled.getMessagesList()) {
        tell("got", m.getSubject(), m.getId(), m.getSender(), m.getBody(), m.getDeliveryAttempt(), m.getInReplyTo());
      }
      if (pulled.getMessagesCount() > 0) return pulled;
    }
  }

  /** Repeats the very same request, with its request_id, for as long as the bus says when to. */
  private <Q, A> A call(BiFunction<MessageBusBlockingStub, Q, A> method, Q request) throws InterruptedException {
    while (true) {
      try {
        return method.apply(bus.withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS), request);
      } catch (StatusRuntimeException refused) {
        RetryInfo retry = detail(refused, RetryInfo.class).orElseThrow(() -> refused);
        var delay = retry.getRetryDelay();
        long waitMs = Duration.ofSeconds(delay.getSeconds(), delay.getNanos()).toMillis() + 1;
        tell("refused", reason(refused), waitMs);
        Thread.sleep(waitMs);
      }
    }
  }

  /** Why a call failed, for programs. */
  private static String reason(StatusRuntimeException refused) {
    return detail(refused, ErrorInfo.class).map(ErrorInfo::getReason).orElse("");
  }

  /** The detail of this kind that came with an error. */
  private static <T extends com.google.protobuf.Message> Optional<T> detail(StatusRuntimeException refused, Class<T> kind) {
    var status = StatusProto.fromThrowable(refused);
    List<Any> details = status == null ? List.of() : status.getDetailsList();
    return details.stream().filter(any -> any.is(kind)).findFirst().map(any -> {
      try {
        return any.unpack(kind);
      } catch (InvalidProtocolBufferException broken) {
        throw new IllegalStateException("the bus sent a detail that is none", broken);
      }
    });
  }

  private static void tell(Object... fields) {
    OUT.println(Arrays.stream(fields).map(String::valueOf).collect(Collectors.joining("\t")));
  }

  private static String env(String name, String fallback) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? fallback : value;
  }
}
