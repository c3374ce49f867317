const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Bounds of one gateway process. The first group is OpenClaw's own (protocol 4, `hello-ok.policy` and the malformed
 * traffic it was seen to refuse); the second keeps a process alive whatever its clients do.
 */
export interface GatewayLimits {
  /** Bytes a socket may send before it is connected; more closes it with 1009. */
  readonly preConnectBytes: number;
  /** Largest frame afterwards; more closes with 1009. */
  readonly frameBytes: number;
  /** Time from the upgrade to a complete `connect`. */
  readonly handshakeMs: number;
  readonly tickIntervalMs: number;
  /** Time between WebSocket pings; a socket that answered none of the last two rounds is cut. */
  readonly pingIntervalMs: number;
  /** Waiting output above which events that carry no new truth are skipped for that connection, and it is not read. */
  readonly dropAboveBytes: number;
  /** Waiting output above which the connection is closed with 1008 `slow consumer`. */
  readonly closeAboveBytes: number;
  /** Waiting output of all connections together above which those with the most are closed with 1008. */
  readonly waitingBytes: number;
  /** Rest after texts were told, by the time that took: 1 leaves half of the process to everything else. */
  readonly restPerTelling: number;
  readonly maxConnections: number;
  /** Requests of one socket that have no answer yet. */
  readonly maxInFlight: number;
  /** `agent.wait` and second answers of `agent` that one socket waits for. */
  readonly maxWaits: number;
  /** Largest message of one send with its attachments, in bytes. */
  readonly messageBytes: number;
  /** Sends that share one commit. */
  readonly acceptBatch: number;
  /** Sends that wait for a commit; more are refused as overload. */
  readonly acceptWaiting: number;
  /** Bytes of all sends that wait for a commit. */
  readonly acceptBytes: number;
  /** Sessions of one tenant that wait for lane width; above it new sends of the tenant are refused. */
  readonly tenantBacklog: number;
  /** Time for an HTTP request to arrive as a whole, its body included. */
  readonly httpRequestMs: number;
  /** Largest body of an HTTP request; OpenClaw's. */
  readonly httpBodyBytes: number;
  /** Bytes of all HTTP bodies that are being read. */
  readonly httpBodiesBytes: number;
  /** HTTP requests that wait for their runs. */
  readonly httpAnswers: number;
  /** How long they may go on waiting while the gateway drains. */
  readonly httpDrainMs: number;
  /** Largest answer of `chat.history`; older rows are left to the next page. */
  readonly historyBytes: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  preConnectBytes: 64 * KIB,
  frameBytes: 25 * MIB,
  handshakeMs: 15_000,
  tickIntervalMs: 30_000,
  pingIntervalMs: 25_000,
  dropAboveBytes: 8 * MIB,
  closeAboveBytes: 50 * MIB,
  waitingBytes: 256 * MIB,
  restPerTelling: 1,
  maxConnections: 20_000,
  maxInFlight: 256,
  maxWaits: 1_024,
  messageBytes: 16 * MIB,
  acceptBatch: 256,
  acceptWaiting: 8_192,
  acceptBytes: 256 * MIB,
  tenantBacklog: 50_000,
  httpRequestMs: 30_000,
  httpBodyBytes: 20 * MIB,
  httpBodiesBytes: 128 * MIB,
  httpAnswers: 4_096,
  httpDrainMs: 5_000,
  historyBytes: 8 * MIB,
};
