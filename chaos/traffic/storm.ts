import type { ChaosClient } from "./client.ts";
import { connect } from "./link.ts";

/** Every client of the traffic, and many more that only connect, lose their connections at once. */
export async function storm(
  count: number,
  times: number,
  at: {
    readonly clients: readonly ChaosClient[];
    readonly gateways: readonly { readonly url: string }[];
    readonly token: string;
  },
): Promise<number> {
  let admitted = 0;
  for (let turn = 0; turn < times; turn++) {
    const links = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        connect({
          url: at.gateways[i % at.gateways.length]?.url ?? "",
          token: at.token,
          id: -1,
          hear: () => {},
        }).catch(() => null),
      ),
    );
    admitted += links.filter((link) => link !== null).length;
    for (const link of links) link?.close();
    for (const client of at.clients) client.drop();
  }
  return admitted;
}
