import { sessionStoreContract } from "../../ports/contract/session-store.contract.ts";
import { openMemoryStores } from "./stores.fixture.ts";

sessionStoreContract("memory", openMemoryStores);
