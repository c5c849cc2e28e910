/**
 * For tests: the promises of every interface as suites for any runner, and real NATS servers.
 * @module
 */
export { eventBusConformance, type EventBusConformanceOptions } from "./event_bus_conformance.ts";
export { eventStoreConformance, type EventStoreConformanceOptions } from "./event_store_conformance.ts";
export type { ConformanceCase } from "./conformance.ts";
export { type CutOptions, FaultyNetwork } from "./faulty_network.ts";
export type { FaultOptions, HeldMessages, MessageMatch, NetworkFault } from "./network_fault.ts";
export type { NetworkDirection, NetworkMessage } from "./network_message.ts";
export type { ExpectedError } from "./expectations.ts";
export { type Decision, type Given, given, type GivenOptions, type StoredDecision } from "./given.ts";
export { findNatsServer, type FindNatsServerOptions } from "./nats_binary.ts";
export { NatsCluster, type NatsClusterOptions } from "./nats_cluster.ts";
export type * from "./nats_config.ts";
export { NatsServer } from "./nats_server.ts";
export { snapshotStoreConformance, type SnapshotStoreConformanceOptions } from "./snapshot_store_conformance.ts";
