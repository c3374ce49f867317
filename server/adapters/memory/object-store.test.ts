import { objectStoreContract } from "../../ports/contract/object-store.contract.ts";
import { memoryObjectStore } from "./object-store.ts";

objectStoreContract("memory", async ({ stallMs }) => ({
  store: memoryObjectStore({ stallMs }),
  close: async () => {},
}));
