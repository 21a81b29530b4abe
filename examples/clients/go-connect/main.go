// An agent in Go over Connect: sends a task and two notes, works on its inbox under leases, answers, acknowledges.
// What it prints, a line for each step with tabs in between, is told in the README one folder up.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	busv1 "agent/gen/agentbus/v1"
	"agent/gen/agentbus/v1/agentbusv1connect"
)

const text = "Grüße · 日本語 · 🚀"

// A task and two notes from another agent, and the answer to its own task.
const expected = 4

// A call's deadline: longer than any wait below.
const deadline = 40 * time.Second

var (
	me   = env("AGENTBUS_AGENT", "gil")
	peer = env("AGENTBUS_PEER", me)
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// withToken sends the bus's token along with every call.
func withToken(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if token := os.Getenv("AGENTBUS_TOKEN"); token != "" {
			request.Header().Set("x-bus-token", token)
		}
		return next(ctx, request)
	}
}

func run() error {
	url := env("AGENTBUS_URL", "http://127.0.0.1:8091")
	options := connect.WithInterceptors(connect.UnaryInterceptorFunc(withToken))
	bus := agentbusv1connect.NewMessageBusClient(http.DefaultClient, url, options)

	registered, err := call(bus.RegisterAgent, &busv1.RegisterAgentRequest{Agent: me, Description: proto.String("a Go agent (Connect)")})
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
func work(bus agentbusv1connect.MessageBusClient, message *busv1.Message) error {
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

func send(bus agentbusv1connect.MessageBusClient, request *busv1.SendRequest) error {
	sent, err := call(bus.Send, request)
	if err == nil {
		tell("sent", request.Subject, sent.Id, sent.Deduplicated)
	}
	return err
}

// pull waits until there is mail, and leases it.
func pull(bus agentbusv1connect.MessageBusClient, maxMessages, leaseSeconds int32) (*busv1.PullInboxResponse, error) {
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
func call[Q, A any](method func(context.Context, *Q) (*A, error), request *Q) (*A, error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
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
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return nil, nil
	}
	for _, detail := range refused.Details() {
		value, err := detail.Value()
		if err != nil {
			continue // of a type that this program does not know
		}
		switch value := value.(type) {
		case *errdetails.ErrorInfo:
			info = value
		case *errdetails.RetryInfo:
			retry = value
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
