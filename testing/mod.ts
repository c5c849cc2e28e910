/**
 * For tests: the promises of every interface as suites for any runner, and real NATS servers.
 * @module
 */
export { eventStoreConformance, type EventStoreConformanceOptions, OPEN_PROMISES } from "./event_store_conformance.ts";
export type { ConformanceCase } from "./event_store/scene.ts";
