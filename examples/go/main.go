// An agent in Go over gRPC: waits for one task, works on it under a lease, answers, and only then acknowledges it.
//
// From the root of agentbus:
//
//	go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
//	go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
//	npx buf generate --template examples/go/buf.gen.yaml -o my-agent
//	cp examples/go/main.go my-agent && cd my-agent && go mod init my-agent && go mod tidy && go run .
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	bus "my-agent/gen/agentbus/v1"
)

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func main() {
	me := env("AGENTBUS_AGENT", "gus")
	connection, err := grpc.NewClient(env("AGENTBUS_TARGET", "127.0.0.1:8091"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := bus.NewMessageBusClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-bus-token", os.Getenv("AGENTBUS_TOKEN"))

	pulled, err := client.PullInbox(ctx, &bus.PullInboxRequest{Agent: me, MaxMessages: 1, LeaseSeconds: 60, WaitSeconds: 30})
	if err != nil {
		log.Fatal(err)
	}
	for _, message := range pulled.Messages {
		fmt.Printf("%s: %s: %s\n", message.Sender, message.Subject, message.Body)
		requestID := "reply:" + message.Id // a second try is stored once
		_, err := client.Send(ctx, &bus.SendRequest{
			Sender: me, Recipient: message.Sender, Subject: "Re: " + message.Subject, Body: "done",
			InReplyTo: &message.Id, RequestId: &requestID,
		})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Ack(ctx, &bus.AckRequest{Agent: me, MessageIds: []string{message.Id}, LeaseId: pulled.LeaseId}); err != nil {
			log.Fatal(err)
		}
	}
}
