/**
 * The package's entry point `agentbus/gen`: everything generated from the contract, for whoever builds messages or a client
 * of his own, and the details of errors (`ConnectError.findDetails`). Names of other modules only.
 */
export * from "#gen/agentbus/v1/agent_pb.js";
export * from "#gen/agentbus/v1/message_bus_pb.js";
export * from "#gen/agentbus/v1/message_pb.js";
export * from "#gen/google/rpc/error_details_pb.js";
