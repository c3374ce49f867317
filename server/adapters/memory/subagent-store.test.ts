import { subagentStoreContract } from "../../ports/contract/subagent-store.contract.ts";
import { openMemoryStores } from "./stores.fixture.ts";

subagentStoreContract("memory", openMemoryStores);
