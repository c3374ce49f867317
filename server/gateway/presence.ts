import { hostname } from "node:os";
import type { TenantId } from "../core/ids.ts";
import type { Clock } from "../ports/clock.ts";
import type { Connection } from "./connection.ts";
import type { Hub } from "./hub.ts";
import { openEvent } from "./protocol/frames.ts";

/** Entries that a presence list holds at most; it is a help for people, not an inventory. */
const ENTRIES_MAX = 50;

/** Who of a tenant is connected to this gateway: people's clients, and the gateway itself. */
export interface Presence {
  joined(tenant: TenantId, connection: Connection): void;
  left(tenant: TenantId, connection: Connection): void;
  list(tenant: TenantId): readonly unknown[];
  /** Counts the changes; `stateVersion.presence` of hello and events. */
  version(): number;
  /** Tells the tenants whose list has changed since the last call; called by a shared timer. */
  tell(): void;
}

/**
 * Only clients that people sit before (modes ui, webchat, node) are listed: the genuine gateway leaves its command
 * line out too, and thousands of backend clients would make every list long. Changes are told at most once per call
 * of `tell`, however many there were.
 */
export function presence(deps: {
  readonly instance: string;
  readonly version: string;
  readonly clock: Clock;
  readonly hub: () => Hub;
}): Presence {
  const { instance, clock } = deps;
  const startedAt = clock.now();
  const people = new Map<TenantId, Set<Connection>>();
  const changed = new Set<TenantId>();
  let version = 1;

  const self = {
    host: hostname(),
    version: deps.version,
    platform: process.platform,
    mode: "gateway",
    reason: "self",
    instanceId: instance,
    text: `Gateway: ${instance} · app ${deps.version} · mode gateway · reason self`,
    ts: startedAt,
  };

  const isListed = ({ client }: Connection): boolean =>
    client !== null && (client.mode === "ui" || client.mode === "webchat" || client.mode === "node");

  const entry = (connection: Connection): unknown => {
    const { client, scopes, connectedAtMs } = connection;
    return {
      host: client?.displayName ?? client?.id,
      clientId: client?.id,
      mode: client?.mode,
      version: client?.version,
      platform: client?.platform,
      ...(client?.instanceId === undefined ? {} : { instanceId: client.instanceId }),
      roles: ["operator"],
      scopes,
      onlineSince: connectedAtMs,
      reason: "connect",
      text: `Node: ${client?.displayName ?? client?.id} · mode ${client?.mode}`,
      ts: connectedAtMs,
    };
  };

  const touch = (tenant: TenantId): void => {
    version++;
    changed.add(tenant);
  };

  const list = (tenant: TenantId): readonly unknown[] => {
    const entries: unknown[] = [{ ...self, ts: clock.now() }];
    for (const connection of people.get(tenant) ?? []) {
      if (entries.length > ENTRIES_MAX) break;
      entries.push(entry(connection));
    }
    return entries;
  };

  return {
    joined(tenant, connection) {
      if (!isListed(connection)) return;
      const connections = people.get(tenant) ?? new Set();
      people.set(tenant, connections.add(connection));
      touch(tenant);
    },
    left(tenant, connection) {
      const connections = people.get(tenant);
      if (!connections?.delete(connection)) return;
      if (connections.size === 0) people.delete(tenant);
      touch(tenant);
    },
    list,
    version: () => version,
    tell() {
      for (const tenant of changed) {
        const audience = deps.hub().get(tenant)?.audience;
        const payload = { presence: list(tenant) };
        const event = openEvent("presence", payload, { stateVersion: { presence: version, health: 1 } });
        for (const listener of audience?.all ?? []) if (listener.reads) listener.outbox.event(event, true);
      }
      changed.clear();
    },
  };
}
