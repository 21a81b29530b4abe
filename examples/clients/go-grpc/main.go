// An agent in Go over gRPC: sends a task and two notes, works on its inbox under leases, answers, acknowledges.
// What it prints, a line for each step with tabs in between, is told in the README one folder up.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	busv1 "agent/gen/agentbus/v1"
)

const text = "Grüße · 日本語 · 🚀"

// A task and two notes from another agent, and the answer to its own task.
const expected = 4

// A call's deadline: longer than any wait below.
const deadline = 40 * time.Second

var (
	me   = env("AGENTBUS_AGENT", "gus")
	peer = env("AGENTBUS_PEER", me)
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	address, err := url.Parse(env("AGENTBUS_URL", "http://127.0.0.1:8091"))
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(address.Host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	bus := busv1.NewMessageBusClient(connection)

	registered, err := call(bus.RegisterAgent, &busv1.RegisterAgentRequest{Agent: me, Description: proto.String("a Go agent (gRPC)")})
	if err != nil {
		return err
	}
	tell("registered", registered.Agent.Name)

	if _, err := call(bus.GetMessage, &busv1.GetMessageRequest{Agent: me, MessageId: "no-such-message"}); err != nil {
		info, _ := details(err)
		tell("error", info.GetReason())
	}

	task := &busv1.SendRequest{Sender: me, Recipient: peer, Subject: "Task", Body: text, RequestId: proto.String(uuid.NewString())}
	requests := []*busv1.SendRequest{task}
	for _, note := range []string{"Note 1", "Note 2"} {
		requests = append(requests, &busv1.SendRequest{
			Sender: me, Recipient: peer, Subject: note, Body: text, RequestId: proto.String(uuid.NewString()),
		})
	}
	requests = append(requests, task) // as if its answer had been lost
	for _, request := range requests {
		if err := send(bus, request); err != nil {
			return err
		}
	}

	// As if it had died over this one: it comes again.
	if _, err := pull(bus, 1, 1); err != nil {
		return err
	}
	for acked := int32(0); acked < expected; {
		pulled, err := pull(bus, 10, 30)
		if err != nil {
			return err
		}
		done := &busv1.AckRequest{Agent: me, LeaseId: pulled.LeaseId}
		for _, message := range pulled.Messages {
			if err := work(bus, message); err != nil {
				return err
			}
			done.MessageIds = append(done.MessageIds, message.Id)
		}
		answer, err := call(bus.Ack, done)
		if err != nil {
			return err
		}
		tell("acked", answer.AckedCount)
		acked += answer.AckedCount
	}

	began := time.Now()
	quiet, err := call(bus.PullInbox, &busv1.PullInboxRequest{Agent: me, WaitSeconds: 2})
	if err != nil {
		return err
	}
	tell("quiet", len(quiet.Messages), time.Since(began).Milliseconds())
	return nil
}

// work answers a task; notes and answers are only read.
func work(bus busv1.MessageBusClient, message *busv1.Message) error {
	if message.Subject != "Task" {
		return nil
	}
	return send(bus, &busv1.SendRequest{
		Sender:    me,
		Recipient: message.Sender,
		Subject:   "Re: " + message.Subject,
		Body:      "done: " + message.Body,
		InReplyTo: &message.Id,
		RequestId: proto.String("reply:" + message.Id), // whoever works on it again answers once
	})
}

func send(bus busv1.MessageBusClient, request *busv1.SendRequest) error {
	sent, err := call(bus.Send, request)
	if err == nil {
		tell("sent", request.Subject, sent.Id, sent.Deduplicated)
	}
	return err
}

// pull waits until there is mail, and leases it.
func pull(bus busv1.MessageBusClient, maxMessages, leaseSeconds int32) (*busv1.PullInboxResponse, error) {
	for {
		pulled, err := call(bus.PullInbox, &busv1.PullInboxRequest{
			Agent:        me,
			MaxMessages:  maxMessages,
			LeaseSeconds: leaseSeconds,
			WaitSeconds:  30,
			RequestId:    proto.String(uuid.NewString()),
		})
		if err != nil {
			return nil, err
		}
		for _, m := range pulled.Messages {
			tell("got", m.Subject, m.Id, m.Sender, m.Body, m.GetDeliveryAttempt(), m.GetInReplyTo())
		}
		if len(pulled.Messages) > 0 {
			return pulled, nil
		}
	}
}

// call repeats the very same request, with its request id, for as long as the bus says when to.
func call[Q, A any](method func(context.Context, *Q, ...grpc.CallOption) (*A, error), request *Q) (*A, error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		if token := os.Getenv("AGENTBUS_TOKEN"); token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-bus-token", token)
		}
		answer, err := method(ctx, request)
		cancel()
		if err == nil {
			return answer, nil
		}
		info, retry := details(err)
		if retry == nil {
			return nil, err
		}
		wait := retry.RetryDelay.AsDuration()
		tell("refused", info.GetReason(), wait.Milliseconds())
		time.Sleep(wait)
	}
}

// details are why a call failed, and when a repeat is useful; either may be nil.
func details(err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.RetryInfo:
			retry = detail
		}
	}
	return info, retry
}

func tell(fields ...any) {
	line := fmt.Sprint(fields[0])
	for _, field := range fields[1:] {
		line += fmt.Sprint("\t", field)
	}
	fmt.Println(line)
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
