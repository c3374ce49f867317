import type { AcceptRequest } from "../ports/run-ledger.ts";
import type { BodyStore } from "./body-store.ts";

/** The same request with its message where it belongs by size: a large one is put into object storage before it is accepted. */
export async function storeInput(
  bodies: Pick<BodyStore, "store">,
  request: AcceptRequest,
): Promise<AcceptRequest> {
  const { tenant, input } = request;
  if (!("inline" in input.body)) return request;
  return { ...request, input: { ...input, body: await bodies.store(tenant, input.body.inline) } };
}
