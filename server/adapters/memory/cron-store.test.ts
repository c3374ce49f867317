import { cronStoreContract } from "../../ports/contract/cron-store.contract.ts";
import { openMemoryStores } from "./stores.fixture.ts";

cronStoreContract("memory", openMemoryStores);
