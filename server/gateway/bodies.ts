import { bodyStore, type BodyStore, type BodyStoreDeps } from "../bodies/body-store.ts";

export type { BodyReader } from "../bodies/body-store.ts";
import { HAError, isHAError } from "../core/errors.ts";

/** What gateways store and read of large messages. */
export type Bodies = BodyStore;

/** A row that refers to bytes which are not there is no fault of the client that asked: it is told to come again. */
export function gatewayBodies(deps: BodyStoreDeps): Bodies {
  const bodies = bodyStore(deps);
  const there = async <T>(reading: Promise<T>): Promise<T> => {
    try {
      return await reading;
    } catch (error) {
      if (!isHAError(error, "NOT_FOUND")) throw error;
      throw new HAError("STORE_UNAVAILABLE", error.message, error.details, { cause: error });
    }
  };
  return {
    store: (tenant, message) => bodies.store(tenant, message),
    load: (tenant, body, signal) => there(bodies.load(tenant, body, signal)),
    loadSegment: (tenant, object, signal) => there(bodies.loadSegment(tenant, object, signal)),
  };
}
