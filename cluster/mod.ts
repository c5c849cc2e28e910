/**
 * Clusters: discovery, leader election and shard distribution, each usable alone, and the three of them together with the
 * routing of commands.
 * @module
 */
export type { ActorsLoad } from "./actor_host.ts";
export { type Assignment, assignShards } from "./assignment.ts";
export type { Leadership } from "./candidate.ts";
export { Cluster, type ClusterOptions } from "./cluster.ts";
export type { ClusterEvent } from "./cluster_changes.ts";
export type { Member, MemberChange } from "./discovery.ts";
export { isCurrentToken } from "./fencing_token.ts";
export { type ElectionOptions, LeaderElection } from "./leader_election.ts";
export type { ClusterNatsOptions } from "./nats_ports.ts";
export type { ShareOptions } from "./node_options.ts";
export { type DiscoveryOptions, NodeDiscovery } from "./node_discovery.ts";
export type { OwnedShard, ShardChange } from "./ownership.ts";
export type { SendOptions } from "./router.ts";
export type { HandleOptions, ServeOptions } from "./serve.ts";
export type { CommandContext, CommandHandler } from "./served_handler.ts";
export { type DistributionJoinOptions, ShardDistribution } from "./shard_distribution.ts";
export { type ClusterStatus, type NodeStatus, type ShardStatus, statusTable } from "./status.ts";
